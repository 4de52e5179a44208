package dev.filigree.internal.scalar;

import static dev.filigree.spi.SpmmFormat.INTERLEAVED;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.filigree.internal.SpmmWalk;
import dev.filigree.spi.SpmmFormat;
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
    protected void accumulate(MemorySegment packed, long columnsAt, long valuesAt, long startsAt, int rows,
            MemorySegment scratch, long tileAt, int padded, long accAt, boolean fresh) {
        long rowBytes = (long) Float.BYTES * padded;
        for (int row = 0; row < rows; row++) {
            long at = accAt + row * rowBytes;
            if (fresh) {
                clear(scratch, at, rowBytes);
            }
            long end = packed.get(JAVA_LONG, startsAt + 8L * row + 8);
            for (long p = packed.get(JAVA_LONG, startsAt + 8L * row); p < end; p++) {
                add(packed.get(JAVA_FLOAT, valuesAt + 4 * p), scratch,
                    tileAt + packed.get(JAVA_INT, columnsAt + 4 * p) * rowBytes, at, padded);
            }
        }
    }

    @Override
    protected void accumulateInterleaved(MemorySegment packed, long startsAt, long placesAt, int groups,
            MemorySegment scratch, long tileAt, int padded, long accAt, boolean fresh) {
        long rowBytes = (long) Float.BYTES * padded;
        long valuesAt = SpmmFormat.field(packed, SpmmFormat.VALUES);
        for (int row = 0; row < groups * INTERLEAVED; row++) {
            long at = accAt + packed.get(JAVA_INT, placesAt + 4L * row) * rowBytes;
            if (fresh) {
                clear(scratch, at, rowBytes);
            }
            long start = startsAt + 8L * (row / INTERLEAVED);
            long end = packed.get(JAVA_LONG, start + 8);
            for (long p = packed.get(JAVA_LONG, start) + row % INTERLEAVED; p < end; p += INTERLEAVED) {
                add(packed.get(JAVA_FLOAT, valuesAt + 4 * p), scratch,
                    tileAt + SpmmFormat.column(packed, true, p) * rowBytes, at, padded);
            }
        }
    }

    private static void add(float value, MemorySegment scratch, long tileRow, long at, int padded) {
        for (int j = 0; j < padded; j++) {
            float sum = scratch.get(JAVA_FLOAT, at + 4L * j);
            scratch.set(JAVA_FLOAT, at + 4L * j, Math.fma(value, scratch.get(JAVA_FLOAT, tileRow + 4L * j), sum));
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
