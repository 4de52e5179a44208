package dev.filigree.internal.vector;

import static dev.filigree.internal.vector.RawMemory.ALL;
import static dev.filigree.internal.vector.RawMemory.address;
import static dev.filigree.internal.vector.Species.F32;

import dev.filigree.internal.SpmmWalk;
import dev.filigree.spi.SpmmFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/**
 * SpMM over packed CSR with the Vector API: a row's accumulators stay in up to eight vectors while its nonzeros
 * stream by, each a broadcast and one multiply-add a vector of B's row.
 *
 * <p>Eight accumulators: two multiply-adds a clock at a latency of four keep eight sums in flight, and with the
 * broadcast they fit the sixteen registers that machines without AVX-512 have.
 *
 * <p>The library's own memory (packed matrix, scratch, partial sums) is read by address through
 * {@link RawMemory}; the caller's operands through their segments, which notice when their arena is closed.
 */
final class SpmmVector extends SpmmWalk {

    static final String ID = "spmm_csr_f32_vector";

    private static final int LENGTH = F32.length();
    private static final long STEP = F32.vectorByteSize();
    private static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;
    /** Without the alignment check of the plain layouts. */
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    /** What the first block of a row starts from. */
    private static final MemorySegment ZEROS =
        Arena.global().allocate((long) Float.BYTES * SpmmFormat.PANEL, SpmmFormat.ALIGNMENT);

    /** Rows x columns in registers. */
    static final String TILE = "1x" + Math.min(64, 8 * LENGTH);

    @Override
    public String id() {
        return ID;
    }

    @Override
    protected void accumulate(MemorySegment packed, long columnsAt, long valuesAt, int count, MemorySegment scratch,
            int padded, long accAt, boolean fresh) {
        long columns = packed.address() + columnsAt;
        long values = packed.address() + valuesAt;
        long tile = scratch.address();
        long acc = tile + accAt;
        long from = fresh ? ZEROS.address() : acc;
        long rowBytes = (long) Float.BYTES * padded;
        int left = padded / LENGTH;
        long done = 0;
        for (; left >= 8; left -= 8, done += 8 * STEP) {
            accumulate8(columns, values, count, tile + done, rowBytes, from + done, acc + done);
        }
        if (left >= 4) {
            accumulate4(columns, values, count, tile + done, rowBytes, from + done, acc + done);
            left -= 4;
            done += 4 * STEP;
        }
        if (left >= 2) {
            accumulate2(columns, values, count, tile + done, rowBytes, from + done, acc + done);
            left -= 2;
            done += 2 * STEP;
        }
        if (left == 1) {
            accumulate1(columns, values, count, tile + done, rowBytes, from + done, acc + done);
        }
    }

    /** Eight vectors of columns. */
    private static void accumulate8(
            long columns, long values, int count, long tile, long rowBytes, long from, long to) {
        long start = address(from);
        FloatVector s0 = load(ALL, start);
        FloatVector s1 = load(ALL, start + STEP);
        FloatVector s2 = load(ALL, start + 2 * STEP);
        FloatVector s3 = load(ALL, start + 3 * STEP);
        FloatVector s4 = load(ALL, start + 4 * STEP);
        FloatVector s5 = load(ALL, start + 5 * STEP);
        FloatVector s6 = load(ALL, start + 6 * STEP);
        FloatVector s7 = load(ALL, start + 7 * STEP);
        for (int p = 0; p < count; p++) {
            long at = address(tile + ALL.get(INT, address(columns + 4L * p)) * rowBytes);
            FloatVector value = FloatVector.broadcast(F32, ALL.get(FLOAT, address(values + 4L * p)));
            s0 = load(ALL, at).fma(value, s0);
            s1 = load(ALL, at + STEP).fma(value, s1);
            s2 = load(ALL, at + 2 * STEP).fma(value, s2);
            s3 = load(ALL, at + 3 * STEP).fma(value, s3);
            s4 = load(ALL, at + 4 * STEP).fma(value, s4);
            s5 = load(ALL, at + 5 * STEP).fma(value, s5);
            s6 = load(ALL, at + 6 * STEP).fma(value, s6);
            s7 = load(ALL, at + 7 * STEP).fma(value, s7);
        }
        long end = address(to);
        store(s0, ALL, end);
        store(s1, ALL, end + STEP);
        store(s2, ALL, end + 2 * STEP);
        store(s3, ALL, end + 3 * STEP);
        store(s4, ALL, end + 4 * STEP);
        store(s5, ALL, end + 5 * STEP);
        store(s6, ALL, end + 6 * STEP);
        store(s7, ALL, end + 7 * STEP);
    }

