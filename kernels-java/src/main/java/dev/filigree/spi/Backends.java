package dev.filigree.spi;

import dev.filigree.Backend;
import dev.filigree.Refusal;
import dev.filigree.internal.MaxIsa;
import dev.filigree.internal.scalar.ScalarProvider;
import java.lang.foreign.Arena;
import java.lang.foreign.SegmentAllocator;
import java.lang.reflect.InvocationTargetException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;
import java.util.function.Function;

/**
 * The backends of this process: looked up once, every refusal kept. Thread-safe.
 *
 * <p>System properties: {@code filigree.backend} forces one backend for the plans whose options name none
 * (unavailable: an error from each of these; unknown: an error from every plan), {@code filigree.maxIsa} caps the
 * instructions that kernels may use (unknown: an {@link IllegalArgumentException} from every method here).
 */
public final class Backends {

    /** The property that forces a backend for the whole process. */
    public static final String FORCE_PROPERTY = "filigree.backend";

    private static final System.Logger LOG = System.getLogger("dev.filigree");
    private static final String INCUBATOR = "jdk.incubator.vector";

    /** Fastest first. CUDA comes last: its plans take device operands, so it is used where it is asked for. */
    private static final List<Backend> PREFERENCE =
        List.of(Backend.AVX512, Backend.VECTOR, Backend.SCALAR, Backend.CUDA);

    private final Map<Backend, KernelProvider> providers = new EnumMap<>(Backend.class);
    private final Map<Backend, Refusal> refusals = new EnumMap<>(Backend.class);

    private static final class Holder {
        /** The library's own loader sees the providers deployed beside it, whichever thread asks first. */
        static final Backends PROCESS =
            lookup(ServiceLoader.load(KernelProvider.class, Backends.class.getClassLoader()));
    }

    private static Backends process() {
        // Providers read the cap while they are created, where a bad one would spoil their classes for good.
        MaxIsa.current();
        return Holder.PROCESS;
    }

    /** Package-private: tests look up with providers of their own. */
    static Backends lookup(Iterable<KernelProvider> services) {
        Backends found = new Backends();
        found.register(new ScalarProvider());
        if (ModuleLayer.boot().findModule(INCUBATOR).isEmpty()) {
            Refusal refusal = new Refusal(Backend.VECTOR,
                "module " + INCUBATOR + " is not in this JVM's module graph",
                "start Java with --add-modules " + INCUBATOR);
            found.refuse(refusal);
            LOG.log(System.Logger.Level.WARNING, refusal.toString());
        } else {
            found.registerVector();
        }
        String unloaded = null;
        var iterator = services.iterator();
        while (true) {
            try {
                if (!iterator.hasNext()) {
                    break;
                }
                found.register(iterator.next());
            } catch (ServiceConfigurationError e) {
                LOG.log(System.Logger.Level.WARNING, "a kernel provider could not be loaded", e);
                unloaded = e.toString();
            }
        }
        for (Backend backend : Backend.values()) {
            if (!found.providers.containsKey(backend) && !found.refusals.containsKey(backend)) {
                found.refuse(unloaded == null
                    ? new Refusal(backend, "filigree-bindings is not on the class path or module path",
                        "depend on dev.filigree:filigree-bindings")
                    : new Refusal(backend, "a kernel provider could not be loaded: " + unloaded,
                        "use filigree-bindings of the same version; the log has the stack trace"));
            }
        }
        return found;
    }

    private void registerVector() {
        try {
            // By name: the class links against the incubator module, which may be absent.
            register((KernelProvider) Class.forName("dev.filigree.internal.vector.VectorProvider")
                .getConstructor().newInstance());
        } catch (InvocationTargetException e) {
            refuseFailed(Backend.VECTOR, e.getCause());
        } catch (ReflectiveOperationException | LinkageError e) {
            refuseFailed(Backend.VECTOR, e);
        }
    }

    private void refuseFailed(Backend backend, Throwable failure) {
        LOG.log(System.Logger.Level.WARNING, "backend " + backend.id() + " failed to start", failure);
        refuse(new Refusal(backend, "it failed to start: " + failure, "report this, with the log's stack trace"));
    }

