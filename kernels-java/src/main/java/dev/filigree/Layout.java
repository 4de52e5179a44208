package dev.filigree;

/** How the dense operands of a product with a sparse matrix lie in memory; both are row-major. */
public enum Layout {
    /** {@code C = A * B}: B is K x N, C is M x N. */
    FEATURE_MAJOR,
    /** {@code Y = X * A^T}, a linear layer over tokens: X is N x K, Y is N x M. */
    TOKEN_MAJOR;

    /** The number that the packed formats and the C ABI use. */
    public int code() {
        return ordinal();
    }
}
