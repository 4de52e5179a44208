package dev.filigree.suite.spmm;

import dev.filigree.Activation;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Layout;
import dev.filigree.format.CsrMatrix;
import dev.filigree.spmm.FallbackDense;
import dev.filigree.spmm.SpmmOptions;
import dev.filigree.suite.Dense;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Locale;
import java.util.SplittableRandom;

/**
 * One SpMM with everything that can vary, drawn from a seed; the same seed gives the same case everywhere.
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
 * @param inputPadding floats between the rows of the input
 * @param outputPadding floats between the rows of the output
 * @param dense whether the plan may multiply zeros
 * @param poisoned whether the input holds infinities and NaNs wherever no stored element meets it
 * @param dtype of all operands
 */
public record SpmmCase(long seed, CsrMatrix a, int n, Layout layout, Activation activation, float[] bias,
        float alpha, float beta, Dense.Place place, int inputPadding, int outputPadding, FallbackDense dense,
        boolean poisoned, DType dtype) {

    /** In f32. */
    public SpmmCase(long seed, CsrMatrix a, int n, Layout layout, Activation activation, float[] bias, float alpha,
            float beta, Dense.Place place, int inputPadding, int outputPadding, FallbackDense dense, boolean poisoned) {
        this(seed, a, n, layout, activation, bias, alpha, beta, place, inputPadding, outputPadding, dense, poisoned,
            DType.F32);
    }

    /** With a finite input, for plans as they are by default. */
    public SpmmCase(long seed, CsrMatrix a, int n, Layout layout, Activation activation, float[] bias, float alpha,
            float beta, Dense.Place place, int inputPadding, int outputPadding) {
        this(seed, a, n, layout, activation, bias, alpha, beta, place, inputPadding, outputPadding,
            FallbackDense.WHEN_FASTER, false);
    }

    /** How nonzeros are spread. */
    private enum Pattern {
        UNIFORM, DENSE_ROW, DENSE_COLUMN, POWER_LAW, BANDED, EMPTY, FULL
    }

    /** Sizes around every tail and block boundary: vectors of 4, 8, 16 lanes, panels of 64, tiles of 64 to 1024. */
    private static final int[] COLUMNS = {0, 1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 23, 31, 32, 33, 47, 48, 49, 63,
        64, 65, 79, 80, 96, 100, 111, 112, 113, 128, 130, 177, 196, 257};
    private static final int[] DEPTHS = {0, 1, 2, 15, 16, 63, 64, 65, 100, 128, 200, 257, 512, 700, 1025, 2100};
    private static final int[] ROWS = {0, 1, 2, 3, 7, 16, 33, 64, 65, 100, 129, 300, 1030};

    /** Draws a case. */
    public static SpmmCase random(long seed) {
        SplittableRandom random = new SplittableRandom(seed * 0x9e3779b97f4a7c15L + 1);
        int rows = pick(random, ROWS);
        int cols = pick(random, DEPTHS);
        int n = pick(random, COLUMNS);
        Pattern pattern = pick(random, Pattern.values());
        double density = pattern == Pattern.FULL ? 1 : pick(random, new double[] {0.005, 0.05, 0.1, 0.3, 0.6});
        // Big times big times dense would take the time of a hundred other cases.
        while ((double) rows * cols * density * n > 2e7) {
            rows = Math.max(1, rows / 2);
        }
        CsrMatrix a = matrix(random, rows, cols, pattern, density);
        float[] bias = random.nextInt(3) == 0 ? Dense.values(random, rows) : null;
        float alpha = random.nextBoolean() ? 1f : (float) random.nextDouble(-2, 2);
        float beta = random.nextBoolean() ? 0f : (float) random.nextDouble(-2, 2);
        return new SpmmCase(seed, a, n, pick(random, Layout.values()), pick(random, Activation.values()), bias,
            alpha, beta, pick(random, Dense.Place.values()), random.nextInt(4) == 0 ? random.nextInt(1, 40) : 0,
            random.nextInt(4) == 0 ? random.nextInt(1, 40) : 0, pick(random, FallbackDense.values()),
            random.nextInt(4) == 0);
    }

    /** The same case with another rule for zeros. */
    public SpmmCase dense(FallbackDense newDense) {
        return new SpmmCase(seed, a, n, layout, activation, bias, alpha, beta, place, inputPadding, outputPadding,
            newDense, poisoned, dtype);
    }

    /** The same case with operands of another type. */
    public SpmmCase dtype(DType newDtype) {
        return new SpmmCase(seed, a, n, layout, activation, bias, alpha, beta, place, inputPadding, outputPadding,
            dense, poisoned, newDtype);
    }

    /** A plain case for a given matrix: no bias, no activation, alpha 1, beta 0, packed operands. */
    public static SpmmCase plain(CsrMatrix a, int n, Layout layout) {
        return new SpmmCase(0, a, n, layout, Activation.NONE, null, 1f, 0f, Dense.Place.AUTO, 0, 0);
    }

    /** A random matrix with uniformly spread nonzeros. */
    public static CsrMatrix uniform(long seed, int rows, int cols, double density) {
        return matrix(new SplittableRandom(seed), rows, cols, Pattern.UNIFORM, density);
    }

    private static CsrMatrix matrix(SplittableRandom random, int rows, int cols, Pattern pattern, double density) {
        long[] offsets = new long[rows + 1];
        int[] columns = new int[64];
        int nnz = 0;
        int denseRow = rows == 0 ? -1 : random.nextInt(rows);
        int denseColumn = cols == 0 ? -1 : random.nextInt(cols);
        for (int r = 0; r < rows; r++) {
            double rowDensity = switch (pattern) {
                case EMPTY -> 0;
                case FULL -> 1;
                case POWER_LAW -> Math.min(1, density * 8 / (1 + r % 37));
                case UNIFORM, BANDED, DENSE_COLUMN -> random.nextInt(10) == 0 ? 0 : density;
                case DENSE_ROW -> r == denseRow ? 1 : density / 10;
            };
            for (int c = 0; c < cols; c++) {
                boolean stored = switch (pattern) {
                    case BANDED -> Math.abs((long) c * rows - (long) r * cols) < 8L * Math.max(rows, cols)
                        && random.nextDouble() < 0.7;
                    case DENSE_COLUMN -> c == denseColumn || random.nextDouble() < rowDensity;
                    default -> random.nextDouble() < rowDensity;
                };
                if (stored) {
                    if (nnz == columns.length) {
                        columns = Arrays.copyOf(columns, nnz * 2);
                    }
                    columns[nnz++] = c;
                }
            }
            offsets[r + 1] = nnz;
        }
        return CsrMatrix.fromArrays(rows, cols, offsets, Arrays.copyOf(columns, nnz),
            Dense.values(random, nnz));
    }

    /** The options of a plan for this case. */
    public SpmmOptions options() {
        // Packed for the width that it runs with, or for one that it does not.
        int typicalN = seed % 3 == 0 ? 1 : seed % 3 == 1 ? Math.max(1, n) : 128;
        SpmmOptions options = SpmmOptions.defaults().dtype(dtype).layout(layout).activation(activation).typicalN(typicalN)
            .fallbackDense(dense);
        return bias == null ? options : options.bias(bias);
    }

    /** The dense input: the same numbers on every call. */
    public DenseMatrix input(Arena arena) {
        SplittableRandom random = new SplittableRandom(seed ^ 0x5eed);
        int rows = layout == Layout.FEATURE_MAJOR ? a.cols() : n;
        int cols = layout == Layout.FEATURE_MAJOR ? n : a.cols();
        DenseMatrix input = Dense.allocate(place, arena, dtype, rows, cols, inputPadding);
        // What a kernel must never read between the rows would spoil the result.
        Dense.fillGaps(input, Float.NaN);
        Dense.fill(input, random);
        if (poisoned) {
            poison(input);
        }
        return input;
    }

    /** Spoils the rows of B (columns of X) for which A stores nothing. */
    private void poison(DenseMatrix input) {
        boolean[] met = new boolean[a.cols()];
        for (long p = 0; p < a.nnz(); p++) {
            met[a.columns().getAtIndex(ValueLayout.JAVA_INT, p)] = true;
        }
        float[] poisons = {Float.NaN, Float.POSITIVE_INFINITY, Float.NEGATIVE_INFINITY};
        for (int k = 0; k < met.length; k++) {
            for (int j = k % 3; j < n && !met[k]; j += 3) {
                boolean tokens = layout == Layout.TOKEN_MAJOR;
                input.set(tokens ? j : k, tokens ? k : j, poisons[j % 7 % 3]);
            }
        }
    }

    /** The output before a run: numbers when beta is not 0, otherwise NaN, which a kernel must not read. */
    public DenseMatrix output(Arena arena) {
        SplittableRandom random = new SplittableRandom(seed ^ 0x0dd);
        int rows = layout == Layout.FEATURE_MAJOR ? a.rows() : n;
        int cols = layout == Layout.FEATURE_MAJOR ? n : a.rows();
        DenseMatrix output = Dense.allocate(place, arena, dtype, rows, cols, outputPadding);
        Dense.fillGaps(output, Dense.GAP);
        if (beta != 0) {
            Dense.fill(output, random);
        } else {
            Dense.fill(output, Float.NaN);
        }
        return output;
    }

    private static int pick(SplittableRandom random, int[] from) {
        return from[random.nextInt(from.length)];
    }

    private static double pick(SplittableRandom random, double[] from) {
        return from[random.nextInt(from.length)];
    }

    private static <T> T pick(SplittableRandom random, T[] from) {
        return from[random.nextInt(from.length)];
    }

    @Override
    public String toString() {
        return String.format(Locale.ROOT,
            "seed %d: %s, %s, n %d, %s, %s%s, alpha %s, beta %s, %s, row padding %d and %d, dense %s%s", seed, a,
            dtype.id(), n, layout, activation, bias == null ? "" : ", bias", alpha, beta, place, inputPadding, outputPadding, dense,
            poisoned ? ", poisoned" : "");
    }
}
