package dev.filigree.internal.vector;

import static dev.filigree.internal.vector.RawMemory.ALL;
import static dev.filigree.internal.vector.RawMemory.address;
import static dev.filigree.internal.vector.Species.F32;
import static dev.filigree.spi.NmFormat.LANES;

import dev.filigree.DType;
import dev.filigree.internal.NmWalk;
import dev.filigree.spi.NmFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;

/**
 * N:M sparse GEMM with the Vector API, columns of B (or tokens) in the lanes: {@link NmFew} has the other way.
 *
 * <p>Where each row has positions of its own, a row's eight accumulators stay in registers while its entries stream by,
 * each a broadcast and eight multiply-adds whose other factor is read from B's block: nine loads for eight
 * multiply-adds, so that loads bound it, at 8/9 of what two of both a clock would give. Narrow panels take several rows
 * at a time, to have as many sums in flight.
 *
 * <p>Where rows share positions, a vector of B serves four rows: tiles of four rows by two vectors take six loads for
 * eight multiply-adds, and arithmetic bounds them, as in a dense product.
 *
 * <p>bf16 is widened on the way into scratch, a group's values as well as B's block, and computed as f32: the same
 * bits, since slots are in the order of sums.
 *
 * <p>Each method that holds vectors is a compilation of its own, for the reason that {@link SpmmVector} gives. It goes
 * over the 16 rows of a group, which share their number of entries.
 */
final class NmVector extends NmWalk {

    private static final int LENGTH = F32.length();
    private static final long STEP = F32.vectorByteSize();
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();
    /** Without the alignment check of the plain layouts. */
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    /** From one entry of a row to the next, in values, and in offsets where each row has its own. */
    private static final long SLOT = (long) Float.BYTES * LANES;

    /** By the binary logarithm of the vectors of columns. Elements of arrays are no constants: see SpmmVector. */
    private static final MethodHandle[] ROWS = {handle("rows1"), handle("rows2"), handle("rows4"), handle("rows8")};
    private static final MethodHandle[] SHARED = {handle("shared1"), handle("shared2")};

    /** What the first block starts from: rows of no length. */
    private static final MemorySegment ZEROS =
        Arena.global().allocate((long) Float.BYTES * NmFormat.PANEL, NmFormat.ALIGNMENT);

    /** Rows x columns in registers, where each row has positions of its own. */
    static final String TILE = "1x" + Math.min(64, 8 * LENGTH);

    private static MethodHandle handle(String method) {
        return CallBarrier.handle(MethodHandles.lookup(), method, long.class, long.class, long.class, int.class,
            long.class, long.class, long.class, long.class, long.class);
    }

    NmVector(DType dtype) {
        super(dtype);
    }

    @Override
    public String id() {
        return "nm_packed_" + dtype().id() + "_vector";
    }

    /** The address of a group's values as f32. */
    private long values(MemorySegment packed, long block, long group, int slots, MemorySegment scratch) {
        long at = NmFormat.valuesAt(packed, block, group);
        if (dtype() == DType.F32) {
            return packed.address() + at;
        }
        widenValues(packed, at, slots, scratch);
        return scratch.address() + NmFormat.field(packed, NmFormat.WORK);
    }

    @Override
    protected void widenValues(MemorySegment packed, long pairs, int slots, MemorySegment scratch) {
        VectorBf16.widenPairs(packed.address() + pairs, scratch.address() + NmFormat.field(packed, NmFormat.WORK),
            slots / 2);
    }

    @Override
    protected void widen(MemorySegment scratch, long fromAt, long toAt, int count) {
        VectorBf16.widen(scratch.address() + fromAt, scratch.address() + toAt, count);
    }

    @Override
    protected void round(MemorySegment scratch, long at, int count) {
        VectorBf16.round(scratch.address() + at, scratch.address() + at, count);
    }

