package dev.filigree;

import dev.filigree.spi.Backends;
import dev.filigree.spi.KernelProvider;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * A way to execute kernels, from the one that always works to the fastest.
 *
 * <p>A plan picks the fastest backend that is available and has a kernel for it; {@code -Dfiligree.backend=ID}
 * forces one for the whole process, and a plan's options force one for that plan. Thread-safe.
 */
public enum Backend {
    /** Plain Java; works on every JVM. */
    SCALAR,
    /** The incubating Vector API; needs {@code --add-modules jdk.incubator.vector}. */
    VECTOR,
    /** Native kernels for AVX-512 and its extensions; needs the filigree-bindings artifact. */
    AVX512,
    /** CUDA kernels; needs the filigree-bindings artifact, a driver and a device. */
    CUDA;

    /** The name used in options, reports and kernel ids: {@code scalar}, {@code vector}, {@code avx512}, ... */
    public String id() {
        return name().toLowerCase(Locale.ROOT);
    }

    /**
     * Finds a backend by its {@link #id()}.
     *
     * @throws IllegalArgumentException if there is none of that name; the message lists those that exist
     */
    public static Backend of(String id) {
        for (Backend backend : values()) {
            if (backend.id().equals(id)) {
                return backend;
            }
        }
        throw new IllegalArgumentException("no backend is called '" + id + "'; there are "
            + Arrays.stream(values()).map(Backend::id).collect(Collectors.joining(", ")));
    }

    /**
     * Whether kernels of this backend can run in this process.
     *
     * @throws IllegalArgumentException if {@code -Dfiligree.maxIsa} has an unknown value; so do the methods below
     */
    public boolean isAvailable() {
        return unavailabilityCause().isEmpty();
    }

    /** Why this backend cannot be used, or empty when it can. */
    public Optional<Refusal> unavailabilityCause() {
        return Backends.refusal(this);
    }

    /** Why some kernels of this backend cannot be used though others can; empty where none can. */
    public List<Refusal> shortfalls() {
        return Backends.provider(this).map(KernelProvider::shortfalls).orElse(List.of());
    }

    /**
     * Does nothing when the backend is available.
     *
     * @throws UnsupportedOperationException with the reason and the cure, when it is not
     */
    public void ensureAvailable() {
        unavailabilityCause().ifPresent(refusal -> {
            throw new UnsupportedOperationException("backend " + refusal);
        });
    }
}
