package dev.filigree.mlp;

import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.Locale;
import java.util.Objects;
import java.util.function.DoubleFunction;

/**
 * Finds thresholds on recorded tokens: the largest whose error stays within a target. The error is the CETT of ReLU^2
 * Wins (arXiv 2402.03804), {@code |sum of what was skipped| / |dense output|} in Euclidean norms, as the plan itself
 * computes them, averaged over the tokens.
 */
public final class MlpCalibration {

    /** Which rule to find a threshold for. */
    public enum Rule {
        /** {@link Skipping.Gate}. */
        GATE,
        /** {@link Skipping.Neuron}. */
        NEURON,
        /** {@link Skipping.Input}: first the input's threshold, for half of the target, then the neurons'. */
        INPUT
    }

    /**
     * A rule with its threshold.
     *
     * @param skipping the rule
     * @param cett the error on the recorded tokens
     * @param activeShare the share of neurons whose rows of the down projection a token reads, on average
     */
    public record Calibrated(Skipping skipping, double cett, double activeShare) {

        /** For the plan's explanation. */
        String describe() {
            return String.format(Locale.ROOT, "CETT %.3g with %.3g %% of the neurons on recorded tokens", cett,
                100 * activeShare);
        }
    }

    /** Powers of two to look through, from one that skips next to nothing. */
    private static final int DOUBLINGS = 80;
    private static final double SMALLEST = 0x1p-40;
    /** Halvings of a factor of two: to 0.1 %. */
    private static final int HALVINGS = 10;

    private final MlpWeights weights;
    private final MlpOptions options;
    private final DenseMatrix tokens;
    private final DenseMatrix dense;
    private final DenseMatrix output;

    private MlpCalibration(MlpWeights weights, DenseMatrix tokens, MlpOptions options, Arena arena) {
        this.weights = weights;
        // Each threshold is tried by a plan of its own, for which packing would cost more than it saves.
        this.options = options.typicalTokens(1);
        this.tokens = tokens;
        dense = DenseMatrix.allocate(arena, DType.F32, tokens.rows(), weights.hidden());
        output = DenseMatrix.allocate(arena, DType.F32, tokens.rows(), weights.hidden());
        run(new Skipping.None(), dense);
    }

    /**
     * Finds the largest threshold whose error is at most a target.
     *
     * @param weights the MLP
     * @param rule what the threshold is of
     * @param tokens f32 in host memory, tokens x hidden: inputs of this MLP that a model has computed
     * @param cett the target, 0 to 1
     * @param options backend and worker team
     * @throws IllegalArgumentException if the target is not in 0..1, there are no tokens, they do not fit, or the rule
     *     does not fit the weights
     */
    public static Calibrated calibrate(
            MlpWeights weights, Rule rule, DenseMatrix tokens, double cett, MlpOptions options) {
        Objects.requireNonNull(rule, "rule");
        if (!(cett >= 0 && cett <= 1)) {
            throw new IllegalArgumentException("cett = " + cett + " is not in 0..1");
        }
        if (tokens.rows() == 0) {
            throw new IllegalArgumentException("there are no tokens to calibrate with");
        }
        try (Arena arena = Arena.ofShared()) {
            MlpCalibration search = new MlpCalibration(weights, tokens, options, arena);
            Skipping found = switch (rule) {
                case GATE -> new Skipping.Gate(search.largest(cett, t -> new Skipping.Gate((float) t)));
                case NEURON -> new Skipping.Neuron(search.largest(cett, t -> new Skipping.Neuron((float) t)));
                case INPUT -> {
                    float input = search.largest(cett / 2, t -> new Skipping.Input((float) t, 0));
                    yield new Skipping.Input(
                        input, search.largest(cett, t -> new Skipping.Input(input, (float) t)));
                }
            };
            return new Calibrated(found, search.error(found), search.activeShare(found));
        }
    }

    private float largest(double target, DoubleFunction<Skipping> rule) {
        double above = SMALLEST;
        for (int i = 0; i < DOUBLINGS && error(rule.apply(above)) <= target; i++) {
            above *= 2;
        }
        double below = above == SMALLEST ? 0 : above / 2;
        for (int i = 0; i < HALVINGS; i++) {
            double middle = (float) ((below + above) / 2);
            if (error(rule.apply(middle)) <= target) {
                below = middle;
            } else {
                above = middle;
            }
        }
        return (float) below;
    }

    private void run(Skipping skipping, DenseMatrix to) {
        try (MlpPlan plan = Mlp.plan(weights, skipping, options)) {
            plan.run(tokens, to);
        }
    }

    private double error(Skipping skipping) {
        run(skipping, output);
        double sum = 0;
        for (int t = 0; t < tokens.rows(); t++) {
            double skipped = 0;
            double all = 0;
            for (int c = 0; c < weights.hidden(); c++) {
                double want = dense.get(t, c);
                double difference = output.get(t, c) - want;
                skipped += difference * difference;
                all += want * want;
            }
            sum += skipped == 0 ? 0 : Math.sqrt(skipped / all);
        }
        return sum / tokens.rows();
    }

    private double activeShare(Skipping skipping) {
        long rows = 0;
        try (MlpPlan plan = Mlp.plan(weights, skipping, options)) {
            for (int t = 0; t < tokens.rows(); t++) {
                rows += plan.run(row(tokens, t), row(output, t));
            }
        }
        return (double) rows / tokens.rows() / Math.max(1, weights.intermediate());
    }

    private static DenseMatrix row(DenseMatrix matrix, int row) {
        long width = ValueLayout.JAVA_FLOAT.byteSize() * matrix.cols();
        return DenseMatrix.of(matrix.data().asSlice(Float.BYTES * row * matrix.rowStride(), width), DType.F32, 1,
            matrix.cols());
    }
}
