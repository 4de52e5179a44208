package dev.filigree.probe;

import dev.filigree.Backend;
import dev.filigree.spi.KernelProvider;
import java.util.ServiceLoader;

/**
 * A program that tests start in a JVM of its own: prints the providers that the service loader finds and what
 * they say. It lives outside the module and uses exported packages only, so that both paths can be tried.
 */
public final class BackendProbe {

    private BackendProbe() {}

    /** Prints one line for each provider, then one for each native backend. */
    public static void main(String[] args) {
        for (KernelProvider provider : ServiceLoader.load(KernelProvider.class)) {
            Class<?> type = provider.getClass();
            System.out.println(provider.backend().id() + " by " + type.getName() + " in module "
                + type.getModule().getName());
        }
        for (Backend backend : new Backend[] {Backend.AVX512, Backend.CUDA}) {
            System.out.println(
                backend.unavailabilityCause().map(Object::toString).orElse(backend.id() + ": ready"));
        }
    }
}
