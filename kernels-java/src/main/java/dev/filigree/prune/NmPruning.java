package dev.filigree.prune;

import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.format.Mask;
import dev.filigree.format.NmPattern;
import dev.filigree.internal.GroupSelection;

/**
 * Masks of N:M patterns: each group of M keeps the N elements of highest score; with a vector length V, the N blocks
 * of V x 1 elements of largest Euclidean norm of scores. Of equal scores the lowest position is kept. A last group
 * that is shorter than M keeps at most N. Elements whose score is zero are kept where they rank.
 */
public final class NmPruning {

    private NmPruning() {}

    /**
     * Scores are magnitudes (Zhou et al., "Learning N:M Fine-grained Structured Sparse Neural Networks From Scratch",
     * 2021).
     *
     * @param weights f32 in host memory
     * @param pattern what each group keeps
     * @param axis along which the groups lie
     * @throws IllegalArgumentException if an element is NaN, with its place
     * @throws UnsupportedOperationException if the matrix is not f32 in host memory
     */
    public static Mask magnitude(DenseMatrix weights, NmPattern pattern, Axis axis) {
        return byScore(weights, pattern, axis);
    }

    /**
     * Scores are given, and their signs ignored: Wanda's metric, or any other.
     *
     * @param scores f32 in host memory, one for each weight
     * @param pattern what each group keeps
     * @param axis along which the groups lie
     * @throws IllegalArgumentException if a score is NaN, with its place
     * @throws UnsupportedOperationException if the matrix is not f32 in host memory
     */
    public static Mask byScore(DenseMatrix scores, NmPattern pattern, Axis axis) {
        if (scores.dtype() != DType.F32 || !scores.memory().isHost()) {
            throw new UnsupportedOperationException("scores are f32 in host memory, not " + scores);
        }
        boolean alongRows = axis == Axis.ALONG_ROWS;
        int lines = alongRows ? scores.rows() : scores.cols();
        int length = alongRows ? scores.cols() : scores.rows();
        Mask.Builder mask = new Mask.Builder(scores.rows(), scores.cols());
        GroupSelection selection = new GroupSelection(pattern.m(), pattern.n());
        int m = pattern.m();
        long[] kept = new long[pattern.groups(length)];
        // What pads the last group stays zero.
        int[] ranks = new int[kept.length * m];
        for (int line = 0; line < lines; line += pattern.vector()) {
            int last = Math.min(lines, line + pattern.vector());
            for (int i = 0; i < length; i++) {
                ranks[i] = rank(scores, alongRows, line, last, i);
            }
            selection.largest(ranks, kept);
            for (int i = 0; i < length; i++) {
                boolean keep = (kept[i / m] >>> i % m & 1) != 0;
                for (int l = line; l < last; l++) {
                    mask.set(alongRows ? l : i, alongRows ? i : l, keep);
                }
            }
        }
        return mask.build();
    }

    /** The bits of the norm of one block: in the order of the norms, because none is negative. */
    private static int rank(DenseMatrix scores, boolean alongRows, int line, int last, int place) {
        double sum = 0;
        for (int l = line; l < last; l++) {
            float score = alongRows ? scores.get(l, place) : scores.get(place, l);
            if (Float.isNaN(score)) {
                throw new IllegalArgumentException("NaN at row " + (alongRows ? l : place) + ", column "
                    + (alongRows ? place : l) + " cannot be ranked");
            }
            if (last - line == 1) {
                return Float.floatToRawIntBits(Math.abs(score));
            }
            sum += (double) score * score;
        }
        return Float.floatToRawIntBits((float) Math.sqrt(sum));
    }
}
