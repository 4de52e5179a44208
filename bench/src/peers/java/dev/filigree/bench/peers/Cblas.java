package dev.filigree.bench.peers;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.filigree.bench.peer.PackedPeer;
import dev.filigree.bench.peer.PeerVariant;
import dev.filigree.bench.peer.SpmmPeerProblem;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.ArrayList;
import java.util.List;

/** Dense products by the C interface of BLAS, which several libraries have; 32-bit integers. */
final class Cblas {

    static final int ROW_MAJOR = 101;
    static final int NO_TRANSPOSE = 111;
    static final int TRANSPOSE = 112;

    private final MethodHandle sgemm;
    private final MethodHandle sgemv;

    Cblas(NativeFunctions library) {
        sgemm = library.find("cblas_sgemm", FunctionDescriptor.ofVoid(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT,
            JAVA_INT, JAVA_INT, JAVA_FLOAT, ADDRESS, JAVA_INT, ADDRESS, JAVA_INT, JAVA_FLOAT, ADDRESS, JAVA_INT));
        sgemv = library.find("cblas_sgemv", FunctionDescriptor.ofVoid(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT,
            JAVA_FLOAT, ADDRESS, JAVA_INT, ADDRESS, JAVA_INT, JAVA_FLOAT, ADDRESS, JAVA_INT));
    }

    /** The matrix as BLAS takes it; a product with a vector has a function of its own. */
    List<PeerVariant> variants(SpmmPeerProblem problem) {
        List<PeerVariant> variants = new ArrayList<>();
        variants.add(variant("cblas_sgemm", problem, problem.shape().tokenMajor() ? this::tokenMajor
            : this::featureMajor));
        if (problem.shape().n() == 1) {
            variants.add(variant("cblas_sgemv", problem, this::vector));
        }
        return variants;
    }

    /** A product of a dense matrix. */
    @FunctionalInterface
    interface Product {
        /** Computes the output. */
        void run(SpmmPeerProblem.Shape shape, MemorySegment matrix, MemorySegment input, MemorySegment output);
    }

    private static PeerVariant variant(String kernel, SpmmPeerProblem problem, Product product) {
        return new PeerVariant() {
            @Override
            public String kernel() {
                return kernel;
            }

            @Override
            public PackedPeer pack(Arena arena) {
                MemorySegment dense = problem.dense(arena);
                return bindable(problem, dense, dense.byteSize(), product);
            }
        };
    }

    /**
     * A packed matrix that a product takes.
     *
     * @param readBytes how much of it a run reads
     */
    static PackedPeer bindable(SpmmPeerProblem problem, MemorySegment matrix, long readBytes, Product product) {
        return new PackedPeer() {
            @Override
            public long packedBytes() {
                return readBytes;
            }

            @Override
            public long allocatedBytes() {
                return matrix.byteSize();
            }

            @Override
            public Bound bind(MemorySegment input, Arena arena) {
                MemorySegment output = problem.newOutput(arena);
                SpmmPeerProblem.Shape shape = problem.shape();
                return new Bound() {
                    @Override
                    public void run() {
                        product.run(shape, matrix, input, output);
                    }

                    @Override
                    public MemorySegment output() {
                        return output;
                    }
                };
            }
        };
    }

    /** C = A B. */
    private void featureMajor(SpmmPeerProblem.Shape s, MemorySegment a, MemorySegment b, MemorySegment c) {
        try {
            sgemm.invokeExact(ROW_MAJOR, NO_TRANSPOSE, NO_TRANSPOSE, s.rows(), s.n(), s.cols(), 1f, a, s.cols(), b,
                s.n(), 0f, c, s.n());
        } catch (Throwable t) {
            throw NativeFunctions.unexpected(t);
        }
    }

    /** Y = X A^T. */
    private void tokenMajor(SpmmPeerProblem.Shape s, MemorySegment a, MemorySegment x, MemorySegment y) {
        try {
            sgemm.invokeExact(ROW_MAJOR, NO_TRANSPOSE, TRANSPOSE, s.n(), s.rows(), s.cols(), 1f, x, s.cols(), a,
                s.cols(), 0f, y, s.rows());
        } catch (Throwable t) {
            throw NativeFunctions.unexpected(t);
        }
    }

    /** y = A x. */
    private void vector(SpmmPeerProblem.Shape s, MemorySegment a, MemorySegment x, MemorySegment y) {
        try {
            sgemv.invokeExact(ROW_MAJOR, NO_TRANSPOSE, s.rows(), s.cols(), 1f, a, s.cols(), x, 1, 0f, y, 1);
        } catch (Throwable t) {
            throw NativeFunctions.unexpected(t);
        }
    }
}