    private void register(KernelProvider provider) {
        Backend backend = provider.backend();
        if (providers.containsKey(backend) || refusals.containsKey(backend)) {
            LOG.log(System.Logger.Level.WARNING, "a second provider of backend {0} is ignored: {1}", backend.id(),
                provider.getClass().getName());
            return;
        }
        try {
            provider.refusal().ifPresentOrElse(this::refuse, () -> providers.put(backend, provider));
        } catch (RuntimeException | LinkageError e) {
            refuseFailed(backend, e);
        }
    }

    private void refuse(Refusal refusal) {
        refusals.put(refusal.backend(), refusal);
        LOG.log(System.Logger.Level.DEBUG, "backend {0}", refusal);
    }

    private Backends() {}

    /** Why a backend cannot be used, or empty when it can. */
    public static Optional<Refusal> refusal(Backend backend) {
        return Optional.ofNullable(process().refusals.get(backend));
    }

    /** The provider of an available backend. */
    public static Optional<KernelProvider> provider(Backend backend) {
        return Optional.ofNullable(process().providers.get(backend));
    }

    /** The available backends, in the order in which plans try them. */
    public static List<Backend> available() {
        return PREFERENCE.stream().filter(process().providers::containsKey).toList();
    }

    /**
     * Gives memory as {@link KernelProvider#memory} does, for operands that are made before there is a plan: from the
     * provider that plans try first.
     */
    public static SegmentAllocator memory(Arena arena) {
        return process().providers.get(available().getFirst()).memory(arena);
    }

    /** The kernels of all available backends. */
    public static List<KernelInfo> kernels() {
        List<KernelInfo> kernels = new ArrayList<>();
        available().forEach(b -> kernels.addAll(process().providers.get(b).kernels()));
        return Collections.unmodifiableList(kernels);
    }

    /**
     * The backend that {@value #FORCE_PROPERTY} names, if it is set.
     *
     * @throws IllegalArgumentException if it names none that exists
     */
    public static Optional<Backend> forced() {
        String forced = System.getProperty(FORCE_PROPERTY);
        if (forced == null) {
            return Optional.empty();
        }
        try {
            return Optional.of(Backend.of(forced));
        } catch (IllegalArgumentException e) {
            throw new IllegalArgumentException("-D" + FORCE_PROPERTY + "=" + forced + ": " + e.getMessage(), e);
        }
    }

    /**
     * Chooses the backend for a plan, reading from top to bottom: what the caller demands, what the process
     * forces, then the fastest that has the kernel.
     *
     * @param demanded the backend that the plan's options name, or empty
     * @param operation for the message
     * @param kernel takes the operation's kernel out of a provider, empty when it has none
     * @return the choice, with the refusals of the faster backends that were passed over
     * @throws IllegalArgumentException if {@value #FORCE_PROPERTY} or {@code filigree.maxIsa} has an unknown value
     * @throws UnsupportedOperationException if a demanded or forced backend is not available or has no such kernel
     */
    public static <K> Selection<K> select(
            Optional<Backend> demanded, String operation, Function<KernelProvider, Optional<K>> kernel) {
        Optional<Backend> forced = forced();
        return process().choose(demanded.isPresent() ? demanded : forced, operation, kernel);
    }

    <K> Selection<K> choose(
            Optional<Backend> fixed, String operation, Function<KernelProvider, Optional<K>> kernel) {
        List<Refusal> passedOver = new ArrayList<>();
        for (Backend backend : fixed.map(List::of).orElse(PREFERENCE)) {
            Refusal refusal = refusals.get(backend);
            if (refusal == null) {
                KernelProvider provider = providers.get(backend);
                Optional<K> found = kernel.apply(provider);
                if (found.isPresent()) {
                    return new Selection<>(provider, found.get(), List.copyOf(passedOver));
                }
                refusal = new Refusal(backend, "has no kernel for " + operation, "use another backend");
            }
            passedOver.add(refusal);
        }
        throw new UnsupportedOperationException(
            operation + " cannot run: " + String.join("; ", passedOver.stream().map(Refusal::toString).toList()));
    }

    /**
     * A chosen kernel.
     *
     * @param provider where it comes from
     * @param kernel the kernel
     * @param passedOver the refusals of the backends that would have been preferred
     */
    public record Selection<K>(KernelProvider provider, K kernel, List<Refusal> passedOver) {}
}
