package dev.filigree.internal.scalar;

import static dev.filigree.spi.SpmmFormat.INTERLEAVED;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

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
    protected int padded(int width) {
        return width;
    }

    @Override
    protected void accumulate(MemorySegment packed, long columnsAt, long valuesAt, long startsAt, int groups,
            boolean interleaved, MemorySegment scratch, long tileAt, int padded, long accAt, boolean fresh) {
        long rowBytes = (long) Float.BYTES * padded;
        int members = interleaved ? INTERLEAVED : 1;
        for (int row = 0; row < groups * members; row++) {
            long at = accAt + row * rowBytes;
            if (fresh) {
                clear(scratch, at, rowBytes);
            }
            long start = startsAt + 8L * (row / members);
            long end = packed.get(JAVA_LONG, start + 8);
            for (long p = packed.get(JAVA_LONG, start) + row % members; p < end; p += members) {
                long tileRow = tileAt + packed.get(JAVA_INT, columnsAt + 4 * p) * rowBytes;
                float value = packed.get(JAVA_FLOAT, valuesAt + 4 * p);
                for (int j = 0; j < padded; j++) {
                    float sum = scratch.get(JAVA_FLOAT, at + 4L * j);
                    scratch.set(JAVA_FLOAT, at + 4L * j,
                        Math.fma(value, scratch.get(JAVA_FLOAT, tileRow + 4L * j), sum));
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
