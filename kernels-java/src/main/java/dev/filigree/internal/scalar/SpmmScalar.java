package dev.filigree.internal.scalar;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.filigree.internal.SpmmWalk;
import java.lang.foreign.MemorySegment;

/** SpMM over packed CSR, one float at a time: runs everywhere, and is what the other kernels must equal. */
final class SpmmScalar extends SpmmWalk {

    static final String ID = "spmm_csr_f32_scalar";

    @Override
    public String id() {
        return ID;
    }

    @Override
    protected void accumulate(MemorySegment packed, long columnsAt, long valuesAt, int count, MemorySegment scratch,
            int padded, long accAt, boolean fresh) {
        if (fresh) {
            clear(scratch, accAt, padded);
        }
        long rowBytes = (long) Float.BYTES * padded;
        for (int p = 0; p < count; p++) {
            long rowAt = packed.get(JAVA_INT, columnsAt + 4L * p) * rowBytes;
            float value = packed.get(JAVA_FLOAT, valuesAt + 4L * p);
            for (int j = 0; j < padded; j++) {
                float sum = scratch.get(JAVA_FLOAT, accAt + 4L * j);
                scratch.set(JAVA_FLOAT, accAt + 4L * j,
                    Math.fma(value, scratch.get(JAVA_FLOAT, rowAt + 4L * j), sum));
            }
        }
    }

    @Override
    protected void accumulateInPlace(MemorySegment packed, long columnsAt, long valuesAt, int count,
            MemorySegment b, long bAt, long bRowBytes, MemorySegment scratch, int width, long accAt,
            long gatherAt, boolean fresh) {
        if (fresh) {
            clear(scratch, accAt, width);
        }
        for (int p = 0; p < count; p++) {
            long rowAt = bAt + packed.get(JAVA_INT, columnsAt + 4L * p) * bRowBytes;
            float value = packed.get(JAVA_FLOAT, valuesAt + 4L * p);
            for (int j = 0; j < width; j++) {
                float sum = scratch.get(JAVA_FLOAT, accAt + 4L * j);
                scratch.set(JAVA_FLOAT, accAt + 4L * j, Math.fma(value, b.get(JAVA_FLOAT, rowAt + 4L * j), sum));
            }
        }
    }

    @Override
    protected void finish(MemorySegment scratch, long accAt, long oldAt, int width, float alpha, float beta,
            boolean biased, float bias, int activation) {
        for (int j = 0; j < width; j++) {
            float y = alpha * scratch.get(JAVA_FLOAT, accAt + 4L * j);
            if (beta != 0f) {
                y = Math.fma(beta, scratch.get(JAVA_FLOAT, oldAt + 4L * j), y);
            }
            if (biased) {
                y += bias;
            }
            scratch.set(JAVA_FLOAT, accAt + 4L * j, ScalarMath.activate(activation, y));
        }
    }

    private static void clear(MemorySegment scratch, long at, int floats) {
        for (int j = 0; j < floats; j++) {
            scratch.set(JAVA_FLOAT, at + 4L * j, 0f);
        }
    }
}
