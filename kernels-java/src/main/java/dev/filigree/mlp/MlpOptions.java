package dev.filigree.mlp;

import dev.filigree.Backend;
import dev.filigree.Workers;
import java.util.Objects;
import java.util.Optional;

/** Where the plans of this package run, and on how much. Immutable: each method returns changed options. */
public final class MlpOptions {

    private static final MlpOptions DEFAULTS = new MlpOptions(null, null, 1);

    private final Backend backend;
    private final Workers workers;
    private final int typicalTokens;

    private MlpOptions(Backend backend, Workers workers, int typicalTokens) {
        this.backend = backend;
        this.workers = workers;
        this.typicalTokens = typicalTokens;
    }

    /** The fastest backend, the process's {@link Workers#shared() team}, one token at a time. */
    public static MlpOptions defaults() {
        return DEFAULTS;
    }

    /** The same options, for one backend and no other: planning fails where it cannot be used. */
    public MlpOptions backend(Backend backend) {
        return new MlpOptions(Objects.requireNonNull(backend, "backend"), workers, typicalTokens);
    }

    /** The same options, to run on a given team, which must stay open as long as the plan. */
    public MlpOptions workers(Workers workers) {
        return new MlpOptions(backend, Objects.requireNonNull(workers, "workers"), typicalTokens);
    }

    /**
     * The same options for runs of about so many tokens, prompts for instance. An {@link MlpPlan} for 32 or more packs
     * its matrices once more, as dense ones in f32: see there. Other plans are the same for any number.
     *
     * @throws IllegalArgumentException if there is less than one token
     */
    public MlpOptions typicalTokens(int tokens) {
        if (tokens < 1) {
            throw new IllegalArgumentException("typicalTokens = " + tokens + " is less than 1");
        }
        return new MlpOptions(backend, workers, tokens);
    }

    /** The backend demanded, if any. */
    public Optional<Backend> backend() {
        return Optional.ofNullable(backend);
    }

    /** The team that runs the plan. */
    public Workers workers() {
        return workers == null ? Workers.shared() : workers;
    }

    /** Tokens of a run; 1 unless set. */
    public int typicalTokens() {
        return typicalTokens;
    }

    @Override
    public String toString() {
        return "MlpOptions[" + (backend == null ? "" : "backend " + backend.id() + ", ") + "about " + typicalTokens
            + (typicalTokens == 1 ? " token]" : " tokens]");
    }
}
