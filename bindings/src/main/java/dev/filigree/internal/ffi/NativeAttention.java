package dev.filigree.internal.ffi;

import dev.filigree.spi.AttentionKernel;
import java.lang.foreign.MemorySegment;
import java.util.Objects;

/** Block-sparse attention by {@code filigree_attention_block_f32_avx512}. */
final class NativeAttention implements AttentionKernel {

    static final String ID = "attention_block_f32_avx512";

    private static final String FUNCTION = "filigree_" + ID;

    /** Binds the function here and now: a first run short of stack would otherwise spoil it for the process. */
    NativeAttention() {
        Objects.requireNonNull(Filigree.filigree_attention_block_f32_avx512$handle());
    }

    @Override
    public String id() {
        return ID;
    }

    @Override
    public void run(MemorySegment mask, MemorySegment shape, MemorySegment q, MemorySegment k, MemorySegment v,
            MemorySegment out, MemorySegment lse, MemorySegment state, MemorySegment packed, long begin, long end,
            MemorySegment scratch) {
        NativeStatus.check(FUNCTION, Filigree.filigree_attention_block_f32_avx512(
            mask, shape, q, k, v, out, lse, state, packed, begin, end, scratch));
    }
}
