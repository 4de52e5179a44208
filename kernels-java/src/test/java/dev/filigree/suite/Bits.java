package dev.filigree.suite;

import dev.filigree.DenseMatrix;
import java.util.Optional;

/** Comparison of matrices bit for bit. */
public final class Bits {

    private Bits() {}

    /** Where two matrices of one shape first differ, in words. */
    public static Optional<String> difference(String nameX, DenseMatrix x, String nameY, DenseMatrix y) {
        for (int r = 0; r < x.rows(); r++) {
            for (int c = 0; c < x.cols(); c++) {
                int p = bits(x, r, c);
                int q = bits(y, r, c);
                if (p != q) {
                    return Optional.of(String.format("(%d, %d): %s %s [%08x], %s %s [%08x]", r, c, nameX,
                        Float.intBitsToFloat(p), p, nameY, Float.intBitsToFloat(q), q));
                }
            }
        }
        return Optional.empty();
    }

    private static int bits(DenseMatrix m, int row, int col) {
        return Float.floatToRawIntBits(m.get(row, col));
    }
}
