package dev.filigree.internal.scalar;

import static dev.filigree.spi.NmFormat.LANES;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.filigree.DType;
import dev.filigree.internal.Bf16Pairs;
import dev.filigree.internal.NmWalk;
import dev.filigree.spi.NmFormat;
import java.lang.foreign.MemorySegment;

/** N:M sparse GEMM, one element at a time: runs everywhere, and is what the other kernels must equal. */
final class NmScalar extends NmWalk {

    NmScalar(DType dtype) {
        super(dtype);
    }

    @Override
    public String id() {
        return "nm_packed_" + dtype().id() + "_scalar";
    }

    @Override
    protected void multiply(MemorySegment packed, long block, long group, int slots, MemorySegment scratch, int padded,
            long sumsAt, boolean fresh) {
        expandColumns(packed, block, group, slots, scratch);
        int streams = NmFormat.streams(NmFormat.intField(packed, NmFormat.VECTOR));
        boolean pairs = dtype() == DType.BF16;
        long values = NmFormat.valuesAt(packed, block, group);
        if (pairs) {
            widenValues(packed, values, slots, scratch);
            values = NmFormat.field(packed, NmFormat.WORK);
        }
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
                float value = (pairs ? scratch : packed).get(JAVA_FLOAT, values + 4L * (slot * LANES + row));
                for (int j = 0; j < padded; j++) {
                    float element = scratch.get(JAVA_FLOAT, at + 4L * j);
                    float sum = scratch.get(JAVA_FLOAT, sums + 4L * j);
                    scratch.set(JAVA_FLOAT, sums + 4L * j, pairs ? Bf16Pairs.multiplyAdd(value, element, sum)
                        : Math.fma(value, element, sum));
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
