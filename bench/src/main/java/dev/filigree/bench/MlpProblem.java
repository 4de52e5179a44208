package dev.filigree.bench;

import dev.filigree.Activation;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.format.RowMatrix;
import dev.filigree.mlp.ActiveSet;
import dev.filigree.mlp.MlpWeights;
import dev.filigree.mlp.MlpWeights.Order;
import dev.filigree.mlp.Skipping;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.SplittableRandom;

/**
 * A random MLP and how it is to skip.
 *
 * @param hidden inputs and outputs
 * @param intermediate neurons
 * @param kind gate and activation
 * @param active the share of neurons, or inputs, that a token needs
 * @param skip how that is decided
 * @param predictorRank of the predictor, if that decides
 * @param tokens of a run
 * @param dtype of the weights
 * @param seed of everything
 */
record MlpProblem(int hidden, int intermediate, Kind kind, double active, Skip skip, int predictorRank, int tokens,
        DType dtype, long seed) {

    /** What an MLP is called in papers. */
    enum Kind {
        RELU(Activation.RELU, false),
        RELU_SQUARED(Activation.RELU_SQUARED, false),
        GELU(Activation.GELU_ERF, false),
        REGLU(Activation.RELU, true),
        SWIGLU(Activation.SILU, true),
        GEGLU(Activation.GELU_TANH, true);

        final Activation activation;
        final boolean gated;

        Kind(Activation activation, boolean gated) {
            this.activation = activation;
            this.gated = gated;
        }
    }

    /** How a plan knows what a token needs. */
    enum Skip {
        LIST, PREDICTOR, GATE, INPUT
    }

    /** Tokens and lists that runs take in turn, so that what one has read is out of the cache when its turn comes. */
    static final int TURNS = 8;

    /** Bytes of all weights. */
    double weightBytes() {
        return (double) (kind.gated ? 3 : 2) * hidden * intermediate * dtype.bytes();
    }

    /** Useful operations of a run: products with the rows that tokens need, each for its own. */
    double flops() {
        double matrices = kind.gated ? 3 : 2;
        double share = switch (skip) {
            case LIST, PREDICTOR, INPUT -> active * matrices;
            case GATE -> 1 + active * (matrices - 1);
        };
        double predictor = skip == Skip.PREDICTOR ? (double) predictorRank * (hidden + intermediate) : 0;
        return 2 * tokens * (share * hidden * intermediate + predictor);
    }

    /** Bytes of weights that a run must read: rows that any of the tokens needs. */
    double bytes() {
        double union = 1 - Math.pow(1 - active, tokens);
        double whole = (double) hidden * intermediate * dtype.bytes();
        double matrices = kind.gated ? 3 : 2;
        return switch (skip) {
            case LIST, INPUT -> union * matrices * whole;
            case PREDICTOR -> union * matrices * whole
                + (double) predictorRank * (hidden + intermediate) * dtype.bytes();
            case GATE -> whole + union * (matrices - 1) * whole;
        };
    }

    MlpWeights weights() {
        Order order = skip == Skip.INPUT ? Order.INPUT_MAJOR : Order.NEURON_MAJOR;
        int rows = order == Order.NEURON_MAJOR ? intermediate : hidden;
        int cols = order == Order.NEURON_MAJOR ? hidden : intermediate;
        RowMatrix up = rows(rows, cols, 2);
        RowMatrix down = rows(intermediate, hidden, 3);
        return kind.gated ? MlpWeights.gated(rows(rows, cols, 1), up, down, kind.activation, order)
            : MlpWeights.plain(up, down, kind.activation, order);
    }

    /** The two matrices of a predictor; what they predict is chance. */
    RowMatrix predictorFirst() {
        return rows(predictorRank, hidden, 4);
    }

    RowMatrix predictorSecond() {
        return rows(intermediate, predictorRank, 5);
    }

    /** Uniform, of a variance that keeps sums near one. */
    private RowMatrix rows(int rows, int cols, int salt) {
        try (Arena arena = Arena.ofConfined()) {
            DenseMatrix dense = DenseMatrix.allocate(arena, DType.F32, rows, cols);
            fill(dense, seed * 31 + salt, Math.sqrt(3.0 / Math.max(1, cols)));
            return RowMatrix.of(dense, dtype);
        }
    }

    private static void fill(DenseMatrix matrix, long seed, double bound) {
        long state = new SplittableRandom(seed).nextLong();
        MemorySegment data = matrix.data();
        float scale = (float) (bound / (1L << 31));
        for (long i = 0; i < (long) matrix.rows() * matrix.cols(); i++) {
            state = state * 6364136223846793005L + 1442695040888963407L;
            data.setAtIndex(ValueLayout.JAVA_FLOAT, i, (int) (state >>> 32) * scale);
        }
    }

    DenseMatrix input(Arena arena, int turn) {
        DenseMatrix input = DenseMatrix.allocate(arena, DType.F32, tokens, hidden);
        fill(input, seed * 31 + 100 + turn, Math.sqrt(3));
        return input;
    }

    /** Output of a run, full of NaN, so that an element that nobody writes cannot pass for a result. */
    DenseMatrix output(Arena arena) {
        DenseMatrix output = DenseMatrix.allocate(arena, DType.F32, tokens, hidden);
        output.data().fill((byte) 0xff);
        return output;
    }

    /** For each token as many neurons as its share, independent of the others'. */
    ActiveSet list(int turn) {
        ActiveSet set = new ActiveSet(intermediate, tokens);
        SplittableRandom random = new SplittableRandom(seed * 31 + 200 + turn);
        int[] neurons = new int[intermediate];
        Arrays.setAll(neurons, i -> i);
        for (int t = 0; t < tokens; t++) {
            for (int i = 0; i < wanted(); i++) {
                int other = random.nextInt(i, intermediate);
                int swapped = neurons[other];
                neurons[other] = neurons[i];
                neurons[i] = swapped;
                set.add(t, swapped);
            }
        }
        return set;
    }

    /** Neurons of a token. */
    int wanted() {
        return (int) Math.round(active * intermediate);
    }

    /** The rule of the plan: thresholds that the active share passes on these very tokens. */
    Skipping skipping(MlpWeights weights, DenseMatrix input) {
        return switch (skip) {
            case LIST, PREDICTOR -> new Skipping.None();
            case GATE -> new Skipping.Gate((float) quantile(MlpDoubles.gateScores(weights, input)));
            case INPUT -> {
                float threshold = (float) quantile(MlpDoubles.magnitudes(input));
                yield new Skipping.Input(threshold,
                    (float) quantile(MlpDoubles.values(weights, new Skipping.Input(threshold, 0), input)));
            }
        };
    }

    /** What the active share is above: between two scores, where no rounding decides. */
    private double quantile(double[] scores) {
        Arrays.sort(scores);
        int below = scores.length - (int) Math.round(active * scores.length);
        return below == 0 ? 0 : below == scores.length ? Double.MAX_VALUE : (scores[below - 1] + scores[below]) / 2;
    }
}
