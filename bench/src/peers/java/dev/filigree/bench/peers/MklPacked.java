package dev.filigree.bench.peers;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.filigree.bench.peer.PackedPeer;
import dev.filigree.bench.peer.PeerProblem;
import dev.filigree.bench.peer.PeerVariant;
import dev.filigree.bench.peer.SpmmPeerProblem;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;

/** MKL's dense product with one operand packed ahead. */
final class MklPacked {

    private static final int PACKED = 151;
    private static final int LEFT = 161;
    private static final int RIGHT = 162;

    private final MethodHandle size;
    private final MethodHandle pack;
    private final MethodHandle compute;

    MklPacked(NativeFunctions library) {
        size = library.find("cblas_sgemm_pack_get_size",
            FunctionDescriptor.of(JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT));
        pack = library.find("cblas_sgemm_pack", FunctionDescriptor.ofVoid(JAVA_INT, JAVA_INT, JAVA_INT, JAVA_INT,
            JAVA_INT, JAVA_INT, JAVA_FLOAT, ADDRESS, JAVA_INT, ADDRESS));
        compute = library.find("cblas_sgemm_compute", FunctionDescriptor.ofVoid(JAVA_INT, JAVA_INT, JAVA_INT,
            JAVA_INT, JAVA_INT, JAVA_INT, ADDRESS, JAVA_INT, ADDRESS, JAVA_INT, JAVA_FLOAT, ADDRESS, JAVA_INT));
    }

    PeerVariant variant(SpmmPeerProblem problem) {
        return new PeerVariant() {
            @Override
            public String kernel() {
                return "cblas_sgemm_compute";
            }

            @Override
            public PackedPeer pack(Arena arena) {
                boolean tokens = problem.shape().tokenMajor();
                MemorySegment matrix = MklPacked.this.pack(problem, arena);
                // It asks for megabytes even where the matrix has few.
                long elements = (long) problem.shape().rows() * problem.shape().cols();
                return Cblas.bindable(problem, matrix, Math.min(matrix.byteSize(), Float.BYTES * elements),
                    tokens ? MklPacked.this::tokenMajor : MklPacked.this::featureMajor);
            }
        };
    }

    private MemorySegment pack(SpmmPeerProblem problem, Arena arena) {
        SpmmPeerProblem.Shape s = problem.shape();
        int side = s.tokenMajor() ? RIGHT : LEFT;
        int transpose = s.tokenMajor() ? Cblas.TRANSPOSE : Cblas.NO_TRANSPOSE;
        int m = s.tokenMajor() ? s.n() : s.rows();
        int n = s.tokenMajor() ? s.rows() : s.n();
        try (Arena unpacked = Arena.ofConfined()) {
            long bytes = (long) size.invokeExact(side, m, n, s.cols());
            MemorySegment packed = arena.allocate(bytes, PeerProblem.ALIGNMENT);
            pack.invokeExact(Cblas.ROW_MAJOR, side, transpose, m, n, s.cols(), 1f, problem.dense(unpacked), s.cols(),
                packed);
            return packed;
        } catch (Throwable t) {
            throw NativeFunctions.unexpected(t);
        }
    }

    private void featureMajor(SpmmPeerProblem.Shape s, MemorySegment a, MemorySegment b, MemorySegment c) {
        try {
            compute.invokeExact(Cblas.ROW_MAJOR, PACKED, Cblas.NO_TRANSPOSE, s.rows(), s.n(), s.cols(), a, s.cols(),
                b, s.n(), 0f, c, s.n());
        } catch (Throwable t) {
            throw NativeFunctions.unexpected(t);
        }
    }

    private void tokenMajor(SpmmPeerProblem.Shape s, MemorySegment a, MemorySegment x, MemorySegment y) {
        try {
            compute.invokeExact(Cblas.ROW_MAJOR, Cblas.NO_TRANSPOSE, PACKED, s.n(), s.rows(), s.cols(), x, s.cols(),
                a, s.cols(), 0f, y, s.rows());
        } catch (Throwable t) {
            throw NativeFunctions.unexpected(t);
        }
    }
}
