package dev.filigree.spi;

import java.lang.foreign.MemorySegment;

/**
 * Attention of one query of each sequence over selected keys of a paged cache, over a range of work items: the Java face
 * of {@code filigree_attention_paged_f32_avx512} and its bf16 sister in {@code native/include/filigree.h}, which defines
 * items, operands and the order of sums.
 *
 * <p>A kernel is a pure function: it keeps nothing, allocates nothing, starts no threads. The caller has checked every
 * operand. Calls on disjoint ranges may run at the same time; the items that combine come after all splits.
 */
public interface PagedKernel {

    /** The kernel's id, as in {@link KernelInfo}. */
    String id();

    /**
     * Computes work items {@code [begin, end)}, all of one kind.
     *
     * @param shape of the call, see {@link PagedFormat}
     * @param q native f32, queries
     * @param keys native, the cache's keys, of the kernel's dtype
     * @param values native, the cache's values
     * @param out native f32, output
     * @param lse native f32 {@code [sequences, heads]}, or {@link MemorySegment#NULL}
     * @param partials native f32, states of the splits
     * @param scratch native, 64-byte aligned, for this call alone
     */
    void run(MemorySegment shape, MemorySegment q, MemorySegment keys, MemorySegment values, MemorySegment out,
        MemorySegment lse, MemorySegment partials, long begin, long end, MemorySegment scratch);
}