    /** Four vectors of columns. */
    private static void accumulate4(
            long columns, long values, int count, long tile, long rowBytes, long from, long to) {
        long start = address(from);
        FloatVector s0 = load(ALL, start);
        FloatVector s1 = load(ALL, start + STEP);
        FloatVector s2 = load(ALL, start + 2 * STEP);
        FloatVector s3 = load(ALL, start + 3 * STEP);
        for (int p = 0; p < count; p++) {
            long at = address(tile + ALL.get(INT, address(columns + 4L * p)) * rowBytes);
            FloatVector value = FloatVector.broadcast(F32, ALL.get(FLOAT, address(values + 4L * p)));
            s0 = load(ALL, at).fma(value, s0);
            s1 = load(ALL, at + STEP).fma(value, s1);
            s2 = load(ALL, at + 2 * STEP).fma(value, s2);
            s3 = load(ALL, at + 3 * STEP).fma(value, s3);
        }
        long end = address(to);
        store(s0, ALL, end);
        store(s1, ALL, end + STEP);
        store(s2, ALL, end + 2 * STEP);
        store(s3, ALL, end + 3 * STEP);
    }

    /** Two vectors of columns. */
    private static void accumulate2(
            long columns, long values, int count, long tile, long rowBytes, long from, long to) {
        long start = address(from);
        FloatVector s0 = load(ALL, start);
        FloatVector s1 = load(ALL, start + STEP);
        for (int p = 0; p < count; p++) {
            long at = address(tile + ALL.get(INT, address(columns + 4L * p)) * rowBytes);
            FloatVector value = FloatVector.broadcast(F32, ALL.get(FLOAT, address(values + 4L * p)));
            s0 = load(ALL, at).fma(value, s0);
            s1 = load(ALL, at + STEP).fma(value, s1);
        }
        long end = address(to);
        store(s0, ALL, end);
        store(s1, ALL, end + STEP);
    }

    /** One vector of columns. */
    private static void accumulate1(
            long columns, long values, int count, long tile, long rowBytes, long from, long to) {
        long start = address(from);
        FloatVector s0 = load(ALL, start);
        for (int p = 0; p < count; p++) {
            long at = address(tile + ALL.get(INT, address(columns + 4L * p)) * rowBytes);
            FloatVector value = FloatVector.broadcast(F32, ALL.get(FLOAT, address(values + 4L * p)));
            s0 = load(ALL, at).fma(value, s0);
        }
        long end = address(to);
        store(s0, ALL, end);
    }

    @Override
    protected void accumulateInPlace(MemorySegment packed, long columnsAt, long valuesAt, int count,
            MemorySegment b, long bAt, long bRowBytes, MemorySegment scratch, int width, long accAt,
            boolean fresh) {
        long columns = packed.address() + columnsAt;
        long values = packed.address() + valuesAt;
        long acc = scratch.address() + accAt;
        long from = fresh ? ZEROS.address() : acc;
        int left = width;
        long done = 0;
        for (; left >= 4 * LENGTH; left -= 4 * LENGTH, done += 4 * STEP) {
            inPlace4(columns, values, count, b, bAt + done, bRowBytes, from + done, acc + done);
        }
        for (; left > 0; left -= LENGTH, done += STEP) {
            if (left >= LENGTH) {
                inPlace1(columns, values, count, b, bAt + done, bRowBytes, from + done, acc + done);
            } else {
                inPlaceTail(columns, values, count, b, bAt + done, bRowBytes, left, from + done, acc + done);
            }
        }
    }

    /** Four vectors of columns of the caller's B. */
    private static void inPlace4(long columns, long values, int count, MemorySegment b, long bAt, long rowBytes,
            long from, long to) {
        FloatVector s0 = load(ALL, address(from));
        FloatVector s1 = load(ALL, address(from) + STEP);
        FloatVector s2 = load(ALL, address(from) + 2 * STEP);
        FloatVector s3 = load(ALL, address(from) + 3 * STEP);
        for (int p = 0; p < count; p++) {
            long at = bAt + ALL.get(INT, address(columns + 4L * p)) * rowBytes;
            FloatVector value = FloatVector.broadcast(F32, ALL.get(FLOAT, address(values + 4L * p)));
            s0 = load(b, at).fma(value, s0);
            s1 = load(b, at + STEP).fma(value, s1);
            s2 = load(b, at + 2 * STEP).fma(value, s2);
            s3 = load(b, at + 3 * STEP).fma(value, s3);
        }
        store(s0, ALL, address(to));
        store(s1, ALL, address(to) + STEP);
        store(s2, ALL, address(to) + 2 * STEP);
        store(s3, ALL, address(to) + 3 * STEP);
    }

