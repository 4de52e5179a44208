package dev.filigree.bench;

import dev.filigree.Bf16;
import dev.filigree.DType;
import dev.filigree.format.CsrMatrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Rounds the values of matrices as plans of a type do, so that references and peers multiply the same numbers. */
final class Rounding {

    private Rounding() {}

    /** Rounds values where they are. */
    static void round(float[] values, DType dtype) {
        for (int i = 0; i < values.length && dtype == DType.BF16; i++) {
            values[i] = Bf16.toFloat(Bf16.fromFloat(values[i]));
        }
    }

    /** The same pattern with rounded values; the matrix itself where its type is exact. */
    static CsrMatrix round(CsrMatrix a, DType dtype) {
        if (dtype == DType.F32) {
            return a;
        }
        float[] values = new float[Math.toIntExact(a.nnz())];
        MemorySegment.copy(a.values(), ValueLayout.JAVA_FLOAT, 0, values, 0, values.length);
        round(values, dtype);
        return CsrMatrix.fromSegments(a.rows(), a.cols(), a.rowOffsets(), a.columns(), MemorySegment.ofArray(values));
    }
}
