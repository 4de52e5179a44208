package dev.filigree.suite;

import dev.filigree.Backend;
import java.util.Arrays;
import java.util.List;

/**
 * The backends that a suite runs on. {@code -Dfiligree.require=ID} makes the absence of a backend a failure
 * instead of a shorter run.
 */
public final class HostBackends {

    /** The property that names a backend that must be there. */
    public static final String REQUIRE_PROPERTY = "filigree.require";

    private HostBackends() {}

    /** The available host backends, scalar first. */
    public static List<Backend> available() {
        String required = System.getProperty(REQUIRE_PROPERTY);
        if (required != null && !required.isEmpty()) {
            Backend.of(required).ensureAvailable();
        }
        return Arrays.stream(Backend.values()).filter(b -> b != Backend.CUDA && b.isAvailable()).toList();
    }
}
