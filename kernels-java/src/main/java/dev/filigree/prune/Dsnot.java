package dev.filigree.prune;

import dev.filigree.DenseMatrix;
import dev.filigree.format.Mask;
import dev.filigree.format.NmPattern;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Deque;
import java.util.List;
import java.util.Optional;

/**
 * DSnoT: refines a mask without training by swapping kept and dropped weights, so that what the dropped ones would
 * have contributed on average cancels out (Zhang et al., "Dynamic Sparse No Training", 2023).
 *
 * <p>A row's error is the sum of the expected contributions {@code E = W * mean} of its dropped weights. While it
 * exceeds the threshold, and no more than {@code maxCycles} times: the dropped weight whose {@code E / variance^power}
 * has the error's sign and is farthest from zero is grown, and a kept weight is dropped: without a pattern, the one of
 * least Wanda metric whose E has the other sign, so that both steps reduce the error; with one, the one of least metric
 * in the grown weight's group. A swap that would change the sign of the error ends the row. A weight takes part in one
 * swap at most. Each row keeps as many weights as before, each group of a pattern too.
 *
 * @param maxCycles swaps of a row at most, the paper's 50
 * @param threshold of the error's magnitude, the paper's 0.1
 * @param power of the variance, the paper's 1
 */
public record Dsnot(int maxCycles, double threshold, double power) {

    /** The paper's numbers. */
    public static final Dsnot DEFAULT = new Dsnot(50, 0.1, 1);

    /**
     * Checks the numbers.
     *
     * @throws IllegalArgumentException naming the one that is negative or NaN
     */
    public Dsnot {
        if (maxCycles < 0) {
            throw new IllegalArgumentException("maxCycles = " + maxCycles + " is negative");
        }
        if (!(threshold >= 0)) {
            throw new IllegalArgumentException("threshold = " + threshold + " is negative");
        }
        if (!(power >= 0)) {
            throw new IllegalArgumentException("power = " + power + " is negative");
        }
    }

    /**
     * Refines an unstructured mask.
     *
     * @param weights outputs x inputs, f32 in host memory
     * @param statistics of the inputs
     * @param mask the initial mask, by Wanda's metric or any other
     * @throws IllegalArgumentException if shapes differ
     */
    public Mask refine(DenseMatrix weights, ActivationStatistics statistics, Mask mask) {
        return refine(weights, statistics, mask, Optional.empty());
    }

    /**
     * Refines an N:M mask.
     *
     * @param weights outputs x inputs, f32 in host memory
     * @param statistics of the inputs
     * @param mask the initial mask
     * @param pattern that the mask has; each row has positions of its own
     * @throws IllegalArgumentException if shapes differ, or the pattern's rows share positions
     */
    public Mask refine(DenseMatrix weights, ActivationStatistics statistics, Mask mask, NmPattern pattern) {
        if (pattern.vector() != 1) {
            throw new IllegalArgumentException(pattern + " shares positions among rows, which are refined alone");
        }
        return refine(weights, statistics, mask, Optional.of(pattern));
    }

    private Mask refine(
            DenseMatrix weights, ActivationStatistics statistics, Mask mask, Optional<NmPattern> pattern) {
        mask.requireShape("weights", weights);
        DenseMatrix scores = Wanda.scores(weights, statistics);
        double[] mean = statistics.mean();
        double[] variance = statistics.variance();
        Mask.Builder refined = new Mask.Builder(mask);
        for (int r = 0; r < mask.rows(); r++) {
            List<Candidate> kept = new ArrayList<>();
            List<Candidate> dropped = new ArrayList<>();
            double error = 0;
            for (int c = 0; c < mask.cols(); c++) {
                double contribution = weights.get(r, c) * mean[c];
                Candidate candidate = new Candidate(c, contribution, scores.get(r, c),
                    contribution / Math.pow(variance[c], power));
                (mask.get(r, c) ? kept : dropped).add(candidate);
                error += mask.get(r, c) ? 0 : contribution;
            }
            refineRow(refined, r, error, kept, dropped, pattern);
        }
        return refined.build();
    }

    /** One weight of a row. */
    private record Candidate(int column, double contribution, float score, double urgency) {}

    private void refineRow(Mask.Builder mask, int row, double initialError, List<Candidate> kept,
            List<Candidate> dropped, Optional<NmPattern> pattern) {
        double sign = Math.signum(initialError);
        Deque<Candidate> grow = new ArrayDeque<>(dropped.stream().filter(c -> c.contribution * sign > 0)
            .sorted(Comparator.comparingDouble((Candidate c) -> -Math.abs(c.urgency))).toList());
        List<Candidate> prune = new ArrayList<>(kept.stream()
            .filter(c -> pattern.isPresent() || c.contribution * sign < 0)
            .sorted(Comparator.comparingDouble(Candidate::score)).toList());
        double error = initialError;
        for (int cycle = 0; cycle < maxCycles && Math.abs(error) > threshold && !grow.isEmpty(); cycle++) {
            Candidate grown = grow.poll();
            Optional<Candidate> pruned = prune.stream()
                .filter(c -> pattern.isEmpty() || c.column / pattern.get().m() == grown.column / pattern.get().m())
                .findFirst();
            if (pruned.isEmpty()) {
                continue;
            }
            double after = error + pruned.get().contribution - grown.contribution;
            if (Math.signum(after) != sign) {
                return;
            }
            mask.set(row, grown.column, true);
            mask.set(row, pruned.get().column, false);
            prune.remove(pruned.get());
            error = after;
        }
    }
}
