package dev.filigree.suite.mlp;

import dev.filigree.Backend;
import dev.filigree.DenseMatrix;
import dev.filigree.Workers;
import dev.filigree.mlp.Mlp;
import dev.filigree.mlp.MlpOptions;
import dev.filigree.mlp.MlpPlan;
import java.lang.foreign.Arena;

/** Runs cases. */
public final class MlpRun {

    private MlpRun() {}

    /** Plans and runs a case on one backend with one team; returns the output, which lives in the arena. */
    public static DenseMatrix run(MlpCase test, Backend backend, Workers workers, Arena arena) {
        try (MlpPlan plan = plan(test, backend, workers)) {
            return run(test, plan, arena);
        }
    }

    /** A plan for a case. */
    public static MlpPlan plan(MlpCase test, Backend backend, Workers workers) {
        return Mlp.plan(test.weights(), test.skipping(), MlpOptions.defaults().backend(backend)
            .workers(workers).typicalTokens(Math.max(1, test.typicalTokens())));
    }

    /** Runs a case through a plan that was made for it. */
    public static DenseMatrix run(MlpCase test, MlpPlan plan, Arena arena) {
        DenseMatrix output = test.output(arena);
        run(test, plan, test.input(arena), output);
        return output;
    }

    /** Runs a case on operands. */
    public static void run(MlpCase test, MlpPlan plan, DenseMatrix input, DenseMatrix output) {
        if (test.active() == null) {
            plan.run(input, output);
        } else {
            plan.run(input, test.active(), output);
        }
    }
}
