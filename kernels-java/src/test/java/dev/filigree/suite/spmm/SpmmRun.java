package dev.filigree.suite.spmm;

import dev.filigree.Backend;
import dev.filigree.DenseMatrix;
import dev.filigree.Workers;
import dev.filigree.spmm.Spmm;
import dev.filigree.spmm.SpmmPlan;
import java.lang.foreign.Arena;

/** Runs a case through a plan. */
public final class SpmmRun {

    private SpmmRun() {}

    /** Plans and runs a case on one backend with one team; returns the output, which lives in the arena. */
    public static DenseMatrix run(SpmmCase test, Backend backend, Workers workers, Arena arena) {
        try (SpmmPlan plan = Spmm.plan(test.a(), test.options().backend(backend).workers(workers))) {
            return run(test, plan, arena);
        }
    }

    /** Runs a case through a plan that was made for it. */
    public static DenseMatrix run(SpmmCase test, SpmmPlan plan, Arena arena) {
        DenseMatrix output = test.output(arena);
        plan.run(test.alpha(), test.input(arena), test.beta(), output);
        return output;
    }

    /** The reference of a case. */
    public static SpmmReference reference(SpmmCase test, Arena arena) {
        return new SpmmReference(test, test.input(arena), test.output(arena));
    }
}
