package dev.filigree.suite.nm;

import dev.filigree.Bf16;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Layout;
import dev.filigree.format.NmMatrix;
import dev.filigree.suite.Dense;
import dev.filigree.suite.ReferenceMath;
import java.lang.foreign.ValueLayout;
import java.util.Optional;

/**
 * The product of an N:M matrix in double over the stored entries, and the only tolerance that a result is held to:
 * {@code (8 + 2 sqrt(k)) 2^-24 S + k 2^-126}, where k counts the terms of an element's sum and S adds up their
 * magnitudes; an activation passes it on through its slope, and a result in bf16 may be {@code 2^-8} of itself away.
 */
public final class NmReference {

    private final NmCase test;
    private final double[] expected;
    private final double[] tolerance;
    private final int cols;

    /** Computes the reference of a case from its own operands. */
    public NmReference(NmCase test, DenseMatrix input, DenseMatrix oldOutput) {
        this.test = test;
        cols = oldOutput.cols();
        expected = new double[oldOutput.rows() * cols];
        tolerance = new double[expected.length];
        NmMatrix a = test.a();
        int[] columns = new int[a.slots()];
        boolean tokens = test.layout() == Layout.TOKEN_MAJOR;
        for (int row = 0; row < a.rows(); row++) {
            a.columns(row, columns);
            for (int j = 0; j < test.n(); j++) {
                double sum = 0;
                double magnitude = 0;
                for (int slot = 0; slot < columns.length && columns[slot] < a.cols(); slot++) {
                    double product = (double) value(test, row, slot)
                        * (tokens ? input.get(j, columns[slot]) : input.get(columns[slot], j));
                    sum += product;
                    magnitude += Math.abs(product);
                }
                finish(row, tokens ? j * cols + row : row * cols + j, columns.length, sum, magnitude,
                    test.beta() == 0 ? 0 : tokens ? oldOutput.get(j, row) : oldOutput.get(row, j));
            }
        }
    }

    /** One stored value, as the plan rounds it. */
    private static float value(NmCase test, int row, int slot) {
        float value = test.a().values().getAtIndex(ValueLayout.JAVA_FLOAT, (long) row * test.a().slots() + slot);
        return test.dtype() == DType.F32 ? value : Bf16.toFloat(Bf16.fromFloat(value));
    }

    private void finish(int row, int at, int terms, double product, double productMagnitude, double old) {
        double bias = test.bias() == null ? 0 : test.bias()[row];
        double sum = test.alpha() * product + test.beta() * old + bias;
        double magnitude =
            Math.abs(test.alpha()) * productMagnitude + Math.abs(test.beta() * old) + Math.abs(bias);
        int k = terms + (test.beta() == 0 ? 0 : 1) + (test.bias() == null ? 0 : 1);
        double bound = (8 + 2 * Math.sqrt(k)) * 0x1p-24 * magnitude + k * 0x1p-126;
        expected[at] = ReferenceMath.activate(test.activation(), sum);
        tolerance[at] = bound * ReferenceMath.slope(test.activation(), sum, bound)
            + (test.dtype() == DType.F32 ? 0 : 0x1p-8 * Math.abs(expected[at]));
    }

    /** The first element of an output that is out of tolerance, or a gap between rows that was written to. */
    public Optional<String> mismatch(DenseMatrix output) {
        for (int r = 0; r < output.rows(); r++) {
            for (int c = 0; c < cols; c++) {
                double want = expected[r * cols + c];
                double got = output.get(r, c);
                // Written so that a NaN is a mismatch.
                if (!(Math.abs(got - want) <= tolerance[r * cols + c])) {
                    return Optional.of(String.format("(%d, %d) is %s, expected %s +- %s [%s]", r, c, got, want,
                        tolerance[r * cols + c], test));
                }
            }
        }
        return Dense.gapsIntact(output) ? Optional.empty()
            : Optional.of("a gap between the rows of the output was written to [" + test + "]");
    }
}
