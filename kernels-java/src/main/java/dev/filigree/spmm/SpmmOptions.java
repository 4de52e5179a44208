package dev.filigree.spmm;

import dev.filigree.Activation;
import dev.filigree.Backend;
import dev.filigree.Workers;
import java.util.Objects;
import java.util.Optional;

/**
 * What a plan for SpMM is asked for. Immutable: each method returns changed options.
 */
public final class SpmmOptions {

    private static final SpmmOptions DEFAULTS =
        new SpmmOptions(Layout.FEATURE_MAJOR, Activation.NONE, null, null, null, 128,
            FallbackDense.WHEN_FASTER, null);

    private final Layout layout;
    private final Activation activation;
    private final float[] bias;
    private final Backend backend;
    private final Workers workers;
    private final int typicalN;
    private final FallbackDense fallbackDense;
    private final SpmmTuning tuning;

    private SpmmOptions(Layout layout, Activation activation, float[] bias, Backend backend, Workers workers,
            int typicalN, FallbackDense fallbackDense, SpmmTuning tuning) {
        this.layout = layout;
        this.activation = activation;
        this.bias = bias;
        this.backend = backend;
        this.workers = workers;
        this.typicalN = typicalN;
        this.fallbackDense = fallbackDense;
        this.tuning = tuning;
    }

    /**
     * Feature-major, no bias, no activation, for about 128 columns, the fastest backend, the process's
     * {@link Workers#shared() team}, dense {@link FallbackDense#WHEN_FASTER when faster}.
     */
    public static SpmmOptions defaults() {
        return DEFAULTS;
    }

    /** The same options with another layout of the dense operands. */
    public SpmmOptions layout(Layout newLayout) {
        return new SpmmOptions(
            Objects.requireNonNull(newLayout, "layout"), activation, bias, backend, workers, typicalN,
            fallbackDense, tuning);
    }

    /** The same options with a function applied to each element of the result. */
    public SpmmOptions activation(Activation newActivation) {
        return new SpmmOptions(
            layout, Objects.requireNonNull(newActivation, "activation"), bias, backend, workers, typicalN,
            fallbackDense, tuning);
    }

    /**
     * The same options with a value added to each element of a row of A * B (a column of X * A^T).
     *
     * @param newBias one value a row of A; copied
     */
    public SpmmOptions bias(float[] newBias) {
        return new SpmmOptions(
            layout, activation, Objects.requireNonNull(newBias, "bias").clone(), backend, workers, typicalN,
            fallbackDense, tuning);
    }

    /** The same options, for one backend and no other: planning fails where it cannot be used. */
    public SpmmOptions backend(Backend newBackend) {
        return new SpmmOptions(
            layout, activation, bias, Objects.requireNonNull(newBackend, "backend"), workers, typicalN,
            fallbackDense, tuning);
    }

    /** The same options, to run on a given team, which must stay open as long as the plan. */
    public SpmmOptions workers(Workers newWorkers) {
        return new SpmmOptions(
            layout, activation, bias, backend, Objects.requireNonNull(newWorkers, "workers"), typicalN,
            fallbackDense, tuning);
    }

    /**
     * The same options for runs of about {@code n} columns (or tokens): the packing is chosen for it. Runs of any
     * other width stay correct, and lose some speed.
     *
     * @throws IllegalArgumentException if n is less than 1
     */
    public SpmmOptions typicalN(int n) {
        if (n < 1) {
            throw new IllegalArgumentException("typicalN = " + n + " is less than 1");
        }
        return new SpmmOptions(layout, activation, bias, backend, workers, n, fallbackDense, tuning);
    }

    /** The same options, with another rule for when zeros are multiplied like any value. */
    public SpmmOptions fallbackDense(FallbackDense newFallbackDense) {
        return new SpmmOptions(layout, activation, bias, backend, workers, typicalN,
            Objects.requireNonNull(newFallbackDense, "fallbackDense"), tuning);
    }

    /** The same options, with what {@link Spmm#tune} has measured: plans whose problem is in it are packed by that. */
    public SpmmOptions tuning(SpmmTuning newTuning) {
        return new SpmmOptions(layout, activation, bias, backend, workers, typicalN, fallbackDense,
            Objects.requireNonNull(newTuning, "tuning"));
    }

    /** How the dense operands lie in memory. */
    public Layout layout() {
        return layout;
    }

    /** The function applied to each element of the result. */
    public Activation activation() {
        return activation;
    }

    /** A copy of the bias, if there is one. */
    public Optional<float[]> bias() {
        return Optional.ofNullable(bias).map(float[]::clone);
    }

    /** The backend demanded, if any. */
    public Optional<Backend> backend() {
        return Optional.ofNullable(backend);
    }

    /** The columns (or tokens) that the packing is chosen for; 128 unless set. */
    public int typicalN() {
        return typicalN;
    }

    /** What has been measured, if it is to be used. */
    public Optional<SpmmTuning> tuning() {
        return Optional.ofNullable(tuning);
    }

    /** The team that runs the plan. */
    public Workers workers() {
        return workers == null ? Workers.shared() : workers;
    }

    /** Whether the plan may multiply its matrix as a dense one. */
    public FallbackDense fallbackDense() {
        return fallbackDense;
    }

    @Override
    public String toString() {
        return "SpmmOptions[" + layout + ", activation " + activation + (bias == null ? "" : ", bias")
            + (backend == null ? "" : ", backend " + backend.id())
            + (fallbackDense == FallbackDense.WHEN_FASTER ? "" : ", dense " + fallbackDense) + "]";
    }
}
