package dev.filigree.mlp;

import dev.filigree.Backend;
import dev.filigree.Workers;
import java.util.Objects;
import java.util.Optional;

/** Where the plans of this package run. Immutable: each method returns changed options. */
public final class MlpOptions {

    private static final MlpOptions DEFAULTS = new MlpOptions(null, null);

    private final Backend backend;
    private final Workers workers;

    private MlpOptions(Backend backend, Workers workers) {
        this.backend = backend;
        this.workers = workers;
    }

    /** The fastest backend, the process's {@link Workers#shared() team}. */
    public static MlpOptions defaults() {
        return DEFAULTS;
    }

    /** The same options, for one backend and no other: planning fails where it cannot be used. */
    public MlpOptions backend(Backend backend) {
        return new MlpOptions(Objects.requireNonNull(backend, "backend"), workers);
    }

    /** The same options, to run on a given team, which must stay open as long as the plan. */
    public MlpOptions workers(Workers workers) {
        return new MlpOptions(backend, Objects.requireNonNull(workers, "workers"));
    }

    /** The backend demanded, if any. */
    public Optional<Backend> backend() {
        return Optional.ofNullable(backend);
    }

    /** The team that runs the plan. */
    public Workers workers() {
        return workers == null ? Workers.shared() : workers;
    }

    @Override
    public String toString() {
        return "MlpOptions[" + (backend == null ? "" : "backend " + backend.id()) + "]";
    }
}