    @Override
    protected void multiply(MemorySegment packed, long block, long group, int slots, MemorySegment scratch, int padded,
            long sumsAt, boolean fresh) {
        long offsets = scratch.address() + NmFormat.field(packed, NmFormat.COLUMNS);
        NmIndices.expand(packed, block, group, slots, Float.BYTES * padded, offsets);
        long values = values(packed, block, group, slots, scratch);
        long rowBytes = (long) Float.BYTES * padded;
        long to = scratch.address() + sumsAt;
        long from = fresh ? ZEROS.address() : to;
        long fromBytes = fresh ? 0 : rowBytes;
        int streams = NmFormat.streams(NmFormat.intField(packed, NmFormat.VECTOR));
        if (streams == LANES) {
            sum(ROWS, 8, offsets, SLOT, values, slots, scratch.address(), rowBytes, from, fromBytes, to);
            return;
        }
        int quads = LANES / 4 / streams;
        for (int stream = 0; stream < streams; stream++) {
            for (int quad = 0; quad < quads; quad++) {
                long row = 4L * (stream * quads + quad);
                sum(SHARED, 2, offsets + 4L * stream, 4L * streams, values + 4 * row, slots, scratch.address(),
                    rowBytes, from + row * fromBytes, fromBytes, to + row * rowBytes);
            }
        }
    }

    /** All columns of a panel, as many vectors at a time as there are methods for. */
    private static void sum(MethodHandle[] methods, int most, long offsets, long offsetStep, long values, int slots,
            long block, long rowBytes, long from, long fromBytes, long to) {
        int left = (int) (rowBytes / STEP);
        long done = 0;
        int width = most;
        int method = methods.length - 1;
        try {
            while (left > 0) {
                if (left < width) {
                    width /= 2;
                    method--;
                    continue;
                }
                methods[method].invokeExact(offsets, offsetStep, values, slots, block + done, rowBytes, from + done,
                    fromBytes, to + done);
                left -= width;
                done += width * STEP;
            }
        } catch (Throwable t) {
            throw CallBarrier.unexpected(t);
        }
    }

    /** Eight vectors of columns of one row after the other. */
    private static void rows8(long offsets, long offsetStep, long values, int slots, long block, long rowBytes,
            long from, long fromBytes, long to) {
        for (int row = 0; row < LANES; row++) {
            long start = address(from + row * fromBytes);
            FloatVector s0 = load(start);
            FloatVector s1 = load(start + STEP);
            FloatVector s2 = load(start + 2 * STEP);
            FloatVector s3 = load(start + 3 * STEP);
            FloatVector s4 = load(start + 4 * STEP);
            FloatVector s5 = load(start + 5 * STEP);
            FloatVector s6 = load(start + 6 * STEP);
            FloatVector s7 = load(start + 7 * STEP);
            for (int slot = 0; slot < slots; slot++) {
                long offset = address(offsets + slot * SLOT + 4L * row);
                long value = address(values + slot * SLOT + 4L * row);
                long at = address(block + ALL.get(INT, offset));
                FloatVector a = broadcast(value);
                s0 = a.fma(load(at), s0);
                s1 = a.fma(load(at + STEP), s1);
                s2 = a.fma(load(at + 2 * STEP), s2);
                s3 = a.fma(load(at + 3 * STEP), s3);
                s4 = a.fma(load(at + 4 * STEP), s4);
                s5 = a.fma(load(at + 5 * STEP), s5);
                s6 = a.fma(load(at + 6 * STEP), s6);
                s7 = a.fma(load(at + 7 * STEP), s7);
            }
            long end = address(to + row * rowBytes);
            s0.intoMemorySegment(ALL, end, ORDER);
            s1.intoMemorySegment(ALL, end + STEP, ORDER);
            s2.intoMemorySegment(ALL, end + 2 * STEP, ORDER);
            s3.intoMemorySegment(ALL, end + 3 * STEP, ORDER);
            s4.intoMemorySegment(ALL, end + 4 * STEP, ORDER);
            s5.intoMemorySegment(ALL, end + 5 * STEP, ORDER);
            s6.intoMemorySegment(ALL, end + 6 * STEP, ORDER);
            s7.intoMemorySegment(ALL, end + 7 * STEP, ORDER);
        }
    }

