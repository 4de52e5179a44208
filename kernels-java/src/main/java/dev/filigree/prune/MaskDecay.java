package dev.filigree.prune;

import dev.filigree.DenseMatrix;
import dev.filigree.format.Mask;

/**
 * Decayed masks: a pruned weight is not dropped at once but multiplied by a factor that falls from 1 to 0 over the
 * training, {@code W * (mask + (1 - mask) * beta)} (Bambhaniya et al., "Progressive Gradient Flow for Robust N:M
 * Sparsity Training in Transformers", 2024, MdGf).
 */
public sealed interface MaskDecay {

    /**
     * The factor of pruned weights after a number of steps: 1 at step 0, never increasing, never below 0.
     *
     * @param step not negative
     * @throws IllegalArgumentException if the step is negative
     */
    double beta(long step);

    /**
     * {@code beta = max(0, 1 - rate * step)}.
     *
     * @param rate the fall in each step, positive
     * @throws IllegalArgumentException if the rate is not positive and finite
     */
    static MaskDecay linear(double rate) {
        return new Linear(rate);
    }

    /**
     * {@code beta = exp(-rate * step)}.
     *
     * @param rate positive
     * @throws IllegalArgumentException if the rate is not positive and finite
     */
    static MaskDecay exponential(double rate) {
        return new Exponential(rate);
    }

    /**
     * Writes {@code W * (mask + (1 - mask) * beta)}. With {@code beta = 0} a pruned weight becomes +0, whatever it was.
     *
     * @param weights f32 in host memory
     * @param mask which weights are kept as they are
     * @param beta factor of the others, 0 to 1; rounded to f32 before the product
     * @param target f32 in host memory; may be the weights themselves
     * @throws IllegalArgumentException if a shape is not that of the mask, or beta is not in 0..1
     */
    static void apply(DenseMatrix weights, Mask mask, double beta, DenseMatrix target) {
        if (!(beta >= 0 && beta <= 1)) {
            throw new IllegalArgumentException("beta = " + beta + " is not in [0, 1]");
        }
        if (beta == 0) {
            mask.apply(weights, target);
            return;
        }
        mask.requireShape("weights", weights);
        mask.requireShape("target", target);
        float factor = (float) beta;
        for (int r = 0; r < mask.rows(); r++) {
            for (int c = 0; c < mask.cols(); c++) {
                float weight = weights.get(r, c);
                target.set(r, c, mask.get(r, c) ? weight : weight * factor);
            }
        }
    }

    private static void checkRate(double rate) {
        if (!(rate > 0 && rate < Double.POSITIVE_INFINITY)) {
            throw new IllegalArgumentException("rate = " + rate + " is not positive and finite");
        }
    }

    private static void checkStep(long step) {
        if (step < 0) {
            throw new IllegalArgumentException("step = " + step + " is negative");
        }
    }

    /**
     * The schedule of {@link MaskDecay#linear(double)}.
     *
     * @param rate the fall in each step
     */
    record Linear(double rate) implements MaskDecay {
        /** Checks the rate. */
        public Linear {
            checkRate(rate);
        }

        @Override
        public double beta(long step) {
            checkStep(step);
            return Math.max(0, 1 - rate * step);
        }
    }

    /**
     * The schedule of {@link MaskDecay#exponential(double)}.
     *
     * @param rate of the decay
     */
    record Exponential(double rate) implements MaskDecay {
        /** Checks the rate. */
        public Exponential {
            checkRate(rate);
        }

        @Override
        public double beta(long step) {
            checkStep(step);
            return Math.exp(-rate * step);
        }
    }
}
