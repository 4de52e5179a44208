package dev.filigree.spi;

import java.lang.foreign.MemorySegment;
import java.util.List;

/**
 * Products with listed rows of a matrix, for up to {@link RowFormat#TOKENS} tokens: the Java face of the two functions
 * in {@code native/include/filigree.h}, which defines items, operands and the order of sums.
 *
 * <p>A kernel is a pure function: it keeps nothing, allocates nothing, starts no threads. The caller has checked
 * every operand, and all of them lie in native memory of the library's own. Calls on disjoint ranges may run at the
 * same time. {@link MemorySegment#NULL} stands for a list of all rows, for no masks, no bias and no factors.
 */
public interface MlpKernel {

    /** The ids of {@link #dot} and {@link #axpy}, as in {@link KernelInfo}. */
    List<String> ids();

    /**
     * {@code out[t][p] = factors[t][p] * activation(w[list[p]] . x[t] + bias[list[p]])} where position p counts for
     * token t, else 0, over items {@code [begin, end)} of {@link RowFormat#BLOCK} positions.
     *
     * @param w the matrix, see {@link RowFormat}
     * @param list {@code int32[count]}
     * @param masks {@code uint16[count]}: bit t says that a position counts for token t
     * @param x f32 {@code [tokens][stride of w]}; with bf16 weights in the order that the header asks for
     * @param out f32 {@code [tokens][outStride]}
     * @param scratch {@link RowFormat#SCRATCH_BYTES}, 64-byte aligned, for this call alone
     */
    void dot(MemorySegment w, MemorySegment list, MemorySegment masks, int count, MemorySegment x, int tokens,
        MemorySegment bias, MemorySegment factors, long factorStride, int activation, MemorySegment out,
        long outStride, long begin, long end, MemorySegment scratch);

    /**
     * {@code out[t][c] = factors[t][c] * activation(sum of coefficients[t][p] * w[list[p]][c] + bias[c])} over items
     * {@code [begin, end)} of {@link RowFormat#STRIP} columns.
     *
     * @param w the matrix, see {@link RowFormat}
     * @param list {@code int32[count]}
     * @param masks as for {@link #dot}
     * @param coefficients f32 {@code [tokens][coefficientStride]}
     * @param out f32 {@code [tokens][outStride]}
     * @param scratch {@link RowFormat#SCRATCH_BYTES}, 64-byte aligned, for this call alone
     */
    void axpy(MemorySegment w, MemorySegment list, MemorySegment masks, int count, MemorySegment coefficients,
        long coefficientStride, int tokens, MemorySegment bias, MemorySegment factors, long factorStride,
        int activation, MemorySegment out, long outStride, long begin, long end, MemorySegment scratch);
}