    /** Four vectors of columns, two rows at a time. */
    private static void rows4(long offsets, long offsetStep, long values, int slots, long block, long rowBytes,
            long from, long fromBytes, long to) {
        for (int row = 0; row < LANES; row += 2) {
            long start = address(from + row * fromBytes);
            FloatVector s00 = load(start);
            FloatVector s01 = load(start + STEP);
            FloatVector s02 = load(start + 2 * STEP);
            FloatVector s03 = load(start + 3 * STEP);
            start = address(from + (row + 1) * fromBytes);
            FloatVector s10 = load(start);
            FloatVector s11 = load(start + STEP);
            FloatVector s12 = load(start + 2 * STEP);
            FloatVector s13 = load(start + 3 * STEP);
            for (int slot = 0; slot < slots; slot++) {
                long offset = address(offsets + slot * SLOT + 4L * row);
                long value = address(values + slot * SLOT + 4L * row);
                long at = address(block + ALL.get(INT, offset));
                FloatVector a = broadcast(value);
                s00 = a.fma(load(at), s00);
                s01 = a.fma(load(at + STEP), s01);
                s02 = a.fma(load(at + 2 * STEP), s02);
                s03 = a.fma(load(at + 3 * STEP), s03);
                at = address(block + ALL.get(INT, offset + 4));
                a = broadcast(value + 4);
                s10 = a.fma(load(at), s10);
                s11 = a.fma(load(at + STEP), s11);
                s12 = a.fma(load(at + 2 * STEP), s12);
                s13 = a.fma(load(at + 3 * STEP), s13);
            }
            long end = address(to + row * rowBytes);
            s00.intoMemorySegment(ALL, end, ORDER);
            s01.intoMemorySegment(ALL, end + STEP, ORDER);
            s02.intoMemorySegment(ALL, end + 2 * STEP, ORDER);
            s03.intoMemorySegment(ALL, end + 3 * STEP, ORDER);
            end = address(to + (row + 1) * rowBytes);
            s10.intoMemorySegment(ALL, end, ORDER);
            s11.intoMemorySegment(ALL, end + STEP, ORDER);
            s12.intoMemorySegment(ALL, end + 2 * STEP, ORDER);
            s13.intoMemorySegment(ALL, end + 3 * STEP, ORDER);
        }
    }

    /** Two vectors of columns, four rows at a time. */
    private static void rows2(long offsets, long offsetStep, long values, int slots, long block, long rowBytes,
            long from, long fromBytes, long to) {
        for (int row = 0; row < LANES; row += 4) {
            long start = address(from + row * fromBytes);
            FloatVector s00 = load(start);
            FloatVector s01 = load(start + STEP);
            start = address(from + (row + 1) * fromBytes);
            FloatVector s10 = load(start);
            FloatVector s11 = load(start + STEP);
            start = address(from + (row + 2) * fromBytes);
            FloatVector s20 = load(start);
            FloatVector s21 = load(start + STEP);
            start = address(from + (row + 3) * fromBytes);
            FloatVector s30 = load(start);
            FloatVector s31 = load(start + STEP);
            for (int slot = 0; slot < slots; slot++) {
                long offset = address(offsets + slot * SLOT + 4L * row);
                long value = address(values + slot * SLOT + 4L * row);
                long at = address(block + ALL.get(INT, offset));
                FloatVector a = broadcast(value);
                s00 = a.fma(load(at), s00);
                s01 = a.fma(load(at + STEP), s01);
                at = address(block + ALL.get(INT, offset + 4));
                a = broadcast(value + 4);
                s10 = a.fma(load(at), s10);
                s11 = a.fma(load(at + STEP), s11);
                at = address(block + ALL.get(INT, offset + 8));
                a = broadcast(value + 8);
                s20 = a.fma(load(at), s20);
                s21 = a.fma(load(at + STEP), s21);
                at = address(block + ALL.get(INT, offset + 12));
                a = broadcast(value + 12);
                s30 = a.fma(load(at), s30);
                s31 = a.fma(load(at + STEP), s31);
            }
            long end = address(to + row * rowBytes);
            s00.intoMemorySegment(ALL, end, ORDER);
            s01.intoMemorySegment(ALL, end + STEP, ORDER);
            end = address(to + (row + 1) * rowBytes);
            s10.intoMemorySegment(ALL, end, ORDER);
            s11.intoMemorySegment(ALL, end + STEP, ORDER);
            end = address(to + (row + 2) * rowBytes);
            s20.intoMemorySegment(ALL, end, ORDER);
            s21.intoMemorySegment(ALL, end + STEP, ORDER);
            end = address(to + (row + 3) * rowBytes);
            s30.intoMemorySegment(ALL, end, ORDER);
            s31.intoMemorySegment(ALL, end + STEP, ORDER);
        }
    }

