package dev.filigree.suite.nm;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Workers;
import dev.filigree.format.NmPattern;
import dev.filigree.nm.Nm;
import dev.filigree.nm.NmPlan;
import dev.filigree.spi.Backends;
import dev.filigree.suite.HostBackends;
import java.lang.foreign.Arena;
import java.util.List;

/** Runs cases. */
public final class NmRun {

    private NmRun() {}

    /** The host backends that have a kernel for a type. */
    public static List<Backend> backends(DType dtype) {
        return HostBackends.available().stream().filter(backend -> has(backend, dtype)).toList();
    }

    /** Whether a backend has a kernel for a type; then it has one for every pattern. */
    public static boolean has(Backend backend, DType dtype) {
        return Backends.provider(backend).orElseThrow().nm(dtype, NmPattern.of(2, 4)).isPresent();
    }

    /** Whether a backend's result of a case has the scalar kernel's bits. */
    public static boolean sharesBits(NmCase test, Backend backend) {
        return Backends.provider(backend).orElseThrow().nm(test.dtype(), test.a().pattern()).orElseThrow().sharesBits();
    }

    /** Plans and runs a case on one backend with one team; returns the output, which lives in the arena. */
    public static DenseMatrix run(NmCase test, Backend backend, Workers workers, Arena arena) {
        try (NmPlan plan = Nm.plan(test.a(), test.options().backend(backend).workers(workers))) {
            return run(test, plan, arena);
        }
    }

    /** Runs a case through a plan that was made for it. */
    public static DenseMatrix run(NmCase test, NmPlan plan, Arena arena) {
        DenseMatrix output = test.output(arena);
        plan.run(test.alpha(), test.input(arena), test.beta(), output);
        return output;
    }

    /** The reference of a case. */
    public static NmReference reference(NmCase test, Arena arena) {
        return new NmReference(test, test.input(arena), test.output(arena));
    }
}
