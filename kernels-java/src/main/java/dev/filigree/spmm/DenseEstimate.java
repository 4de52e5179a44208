package dev.filigree.spmm;

import dev.filigree.format.CsrMatrix;

/**
 * What a column of the result costs with the sparse kernel and with the dense one: operations over the rates at which
 * the two do them, on one core with 256-bit vectors. The rates stand for their ratio, the density from which on zeros
 * cost less than skipping them; it is the same for all backends, so that they choose alike.
 *
 * @param sparseNanos with the sparse kernel
 * @param denseNanos with the dense kernel
 * @param large whether the matrix is large enough for the rates to hold
 */
record DenseEstimate(double sparseNanos, double denseNanos, boolean large) {

    private static final double SPARSE_FLOPS_PER_NANO = 45;
    private static final double DENSE_FLOPS_PER_NANO = 75;

    /** Smaller matrices do not repay looking through the input, and have rows that the sparse form splits. */
    private static final int MIN_ROWS = 128;
    private static final int MIN_COLS = 64;

    static DenseEstimate of(CsrMatrix a) {
        double elements = (double) a.rows() * a.cols();
        return new DenseEstimate(2.0 * a.nnz() / SPARSE_FLOPS_PER_NANO, 2.0 * elements / DENSE_FLOPS_PER_NANO,
            a.rows() >= MIN_ROWS && a.cols() >= MIN_COLS);
    }

    boolean denseIsFaster() {
        return large && denseNanos < sparseNanos;
    }
}
