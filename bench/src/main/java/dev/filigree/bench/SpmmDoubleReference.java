package dev.filigree.bench;

import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Layout;
import dev.filigree.format.CsrMatrix;
import dev.filigree.suite.ReferenceMath;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * Checks large results against SpMM in double over the stored entries, with the tolerance of
 * {@link dev.filigree.suite.spmm.SpmmReference} (a test holds the two against each other). Several outputs are
 * compared while a row of the reference is at hand, on all cores, so that it is never stored as a whole.
 */
final class SpmmDoubleReference {

    private final SpmmProblem problem;
    /** B by rows, whatever the layout of the operand: the inner loop runs along them. */
    private final float[][] b;

    SpmmDoubleReference(SpmmProblem problem, DenseMatrix input) {
        this.problem = problem;
        int depth = problem.a().cols();
        int n = problem.n();
        b = new float[depth][n];
        boolean tokens = problem.layout() == Layout.TOKEN_MAJOR;
        IntStream.range(0, depth).parallel().forEach(k -> {
            for (int j = 0; j < n; j++) {
                b[k][j] = tokens ? input.get(j, k) : input.get(k, j);
            }
        });
    }

    /**
     * What a comparison found.
     *
     * @param relativeError the largest error over the largest magnitude of the reference
     * @param mismatch the first element out of tolerance
     */
    record Verdict(double relativeError, Optional<String> mismatch) {}

    /** Compares outputs of this problem; one verdict for each, in their order. */
    List<Verdict> check(List<DenseMatrix> outputs) {
        List<RowErrors> rows = IntStream.range(0, problem.a().rows()).parallel()
            .mapToObj(row -> checkRow(row, outputs)).toList();
        double norm = rows.stream().mapToDouble(RowErrors::norm).max().orElse(0);
        List<Verdict> verdicts = new ArrayList<>();
        for (int i = 0; i < outputs.size(); i++) {
            int output = i;
            // NaN compares as the largest double, so that it cannot hide.
            double worst = rows.stream().mapToDouble(r -> r.worst[output]).max().orElse(0);
            Optional<String> mismatch = rows.stream().map(r -> r.mismatch[output])
                .filter(text -> text != null).findFirst();
            verdicts.add(new Verdict(worst == 0 ? 0 : worst / norm, mismatch));
        }
        return verdicts;
    }

    /** The errors of all outputs in one row of A. */
    private record RowErrors(double norm, double[] worst, String[] mismatch) {}

    private RowErrors checkRow(int row, List<DenseMatrix> outputs) {
        CsrMatrix a = problem.a();
        int n = problem.n();
        long begin = a.rowOffsets().getAtIndex(ValueLayout.JAVA_LONG, row);
        long end = a.rowOffsets().getAtIndex(ValueLayout.JAVA_LONG, row + 1L);
        double[] sum = new double[n];
        double[] magnitude = new double[n];
        for (long p = begin; p < end; p++) {
            double value = a.values().getAtIndex(ValueLayout.JAVA_FLOAT, p);
            accumulate(value, b[a.columns().getAtIndex(ValueLayout.JAVA_INT, p)], sum, magnitude);
        }
        long k = end - begin;
        double factor = (8 + 2 * Math.sqrt(k)) * 0x1p-24;
        double norm = 0;
        double[] worst = new double[outputs.size()];
        String[] mismatch = new String[outputs.size()];
        for (int j = 0; j < n; j++) {
            double bound = factor * magnitude[j] + k * 0x1p-126;
            double tolerance = bound * ReferenceMath.slope(problem.activation(), sum[j], bound);
            double expected = ReferenceMath.activate(problem.activation(), sum[j]);
            tolerance += problem.dtype() == DType.F32 ? 0 : 0x1p-8 * Math.abs(expected);
            norm = Math.max(norm, Math.abs(expected));
            for (int i = 0; i < worst.length; i++) {
                DenseMatrix output = outputs.get(i);
                float got = problem.layout() == Layout.TOKEN_MAJOR ? output.get(j, row) : output.get(row, j);
                double error = Math.abs(got - expected);
                worst[i] = Math.max(worst[i], error);
                // Written so that a NaN is a mismatch.
                if (!(error <= tolerance) && mismatch[i] == null) {
                    mismatch[i] = "row " + row + ", column " + j + " is " + got + ", expected " + expected
                        + " +- " + tolerance;
                }
            }
        }
        return new RowErrors(norm, worst, mismatch);
    }

    private static void accumulate(double value, float[] bRow, double[] sum, double[] magnitude) {
        for (int j = 0; j < sum.length; j++) {
            double product = value * bRow[j];
            sum[j] += product;
            magnitude[j] += Math.abs(product);
        }
    }
}
