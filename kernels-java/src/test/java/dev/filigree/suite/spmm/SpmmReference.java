package dev.filigree.suite.spmm;

import dev.filigree.Bf16;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Layout;
import dev.filigree.format.CsrMatrix;
import dev.filigree.suite.Dense;
import dev.filigree.suite.ReferenceMath;
import java.lang.foreign.ValueLayout;
import java.util.Optional;

/**
 * SpMM in double over the stored entries, and the only tolerance that a result is held to:
 * {@code (8 + 2 sqrt(k)) 2^-24 S + k 2^-126}, where k counts the terms of an element's sum and S adds up their
 * magnitudes; an activation passes it on through its slope, and a result in bf16 may be {@code 2^-8} of itself away.
 */
public final class SpmmReference {

    private final SpmmCase test;
    private final double[] expected;
    private final double[] tolerance;
    private final int cols;
    private double norm;

    /** Computes the reference of a case from its own operands. */
    public SpmmReference(SpmmCase test, DenseMatrix input, DenseMatrix oldOutput) {
        this.test = test;
        cols = oldOutput.cols();
        expected = new double[oldOutput.rows() * cols];
        tolerance = new double[expected.length];
        CsrMatrix a = test.a();
        boolean tokens = test.layout() == Layout.TOKEN_MAJOR;
        for (int row = 0; row < a.rows(); row++) {
            long begin = a.rowOffsets().getAtIndex(ValueLayout.JAVA_LONG, row);
            long end = a.rowOffsets().getAtIndex(ValueLayout.JAVA_LONG, row + 1);
            for (int j = 0; j < test.n(); j++) {
                double sum = 0;
                double magnitude = 0;
                for (long p = begin; p < end; p++) {
                    int column = a.columns().getAtIndex(ValueLayout.JAVA_INT, p);
                    double product = (double) value(test, p)
                        * (tokens ? input.get(j, column) : input.get(column, j));
                    sum += product;
                    magnitude += Math.abs(product);
                }
                int outRow = tokens ? j : row;
                int outCol = tokens ? row : j;
                long k = end - begin;
                sum *= test.alpha();
                magnitude *= Math.abs(test.alpha());
                if (test.beta() != 0) {
                    double old = (double) test.beta() * oldOutput.get(outRow, outCol);
                    sum += old;
                    magnitude += Math.abs(old);
                    k++;
                }
                if (test.bias() != null) {
                    sum += test.bias()[row];
                    magnitude += Math.abs(test.bias()[row]);
                    k++;
                }
                double bound = (8 + 2 * Math.sqrt(k)) * 0x1p-24 * magnitude + k * 0x1p-126;
                int at = outRow * cols + outCol;
                expected[at] = ReferenceMath.activate(test.activation(), sum);
                tolerance[at] = bound * ReferenceMath.slope(test.activation(), sum, bound)
                    + (test.dtype() == DType.F32 ? 0 : 0x1p-8 * Math.abs(expected[at]));
                norm = Math.max(norm, Math.abs(expected[at]));
            }
        }
    }

    /** One stored value, as the plan rounds it. */
    private static float value(SpmmCase test, long entry) {
        float value = test.a().values().getAtIndex(ValueLayout.JAVA_FLOAT, entry);
        return test.dtype() == DType.F32 ? value : Bf16.toFloat(Bf16.fromFloat(value));
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

    /** The largest error of an output over the largest magnitude of the reference; 0 for an empty output. */
    public double relativeError(DenseMatrix output) {
        double worst = 0;
        for (int r = 0; r < output.rows(); r++) {
            for (int c = 0; c < cols; c++) {
                double error = Math.abs(output.get(r, c) - expected[r * cols + c]);
                worst = error <= worst ? worst : error;
            }
        }
        return worst == 0 ? 0 : worst / norm;
    }
}
