package dev.filigree.bench.peers;

import dev.filigree.bench.peer.PackedPeer;
import dev.filigree.bench.peer.PeerLibrary;
import dev.filigree.bench.peer.PeerVariant;
import dev.filigree.bench.peer.SpmmPeerProblem;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import org.ejml.concurrency.EjmlConcurrency;
import org.ejml.data.FGrowArray;
import org.ejml.data.FMatrixRMaj;
import org.ejml.data.FMatrixSparseCSC;
import org.ejml.dense.row.CommonOps_FDRM;
import org.ejml.sparse.csc.CommonOps_FSCC;
import org.ejml.sparse.csc.CommonOps_MT_FSCC;
import pabeles.concurrency.GrowArray;

/** EJML, pure Java on heap arrays: a sparse matrix by columns times a dense one. */
public final class Ejml implements PeerLibrary {

    private int threads;

    /** Called by the service loader. */
    public Ejml() {}

    @Override
    public List<String> names() {
        return List.of("ejml-sparse");
    }

    @Override
    public void load(int threads) {
        this.threads = threads;
        EjmlConcurrency.setMaxThreads(threads);
    }

    /** A product into the last argument. */
    private interface Product {
        void run(FMatrixSparseCSC a, FMatrixRMaj b, FMatrixRMaj c);
    }

    @Override
    public List<PeerVariant> spmm(String name, SpmmPeerProblem problem) {
        FGrowArray work = new FGrowArray();
        GrowArray<FGrowArray> works = new GrowArray<>(FGrowArray::new);
        List<PeerVariant> variants = new ArrayList<>();
        if (problem.shape().tokenMajor()) {
            variants.add(new Variant(problem, "multTransB", false,
                (a, b, c) -> CommonOps_FSCC.multTransB(a, b, c, work)));
            if (threads > 1) {
                variants.add(new Variant(problem, "MT multTransB", false,
                    (a, b, c) -> CommonOps_MT_FSCC.multTransB(a, b, c, works)));
            }
        } else {
            variants.add(new Variant(problem, "mult", false, CommonOps_FSCC::mult));
            variants.add(new Variant(problem, "multTransA", true,
                (a, b, c) -> CommonOps_FSCC.multTransA(a, b, c, work)));
            if (threads > 1) {
                variants.add(new Variant(problem, "MT mult", false,
                    (a, b, c) -> CommonOps_MT_FSCC.mult(a, b, c, works)));
                variants.add(new Variant(problem, "MT multTransA", true,
                    (a, b, c) -> CommonOps_MT_FSCC.multTransA(a, b, c, works)));
            }
        }
        return variants;
    }

    /**
     * A way to multiply.
     *
     * @param kernel the method
     * @param transposed whether it takes the transposed matrix, by columns: the CSR arrays as they are
     * @param product of the matrix with the operand; token-major it gives the output transposed
     */
    private record Variant(SpmmPeerProblem problem, String kernel, boolean transposed, Product product)
            implements PeerVariant {

        @Override
        public PackedPeer pack(Arena arena) {
            FMatrixSparseCSC byRows = transposedMatrix();
            FMatrixSparseCSC matrix = transposed ? byRows : CommonOps_FSCC.transpose(byRows, null, null);
            return new PackedPeer() {
                @Override
                public long packedBytes() {
                    return (long) Integer.BYTES * (matrix.numCols + 1) + 2L * Float.BYTES * matrix.nz_length;
                }

                @Override
                public Bound bind(MemorySegment input, Arena arena) {
                    return new OnHeap(problem.shape(), product, matrix, input);
                }
            };
        }

        /** The rows of A are the columns of its transpose. */
        private FMatrixSparseCSC transposedMatrix() {
            SpmmPeerProblem.Shape s = problem.shape();
            FMatrixSparseCSC matrix = new FMatrixSparseCSC(s.cols(), s.rows(), (int) s.nnz());
            for (int r = 0; r <= s.rows(); r++) {
                matrix.col_idx[r] = (int) problem.offsets().getAtIndex(ValueLayout.JAVA_LONG, r);
            }
            MemorySegment.copy(problem.columns(), ValueLayout.JAVA_INT, 0, matrix.nz_rows, 0, (int) s.nnz());
            MemorySegment.copy(problem.values(), ValueLayout.JAVA_FLOAT, 0, matrix.nz_values, 0, (int) s.nnz());
            matrix.nz_length = (int) s.nnz();
            matrix.indicesSorted = true;
            return matrix;
        }
    }

    /** Operands in the arrays that EJML computes on. */
    private static final class OnHeap implements PackedPeer.Bound {

        private final Product product;
        private final FMatrixSparseCSC matrix;
        private final FMatrixRMaj input;
        private final FMatrixRMaj product0;
        private final FMatrixRMaj output;
        private final boolean tokenMajor;

        OnHeap(SpmmPeerProblem.Shape s, Product product, FMatrixSparseCSC matrix, MemorySegment operand) {
            this.product = product;
            this.matrix = matrix;
            tokenMajor = s.tokenMajor();
            input = tokenMajor ? new FMatrixRMaj(s.n(), s.cols()) : new FMatrixRMaj(s.cols(), s.n());
            MemorySegment.copy(operand, ValueLayout.JAVA_FLOAT, 0, input.data, 0, input.data.length);
            product0 = new FMatrixRMaj(s.rows(), s.n());
            output = tokenMajor ? new FMatrixRMaj(s.n(), s.rows()) : product0;
        }

        /** It has no product that gives tokens as rows: transposing is part of the work. */
        @Override
        public void run() {
            product.run(matrix, input, product0);
            if (tokenMajor) {
                CommonOps_FDRM.transpose(product0, output);
            }
        }

        @Override
        public MemorySegment output() {
            return MemorySegment.ofArray(output.data);
        }
    }
}
