package dev.filigree.bench;

import dev.filigree.DType;
import dev.filigree.format.CsrMatrix;
import dev.filigree.format.NmMatrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** An N:M matrix as a list of its entries: what a reference in double and the peers multiply. */
final class NmEntries {

    private NmEntries() {}

    /**
     * The stored entries; those that pad the last group meet nothing and are left out.
     *
     * @param dtype that their values are rounded to
     */
    static CsrMatrix of(NmMatrix a, DType dtype) {
        int[] columns = new int[a.slots()];
        int real = a.slots();
        a.columns(0, columns);
        while (real > 0 && columns[real - 1] >= a.cols()) {
            real--;
        }
        long[] offsets = new long[a.rows() + 1];
        int[] allColumns = new int[Math.multiplyExact(a.rows(), real)];
        float[] values = new float[allColumns.length];
        for (int r = 0; r < a.rows(); r++) {
            a.columns(r, columns);
            System.arraycopy(columns, 0, allColumns, r * real, real);
            MemorySegment.copy(a.values(), ValueLayout.JAVA_FLOAT,
                (long) r * a.slots() * Float.BYTES, values, r * real, real);
            offsets[r + 1] = offsets[r] + real;
        }
        Rounding.round(values, dtype);
        return CsrMatrix.fromArrays(a.rows(), a.cols(), offsets, allColumns, values);
    }
}
