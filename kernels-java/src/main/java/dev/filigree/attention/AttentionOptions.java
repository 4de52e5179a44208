package dev.filigree.attention;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.Workers;
import java.util.Objects;
import java.util.Optional;
import java.util.OptionalDouble;

/** What a plan for attention is asked for. Immutable: each method returns changed options. */
public final class AttentionOptions {

    private static final AttentionOptions DEFAULTS = new AttentionOptions(DType.F32, false, 0f, 0f, null, null, null);

    private final DType dtype;
    private final boolean causal;
    /** 0: the inverse root of the head dimension. */
    private final float scale;
    /** 0: none. */
    private final float softCap;
    private final float[] slopes;
    private final Backend backend;
    private final Workers workers;

    private AttentionOptions(DType dtype, boolean causal, float scale, float softCap, float[] slopes, Backend backend,
            Workers workers) {
        this.dtype = dtype;
        this.causal = causal;
        this.scale = scale;
        this.softCap = softCap;
        this.slopes = slopes;
        this.backend = backend;
        this.workers = workers;
    }

    /**
     * f32, the mask as it is, scores scaled by the inverse root of the head dimension, no cap, no bias, the fastest backend,
     * the process's {@link Workers#shared() team}.
     */
    public static AttentionOptions defaults() {
        return DEFAULTS;
    }

    /**
     * The same options with another type of queries, keys and values. The output of a plan for bf16 is bf16 or f32, as
     * the tensor is that a run gets. Sums, the softmax and a state are f32 in any case; weights are rounded to bf16
     * before they meet the values and are added up, which moves an output by at most 2^-8 / (1 - 2^-8) of the average
     * distance of the values from it, weighted as they are, and a log-sum-exp by as much of 1. Decoding takes the type
     * of its cache instead, and f32 queries.
     */
    public AttentionOptions dtype(DType newDtype) {
        return new AttentionOptions(
            Objects.requireNonNull(newDtype, "dtype"), causal, scale, softCap, slopes, backend, workers);
    }

    /**
     * The same options, with or without dropping the keys that come after a query: query i stands at key
     * {@code i + keys - queries}.
     */
    public AttentionOptions causal(boolean newCausal) {
        return new AttentionOptions(dtype, newCausal, scale, softCap, slopes, backend, workers);
    }

    /**
     * The same options with another factor of the scores.
     *
     * @throws IllegalArgumentException if it is not finite, or 0
     */
    public AttentionOptions scale(float newScale) {
        if (!Float.isFinite(newScale) || newScale == 0f) {
            throw new IllegalArgumentException("scale = " + newScale + " is not a finite number other than 0");
        }
        return new AttentionOptions(dtype, causal, newScale, softCap, slopes, backend, workers);
    }

    /**
     * The same options with scaled scores s capped to {@code cap * tanh(s / cap)}.
     *
     * @throws IllegalArgumentException if the cap is not finite, not positive, or its inverse is not finite
     */
    public AttentionOptions softCap(float cap) {
        if (!(cap > 0) || !Float.isFinite(cap) || !Float.isFinite(1f / cap)) {
            throw new IllegalArgumentException("soft cap = " + cap + " is not a positive finite number");
        }
        return new AttentionOptions(dtype, causal, scale, cap, slopes, backend, workers);
    }

    /**
     * The same options with {@code slope * (key - query)} added to the scores, after the cap: positions as for
     * {@link #causal}, ALiBi of Press et al., arXiv 2108.12409.
     *
     * @param newSlopes one a query head; copied
     * @throws IllegalArgumentException if one is not finite
     */
    public AttentionOptions linearBias(float[] newSlopes) {
        float[] copy = Objects.requireNonNull(newSlopes, "slopes").clone();
        for (int i = 0; i < copy.length; i++) {
            if (!Float.isFinite(copy[i])) {
                throw new IllegalArgumentException("slopes[" + i + "] = " + copy[i] + " is not finite");
            }
        }
        return new AttentionOptions(dtype, causal, scale, softCap, copy, backend, workers);
    }

    /** The same options, for one backend and no other: planning fails where it cannot be used. */
    public AttentionOptions backend(Backend newBackend) {
        return new AttentionOptions(
            dtype, causal, scale, softCap, slopes, Objects.requireNonNull(newBackend, "backend"), workers);
    }

    /** The same options, to run on a given team, which must stay open as long as the plan. */
    public AttentionOptions workers(Workers newWorkers) {
        return new AttentionOptions(
            dtype, causal, scale, softCap, slopes, backend, Objects.requireNonNull(newWorkers, "workers"));
    }

    /** The type of queries, keys and values. */
    public DType dtype() {
        return dtype;
    }

    /** Whether keys after a query are dropped. */
    public boolean causal() {
        return causal;
    }

    /** The factor of the scores, if it is not the inverse root of the head dimension. */
    public OptionalDouble scale() {
        return scale == 0f ? OptionalDouble.empty() : OptionalDouble.of(scale);
    }

    /** The cap of the scores, if there is one. */
    public OptionalDouble softCap() {
        return softCap == 0f ? OptionalDouble.empty() : OptionalDouble.of(softCap);
    }

    /** A copy of the slopes of the linear bias, if there is one. */
    public Optional<float[]> linearBias() {
        return Optional.ofNullable(slopes).map(float[]::clone);
    }

    /** The backend demanded, if any. */
    public Optional<Backend> backend() {
        return Optional.ofNullable(backend);
    }

    /** The team that runs the plan. */
    public Workers workers() {
        return workers == null ? Workers.shared() : workers;
    }

    /** The factor of the scores for a head dimension. */
    float scaleFor(int dim) {
        return scale == 0f ? (float) (1 / Math.sqrt(dim)) : scale;
    }

    float softCapOrZero() {
        return softCap;
    }

    @Override
    public String toString() {
        return "AttentionOptions[" + dtype.id() + (causal ? ", causal" : ", not causal") + (scale == 0f ? "" : ", scale " + scale)
            + (softCap == 0f ? "" : ", soft cap " + softCap)
            + (slopes == null ? "" : ", linear bias for " + slopes.length + " heads")
            + (backend == null ? "" : ", backend " + backend.id()) + "]";
    }
}
