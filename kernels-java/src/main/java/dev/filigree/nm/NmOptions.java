package dev.filigree.nm;

import dev.filigree.DType;
import dev.filigree.PlanOptions;
import java.util.Objects;

/** What a plan for N:M sparse GEMM is asked for. Immutable: each method returns changed options. */
public final class NmOptions extends PlanOptions<NmOptions> {

    private static final NmOptions DEFAULTS = new NmOptions(Values.DEFAULTS, DType.F32);

    private final DType dtype;

    private NmOptions(Values values, DType dtype) {
        super(values);
        this.dtype = dtype;
    }

    /**
     * f32, feature-major, no bias, no activation, the fastest backend, the process's
     * {@link dev.filigree.Workers#shared() team}.
     */
    public static NmOptions defaults() {
        return DEFAULTS;
    }

    /**
     * The same options with another type of all operands: the plan rounds the weight's values to it, and runs take and
     * give such elements. Sums, bias and epilogue are f32 in any case.
     */
    public NmOptions dtype(DType dtype) {
        return new NmOptions(values(), Objects.requireNonNull(dtype, "dtype"));
    }

    /** The type of all operands. */
    public DType dtype() {
        return dtype;
    }

    @Override
    protected NmOptions with(Values newValues) {
        return new NmOptions(newValues, dtype);
    }

    @Override
    protected String details() {
        return ", " + dtype.id();
    }
}
