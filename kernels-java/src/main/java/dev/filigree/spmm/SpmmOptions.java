package dev.filigree.spmm;

import dev.filigree.DType;
import dev.filigree.PlanOptions;
import java.util.Objects;
import java.util.Optional;

/** What a plan for SpMM is asked for. Immutable: each method returns changed options. */
public final class SpmmOptions extends PlanOptions<SpmmOptions> {

    private static final SpmmOptions DEFAULTS =
        new SpmmOptions(Values.DEFAULTS, DType.F32, 128, FallbackDense.WHEN_FASTER, null);

    private final DType dtype;
    private final int typicalN;
    private final FallbackDense fallbackDense;
    private final SpmmTuning tuning;

    private SpmmOptions(Values values, DType dtype, int typicalN, FallbackDense fallbackDense, SpmmTuning tuning) {
        super(values);
        this.dtype = dtype;
        this.typicalN = typicalN;
        this.fallbackDense = fallbackDense;
        this.tuning = tuning;
    }

    /**
     * f32, feature-major, no bias, no activation, for about 128 columns, the fastest backend, the process's
     * {@link dev.filigree.Workers#shared() team}, dense {@link FallbackDense#WHEN_FASTER when faster}.
     */
    public static SpmmOptions defaults() {
        return DEFAULTS;
    }

    @Override
    protected SpmmOptions with(Values newValues) {
        return new SpmmOptions(newValues, dtype, typicalN, fallbackDense, tuning);
    }

    /**
     * The same options with another type of all operands: the plan rounds the matrix's values to it, and runs take and
     * give such elements. Sums, bias and epilogue are f32 in any case. bf16 exists on CUDA devices, where it is fastest
     * for up to 64 columns.
     */
    public SpmmOptions dtype(DType newDtype) {
        return new SpmmOptions(
            values(), Objects.requireNonNull(newDtype, "dtype"), typicalN, fallbackDense, tuning);
    }

    /**
     * The same options for runs of about {@code n} columns (or tokens): the packing is chosen for it. Runs of any
     * other width stay correct, and lose some speed: most across 16, up to which several rows are packed side by side.
     *
     * @throws IllegalArgumentException if n is less than 1
     */
    public SpmmOptions typicalN(int n) {
        if (n < 1) {
            throw new IllegalArgumentException("typicalN = " + n + " is less than 1");
        }
        return new SpmmOptions(values(), dtype, n, fallbackDense, tuning);
    }

    /** The same options, with another rule for when zeros are multiplied like any value. */
    public SpmmOptions fallbackDense(FallbackDense newFallbackDense) {
        return new SpmmOptions(
            values(), dtype, typicalN, Objects.requireNonNull(newFallbackDense, "fallbackDense"), tuning);
    }

    /** The same options, with what {@link Spmm#tune} has measured: plans whose problem is in it are packed by that. */
    public SpmmOptions tuning(SpmmTuning newTuning) {
        return new SpmmOptions(
            values(), dtype, typicalN, fallbackDense, Objects.requireNonNull(newTuning, "tuning"));
    }

    /** The type of all operands. */
    public DType dtype() {
        return dtype;
    }

    /** The columns (or tokens) that the packing is chosen for; 128 unless set. */
    public int typicalN() {
        return typicalN;
    }

    /** Whether the plan may multiply its matrix as a dense one. */
    public FallbackDense fallbackDense() {
        return fallbackDense;
    }

    /** What has been measured, if it is to be used. */
    public Optional<SpmmTuning> tuning() {
        return Optional.ofNullable(tuning);
    }

    @Override
    protected String details() {
        return (dtype == DType.F32 ? "" : ", " + dtype.id())
            + (fallbackDense == FallbackDense.WHEN_FASTER ? "" : ", dense " + fallbackDense);
    }
}
