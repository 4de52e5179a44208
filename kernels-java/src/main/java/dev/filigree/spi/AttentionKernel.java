package dev.filigree.spi;

import java.lang.foreign.MemorySegment;

/**
 * Block-sparse attention in f32 or bf16 over a range of work items: the Java face of the functions in
 * {@code native/include/filigree.h}, which define items, operands and the order of sums.
 *
 * <p>A kernel is a pure function: it keeps nothing, allocates nothing, starts no threads. The caller has checked
 * every operand. Calls on disjoint ranges may run at the same time; the items that pack come before those that
 * attend.
 */
public interface AttentionKernel {

    /** The kernel's id, as in {@link KernelInfo}. */
    String id();

    /** Whether sums have the written order, and so the bits of every other backend. AMX tiles add in their own. */
    default boolean sharesBits() {
        return true;
    }

    /**
     * Computes work items {@code [begin, end)}, all of one kind.
     *
     * @param mask the packed mask, see {@link AttentionFormat}
     * @param shape of the operands, see {@link AttentionFormat}
     * @param q native, of the kernel's type, queries
     * @param k native, of the kernel's type, keys
     * @param v native, of the kernel's type, values
     * @param out native, of the type that the shape says, output; not touched when there is a state
     * @param lse native f32 {@code [batch, heads, queries]}, or {@link MemorySegment#NULL}
     * @param state native f32 {@code [batch, heads, queries, dim + STATE_EXTRA]} that the run goes on from and leaves
     *     its state in, or {@link MemorySegment#NULL}
     * @param packed native, packed keys and values of this call's pairs, 64-byte aligned
     * @param scratch native, 64-byte aligned, for this call alone
     */
    void run(MemorySegment mask, MemorySegment shape, MemorySegment q, MemorySegment k, MemorySegment v,
        MemorySegment out, MemorySegment lse, MemorySegment state, MemorySegment packed, long begin, long end,
        MemorySegment scratch);
}
