package dev.filigree.internal.ffi;

import dev.filigree.spi.PagedKernel;
import java.lang.foreign.MemorySegment;
import java.util.Objects;

/** Attention over a paged cache by {@code filigree_attention_paged_f32_avx512} and its bf16 sister. */
abstract class NativePaged implements PagedKernel {

    static final String F32_ID = "attention_paged_f32_avx512";
    static final String BF16_ID = "attention_paged_bf16_avx512";

    private final String id;

    private NativePaged(String id) {
        this.id = id;
    }

    @Override
    public final String id() {
        return id;
    }

    /** Binds the function here and now: a first run short of stack would otherwise spoil it for the process. */
    static PagedKernel f32() {
        Objects.requireNonNull(Filigree.filigree_attention_paged_f32_avx512$handle());
        return new NativePaged(F32_ID) {
            @Override
            public void run(MemorySegment shape, MemorySegment q, MemorySegment keys, MemorySegment values,
                    MemorySegment out, MemorySegment lse, MemorySegment partials, long begin, long end,
                    MemorySegment scratch) {
                NativeStatus.check("filigree_" + F32_ID, Filigree.filigree_attention_paged_f32_avx512(
                    shape, q, keys, values, out, lse, partials, begin, end, scratch));
            }
        };
    }

    /** The same for a cache of bf16. */
    static PagedKernel bf16() {
        Objects.requireNonNull(Filigree.filigree_attention_paged_bf16_avx512$handle());
        return new NativePaged(BF16_ID) {
            @Override
            public void run(MemorySegment shape, MemorySegment q, MemorySegment keys, MemorySegment values,
                    MemorySegment out, MemorySegment lse, MemorySegment partials, long begin, long end,
                    MemorySegment scratch) {
                NativeStatus.check("filigree_" + BF16_ID, Filigree.filigree_attention_paged_bf16_avx512(
                    shape, q, keys, values, out, lse, partials, begin, end, scratch));
            }
        };
    }
}
