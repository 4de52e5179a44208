package dev.filigree.internal.vector;

import static dev.filigree.internal.vector.Species.F32;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.filigree.internal.SpmmWalk;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorMask;

/**
 * SpMM over packed CSR with the Vector API: a row's accumulators stay in up to eight vectors while its nonzeros
 * stream by, each a broadcast and one multiply-add a vector of B's row.
 *
 * <p>Eight accumulators: two multiply-adds a clock at a latency of four keep eight sums in flight, and with the
 * broadcast they fit the sixteen registers that machines without AVX-512 have.
 */
final class SpmmVector extends SpmmWalk {

    static final String ID = "spmm_csr_f32_vector";

    private static final int LENGTH = F32.length();
    private static final long STEP = F32.vectorByteSize();
    private static final ByteOrder ORDER = ByteOrder.LITTLE_ENDIAN;

    /** Rows x columns in registers. */
    static final String TILE = "1x" + Math.min(64, 8 * LENGTH);

    @Override
    public String id() {
        return ID;
    }

    @Override
    protected void accumulate(MemorySegment packed, long columnsAt, long valuesAt, int count, MemorySegment scratch,
            int padded, long accAt) {
        accumulateVectors(packed, columnsAt, valuesAt, count, scratch, 0, (long) Float.BYTES * padded,
            padded / LENGTH, scratch, accAt);
    }

    @Override
    protected void accumulateInPlace(MemorySegment packed, long columnsAt, long valuesAt, int count,
            MemorySegment b, long bAt, long bRowBytes, MemorySegment scratch, int width, long accAt) {
        int vectors = width / LENGTH;
        accumulateVectors(packed, columnsAt, valuesAt, count, b, bAt, bRowBytes, vectors, scratch, accAt);
        if (vectors * LENGTH < width) {
            long done = vectors * STEP;
            accumulateTail(packed, columnsAt, valuesAt, count, b, bAt + done, bRowBytes, width - vectors * LENGTH,
                scratch, accAt + done);
        }
    }

    private static void accumulateVectors(MemorySegment packed, long columnsAt, long valuesAt, int count,
            MemorySegment b, long bAt, long rowBytes, int vectors, MemorySegment acc, long accAt) {
        long at = bAt;
        long to = accAt;
        int left = vectors;
        for (; left >= 8; left -= 8, at += 8 * STEP, to += 8 * STEP) {
            accumulate8(packed, columnsAt, valuesAt, count, b, at, rowBytes, acc, to);
        }
        if (left >= 4) {
            accumulate4(packed, columnsAt, valuesAt, count, b, at, rowBytes, acc, to);
            left -= 4;
            at += 4 * STEP;
            to += 4 * STEP;
        }
        if (left >= 2) {
            accumulate2(packed, columnsAt, valuesAt, count, b, at, rowBytes, acc, to);
            left -= 2;
            at += 2 * STEP;
            to += 2 * STEP;
        }
        if (left == 1) {
            accumulate1(packed, columnsAt, valuesAt, count, b, at, rowBytes, acc, to);
        }
    }

    /** Eight vectors of columns. */
    private static void accumulate8(MemorySegment packed, long columnsAt, long valuesAt, int count,
            MemorySegment b, long bAt, long rowBytes, MemorySegment acc, long accAt) {
        FloatVector s0 = load(acc, accAt);
        FloatVector s1 = load(acc, accAt + STEP);
        FloatVector s2 = load(acc, accAt + 2 * STEP);
        FloatVector s3 = load(acc, accAt + 3 * STEP);
        FloatVector s4 = load(acc, accAt + 4 * STEP);
        FloatVector s5 = load(acc, accAt + 5 * STEP);
        FloatVector s6 = load(acc, accAt + 6 * STEP);
        FloatVector s7 = load(acc, accAt + 7 * STEP);
        for (int p = 0; p < count; p++) {
            long at = bAt + packed.get(JAVA_INT, columnsAt + 4L * p) * rowBytes;
            FloatVector value = FloatVector.broadcast(F32, packed.get(JAVA_FLOAT, valuesAt + 4L * p));
            s0 = load(b, at).fma(value, s0);
            s1 = load(b, at + STEP).fma(value, s1);
            s2 = load(b, at + 2 * STEP).fma(value, s2);
            s3 = load(b, at + 3 * STEP).fma(value, s3);
            s4 = load(b, at + 4 * STEP).fma(value, s4);
            s5 = load(b, at + 5 * STEP).fma(value, s5);
            s6 = load(b, at + 6 * STEP).fma(value, s6);
            s7 = load(b, at + 7 * STEP).fma(value, s7);
        }
        store(s0, acc, accAt);
        store(s1, acc, accAt + STEP);
        store(s2, acc, accAt + 2 * STEP);
        store(s3, acc, accAt + 3 * STEP);
        store(s4, acc, accAt + 4 * STEP);
        store(s5, acc, accAt + 5 * STEP);
        store(s6, acc, accAt + 6 * STEP);
        store(s7, acc, accAt + 7 * STEP);
    }

