package dev.filigree.nm;

import dev.filigree.format.NmMatrix;

/**
 * Products of an N:M sparse and a dense matrix in f32.
 *
 * <pre>{@code
 * NmMatrix weights = NmMatrix.pruned(dense, NmPattern.of(2, 4));
 * try (NmPlan plan = Nm.plan(weights)) {
 *     plan.run(b, c); // c = weights * b
 * }
 * }</pre>
 */
public final class Nm {

    private Nm() {}

    /**
     * Plans {@code C = A * B} with the {@linkplain NmOptions#defaults() default options}.
     *
     * @param a the sparse matrix, M x K; the plan keeps what it needs of it
     * @throws IllegalArgumentException as for {@link #plan(NmMatrix, NmOptions)}
     * @throws UnsupportedOperationException as for {@link #plan(NmMatrix, NmOptions)}
     */
    public static NmPlan plan(NmMatrix a) {
        return plan(a, NmOptions.defaults());
    }

    /**
     * Picks a kernel and packs the matrix for it.
     *
     * @param a the sparse matrix, M x K; the plan keeps what it needs of it
     * @param options layout, epilogue, backend and worker team
     * @throws IllegalArgumentException if the bias does not have M values, or {@code -Dfiligree.backend} or
     *     {@code -Dfiligree.maxIsa} has an unknown value
     * @throws UnsupportedOperationException if the backend that the options or {@code -Dfiligree.backend} demand
     *     cannot be used
     */
    public static NmPlan plan(NmMatrix a, NmOptions options) {
        return NmPlan.create(a, options);
    }
}
