package dev.filigree.internal.vector;

import static dev.filigree.internal.vector.RawMemory.ALL;
import static dev.filigree.internal.vector.RawMemory.address;
import static dev.filigree.internal.vector.Species.F32;

import dev.filigree.internal.SpmmWalk;
import dev.filigree.spi.SpmmFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.nio.ByteOrder;
import java.util.stream.IntStream;
import jdk.incubator.vector.FloatVector;

/**
 * SpMM over packed CSR with the Vector API: a row's accumulators stay in up to eight vectors while its nonzeros
 * stream by, each a broadcast and one multiply-add a vector of B's row.
 *
 * <p>Eight accumulators: two multiply-adds a clock at a latency of four keep eight sums in flight, and with the
 * broadcast they fit the sixteen registers that machines without AVX-512 have.
 *
 * <p>C2 inlines about seventy calls of the Vector API, or a few scalar reads of segments less, into one compiled
 * method; after that callees stay calls, and every vector that crosses one is boxed. So each method here that holds
 * vectors is a compilation of its own: it is called through a method handle that is no constant, which C2 cannot
 * inline. Around the sums are bulk copies and scalars.
 *
 * <p>The library's own memory (packed matrix, scratch, partial sums) is read by address through
 * {@link RawMemory}; the caller's operands by bulk copies through their segments, which notice when their arena is
 * closed.
 */
final class SpmmVector extends SpmmWalk {

    static final String ID = "spmm_csr_f32_vector";

    private static final int LENGTH = F32.length();
    private static final long STEP = F32.vectorByteSize();
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();
    /** Without the alignment check of the plain layouts. */
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    /** By the binary logarithm of the vectors of columns. Elements of arrays are no constants: see above. */
    private static final MethodHandle[] ACCUMULATE =
        {sumHandle("accumulate1"), sumHandle("accumulate2"), sumHandle("accumulate4"), sumHandle("accumulate8")};
    private static final MethodHandle[] SCALE = {CallBarrier.handle(MethodHandles.lookup(), "scale", long.class,
        long.class, int.class, float.class, float.class, boolean.class, float.class)};

    /** What the first block of a row starts from. */
    private static final MemorySegment ZEROS =
        Arena.global().allocate((long) Float.BYTES * SpmmFormat.PANEL, SpmmFormat.ALIGNMENT);

    /** Tile rows 0, 1, 2, ...: where gathered rows lie. */
    private static final MemorySegment IN_ORDER = Arena.global().allocateFrom(ValueLayout.JAVA_INT,
        IntStream.range(0, SpmmFormat.GATHER_ROWS).toArray());

    /** Rows x columns in registers. */
    static final String TILE = "1x" + Math.min(64, 8 * LENGTH);

    private static MethodHandle sumHandle(String method) {
        return CallBarrier.handle(MethodHandles.lookup(), method, long.class, long.class, int.class, long.class,
            long.class, long.class, long.class);
    }

    @Override
    public String id() {
        return ID;
    }

    @Override
    protected void accumulate(MemorySegment packed, long columnsAt, long valuesAt, int count, MemorySegment scratch,
            int padded, long accAt, boolean fresh) {
        long base = packed.address();
        long acc = scratch.address() + accAt;
        sum(base + columnsAt, base + valuesAt, count, scratch.address(), padded,
            fresh ? ZEROS.address() : acc, acc);
    }

    /**
     * Gathers rows of B into scratch by bulk copies, which watch the arena of the caller's B at a cost that does not
     * depend on what else ran in this JVM, and sums them there.
     */
    @Override
    protected void accumulateInPlace(MemorySegment packed, long columnsAt, long valuesAt, int count,
            MemorySegment b, long bAt, long bRowBytes, MemorySegment scratch, int width, long accAt,
            long gatherAt, boolean fresh) {
        int padded = padded(width);
        long acc = scratch.address() + accAt;
        long from = fresh ? ZEROS.address() : acc;
        int done = 0;
        do {
            int rows = Math.min(SpmmFormat.GATHER_ROWS, count - done);
            for (int i = 0; i < rows; i++) {
                long column = packed.get(ValueLayout.JAVA_INT, columnsAt + 4L * (done + i));
                MemorySegment.copy(b, bAt + column * bRowBytes, scratch, gatherAt + 4L * padded * i, 4L * width);
            }
            sum(IN_ORDER.address(), packed.address() + valuesAt + 4L * done, rows, scratch.address() + gatherAt,
                padded, from, acc);
            from = acc;
            done += rows;
        } while (done < count);
    }

    /** to[0, padded) = from[0, padded) + sum of value * tile row; all by address. */
    private static void sum(long columns, long values, int count, long tile, int padded, long from, long to) {
        long rowBytes = (long) Float.BYTES * padded;
        int left = padded / LENGTH;
        long done = 0;
        try {
            for (; left >= 8; left -= 8, done += 8 * STEP) {
                ACCUMULATE[3].invokeExact(columns, values, count, tile + done, rowBytes, from + done, to + done);
            }
            if (left >= 4) {
                ACCUMULATE[2].invokeExact(columns, values, count, tile + done, rowBytes, from + done, to + done);
                left -= 4;
                done += 4 * STEP;
            }
            if (left >= 2) {
                ACCUMULATE[1].invokeExact(columns, values, count, tile + done, rowBytes, from + done, to + done);
                left -= 2;
                done += 2 * STEP;
            }
            if (left == 1) {
                ACCUMULATE[0].invokeExact(columns, values, count, tile + done, rowBytes, from + done, to + done);
            }
        } catch (Throwable t) {
            throw CallBarrier.unexpected(t);
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
    protected void finish(MemorySegment scratch, long accAt, long oldAt, int width, float alpha, float beta,
            boolean biased, float bias, int activation) {
        if (alpha != 1f || beta != 0f || biased) {
            long acc = scratch.address() + accAt;
            long old = scratch.address() + oldAt;
            try {
                SCALE[0].invokeExact(acc, old, width, alpha, beta, biased, bias);
            } catch (Throwable t) {
                throw CallBarrier.unexpected(t);
            }
        }
        VectorMath.activate(activation, scratch, accAt, width);
    }

    private static void scale(
            long acc, long old, int width, float alpha, float beta, boolean biased, float bias) {
        for (int j = 0; j < width; j += LENGTH) {
            long at = address(acc + 4L * j);
            FloatVector y = load(ALL, at).mul(alpha);
            if (beta != 0f) {
                y = load(ALL, address(old + 4L * j)).fma(FloatVector.broadcast(F32, beta), y);
            }
            if (biased) {
                y = y.add(bias);
            }
            store(y, ALL, at);
        }
    }

    private static FloatVector load(MemorySegment segment, long at) {
        return FloatVector.fromMemorySegment(F32, segment, at, ORDER);
    }

    private static void store(FloatVector vector, MemorySegment segment, long at) {
        vector.intoMemorySegment(segment, at, ORDER);
    }
}
