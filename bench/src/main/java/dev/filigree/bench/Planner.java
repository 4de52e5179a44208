package dev.filigree.bench;

import dev.filigree.Backend;
import dev.filigree.DenseMatrix;
import dev.filigree.PlanExplanation;
import dev.filigree.Workers;
import dev.filigree.format.NmMatrix;
import dev.filigree.nm.Nm;
import dev.filigree.nm.NmOptions;
import dev.filigree.nm.NmPlan;
import dev.filigree.spmm.FallbackDense;
import dev.filigree.spmm.Spmm;
import dev.filigree.spmm.SpmmPlan;

/** Which of the library's operations computes a product with a sparse matrix. */
@FunctionalInterface
interface Planner {

    /** SpMM, by a sparse kernel. */
    Planner SPMM = (problem, backend, team) -> spmm(problem, backend, team, FallbackDense.NEVER);

    /** SpMM, by the dense kernel. */
    Planner DENSE = (problem, backend, team) -> spmm(problem, backend, team, FallbackDense.ALWAYS);

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
            NmPlan plan = Nm.plan(a, NmOptions.defaults().layout(problem.layout()).activation(problem.activation())
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
