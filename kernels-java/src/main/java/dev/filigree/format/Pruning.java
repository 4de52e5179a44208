package dev.filigree.format;

/**
 * A rule that says which elements of a dense matrix a sparse one keeps. Immutable and thread-safe.
 *
 * <p>Magnitude rules drop a fixed number of elements, those of least absolute value (Han et al., "Learning
 * both Weights and Connections for Efficient Neural Networks", 2015). Among equal magnitudes the earlier
 * element in row-major order is kept. An exact zero is never stored, so a matrix with more zeros than the
 * rule drops ends up with fewer entries than the rule allows. NaN has no rank and is refused; an infinity is
 * the largest magnitude.
 */
public sealed interface Pruning {

    /** The share of elements to drop, from 0 to 1. */
    double sparsity();

    /**
     * Drops the {@code Math.round(sparsity * rows * cols)} smallest elements of the whole matrix.
     *
     * @param sparsity from 0 (drop exact zeros only) to 1 (drop everything)
     * @throws IllegalArgumentException if the sparsity is not in that range
     */
    static Pruning globalMagnitude(double sparsity) {
        return new GlobalMagnitude(sparsity);
    }

    /**
     * Drops the {@code Math.round(sparsity * cols)} smallest elements of each row, so that rows cost alike.
     *
     * @param sparsity from 0 (drop exact zeros only) to 1 (drop everything)
     * @throws IllegalArgumentException if the sparsity is not in that range
     */
    static Pruning rowMagnitude(double sparsity) {
        return new RowMagnitude(sparsity);
    }

    /**
     * The rule of {@link Pruning#globalMagnitude(double)}.
     *
     * @param sparsity the share of elements to drop
     */
    record GlobalMagnitude(double sparsity) implements Pruning {
        /** Checks the range. */
        public GlobalMagnitude {
            checkSparsity(sparsity);
        }
    }

    /**
     * The rule of {@link Pruning#rowMagnitude(double)}.
     *
     * @param sparsity the share of each row to drop
     */
    record RowMagnitude(double sparsity) implements Pruning {
        /** Checks the range. */
        public RowMagnitude {
            checkSparsity(sparsity);
        }
    }

    private static void checkSparsity(double sparsity) {
        if (!(sparsity >= 0 && sparsity <= 1)) {
            throw new IllegalArgumentException("sparsity = " + sparsity + " is not in [0, 1]");
        }
    }
}
