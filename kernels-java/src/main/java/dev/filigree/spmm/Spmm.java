package dev.filigree.spmm;

import dev.filigree.format.CsrMatrix;
import java.io.IOException;

/**
 * Sparse-dense matrix multiplication in f32.
 *
 * <pre>{@code
 * try (SpmmPlan plan = Spmm.plan(weights)) {
 *     plan.run(b, c); // c = weights * b
 * }
 * }</pre>
 */
public final class Spmm {

    private Spmm() {}

    /**
     * Plans {@code C = A * B} with the {@linkplain SpmmOptions#defaults() default options}.
     *
     * @param a the sparse matrix, M x K; the plan keeps what it needs of it
     * @throws IllegalArgumentException as for {@link #plan(CsrMatrix, SpmmOptions)}
     * @throws UnsupportedOperationException as for {@link #plan(CsrMatrix, SpmmOptions)}
     */
    public static SpmmPlan plan(CsrMatrix a) {
        return plan(a, SpmmOptions.defaults());
    }

    /**
     * Inspects a matrix, picks a kernel and packs the matrix for it.
     *
     * @param a the sparse matrix, M x K; the plan keeps what it needs of it
     * @param options layout, epilogue, backend and worker team
     * @throws IllegalArgumentException if the bias does not have M values, the matrix is too large to pack, or
     *     {@code -Dfiligree.backend} or {@code -Dfiligree.maxIsa} has an unknown value
     * @throws UnsupportedOperationException if the backend that the options or {@code -Dfiligree.backend} demand
     *     cannot be used
     */
    public static SpmmPlan plan(CsrMatrix a, SpmmOptions options) {
        return SpmmPlan.create(a, options);
    }

    /**
     * Measures how a matrix is best packed for runs of {@link SpmmOptions#typicalN() about so many} columns on this
     * machine, writes that to the file of the options' {@linkplain SpmmOptions#tuning tuning}, and plans by it. Takes
     * a second or two and operands of that width; a machine that is busy with something else gives a poor choice.
     *
     * @param a the sparse matrix, M x K; the plan keeps what it needs of it
     * @param options with a tuning; otherwise as for {@link #plan(CsrMatrix, SpmmOptions)}
     * @throws IllegalArgumentException if the options have no tuning, or as for {@link #plan(CsrMatrix, SpmmOptions)}
     * @throws UnsupportedOperationException as for {@link #plan(CsrMatrix, SpmmOptions)}, or if the plan would run on a
     *     device
     * @throws IOException if the tuning's file cannot be written; it is as it was then
     */
    public static SpmmPlan tune(CsrMatrix a, SpmmOptions options) throws IOException {
        return SpmmTuner.tune(a, options);
    }
}