    /** One vector of columns, four rows at a time. */
    private static void rows1(long offsets, long offsetStep, long values, int slots, long block, long rowBytes,
            long from, long fromBytes, long to) {
        for (int row = 0; row < LANES; row += 4) {
            FloatVector s0 = load(address(from + row * fromBytes));
            FloatVector s1 = load(address(from + (row + 1) * fromBytes));
            FloatVector s2 = load(address(from + (row + 2) * fromBytes));
            FloatVector s3 = load(address(from + (row + 3) * fromBytes));
            for (int slot = 0; slot < slots; slot++) {
                long offset = address(offsets + slot * SLOT + 4L * row);
                long value = address(values + slot * SLOT + 4L * row);
                s0 = broadcast(value).fma(load(address(block + ALL.get(INT, offset))), s0);
                s1 = broadcast(value + 4).fma(load(address(block + ALL.get(INT, offset + 4))), s1);
                s2 = broadcast(value + 8).fma(load(address(block + ALL.get(INT, offset + 8))), s2);
                s3 = broadcast(value + 12).fma(load(address(block + ALL.get(INT, offset + 12))), s3);
            }
            s0.intoMemorySegment(ALL, address(to + row * rowBytes), ORDER);
            s1.intoMemorySegment(ALL, address(to + (row + 1) * rowBytes), ORDER);
            s2.intoMemorySegment(ALL, address(to + (row + 2) * rowBytes), ORDER);
            s3.intoMemorySegment(ALL, address(to + (row + 3) * rowBytes), ORDER);
        }
    }

    /** Two vectors of columns of four rows that share their positions. */
    private static void shared2(long offsets, long offsetStep, long values, int slots, long block, long rowBytes,
            long from, long fromBytes, long to) {
        long start = address(from);
        FloatVector s00 = load(start);
        FloatVector s01 = load(start + STEP);
        start = address(from + fromBytes);
        FloatVector s10 = load(start);
        FloatVector s11 = load(start + STEP);
        start = address(from + 2 * fromBytes);
        FloatVector s20 = load(start);
        FloatVector s21 = load(start + STEP);
        start = address(from + 3 * fromBytes);
        FloatVector s30 = load(start);
        FloatVector s31 = load(start + STEP);
        for (int slot = 0; slot < slots; slot++) {
            long at = address(block + ALL.get(INT, address(offsets + slot * offsetStep)));
            long value = address(values + slot * SLOT);
            FloatVector b0 = load(at);
            FloatVector b1 = load(at + STEP);
            FloatVector a = broadcast(value);
            s00 = b0.fma(a, s00);
            s01 = b1.fma(a, s01);
            a = broadcast(value + 4);
            s10 = b0.fma(a, s10);
            s11 = b1.fma(a, s11);
            a = broadcast(value + 8);
            s20 = b0.fma(a, s20);
            s21 = b1.fma(a, s21);
            a = broadcast(value + 12);
            s30 = b0.fma(a, s30);
            s31 = b1.fma(a, s31);
        }
        long end = address(to);
        s00.intoMemorySegment(ALL, end, ORDER);
        s01.intoMemorySegment(ALL, end + STEP, ORDER);
        end = address(to + rowBytes);
        s10.intoMemorySegment(ALL, end, ORDER);
        s11.intoMemorySegment(ALL, end + STEP, ORDER);
        end = address(to + 2 * rowBytes);
        s20.intoMemorySegment(ALL, end, ORDER);
        s21.intoMemorySegment(ALL, end + STEP, ORDER);
        end = address(to + 3 * rowBytes);
        s30.intoMemorySegment(ALL, end, ORDER);
        s31.intoMemorySegment(ALL, end + STEP, ORDER);
    }

