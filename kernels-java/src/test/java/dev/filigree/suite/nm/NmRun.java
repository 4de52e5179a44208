package dev.filigree.suite.nm;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Workers;
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
        return HostBackends.available().stream().filter(
            backend -> Backends.provider(backend).orElseThrow().nm(dtype).isPresent()).toList();
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
