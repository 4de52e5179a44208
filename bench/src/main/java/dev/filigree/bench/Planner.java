package dev.filigree.bench;

import dev.filigree.Backend;
import dev.filigree.DenseMatrix;
import dev.filigree.PlanExplanation;
import dev.filigree.Workers;
import dev.filigree.format.NmMatrix;
import dev.filigree.format.NmPattern;
import dev.filigree.nm.Nm;
import dev.filigree.nm.NmOptions;
import dev.filigree.nm.NmPlan;
import dev.filigree.spmm.FallbackDense;
import dev.filigree.spmm.Spmm;
import dev.filigree.spmm.SpmmPlan;
import java.lang.foreign.Arena;

/** Which of the library's operations computes a product with a sparse matrix. */
@FunctionalInterface
interface Planner {

    /** SpMM, by a sparse kernel. */
    Planner SPMM = (problem, backend, team) -> spmm(problem, backend, team, FallbackDense.NEVER);

    /** The dense kernel of a type: in f32 SpMM's, in bf16 that of an N:M product that keeps all elements. */
    Planner DENSE = (problem, backend, team) -> switch (problem.dtype()) {
        case F32 -> spmm(problem, backend, team, FallbackDense.ALWAYS);
        case BF16 -> {
            try (Arena arena = Arena.ofConfined()) {
                NmMatrix all = NmMatrix.pruned(problem.a().toDense(arena), NmPattern.of(1, 1));
                yield nm(all).plan(problem, backend, team);
            }
        }
    };

    private static Planned spmm(SpmmProblem problem, Backend backend, Workers team, FallbackDense dense) {
        SpmmPlan plan =
            Spmm.plan(problem.a(), problem.options().backend(backend).fallbackDense(dense).workers(team));
        return new Planned(plan::run, plan.explain(), plan::close);
    }

    /** Packs for a backend; {@link UnsupportedOperationException} where it cannot run here. */
    Planned plan(SpmmProblem problem, Backend backend, Workers team);

    /**
     * N:M sparse GEMM.
     *
     * @param a the matrix whose stored entries are the problem's
     */
    static Planner nm(NmMatrix a) {
        return (problem, backend, team) -> {
            NmPlan plan = Nm.plan(a, NmOptions.defaults().dtype(problem.dtype())
                .layout(problem.layout()).activation(problem.activation())
                .backend(backend).workers(team));
            return new Planned(plan::run, plan.explain(), plan::close);
        };
    }

    /** How a plan runs. */
    @FunctionalInterface
    interface Run {
        void run(DenseMatrix input, DenseMatrix output);
    }

    /**
     * A plan of any operation.
     *
     * @param run computes the product
     * @param explain what was planned
     * @param closer frees the plan
     */
    record Planned(Run run, PlanExplanation explain, Runnable closer) implements AutoCloseable {
        @Override
        public void close() {
            closer.run();
        }
    }
}
