package dev.filigree.suite.nm;

import dev.filigree.Activation;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Layout;
import dev.filigree.format.NmMatrix;
import dev.filigree.format.NmPattern;
import dev.filigree.nm.NmOptions;
import dev.filigree.suite.Dense;
import java.lang.foreign.Arena;
import java.util.Locale;
import java.util.SplittableRandom;

/**
 * One product of an N:M matrix with everything that can vary, drawn from a seed; the same seed gives the same case
 * everywhere.
 *
 * @param seed the seed
 * @param a the sparse matrix
 * @param n columns, or tokens
 * @param layout of the dense operands
 * @param activation of the epilogue
 * @param bias one value a row, or null
 * @param alpha factor of the product
 * @param beta factor of the old output
 * @param place where the dense operands live
 * @param inputPadding elements between the rows of the input
 * @param outputPadding elements between the rows of the output
 * @param dtype of all operands
 */
public record NmCase(long seed, NmMatrix a, int n, Layout layout, Activation activation, float[] bias,
        float alpha, float beta, Dense.Place place, int inputPadding, int outputPadding, DType dtype) {

    /** Every width of an index, each set of rows that can share positions, groups that fill a block and that do not. */
    private static final String[] PATTERNS = {"2:4", "1:4", "4:8", "2:8", "1:8", "1:16", "2:16", "1:32", "1:64", "1:1",
        "4:4", "1:2", "3:5", "7:9", "33:64", "8:2:4", "8:1:16", "16:2:4", "16:3:7", "32:1:8", "64:1:16", "64:1:4"};
    /** Around every tail: rows of accumulators, vectors of 4, 8 and 16 lanes, panels of 64. */
    private static final int[] COLUMNS = {0, 1, 1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 31, 32, 33, 48, 49, 63, 64, 65,
        100, 129};
    /** Around groups, and blocks of 64 and 256. */
    private static final int[] DEPTHS = {0, 1, 3, 4, 5, 16, 31, 64, 65, 67, 130, 200, 256, 300, 700};
    /** Around groups of 16 rows, 64 that share positions, and passes of 1,024. */
    private static final int[] ROWS = {0, 1, 2, 7, 8, 15, 16, 17, 33, 64, 100, 129, 1030};

    /** Draws a case. */
    public static NmCase random(long seed) {
        SplittableRandom random = new SplittableRandom(seed * 0x9e3779b97f4a7c15L + 1);
        NmPattern pattern = NmPattern.parse(PATTERNS[random.nextInt(PATTERNS.length)]);
        int rows = pick(random, ROWS);
        int cols = pick(random, DEPTHS);
        int n = pick(random, COLUMNS);
        // Big times big would take the time of a hundred other cases.
        while ((double) rows * cols * pattern.density() * n > 1e7) {
            rows = Math.max(1, rows / 2);
        }
        NmMatrix a = matrix(random.nextLong(), rows, cols, pattern);
        float[] bias = random.nextInt(3) == 0 ? Dense.values(random, rows) : null;
        float alpha = random.nextBoolean() ? 1f : (float) random.nextDouble(-2, 2);
        float beta = random.nextBoolean() ? 0f : (float) random.nextDouble(-2, 2);
        Layout[] layouts = Layout.values();
        Activation[] activations = Activation.values();
        Dense.Place[] places = Dense.Place.values();
        return new NmCase(seed, a, n, layouts[random.nextInt(layouts.length)],
            activations[random.nextInt(activations.length)], bias, alpha, beta, places[random.nextInt(places.length)],
            random.nextInt(4) == 0 ? random.nextInt(1, 40) : 0, random.nextInt(4) == 0 ? random.nextInt(1, 40) : 0,
            random.nextBoolean() ? DType.F32 : DType.BF16);
    }

    /** A plain case for a given matrix: f32, no bias, no activation, alpha 1, beta 0, packed operands. */
    public static NmCase plain(NmMatrix a, int n, Layout layout) {
        return new NmCase(0, a, n, layout, Activation.NONE, null, 1f, 0f, Dense.Place.AUTO, 0, 0, DType.F32);
    }

    /** The same case in another type. */
    public NmCase in(DType other) {
        return new NmCase(seed, a, n, layout, activation, bias, alpha, beta, place, inputPadding, outputPadding, other);
    }

    /** A matrix of a pattern, pruned from random values; some of them are zeros, which may be stored. */
    public static NmMatrix matrix(long seed, int rows, int cols, NmPattern pattern) {
        SplittableRandom random = new SplittableRandom(seed);
        return NmMatrix.pruned(DenseMatrix.of(Dense.values(random, rows * cols), rows, cols), pattern);
    }

    /** The options of a plan for this case. */
    public NmOptions options() {
        NmOptions options = NmOptions.defaults().dtype(dtype).layout(layout).activation(activation);
        return bias == null ? options : options.bias(bias);
    }

    /** The dense input: the same numbers on every call. */
    public DenseMatrix input(Arena arena) {
        boolean tokens = layout == Layout.TOKEN_MAJOR;
        DenseMatrix input =
            Dense.allocate(place, arena, dtype, tokens ? n : a.cols(), tokens ? a.cols() : n, inputPadding);
        // What a kernel must never read between the rows would spoil the result.
        Dense.fillGaps(input, Float.NaN);
        Dense.fill(input, new SplittableRandom(seed ^ 0x5eed));
        return input;
    }

    /** The output before a run: numbers when beta is not 0, otherwise NaN, which a kernel must not read. */
    public DenseMatrix output(Arena arena) {
        boolean tokens = layout == Layout.TOKEN_MAJOR;
        DenseMatrix output =
            Dense.allocate(place, arena, dtype, tokens ? n : a.rows(), tokens ? a.rows() : n, outputPadding);
        Dense.fillGaps(output, Dense.GAP);
        if (beta != 0) {
            Dense.fill(output, new SplittableRandom(seed ^ 0x0dd));
        } else {
            Dense.fill(output, Float.NaN);
        }
        return output;
    }

    private static int pick(SplittableRandom random, int[] from) {
        return from[random.nextInt(from.length)];
    }

    @Override
    public String toString() {
        return String.format(Locale.ROOT,
            "seed %d: %s, %s, n %d, %s, %s%s, alpha %s, beta %s, %s, row padding %d and %d", seed, a, dtype.id(), n,
            layout, activation, bias == null ? "" : ", bias", alpha, beta, place, inputPadding, outputPadding);
    }
}
