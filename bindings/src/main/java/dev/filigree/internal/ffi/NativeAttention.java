package dev.filigree.internal.ffi;

import dev.filigree.DType;
import dev.filigree.spi.AttentionKernel;
import java.lang.foreign.MemorySegment;
import java.util.Objects;

/** Block-sparse attention by {@code filigree_attention_block_f32_avx512} or {@code ..._bf16_avx512}. */
final class NativeAttention implements AttentionKernel {

    private final DType dtype;

    /** Binds the function here and now: a first run short of stack would otherwise spoil it for the process. */
    NativeAttention(DType dtype) {
        this.dtype = dtype;
        Objects.requireNonNull(switch (dtype) {
            case F32 -> Filigree.filigree_attention_block_f32_avx512$handle();
            case BF16 -> Filigree.filigree_attention_block_bf16_avx512$handle();
        });
    }

    static String id(DType dtype) {
        return switch (dtype) {
            case F32 -> "attention_block_f32_avx512";
            case BF16 -> "attention_block_bf16_avx512";
        };
    }

    @Override
    public String id() {
        return id(dtype);
    }

    @Override
    public void run(MemorySegment mask, MemorySegment shape, MemorySegment q, MemorySegment k, MemorySegment v,
            MemorySegment out, MemorySegment lse, MemorySegment state, MemorySegment packed, long begin, long end,
            MemorySegment scratch) {
        switch (dtype) {
            case F32 -> NativeStatus.check("filigree_attention_block_f32_avx512",
                Filigree.filigree_attention_block_f32_avx512(
                    mask, shape, q, k, v, out, lse, state, packed, begin, end, scratch));
            case BF16 -> NativeStatus.check("filigree_attention_block_bf16_avx512",
                Filigree.filigree_attention_block_bf16_avx512(
                    mask, shape, q, k, v, out, lse, state, packed, begin, end, scratch));
        }
    }
}
