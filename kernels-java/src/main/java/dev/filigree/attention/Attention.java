package dev.filigree.attention;

import dev.filigree.DType;
import dev.filigree.format.BlockMask;

/**
 * Block-sparse attention in f32 or bf16: {@code out = softmax(scale Q K^T) V} over the scores that a mask lists, after
 * FlashAttention-2 (Dao, arXiv 2307.08691), whose blocks of scores never leave the cache.
 *
 * <pre>{@code
 * BlockMask mask = BlockMasks.slidingWindow(BlockGrid.square(4096, 64), 512, 64);
 * try (AttentionPlan plan = Attention.plan(mask)) {
 *     plan.run(q, k, v, out);
 * }
 * }</pre>
 */
public final class Attention {

    private Attention() {}

    /**
     * Plans with the {@linkplain AttentionOptions#defaults() default options}.
     *
     * @param mask the scores that count; the plan keeps what it needs of it
     * @throws IllegalArgumentException as for {@link #plan(BlockMask, AttentionOptions)}
     * @throws UnsupportedOperationException as for {@link #plan(BlockMask, AttentionOptions)}
     */
    public static AttentionPlan plan(BlockMask mask) {
        return plan(mask, AttentionOptions.defaults());
    }

    /**
     * Inspects a mask, picks a kernel and packs the mask for it.
     *
     * @param mask the scores that count; the plan keeps what it needs of it
     * @param options dtype, scaling, cap, bias, backend and worker team
     * @throws IllegalArgumentException if a linear bias meets 2^24 keys or more, or {@code -Dfiligree.backend} or
     *     {@code -Dfiligree.maxIsa} has an unknown value
     * @throws UnsupportedOperationException if the backend that the options or {@code -Dfiligree.backend} demand
     *     cannot be used
     */
    public static AttentionPlan plan(BlockMask mask, AttentionOptions options) {
        return AttentionPlan.create(mask, options);
    }

    /**
     * Plans decode: one query of each sequence over selected keys of a paged cache. Being the last token of its
     * sequence, the query sees no key behind it, whether the options are causal or not.
     *
     * @param cache the dtype of the caches that runs get, f32 or bf16
     * @param options scaling, cap, bias, backend and worker team
     * @throws IllegalArgumentException if {@code -Dfiligree.backend} or {@code -Dfiligree.maxIsa} has an unknown value
     * @throws UnsupportedOperationException if the backend that the options or {@code -Dfiligree.backend} demand
     *     cannot be used
     */
    public static DecodePlan decode(DType cache, AttentionOptions options) {
        return DecodePlan.create(cache, options);
    }
}
