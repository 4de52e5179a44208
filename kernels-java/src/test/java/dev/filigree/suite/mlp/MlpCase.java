package dev.filigree.suite.mlp;

import dev.filigree.Activation;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.format.RowMatrix;
import dev.filigree.mlp.ActiveSet;
import dev.filigree.mlp.MlpWeights;
import dev.filigree.mlp.Skipping;
import dev.filigree.suite.Dense;
import java.lang.foreign.Arena;
import java.util.Locale;
import java.util.SplittableRandom;

/**
 * One run of an MLP with everything that can vary, drawn from a seed; the same seed gives the same case everywhere.
 *
 * @param seed the seed
 * @param weights the MLP
 * @param skipping the plan's rule
 * @param active listed neurons, or null for those that the rule leaves
 * @param tokens how many
 * @param typicalTokens what the plan is told of them
 * @param place where x and y live
 * @param inputPadding floats between the rows of x
 * @param outputPadding floats between the rows of y
 */
public record MlpCase(long seed, MlpWeights weights, Skipping skipping, ActiveSet active, int tokens,
        int typicalTokens, Dense.Place place, int inputPadding, int outputPadding) {

    /** Around lines of 16 and 32, strips of 64, and half vectors. */
    private static final int[] WIDTHS = {1, 2, 7, 8, 15, 16, 17, 31, 32, 33, 48, 64, 65, 100, 130, 200, 320};
    /** Around blocks of 16 and groups of 4. */
    private static final int[] NEURONS = {1, 3, 4, 5, 15, 16, 17, 40, 63, 64, 100, 129, 300};
    /** Every tile of tokens, groups of 16 and what they leave, panels of 64 and products of 256. */
    private static final int[] TOKENS = {0, 1, 1, 1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 20, 33, 70, 270};

    private enum Rule {
        NONE, LIST, GATE, NEURON, INPUT
    }

    /** Draws a case. */
    public static MlpCase random(long seed) {
        SplittableRandom random = new SplittableRandom(seed * 0x9e3779b97f4a7c15L + 3);
        int hidden = pick(random, WIDTHS);
        int intermediate = pick(random, NEURONS);
        int tokens = pick(random, TOKENS);
        while ((double) hidden * intermediate * tokens > 1e5) {
            tokens = Math.max(1, tokens / 2);
        }
        Rule rule = Rule.values()[random.nextInt(Rule.values().length)];
        MlpWeights.Order order = rule == Rule.INPUT || rule == Rule.NONE && random.nextBoolean()
            ? MlpWeights.Order.INPUT_MAJOR : MlpWeights.Order.NEURON_MAJOR;
        Activation[] activations = Activation.values();
        MlpWeights weights = weights(random, hidden, intermediate, random.nextBoolean(), order,
            activations[random.nextInt(activations.length)], DType.values()[random.nextInt(2)]);
        weights = weights.withBiases(
            weights.gate().isPresent() && random.nextBoolean() ? Dense.values(random, intermediate) : null,
            random.nextBoolean() ? Dense.values(random, intermediate) : null,
            random.nextBoolean() ? Dense.values(random, hidden) : null);
        Dense.Place[] places = Dense.Place.values();
        MlpCase open = new MlpCase(seed, weights, new Skipping.None(), null, tokens,
            random.nextInt(4) == 0 ? 1 : Math.max(1, tokens), places[random.nextInt(places.length)], random.nextInt(4) == 0 ? random.nextInt(1, 40) : 0,
            random.nextInt(4) == 0 ? random.nextInt(1, 40) : 0);
        double share = random.nextDouble();
        return switch (rule) {
            case NONE -> open;
            case LIST -> open.with(set(random, intermediate, tokens, share * share));
            case GATE -> open.with(new Skipping.Gate(MlpReference.gateThreshold(open, share)));
            case NEURON -> open.with(new Skipping.Neuron(MlpReference.neuronThreshold(open, share)));
            case INPUT -> {
                float input = MlpReference.inputThreshold(open, share);
                MlpCase halfway = open.with(new Skipping.Input(input, 0));
                yield open.with(new Skipping.Input(input, MlpReference.hiddenThreshold(halfway, share)));
            }
        };
    }

    /** Random weights, with a gate or without, and without biases. */
    public static MlpWeights weights(SplittableRandom random, int hidden, int intermediate, boolean gated,
            MlpWeights.Order order, Activation activation, DType dtype) {
        boolean byNeuron = order == MlpWeights.Order.NEURON_MAJOR;
        RowMatrix up = rows(random, byNeuron ? intermediate : hidden, byNeuron ? hidden : intermediate, dtype);
        RowMatrix down = rows(random, intermediate, hidden, dtype);
        return gated
            ? MlpWeights.gated(rows(random, up.rows(), up.cols(), dtype), up, down, activation, order)
            : MlpWeights.plain(up, down, activation, order);
    }

    /** A random matrix. */
    public static RowMatrix rows(SplittableRandom random, int rows, int cols, DType dtype) {
        return RowMatrix.of(DenseMatrix.of(Dense.values(random, rows * cols), rows, cols), dtype);
    }

    /** A set that holds each unit with a probability. */
    public static ActiveSet set(SplittableRandom random, int units, int tokens, double share) {
        ActiveSet set = new ActiveSet(units, tokens);
        for (int t = 0; t < tokens; t++) {
            for (int unit = 0; unit < units; unit++) {
                if (random.nextDouble() < share) {
                    set.add(t, unit);
                }
            }
        }
        return set;
    }

    /** A plain case: packed operands in an automatic arena. */
    public static MlpCase plain(MlpWeights weights, Skipping skipping, int tokens) {
        return new MlpCase(0, weights, skipping, null, tokens, 1, Dense.Place.AUTO, 0, 0);
    }

    /** The same case with another rule. */
    public MlpCase with(Skipping newSkipping) {
        return new MlpCase(seed, weights, newSkipping, active, tokens, typicalTokens, place, inputPadding, outputPadding);
    }

    /** The same case with listed neurons. */
    public MlpCase with(ActiveSet newActive) {
        return new MlpCase(seed, weights, skipping, newActive, tokens, typicalTokens, place, inputPadding, outputPadding);
    }

    /** The same case with a plan for as many tokens as it has. */
    public MlpCase typical() {
        return new MlpCase(seed, weights, skipping, active, tokens, tokens, place, inputPadding, outputPadding);
    }

    /** The tokens: the same numbers on every call. */
    public DenseMatrix input(Arena arena) {
        DenseMatrix input = Dense.allocate(place, arena, tokens, weights.hidden(), inputPadding);
        Dense.fillGaps(input, Float.NaN);
        Dense.fill(input, new SplittableRandom(seed ^ 0x5eed));
        return input;
    }

    /** The output before a run: NaN, which must not be read. */
    public DenseMatrix output(Arena arena) {
        DenseMatrix output = Dense.allocate(place, arena, tokens, weights.hidden(), outputPadding);
        Dense.fillGaps(output, Dense.GAP);
        Dense.fill(output, Float.NaN);
        return output;
    }

    private static int pick(SplittableRandom random, int[] from) {
        return from[random.nextInt(from.length)];
    }

    @Override
    public String toString() {
        return String.format(Locale.ROOT, "seed %d: %s, %s, %s, %d tokens of about %d, %s, row padding %d and %d", seed, weights,
            skipping, active == null ? "no list" : active, tokens, typicalTokens, place, inputPadding, outputPadding);
    }
}
