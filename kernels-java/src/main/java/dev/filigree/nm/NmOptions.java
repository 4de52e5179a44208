package dev.filigree.nm;

import dev.filigree.PlanOptions;

/** What a plan for N:M sparse GEMM is asked for. Immutable: each method returns changed options. */
public final class NmOptions extends PlanOptions<NmOptions> {

    private static final NmOptions DEFAULTS = new NmOptions(Values.DEFAULTS);

    private NmOptions(Values values) {
        super(values);
    }

    /**
     * Feature-major, no bias, no activation, the fastest backend, the process's
     * {@link dev.filigree.Workers#shared() team}.
     */
    public static NmOptions defaults() {
        return DEFAULTS;
    }

    @Override
    protected NmOptions with(Values newValues) {
        return new NmOptions(newValues);
    }
}
