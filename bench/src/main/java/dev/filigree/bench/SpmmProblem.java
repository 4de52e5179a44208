package dev.filigree.bench;

import com.google.gson.JsonObject;
import dev.filigree.Activation;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Layout;
import dev.filigree.bench.peer.SpmmPeerProblem;
import dev.filigree.format.CsrMatrix;
import dev.filigree.spmm.SpmmOptions;
import java.lang.foreign.Arena;
import java.util.Optional;
import java.util.SplittableRandom;

/**
 * An SpMM to measure: {@code out = act(A * B)}, or {@code act(X * A^T)} when token-major.
 *
 * @param a the sparse matrix; its values have the type
 * @param n columns of B, or tokens of X
 * @param layout of the dense operands
 * @param activation of the epilogue
 * @param seed of the dense input, where it is drawn
 * @param given the dense input, packed, in the layout; only its beginning counts if it is longer. Otherwise it is drawn
 * @param dtype of all operands
 */
record SpmmProblem(CsrMatrix a, int n, Layout layout, Activation activation, long seed, Optional<float[]> given,
        DType dtype) {

    /** An f32 problem whose dense input is drawn. */
    SpmmProblem(CsrMatrix a, int n, Layout layout, Activation activation, long seed) {
        this(a, n, layout, activation, seed, Optional.empty(), DType.F32);
    }

    /** The most columns or tokens of a decode step: the matrix is read once for few results. */
    private static final int DECODE = 16;

    static boolean isDecode(int n) {
        return n <= DECODE;
    }

    /** Useful operations of a run. */
    double flops() {
        return 2.0 * a.nnz() * n;
    }

    /** Bytes of the dense operands. */
    long denseBytes() {
        return (long) dtype.bytes() * n * ((long) a.rows() + a.cols());
    }

    /** Adds shape and options to a case's description. */
    void describe(JsonObject caseJson) {
        caseJson.addProperty("rows", a.rows());
        caseJson.addProperty("cols", a.cols());
        caseJson.addProperty("n", n);
        caseJson.addProperty("dtype", dtype.id());
        caseJson.addProperty("layout", Choice.name(layout));
        caseJson.addProperty("activation", Choice.name(activation));
    }

    SpmmOptions options() {
        return SpmmOptions.defaults().dtype(dtype).layout(layout).activation(activation).typicalN(n);
    }

    /** The dense input: the same numbers on every call. */
    DenseMatrix input(Arena arena) {
        boolean tokens = layout == Layout.TOKEN_MAJOR;
        DenseMatrix input = DenseMatrix.allocate(arena, dtype, tokens ? n : a.cols(), tokens ? a.cols() : n);
        SplittableRandom random = new SplittableRandom(seed ^ 0x5eed);
        for (int r = 0; r < input.rows(); r++) {
            for (int c = 0; c < input.cols(); c++) {
                input.set(r, c, given.isPresent() ? given.get()[Math.toIntExact((long) r * input.cols() + c)]
                    : (float) random.nextDouble(-1, 1));
            }
        }
        return input;
    }

    /** An output full of NaN, so that an element that nobody writes cannot pass for a result. */
    DenseMatrix output(Arena arena) {
        boolean tokens = layout == Layout.TOKEN_MAJOR;
        DenseMatrix output = DenseMatrix.allocate(arena, dtype, tokens ? n : a.rows(), tokens ? a.rows() : n);
        output.data().fill((byte) 0xff);
        return output;
    }

    SpmmPeerProblem.Shape peerShape() {
        return new SpmmPeerProblem.Shape(a.rows(), a.cols(), a.nnz(), n, layout, activation, dtype);
    }

    /** Writes matrix and dense input to memory that another process shares. */
    void writeTo(SpmmPeerProblem shared) {
        shared.offsets().copyFrom(a.rowOffsets().asSlice(0, shared.offsets().byteSize()));
        shared.columns().copyFrom(a.columns().asSlice(0, shared.columns().byteSize()));
        shared.values().copyFrom(a.values().asSlice(0, shared.values().byteSize()));
        try (Arena arena = Arena.ofConfined()) {
            shared.input().copyFrom(input(arena).data().asSlice(0, shared.input().byteSize()));
        }
    }
}
