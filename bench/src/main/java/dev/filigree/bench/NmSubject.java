package dev.filigree.bench;

import dev.filigree.Backend;
import dev.filigree.DenseMatrix;
import dev.filigree.Workers;
import dev.filigree.nm.Nm;
import dev.filigree.nm.NmOptions;
import dev.filigree.nm.NmPlan;
import dev.filigree.suite.nm.NmCase;
import dev.filigree.suite.nm.NmRun;

/** An implementation of N:M sparse GEMM under test; a test of the verification puts a wrong one in. */
interface NmSubject extends Subject<NmCase> {

    /** The library's own, on one backend. */
    static NmSubject of(Backend backend) {
        return new OfBackend(backend);
    }

    /**
     * The library's own.
     *
     * @param backend that runs it
     */
    record OfBackend(Backend backend) implements NmSubject {

        @Override
        public String name() {
            return backend.id();
        }

        @Override
        public boolean takes(NmCase test) {
            return NmRun.has(backend, test.dtype());
        }

        @Override
        public boolean sharesBits(NmCase test) {
            return NmRun.sharesBits(test, backend);
        }

        @Override
        public String run(NmCase test, Workers team, DenseMatrix input, DenseMatrix output) {
            NmOptions options = test.options().backend(backend).workers(team);
            try (NmPlan plan = Nm.plan(test.a(), options)) {
                plan.run(test.alpha(), input, test.beta(), output);
                return plan.explain().kernel();
            }
        }
    }
}
