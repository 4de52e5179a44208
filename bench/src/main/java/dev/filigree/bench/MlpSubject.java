package dev.filigree.bench;

import dev.filigree.Backend;
import dev.filigree.DenseMatrix;
import dev.filigree.Workers;
import dev.filigree.mlp.MlpPlan;
import dev.filigree.suite.mlp.MlpCase;
import dev.filigree.suite.mlp.MlpRun;

/** An implementation of MLPs that skip under test; a test of the verification puts a wrong one in. */
interface MlpSubject extends Subject<MlpCase> {

    /** The library's own, on one backend. */
    static MlpSubject of(Backend backend) {
        return new OfBackend(backend);
    }

    /**
     * The library's own.
     *
     * @param backend that runs it
     */
    record OfBackend(Backend backend) implements MlpSubject {

        @Override
        public String name() {
            return backend.id();
        }

        @Override
        public String run(MlpCase test, Workers team, DenseMatrix input, DenseMatrix output) {
            try (MlpPlan plan = MlpRun.plan(test, backend, team)) {
                MlpRun.run(test, plan, input, output);
                return plan.explain().kernel();
            }
        }
    }
}