    /** One vector of columns of the caller's B. */
    private static void inPlace1(long columns, long values, int count, MemorySegment b, long bAt, long rowBytes,
            long from, long to) {
        FloatVector s = load(ALL, address(from));
        for (int p = 0; p < count; p++) {
            long at = bAt + ALL.get(INT, address(columns + 4L * p)) * rowBytes;
            FloatVector value = FloatVector.broadcast(F32, ALL.get(FLOAT, address(values + 4L * p)));
            s = load(b, at).fma(value, s);
        }
        store(s, ALL, address(to));
    }

    /** The last columns, fewer than a vector. */
    private static void inPlaceTail(long columns, long values, int count, MemorySegment b, long bAt, long rowBytes,
            int width, long from, long to) {
        VectorMask<Float> mask = F32.indexInRange(0, width);
        FloatVector s = load(ALL, address(from));
        for (int p = 0; p < count; p++) {
            long at = bAt + ALL.get(INT, address(columns + 4L * p)) * rowBytes;
            FloatVector value = FloatVector.broadcast(F32, ALL.get(FLOAT, address(values + 4L * p)));
            s = FloatVector.fromMemorySegment(F32, b, at, ORDER, mask).fma(value, s);
        }
        store(s, ALL, address(to));
    }

    @Override
    protected void copyTile(MemorySegment b, long bAt, long bRowBytes, int depth, MemorySegment scratch, int width,
            int padded) {
        int whole = width / LENGTH * LENGTH;
        for (int k = 0; k < depth; k++) {
            copyRow(b, bAt + k * bRowBytes, scratch.address() + (long) Float.BYTES * padded * k, whole);
        }
        if (whole < padded) {
            copyTails(b, bAt, bRowBytes, depth, scratch.address(), whole, width, padded);
        }
    }

    private static void copyRow(MemorySegment b, long from, long to, int whole) {
        for (int j = 0; j < whole; j += LENGTH) {
            store(load(b, from + 4L * j), ALL, to + 4L * j);
        }
    }

    /** One by one: a masked load would do it in one step, and is boxed when the compiler is out of budget. */
    private static void copyTails(
            MemorySegment b, long bAt, long bRowBytes, int depth, long tile, int begin, int end, int padded) {
        for (int k = 0; k < depth; k++) {
            long from = bAt + k * bRowBytes;
            long to = tile + (long) Float.BYTES * padded * k;
            for (int j = begin; j < end; j++) {
                ALL.set(FLOAT, to + 4L * j, b.get(FLOAT, from + 4L * j));
            }
            for (int j = end; j < padded; j++) {
                ALL.set(FLOAT, to + 4L * j, 0f);
            }
        }
    }

    @Override
    protected void add(MemorySegment addend, long addendAt, MemorySegment sum, long sumAt, int padded) {
        long from = addend.address() + addendAt;
        long to = sum.address() + sumAt;
        for (int j = 0; j < padded; j += LENGTH) {
            store(load(ALL, to + 4L * j).add(load(ALL, from + 4L * j)), ALL, to + 4L * j);
        }
    }

    @Override
    protected void finish(MemorySegment scratch, long accAt, long oldAt, int width, float alpha, float beta,
            boolean biased, float bias, int activation) {
        if (alpha != 1f || beta != 0f || biased) {
            scale(scratch.address() + accAt, scratch.address() + oldAt, width, alpha, beta, biased, bias);
        }
        VectorMath.activate(activation, scratch, accAt, width);
    }

    private static void scale(
            long acc, long old, int width, float alpha, float beta, boolean biased, float bias) {
        for (int j = 0; j < width; j += LENGTH) {
            FloatVector y = load(ALL, acc + 4L * j).mul(alpha);
            if (beta != 0f) {
                y = load(ALL, old + 4L * j).fma(FloatVector.broadcast(F32, beta), y);
            }
            if (biased) {
                y = y.add(bias);
            }
            store(y, ALL, acc + 4L * j);
        }
    }

    @Override
    protected void copyOut(MemorySegment scratch, long accAt, MemorySegment c, long cAt, int width) {
        int whole = width / LENGTH * LENGTH;
        long acc = address(scratch.address() + accAt);
        for (int j = 0; j < whole; j += LENGTH) {
            store(load(ALL, acc + 4L * j), c, cAt + 4L * j);
        }
        for (int j = whole; j < width; j++) {
            c.set(FLOAT, cAt + 4L * j, ALL.get(FLOAT, acc + 4L * j));
        }
    }

    private static FloatVector load(MemorySegment segment, long at) {
        return FloatVector.fromMemorySegment(F32, segment, at, ORDER);
    }

    private static void store(FloatVector vector, MemorySegment segment, long at) {
        vector.intoMemorySegment(segment, at, ORDER);
    }
}
