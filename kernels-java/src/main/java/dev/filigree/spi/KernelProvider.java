package dev.filigree.spi;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.Refusal;
import dev.filigree.format.NmPattern;
import java.lang.foreign.Arena;
import java.lang.foreign.SegmentAllocator;
import java.util.List;
import java.util.Optional;

/**
 * A backend's implementation, found through {@link java.util.ServiceLoader}. At most one for each
 * {@link Backend}. Creating a provider must not fail: what is missing is told by {@link #refusal()}, and then no
 * other method but {@link #backend()} is called. Implementations are thread-safe.
 */
public interface KernelProvider {

    /** The backend that this provider implements. */
    Backend backend();

    /** Why the kernels cannot run here; empty when they can. The answer does not change. */
    Optional<Refusal> refusal();

    /** All kernels that this machine can run, for {@code info} and for tests that must reach every one. */
    List<KernelInfo> kernels();

    /** Why some of the kernels cannot run here, though others can. */
    default List<Refusal> shortfalls() {
        return List.of();
    }

    /** SpMM in f32 on host operands, where the backend has it. */
    default Optional<SpmmKernel> spmmF32() {
        return Optional.empty();
    }

    /** GEMM in f32 on host operands, where the backend has it: the dense path of plans that gain nothing from zeros. */
    default Optional<GemmKernel> gemmF32() {
        return Optional.empty();
    }

    /**
     * SpMM on a device, where the backend is one and has it.
     *
     * @param dtype of all operands
     */
    default Optional<SpmmDeviceKernel> spmmOnDevice(DType dtype) {
        return Optional.empty();
    }

    /**
     * N:M sparse GEMM on host operands, where the backend has it.
     *
     * @param dtype of all operands
     * @param pattern of the matrix: some kernels serve only some
     */
    default Optional<NmKernel> nm(DType dtype, NmPattern pattern) {
        return Optional.empty();
    }

    /**
     * Block-sparse attention on host operands, where the backend has it.
     *
     * @param dtype of queries, keys and values
     * @param queries of a head: some kernels need enough to fill their registers
     */
    default Optional<AttentionKernel> attention(DType dtype, int queries) {
        return Optional.empty();
    }

    /** Products with listed rows of weights in a type, for contextual sparsity, where the backend has them. */
    default Optional<MlpKernel> mlp(DType dtype) {
        return Optional.empty();
    }

    /** Attention over a paged cache of a type, where the backend has it. */
    default Optional<PagedKernel> paged(DType dtype) {
        return Optional.empty();
    }

    /**
     * Gives zeroed native memory for packed operands, which the arena owns, on the alignment that is asked for or more;
     * where the provider can, on huge pages.
     */
    default SegmentAllocator memory(Arena arena) {
        return arena;
    }
}
