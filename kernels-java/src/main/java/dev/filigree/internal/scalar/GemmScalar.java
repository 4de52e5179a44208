package dev.filigree.internal.scalar;

import static dev.filigree.spi.GemmFormat.MICRO_ROWS;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.filigree.internal.GemmWalk;
import java.lang.foreign.MemorySegment;

/** GEMM over a packed matrix, one float at a time: runs everywhere, and is what the other kernels must equal. */
final class GemmScalar extends GemmWalk {

    static final String ID = "gemm_packed_f32_scalar";

    @Override
    public String id() {
        return ID;
    }

    @Override
    protected void multiply(MemorySegment packed, long valuesAt, int depth, MemorySegment scratch, int width,
            int padded, long accAt, boolean fresh) {
        for (int i = 0; i < MICRO_ROWS; i++) {
            long at = accAt + 4L * i * padded;
            for (int j = 0; j < width && fresh; j++) {
                scratch.set(JAVA_FLOAT, at + 4L * j, 0f);
            }
            for (int k = 0; k < depth; k++) {
                float value = packed.get(JAVA_FLOAT, valuesAt + 4L * (k * MICRO_ROWS + i));
                long rowAt = 4L * k * padded;
                for (int j = 0; j < width; j++) {
                    float sum = scratch.get(JAVA_FLOAT, at + 4L * j);
                    scratch.set(JAVA_FLOAT, at + 4L * j,
                        Math.fma(value, scratch.get(JAVA_FLOAT, rowAt + 4L * j), sum));
                }
            }
        }
    }

    @Override
    protected void transpose(MemorySegment scratch, long fromAt, long fromStride, int rows, int columns, long toAt,
            long toStride) {
        ScalarTranspose.transpose(scratch, fromAt, fromStride, rows, columns, toAt, toStride);
    }

    @Override
    protected void finish(MemorySegment scratch, long accAt, long oldAt, int width, float alpha, float beta,
            boolean biased, float bias, int activation) {
        ScalarEpilogue.finish(scratch, accAt, oldAt, width, alpha, beta, biased, bias, activation);
    }
}
