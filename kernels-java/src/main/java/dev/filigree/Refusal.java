package dev.filigree;

import java.util.Objects;

/**
 * Why a backend cannot be used here, and what would change that.
 *
 * @param backend the backend that refuses
 * @param reason what is missing, in one line
 * @param cure what the user can do about it, in one line
 */
public record Refusal(Backend backend, String reason, String cure) {

    /** Checks that nothing is null. */
    public Refusal {
        Objects.requireNonNull(backend, "backend");
        Objects.requireNonNull(reason, "reason");
        Objects.requireNonNull(cure, "cure");
    }

    @Override
    public String toString() {
        return backend.id() + ": " + reason + " (" + cure + ")";
    }
}
