package dev.filigree.spi;

import java.lang.foreign.MemorySegment;

/**
 * {@code C = activation(alpha * A * B + beta * C + bias)} in f32 or bf16, A in N:M form, over a range of its
 * packed form's work items: the Java face of the functions in {@code native/include/filigree.h}, which defines items,
 * operands and the order of sums.
 *
 * <p>A kernel is a pure function: it keeps nothing, allocates nothing, starts no threads. The caller has checked
 * every operand. Calls on disjoint ranges may run at the same time.
 */
public interface NmKernel {

    /** The kernel's id, as in {@link KernelInfo}. */
    String id();

    /** Whether sums have the written order, and so the bits of every other backend. AMX tiles add in their own. */
    default boolean sharesBits() {
        return true;
    }

    /**
     * Computes work items {@code [begin, end)}.
     *
     * @param packed the matrix, see {@link NmFormat}
     * @param b native, of the kernel's type, row-major
     * @param bStride elements from row to row of b
     * @param c native, of the kernel's type, row-major; written, and read when beta is not 0
     * @param cStride elements from row to row of c
     * @param n columns of b and c, or tokens; at least 1
     * @param scratch native, at least the packed matrix's scratch bytes, 64-byte aligned, for this call alone
     */
    void run(MemorySegment packed, MemorySegment b, long bStride, MemorySegment c, long cStride, int n,
        float alpha, float beta, long begin, long end, MemorySegment scratch);
}
