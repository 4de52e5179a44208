package dev.filigree.internal.scalar;

import static dev.filigree.spi.SpmmFormat.ENTRY_BYTES;
import static dev.filigree.spi.SpmmFormat.ENTRY_VALUE;
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
    protected void accumulate(MemorySegment packed, long entriesAt, long startsAt, int rows, MemorySegment scratch,
            long tileAt, int padded, long accAt, boolean fresh) {
        long rowBytes = (long) Float.BYTES * padded;
        for (int row = 0; row < rows; row++) {
            long at = accAt + row * rowBytes;
            if (fresh) {
                clear(scratch, at, padded);
            }
            long end = packed.get(JAVA_LONG, startsAt + 8L * (row + 1));
            for (long p = packed.get(JAVA_LONG, startsAt + 8L * row); p < end; p++) {
                long entry = entriesAt + ENTRY_BYTES * p;
                long tileRow = tileAt + packed.get(JAVA_INT, entry) * rowBytes;
                float value = packed.get(JAVA_FLOAT, entry + ENTRY_VALUE);
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

    private static void clear(MemorySegment scratch, long at, int floats) {
        for (int j = 0; j < floats; j++) {
            scratch.set(JAVA_FLOAT, at + 4L * j, 0f);
        }
    }
}
