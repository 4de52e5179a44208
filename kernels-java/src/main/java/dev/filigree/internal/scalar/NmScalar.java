package dev.filigree.internal.scalar;

import static dev.filigree.spi.NmFormat.LANES;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.filigree.internal.NmWalk;
import dev.filigree.spi.NmFormat;
import java.lang.foreign.MemorySegment;

/** N:M sparse GEMM, one float at a time: runs everywhere, and is what the other kernels must equal. */
final class NmScalar extends NmWalk {

    static final String ID = "nm_packed_f32_scalar";

    @Override
    public String id() {
        return ID;
    }

    @Override
    protected void multiply(MemorySegment packed, long block, long group, int slots, MemorySegment scratch, int padded,
            long sumsAt, boolean fresh) {
        expandColumns(packed, block, group, slots, scratch);
        int streams = NmFormat.streams(NmFormat.intField(packed, NmFormat.VECTOR));
        long values = NmFormat.valuesAt(packed, block, group);
        long columns = NmFormat.field(packed, NmFormat.COLUMNS);
        long rowBytes = (long) Float.BYTES * padded;
        for (int row = 0; row < LANES; row++) {
            long sums = sumsAt + row * rowBytes;
            for (int j = 0; j < padded && fresh; j++) {
                scratch.set(JAVA_FLOAT, sums + 4L * j, 0f);
            }
            int stream = row * streams / LANES;
            for (int slot = 0; slot < slots; slot++) {
                long at = rowBytes * scratch.get(JAVA_INT, columns + 4L * (slot * streams + stream));
                float value = packed.get(JAVA_FLOAT, values + 4L * (slot * LANES + row));
                for (int j = 0; j < padded; j++) {
                    scratch.set(JAVA_FLOAT, sums + 4L * j, Math.fma(value, scratch.get(JAVA_FLOAT, at + 4L * j),
                        scratch.get(JAVA_FLOAT, sums + 4L * j)));
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
