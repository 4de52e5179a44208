package dev.filigree.internal.ffi;

import dev.filigree.spi.AttentionKernel;
import java.lang.foreign.MemorySegment;
import java.util.Objects;

/** Block-sparse attention by {@code filigree_attention_block_f32_avx512}, its bf16 sister, or that of AMX tiles. */
abstract class NativeAttention implements AttentionKernel {

    static final String F32_ID = "attention_block_f32_avx512";
    static final String BF16_ID = "attention_block_bf16_avx512";
    static final String BF16_TILES_ID = "attention_block_bf16_amx";

    private final String id;

    private NativeAttention(String id) {
        this.id = id;
    }

    @Override
    public final String id() {
        return id;
    }

    /** Binds the function here and now: a first run short of stack would otherwise spoil it for the process. */
    static AttentionKernel f32() {
        Objects.requireNonNull(Filigree.filigree_attention_block_f32_avx512$handle());
        return new NativeAttention(F32_ID) {
            @Override
            public void run(MemorySegment mask, MemorySegment shape, MemorySegment q, MemorySegment k,
                    MemorySegment v, MemorySegment out, MemorySegment lse, MemorySegment state, MemorySegment packed,
                    long begin, long end, MemorySegment scratch) {
                NativeStatus.check("filigree_" + F32_ID, Filigree.filigree_attention_block_f32_avx512(
                    mask, shape, q, k, v, out, lse, state, packed, begin, end, scratch));
            }
        };
    }

    /** The same of bf16. */
    static AttentionKernel bf16() {
        Objects.requireNonNull(Filigree.filigree_attention_block_bf16_avx512$handle());
        return new NativeAttention(BF16_ID) {
            @Override
            public void run(MemorySegment mask, MemorySegment shape, MemorySegment q, MemorySegment k,
                    MemorySegment v, MemorySegment out, MemorySegment lse, MemorySegment state, MemorySegment packed,
                    long begin, long end, MemorySegment scratch) {
                NativeStatus.check("filigree_" + BF16_ID, Filigree.filigree_attention_block_bf16_avx512(
                    mask, shape, q, k, v, out, lse, state, packed, begin, end, scratch));
            }
        };
    }

    /** The same by AMX tiles, which the process must be allowed to use. */
    static AttentionKernel bf16Tiles() {
        Objects.requireNonNull(Filigree.filigree_attention_block_bf16_amx$handle());
        return new NativeAttention(BF16_TILES_ID) {
            @Override
            public boolean sharesBits() {
                return false;
            }

            @Override
            public void run(MemorySegment mask, MemorySegment shape, MemorySegment q, MemorySegment k,
                    MemorySegment v, MemorySegment out, MemorySegment lse, MemorySegment state, MemorySegment packed,
                    long begin, long end, MemorySegment scratch) {
                NativeStatus.check("filigree_" + BF16_TILES_ID, Filigree.filigree_attention_block_bf16_amx(
                    mask, shape, q, k, v, out, lse, state, packed, begin, end, scratch));
            }
        };
    }
}
