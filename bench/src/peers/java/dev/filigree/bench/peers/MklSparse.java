package dev.filigree.bench.peers;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.filigree.bench.peer.PackedPeer;
import dev.filigree.bench.peer.PeerException;
import dev.filigree.bench.peer.PeerProblem;
import dev.filigree.bench.peer.PeerVariant;
import dev.filigree.bench.peer.SpmmPeerProblem;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.ArrayList;
import java.util.List;

/** MKL's sparse BLAS: a handle on CSR arrays, told what it will be used for, then optimised. */
final class MklSparse {

    private static final int ZERO_BASED = 0;
    private static final int NO_TRANSPOSE = 10;
    private static final int ROW_MAJOR = 101;
    private static final int COLUMN_MAJOR = 102;
    private static final int GENERAL = 20;
    private static final int MANY_CALLS = 100_000;

    /** struct matrix_descr: type, and two fields that a general matrix has no use for. */
    private static final MemoryLayout DESCRIPTION = MemoryLayout.structLayout(JAVA_INT, JAVA_INT, JAVA_INT);

    private final MethodHandle create;
    private final MethodHandle hintMatrix;
    private final MethodHandle hintVector;
    private final MethodHandle optimize;
    private final MethodHandle multiplyMatrix;
    private final MethodHandle multiplyVector;
    private final MethodHandle destroy;
    private final MemorySegment description = Arena.global().allocate(DESCRIPTION);

    MklSparse(NativeFunctions library) {
        description.set(JAVA_INT, 0, GENERAL);
        create = library.find("mkl_sparse_s_create_csr", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT,
            JAVA_INT, ADDRESS, ADDRESS, ADDRESS, ADDRESS));
        hintMatrix = library.find("mkl_sparse_set_mm_hint", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT,
            DESCRIPTION, JAVA_INT, JAVA_INT, JAVA_INT));
        hintVector = library.find("mkl_sparse_set_mv_hint",
            FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT, DESCRIPTION, JAVA_INT));
        optimize = library.find("mkl_sparse_optimize", FunctionDescriptor.of(JAVA_INT, ADDRESS));
        multiplyMatrix = library.find("mkl_sparse_s_mm", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_FLOAT,
            ADDRESS, DESCRIPTION, JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT, JAVA_FLOAT, ADDRESS, JAVA_INT));
        multiplyVector = library.find("mkl_sparse_s_mv", FunctionDescriptor.of(JAVA_INT, JAVA_INT, JAVA_FLOAT,
            ADDRESS, DESCRIPTION, ADDRESS, JAVA_FLOAT, ADDRESS));
        destroy = library.find("mkl_sparse_destroy", FunctionDescriptor.of(JAVA_INT, ADDRESS));
    }

    List<PeerVariant> variants(SpmmPeerProblem problem) {
        List<PeerVariant> variants = new ArrayList<>();
        variants.add(variant(problem, false));
        if (problem.shape().n() == 1) {
            variants.add(variant(problem, true));
        }
        return variants;
    }

    private PeerVariant variant(SpmmPeerProblem problem, boolean vector) {
        return new PeerVariant() {
            @Override
            public String kernel() {
                return vector ? "mkl_sparse_s_mv" : "mkl_sparse_s_mm";
            }

            @Override
            public PackedPeer pack(Arena arena) {
                return new Packed(problem, vector, arena);
            }
        };
    }

    private static void check(String function, int status) {
        if (status != 0) {
            throw new PeerException(function + " returned status " + status);
        }
    }

    /** A handle and its arrays. */
    private final class Packed implements PackedPeer {

        private final SpmmPeerProblem problem;
        private final boolean vector;
        private final MemorySegment matrix;
        private final long csrBytes;

        Packed(SpmmPeerProblem problem, boolean vector, Arena arena) {
            this.problem = problem;
            this.vector = vector;
            SpmmPeerProblem.Shape s = problem.shape();
            MemorySegment offsets = problem.intOffsets(arena);
            MemorySegment columns = PeerProblem.copy(problem.columns(), arena);
            MemorySegment values = PeerProblem.copy(problem.values(), arena);
            csrBytes = offsets.byteSize() + columns.byteSize() + values.byteSize();
            try {
                MemorySegment handle = arena.allocate(ADDRESS);
                check("mkl_sparse_s_create_csr", (int) create.invokeExact(handle, ZERO_BASED, s.rows(), s.cols(),
                    offsets, offsets.asSlice(Integer.BYTES), columns, values));
                matrix = handle.get(ADDRESS, 0);
                optimise(s);
            } catch (Throwable t) {
                throw NativeFunctions.unexpected(t);
            }
        }

        private void optimise(SpmmPeerProblem.Shape s) throws Throwable {
            // MKL may know of nothing to prepare for a hint: that is no error.
            int hinted = vector ? (int) hintVector.invokeExact(matrix, NO_TRANSPOSE, description, MANY_CALLS)
                : (int) hintMatrix.invokeExact(matrix, NO_TRANSPOSE, description, order(s), s.n(), MANY_CALLS);
            if (hinted == 0) {
                check("mkl_sparse_optimize", (int) optimize.invokeExact(matrix));
            }
        }

        /** Rows of tokens are the columns of B one after the other. */
        private static int order(SpmmPeerProblem.Shape s) {
            return s.tokenMajor() ? COLUMN_MAJOR : ROW_MAJOR;
        }

        /** What it was given; what optimising adds is not told. */
        @Override
        public long packedBytes() {
            return csrBytes;
        }

        @Override
        public Bound bind(MemorySegment input, Arena arena) {
            MemorySegment output = problem.newOutput(arena);
            SpmmPeerProblem.Shape s = problem.shape();
            return new Bound() {
                @Override
                public void run() {
                    if (vector) {
                        multiplyVector(input, output);
                    } else {
                        multiplyMatrix(s, input, output);
                    }
                }

                @Override
                public MemorySegment output() {
                    return output;
                }
            };
        }

        private void multiplyMatrix(SpmmPeerProblem.Shape s, MemorySegment b, MemorySegment c) {
            try {
                check("mkl_sparse_s_mm", (int) multiplyMatrix.invokeExact(NO_TRANSPOSE, 1f, matrix, description,
                    order(s), b, s.n(), s.tokenMajor() ? s.cols() : s.n(), 0f, c,
                    s.tokenMajor() ? s.rows() : s.n()));
            } catch (Throwable t) {
                throw NativeFunctions.unexpected(t);
            }
        }

        private void multiplyVector(MemorySegment x, MemorySegment y) {
            try {
                check("mkl_sparse_s_mv",
                    (int) multiplyVector.invokeExact(NO_TRANSPOSE, 1f, matrix, description, x, 0f, y));
            } catch (Throwable t) {
                throw NativeFunctions.unexpected(t);
            }
        }

        @Override
        public void close() {
            try {
                check("mkl_sparse_destroy", (int) destroy.invokeExact(matrix));
            } catch (Throwable t) {
                throw NativeFunctions.unexpected(t);
            }
        }
    }
}