    /** Four vectors of columns. */
    private static void accumulate4(MemorySegment packed, long columnsAt, long valuesAt, int count,
            MemorySegment b, long bAt, long rowBytes, MemorySegment acc, long accAt) {
        FloatVector s0 = load(acc, accAt);
        FloatVector s1 = load(acc, accAt + STEP);
        FloatVector s2 = load(acc, accAt + 2 * STEP);
        FloatVector s3 = load(acc, accAt + 3 * STEP);
        for (int p = 0; p < count; p++) {
            long at = bAt + packed.get(JAVA_INT, columnsAt + 4L * p) * rowBytes;
            FloatVector value = FloatVector.broadcast(F32, packed.get(JAVA_FLOAT, valuesAt + 4L * p));
            s0 = load(b, at).fma(value, s0);
            s1 = load(b, at + STEP).fma(value, s1);
            s2 = load(b, at + 2 * STEP).fma(value, s2);
            s3 = load(b, at + 3 * STEP).fma(value, s3);
        }
        store(s0, acc, accAt);
        store(s1, acc, accAt + STEP);
        store(s2, acc, accAt + 2 * STEP);
        store(s3, acc, accAt + 3 * STEP);
    }

    /** Two vectors of columns. */
    private static void accumulate2(MemorySegment packed, long columnsAt, long valuesAt, int count,
            MemorySegment b, long bAt, long rowBytes, MemorySegment acc, long accAt) {
        FloatVector s0 = load(acc, accAt);
        FloatVector s1 = load(acc, accAt + STEP);
        for (int p = 0; p < count; p++) {
            long at = bAt + packed.get(JAVA_INT, columnsAt + 4L * p) * rowBytes;
            FloatVector value = FloatVector.broadcast(F32, packed.get(JAVA_FLOAT, valuesAt + 4L * p));
            s0 = load(b, at).fma(value, s0);
            s1 = load(b, at + STEP).fma(value, s1);
        }
        store(s0, acc, accAt);
        store(s1, acc, accAt + STEP);
    }

    /** One vector of columns. */
    private static void accumulate1(MemorySegment packed, long columnsAt, long valuesAt, int count,
            MemorySegment b, long bAt, long rowBytes, MemorySegment acc, long accAt) {
        FloatVector s0 = load(acc, accAt);
        for (int p = 0; p < count; p++) {
            long at = bAt + packed.get(JAVA_INT, columnsAt + 4L * p) * rowBytes;
            FloatVector value = FloatVector.broadcast(F32, packed.get(JAVA_FLOAT, valuesAt + 4L * p));
            s0 = load(b, at).fma(value, s0);
        }
        store(s0, acc, accAt);
    }

    /** The last columns, fewer than a vector. */
    private static void accumulateTail(MemorySegment packed, long columnsAt, long valuesAt, int count,
            MemorySegment b, long bAt, long rowBytes, int width, MemorySegment acc, long accAt) {
        VectorMask<Float> mask = F32.indexInRange(0, width);
        FloatVector s = load(acc, accAt);
        for (int p = 0; p < count; p++) {
            long at = bAt + packed.get(JAVA_INT, columnsAt + 4L * p) * rowBytes;
            FloatVector value = FloatVector.broadcast(F32, packed.get(JAVA_FLOAT, valuesAt + 4L * p));
            s = FloatVector.fromMemorySegment(F32, b, at, ORDER, mask).fma(value, s);
        }
        store(s, acc, accAt);
    }

    @Override
    protected void copyTile(MemorySegment b, long bAt, long bRowBytes, int depth, MemorySegment scratch, int width,
            int padded) {
        int whole = width / LENGTH * LENGTH;
        VectorMask<Float> mask = F32.indexInRange(whole, width);
        for (int k = 0; k < depth; k++) {
            long from = bAt + k * bRowBytes;
            long to = (long) Float.BYTES * padded * k;
            int j = 0;
            for (; j < whole; j += LENGTH) {
                store(load(b, from + 4L * j), scratch, to + 4L * j);
            }
            if (j < width) {
                store(FloatVector.fromMemorySegment(F32, b, from + 4L * j, ORDER, mask), scratch, to + 4L * j);
                j += LENGTH;
            }
            for (; j < padded; j += LENGTH) {
                store(FloatVector.zero(F32), scratch, to + 4L * j);
            }
        }
    }

    @Override
    protected void add(MemorySegment addend, long addendAt, MemorySegment sum, long sumAt, int padded) {
        for (int j = 0; j < padded; j += LENGTH) {
            store(load(sum, sumAt + 4L * j).add(load(addend, addendAt + 4L * j)), sum, sumAt + 4L * j);
        }
    }

    @Override
    protected void finish(MemorySegment acc, long accAt, int width, float alpha, float beta, boolean biased,
            float bias, int activation, MemorySegment c, long cAt) {
        int j = 0;
        for (; j <= width - LENGTH; j += LENGTH) {
            FloatVector y = load(acc, accAt + 4L * j).mul(alpha);
            if (beta != 0f) {
                y = load(c, cAt + 4L * j).fma(FloatVector.broadcast(F32, beta), y);
            }
            if (biased) {
                y = y.add(bias);
            }
            store(VectorMath.activate(activation, y), c, cAt + 4L * j);
        }
        if (j < width) {
            VectorMask<Float> mask = F32.indexInRange(j, width);
            FloatVector y = load(acc, accAt + 4L * j).mul(alpha);
            if (beta != 0f) {
                y = FloatVector.fromMemorySegment(F32, c, cAt + 4L * j, ORDER, mask)
                    .fma(FloatVector.broadcast(F32, beta), y);
            }
            if (biased) {
                y = y.add(bias);
            }
            VectorMath.activate(activation, y).intoMemorySegment(c, cAt + 4L * j, ORDER, mask);
        }
    }

    private static FloatVector load(MemorySegment segment, long at) {
        return FloatVector.fromMemorySegment(F32, segment, at, ORDER);
    }

    private static void store(FloatVector vector, MemorySegment segment, long at) {
        vector.intoMemorySegment(segment, at, ORDER);
    }
}
