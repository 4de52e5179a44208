package dev.filigree.prune;

import dev.filigree.DenseMatrix;
import dev.filigree.format.Mask;
import dev.filigree.format.NmPattern;
import java.util.Arrays;
import java.util.Comparator;
import java.util.stream.IntStream;

/**
 * Wanda's metric {@code |W| * sqrt(meanSquare)}: a weight counts as much as its input is large (Sun et al., "A Simple
 * and Effective Pruning Approach for Large Language Models", 2023).
 */
public final class Wanda {

    private Wanda() {}

    /**
     * The metric of each weight.
     *
     * @param weights outputs x inputs, f32 in host memory
     * @param statistics of the inputs
     * @return a new matrix on the heap
     * @throws IllegalArgumentException if the statistics are of another number of inputs
     */
    public static DenseMatrix scores(DenseMatrix weights, ActivationStatistics statistics) {
        if (statistics.features() != weights.cols()) {
            throw new IllegalArgumentException("statistics of " + statistics.features() + " inputs do not fit weights "
                + weights.rows() + " x " + weights.cols());
        }
        double[] norms = Arrays.stream(statistics.meanSquare()).map(Math::sqrt).toArray();
        float[] scores = new float[Math.multiplyExact(weights.rows(), weights.cols())];
        for (int r = 0, i = 0; r < weights.rows(); r++) {
            for (int c = 0; c < weights.cols(); c++) {
                scores[i++] = (float) (Math.abs(weights.get(r, c)) * norms[c]);
            }
        }
        return DenseMatrix.of(scores, weights.rows(), weights.cols());
    }

    /**
     * Drops the {@code Math.round(sparsity * inputs)} weights of least metric in each row; of equal ones the first
     * column is kept.
     *
     * @param sparsity from 0 to 1
     * @throws IllegalArgumentException if it is not, or the statistics do not fit
     */
    public static Mask unstructured(DenseMatrix weights, ActivationStatistics statistics, double sparsity) {
        if (!(sparsity >= 0 && sparsity <= 1)) {
            throw new IllegalArgumentException("sparsity = " + sparsity + " is not in [0, 1]");
        }
        DenseMatrix scores = scores(weights, statistics);
        int kept = weights.cols() - (int) Math.min(weights.cols(), Math.round(sparsity * weights.cols()));
        Mask.Builder mask = new Mask.Builder(weights.rows(), weights.cols());
        for (int r = 0; r < weights.rows(); r++) {
            int row = r;
            IntStream.range(0, weights.cols()).boxed()
                .sorted(Comparator.comparing((Integer c) -> scores.get(row, c)).reversed())
                .limit(kept).forEach(c -> mask.set(row, c, true));
        }
        return mask.build();
    }

    /**
     * Each group of M inputs of a row keeps the N weights of largest metric.
     *
     * @throws IllegalArgumentException if the statistics do not fit
     */
    public static Mask nm(DenseMatrix weights, ActivationStatistics statistics, NmPattern pattern) {
        return NmPruning.byScore(scores(weights, statistics), pattern, Axis.ALONG_ROWS);
    }
}
