package dev.filigree.internal.vector;

import static dev.filigree.internal.vector.RawMemory.ALL;
import static dev.filigree.internal.vector.Species.F32;

import dev.filigree.internal.SpmmWalk;
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

    /** Rows x columns in registers. */
    static final String TILE = "1x" + Math.min(64, 8 * LENGTH);

    @Override
    public String id() {
        return ID;
    }

    @Override
    protected void accumulate(MemorySegment packed, long columnsAt, long valuesAt, int count, MemorySegment scratch,
            int padded, long accAt) {
        long columns = packed.address() + columnsAt;
        long values = packed.address() + valuesAt;
        long tile = scratch.address();
        long acc = tile + accAt;
        long rowBytes = (long) Float.BYTES * padded;
        int left = padded / LENGTH;
        for (; left >= 8; left -= 8, tile += 8 * STEP, acc += 8 * STEP) {
            accumulate8(columns, values, count, tile, rowBytes, acc);
        }
        if (left >= 4) {
            accumulate4(columns, values, count, tile, rowBytes, acc);
            left -= 4;
            tile += 4 * STEP;
            acc += 4 * STEP;
        }
        if (left >= 2) {
            accumulate2(columns, values, count, tile, rowBytes, acc);
            left -= 2;
            tile += 2 * STEP;
            acc += 2 * STEP;
        }
        if (left == 1) {
            accumulate1(columns, values, count, tile, rowBytes, acc);
        }
    }

    /** Eight vectors of columns. */
    private static void accumulate8(long columns, long values, int count, long tile, long rowBytes, long acc) {
        FloatVector s0 = load(ALL, acc);
        FloatVector s1 = load(ALL, acc + STEP);
        FloatVector s2 = load(ALL, acc + 2 * STEP);
        FloatVector s3 = load(ALL, acc + 3 * STEP);
        FloatVector s4 = load(ALL, acc + 4 * STEP);
        FloatVector s5 = load(ALL, acc + 5 * STEP);
        FloatVector s6 = load(ALL, acc + 6 * STEP);
        FloatVector s7 = load(ALL, acc + 7 * STEP);
        for (long p = 0; p < 4L * count; p += 4) {
            long at = tile + ALL.get(INT, columns + p) * rowBytes;
            FloatVector value = FloatVector.broadcast(F32, ALL.get(FLOAT, values + p));
            s0 = load(ALL, at).fma(value, s0);
            s1 = load(ALL, at + STEP).fma(value, s1);
            s2 = load(ALL, at + 2 * STEP).fma(value, s2);
            s3 = load(ALL, at + 3 * STEP).fma(value, s3);
            s4 = load(ALL, at + 4 * STEP).fma(value, s4);
            s5 = load(ALL, at + 5 * STEP).fma(value, s5);
            s6 = load(ALL, at + 6 * STEP).fma(value, s6);
            s7 = load(ALL, at + 7 * STEP).fma(value, s7);
        }
        store(s0, ALL, acc);
        store(s1, ALL, acc + STEP);
        store(s2, ALL, acc + 2 * STEP);
        store(s3, ALL, acc + 3 * STEP);
        store(s4, ALL, acc + 4 * STEP);
        store(s5, ALL, acc + 5 * STEP);
        store(s6, ALL, acc + 6 * STEP);
        store(s7, ALL, acc + 7 * STEP);
    }

    /** Four vectors of columns. */
    private static void accumulate4(long columns, long values, int count, long tile, long rowBytes, long acc) {
        FloatVector s0 = load(ALL, acc);
        FloatVector s1 = load(ALL, acc + STEP);
        FloatVector s2 = load(ALL, acc + 2 * STEP);
        FloatVector s3 = load(ALL, acc + 3 * STEP);
        for (long p = 0; p < 4L * count; p += 4) {
            long at = tile + ALL.get(INT, columns + p) * rowBytes;
            FloatVector value = FloatVector.broadcast(F32, ALL.get(FLOAT, values + p));
            s0 = load(ALL, at).fma(value, s0);
            s1 = load(ALL, at + STEP).fma(value, s1);
            s2 = load(ALL, at + 2 * STEP).fma(value, s2);
            s3 = load(ALL, at + 3 * STEP).fma(value, s3);
        }
        store(s0, ALL, acc);
        store(s1, ALL, acc + STEP);
        store(s2, ALL, acc + 2 * STEP);
        store(s3, ALL, acc + 3 * STEP);
    }

    /** Two vectors of columns. */
    private static void accumulate2(long columns, long values, int count, long tile, long rowBytes, long acc) {
        FloatVector s0 = load(ALL, acc);
        FloatVector s1 = load(ALL, acc + STEP);
        for (long p = 0; p < 4L * count; p += 4) {
            long at = tile + ALL.get(INT, columns + p) * rowBytes;
            FloatVector value = FloatVector.broadcast(F32, ALL.get(FLOAT, values + p));
            s0 = load(ALL, at).fma(value, s0);
            s1 = load(ALL, at + STEP).fma(value, s1);
        }
        store(s0, ALL, acc);
        store(s1, ALL, acc + STEP);
    }

    /** One vector of columns. */
    private static void accumulate1(long columns, long values, int count, long tile, long rowBytes, long acc) {
        FloatVector s0 = load(ALL, acc);
        for (long p = 0; p < 4L * count; p += 4) {
            long at = tile + ALL.get(INT, columns + p) * rowBytes;
            FloatVector value = FloatVector.broadcast(F32, ALL.get(FLOAT, values + p));
            s0 = load(ALL, at).fma(value, s0);
        }
        store(s0, ALL, acc);
    }

    @Override
    protected void accumulateInPlace(MemorySegment packed, long columnsAt, long valuesAt, int count,
            MemorySegment b, long bAt, long bRowBytes, MemorySegment scratch, int width, long accAt) {
        long columns = packed.address() + columnsAt;
        long values = packed.address() + valuesAt;
        long at = bAt;
        long acc = scratch.address() + accAt;
        int left = width;
        for (; left >= 4 * LENGTH; left -= 4 * LENGTH, at += 4 * STEP, acc += 4 * STEP) {
            inPlace4(columns, values, count, b, at, bRowBytes, acc);
        }
        for (; left > 0; left -= LENGTH, at += STEP, acc += STEP) {
            if (left >= LENGTH) {
                inPlace1(columns, values, count, b, at, bRowBytes, acc);
            } else {
                inPlaceTail(columns, values, count, b, at, bRowBytes, left, acc);
            }
        }
    }

    /** Four vectors of columns of the caller's B. */
    private static void inPlace4(
            long columns, long values, int count, MemorySegment b, long bAt, long rowBytes, long acc) {
        FloatVector s0 = load(ALL, acc);
        FloatVector s1 = load(ALL, acc + STEP);
        FloatVector s2 = load(ALL, acc + 2 * STEP);
        FloatVector s3 = load(ALL, acc + 3 * STEP);
        for (long p = 0; p < 4L * count; p += 4) {
            long at = bAt + ALL.get(INT, columns + p) * rowBytes;
            FloatVector value = FloatVector.broadcast(F32, ALL.get(FLOAT, values + p));
            s0 = load(b, at).fma(value, s0);
            s1 = load(b, at + STEP).fma(value, s1);
            s2 = load(b, at + 2 * STEP).fma(value, s2);
            s3 = load(b, at + 3 * STEP).fma(value, s3);
        }
        store(s0, ALL, acc);
        store(s1, ALL, acc + STEP);
        store(s2, ALL, acc + 2 * STEP);
        store(s3, ALL, acc + 3 * STEP);
    }

    /** One vector of columns of the caller's B. */
    private static void inPlace1(
            long columns, long values, int count, MemorySegment b, long bAt, long rowBytes, long acc) {
        FloatVector s = load(ALL, acc);
        for (long p = 0; p < 4L * count; p += 4) {
            long at = bAt + ALL.get(INT, columns + p) * rowBytes;
            s = load(b, at).fma(FloatVector.broadcast(F32, ALL.get(FLOAT, values + p)), s);
        }
        store(s, ALL, acc);
    }

    /** The last columns, fewer than a vector. */
    private static void inPlaceTail(
            long columns, long values, int count, MemorySegment b, long bAt, long rowBytes, int width, long acc) {
        VectorMask<Float> mask = F32.indexInRange(0, width);
        FloatVector s = load(ALL, acc);
        for (long p = 0; p < 4L * count; p += 4) {
            long at = bAt + ALL.get(INT, columns + p) * rowBytes;
            FloatVector value = FloatVector.broadcast(F32, ALL.get(FLOAT, values + p));
            s = FloatVector.fromMemorySegment(F32, b, at, ORDER, mask).fma(value, s);
        }
        store(s, ALL, acc);
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
    protected void clear(MemorySegment scratch, long at, int floats) {
        FloatVector zero = FloatVector.zero(F32);
        long to = scratch.address() + at;
        for (int j = 0; j < floats; j += LENGTH) {
            store(zero, ALL, to + 4L * j);
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

    private static FloatVector load(MemorySegment segment, long at) {
        return FloatVector.fromMemorySegment(F32, segment, at, ORDER);
    }

    private static void store(FloatVector vector, MemorySegment segment, long at) {
        vector.intoMemorySegment(segment, at, ORDER);
    }
}
