package dev.filigree.spmm;

/**
 * Whether a plan may hold its matrix as a dense one too, and multiply that.
 *
 * <p>The result is that of the sparse kernels: an element that is not stored never meets its operand. Runs see to
 * that by looking through their input first; one that holds an infinity or a NaN takes the sparse form, which such a
 * plan keeps. The bits may differ in the order in which a row's products are added, where a sparse plan would split
 * a long row, and in the sign of a zero that underflow made.
 */
public enum FallbackDense {
    /** Where the matrix is so dense that its zeros cost less than skipping them. */
    WHEN_FASTER,
    /** Never: a plan takes the memory of the nonzeros alone. */
    NEVER,
    /** Always, on the host: takes 4 bytes for each of M x K elements. */
    ALWAYS
}
