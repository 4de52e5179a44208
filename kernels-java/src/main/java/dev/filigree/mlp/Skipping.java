package dev.filigree.mlp;

/**
 * How a plan decides which neurons a token does not need. All thresholds are at least 0, and 0 skips nothing but exact
 * zeros, so that the result is the dense one, bit for bit.
 *
 * <p>Below, {@code s = act(Wg x)} and {@code u = Wu x} are the halves of a gated neuron, {@code h = s u} its value
 * ({@code h = act(Wu x)} without a gate), and {@code c} is the Euclidean norm of its row of the down projection, so that
 * {@code |h| c} is the norm of what it adds to the output.
 */
public sealed interface Skipping {

    /** Nothing is skipped, but for neurons whose gate, or value, is an exact zero, as those of ReLU often are. */
    record None() implements Skipping {}

    /**
     * The gate is computed for all neurons; one with {@code |s| c < threshold} is skipped, in up and down alike (CATS,
     * arXiv 2404.08763, with the row's norm). Without a gate, the same as {@link Neuron}.
     *
     * @param threshold in units of the output
     */
    record Gate(float threshold) implements Skipping {
        /** Checks. */
        public Gate {
            require("threshold", threshold);
        }
    }

    /**
     * Values are computed for all neurons; the down projection skips those with {@code |h| c < threshold} (ReLU^2 Wins,
     * arXiv 2402.03804).
     *
     * @param threshold in units of the output
     */
    record Neuron(float threshold) implements Skipping {
        /** Checks. */
        public Neuron {
            require("threshold", threshold);
        }
    }

    /**
     * Gate and up skip the inputs with {@code |x| < input}, the down projection the neurons with {@code |h| < hidden}
     * (TEAL, arXiv 2408.14690). The weights must be in {@link MlpWeights.Order#INPUT_MAJOR}.
     *
     * @param input threshold of an element of x
     * @param hidden threshold of a neuron's value
     */
    record Input(float input, float hidden) implements Skipping {
        /** Checks. */
        public Input {
            require("input", input);
            require("hidden", hidden);
        }
    }

    private static void require(String name, float threshold) {
        if (!(threshold >= 0)) {
            throw new IllegalArgumentException(name + " = " + threshold + " is not at least 0");
        }
    }
}
