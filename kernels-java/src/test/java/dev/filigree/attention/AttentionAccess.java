package dev.filigree.attention;

import dev.filigree.DType;
import dev.filigree.format.BlockMask;
import dev.filigree.spi.KernelProvider;

/** Lets the suites plan with a provider of their own. */
public final class AttentionAccess {

    private AttentionAccess() {}

    /** A plan on a given provider. */
    public static AttentionPlan plan(BlockMask mask, AttentionOptions options, KernelProvider provider) {
        return AttentionPlan.create(mask, options, provider);
    }

    /** A decode plan on a given provider. */
    public static DecodePlan decode(DType cache, AttentionOptions options, KernelProvider provider) {
        return DecodePlan.create(cache, options, provider);
    }
}
