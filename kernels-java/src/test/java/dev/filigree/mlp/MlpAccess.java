package dev.filigree.mlp;

import dev.filigree.spi.KernelProvider;

/** Lets the suites plan with a provider of their own, and see biases. */
public final class MlpAccess {

    private MlpAccess() {}

    /** A plan on a given provider. */
    public static MlpPlan plan(MlpWeights weights, Skipping skipping, MlpOptions options, KernelProvider provider) {
        return MlpPlan.create(weights, skipping, options, provider);
    }

    /** The gate's bias, or null. */
    public static float[] gateBias(MlpWeights weights) {
        return weights.gateBias();
    }

    /** The up projection's bias, or null. */
    public static float[] upBias(MlpWeights weights) {
        return weights.upBias();
    }

    /** The down projection's bias, or null. */
    public static float[] downBias(MlpWeights weights) {
        return weights.downBias();
    }
}