    /** One vector of columns of four rows that share their positions. */
    private static void shared1(long offsets, long offsetStep, long values, int slots, long block, long rowBytes,
            long from, long fromBytes, long to) {
        FloatVector s0 = load(address(from));
        FloatVector s1 = load(address(from + fromBytes));
        FloatVector s2 = load(address(from + 2 * fromBytes));
        FloatVector s3 = load(address(from + 3 * fromBytes));
        for (int slot = 0; slot < slots; slot++) {
            long value = address(values + slot * SLOT);
            FloatVector b = load(address(block + ALL.get(INT, address(offsets + slot * offsetStep))));
            s0 = b.fma(broadcast(value), s0);
            s1 = b.fma(broadcast(value + 4), s1);
            s2 = b.fma(broadcast(value + 8), s2);
            s3 = b.fma(broadcast(value + 12), s3);
        }
        s0.intoMemorySegment(ALL, address(to), ORDER);
        s1.intoMemorySegment(ALL, address(to + rowBytes), ORDER);
        s2.intoMemorySegment(ALL, address(to + 2 * rowBytes), ORDER);
        s3.intoMemorySegment(ALL, address(to + 3 * rowBytes), ORDER);
    }

    @Override
    protected boolean hasRowsInLanes(MemorySegment packed, int width) {
        return NmFew.canRun(packed);
    }

    @Override
    protected void multiplyFew(MemorySegment packed, long block, long group, int groups, int slots,
            MemorySegment scratch, int tokens, long tokenBytes, long sumsAt, long sumBytes, boolean fresh) {
        if (fresh) {
            clear(scratch, sumsAt, tokens * sumBytes);
        }
        if (dtype() == DType.F32) {
            NmFew.multiply(packed, packed.address() + NmFormat.valuesAt(packed, block, group), block, group, groups,
                slots, scratch, tokens, tokenBytes, sumsAt, sumBytes);
            return;
        }
        for (int i = 0; i < groups; i++) {
            NmFew.multiply(packed, values(packed, block, group + i, slots, scratch), block, group + i, 1, slots,
                scratch, tokens, tokenBytes, sumsAt + (long) Float.BYTES * LANES * i, sumBytes);
        }
    }

    @Override
    protected void finishFew(MemorySegment scratch, long sumsAt, long oldAt, int rows, float alpha, float beta,
            MemorySegment packed, long biasAt, int activation) {
        VectorEpilogue.finishLanes(scratch, sumsAt, oldAt, rows, alpha, beta, packed, biasAt, activation);
    }

    @Override
    protected void transpose(MemorySegment scratch, long fromAt, long fromStride, int rows, int columns, long toAt,
            long toStride) {
        VectorTranspose.transpose(scratch, fromAt, fromStride, rows, columns, toAt, toStride);
    }

    @Override
    protected void finish(MemorySegment scratch, long accAt, long oldAt, int width, float alpha, float beta,
            boolean biased, float bias, int activation) {
        VectorEpilogue.finish(scratch, accAt, oldAt, width, alpha, beta, biased, bias, activation);
    }

    private static FloatVector load(long at) {
        return FloatVector.fromMemorySegment(F32, ALL, at, ORDER);
    }

    private static FloatVector broadcast(long at) {
        return FloatVector.broadcast(F32, ALL.get(FLOAT, at));
    }
}
