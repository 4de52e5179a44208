package dev.filigree.mlp;

import dev.filigree.format.RowMatrix;

/**
 * Contextual sparsity: an MLP computes only the neurons that a token needs. Most of what decoding reads is the weights
 * of MLPs, so a tenth of the neurons is nearly a tenth of the time. The method is that of Deja Vu (arXiv 2310.17157) for
 * lists that a predictor makes, and those that {@link Skipping} names for thresholds.
 *
 * <pre>{@code
 * RowMatrix gate = RowMatrix.of(g);            // intermediate x hidden, as checkpoints have them
 * RowMatrix up = RowMatrix.of(u);
 * RowMatrix down = RowMatrix.ofTransposed(d, DType.F32); // from hidden x intermediate
 * MlpWeights weights = MlpWeights.gated(gate, up, down, Activation.SILU, MlpWeights.Order.NEURON_MAJOR);
 * try (MlpPlan plan = Mlp.plan(weights, new Skipping.Gate(0.02f))) {
 *     plan.run(x, y); // y = down(silu(gate(x)) * up(x)) without the neurons whose gate is nearly shut
 * }
 * }</pre>
 */
public final class Mlp {

    private Mlp() {}

    /**
     * Plans with the {@linkplain MlpOptions#defaults() default options}.
     *
     * @throws IllegalArgumentException as for {@link #plan(MlpWeights, Skipping, MlpOptions)}
     * @throws UnsupportedOperationException as for {@link #plan(MlpWeights, Skipping, MlpOptions)}
     */
    public static MlpPlan plan(MlpWeights weights, Skipping skipping) {
        return plan(weights, skipping, MlpOptions.defaults());
    }

    /**
     * Picks a kernel.
     *
     * @param weights the MLP; the plan uses their memory
     * @param skipping which neurons are left out where a run does not list them
     * @param options backend and worker team
     * @throws IllegalArgumentException if the rule does not fit the weights' order, or {@code -Dfiligree.backend} or
     *     {@code -Dfiligree.maxIsa} has an unknown value
     * @throws UnsupportedOperationException if the backend that the options or {@code -Dfiligree.backend} demand
     *     cannot be used
     */
    public static MlpPlan plan(MlpWeights weights, Skipping skipping, MlpOptions options) {
        return MlpPlan.create(weights, skipping, options);
    }

    /**
     * Picks a kernel for what a calibration has found, and says in {@link MlpPlan#explain()} how far off it was.
     *
     * @param weights those that were calibrated; the plan uses their memory
     * @param found the rule, and its error
     * @param options backend and worker team
     * @throws IllegalArgumentException as for {@link #plan(MlpWeights, Skipping, MlpOptions)}
     * @throws UnsupportedOperationException as for {@link #plan(MlpWeights, Skipping, MlpOptions)}
     */
    public static MlpPlan plan(MlpWeights weights, MlpCalibration.Calibrated found, MlpOptions options) {
        return MlpPlan.create(weights, found, options);
    }

    /**
     * Plans products with a matrix whose rows come in blocks.
     *
     * @param matrix the plan uses its memory
     * @param blockRows rows of a block, a head's dimension for instance; divides the rows of the matrix
     * @param options backend and worker team
     * @throws IllegalArgumentException if the rows are no whole blocks, or as for plans of MLPs
     * @throws UnsupportedOperationException as for plans of MLPs
     */
    public static RowPlan rows(RowMatrix matrix, int blockRows, MlpOptions options) {
        return RowPlan.create(matrix, blockRows, options);
    }

    /**
     * Plans a low-rank predictor of the neurons that a token needs.
     *
     * @param first rank x inputs; the plan uses its memory
     * @param second neurons x rank, of the same type
     * @param options backend and worker team
     * @throws IllegalArgumentException if shapes or types do not match, or as for plans of MLPs
     * @throws UnsupportedOperationException as for plans of MLPs
     */
    public static MlpPredictor predictor(RowMatrix first, RowMatrix second, MlpOptions options) {
        return MlpPredictor.create(first, second, options);
    }
}
