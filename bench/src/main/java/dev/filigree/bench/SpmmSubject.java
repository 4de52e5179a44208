package dev.filigree.bench;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Workers;
import dev.filigree.spmm.Spmm;
import dev.filigree.spmm.SpmmOptions;
import dev.filigree.spmm.SpmmPlan;
import dev.filigree.suite.spmm.SpmmCase;

/** An implementation of SpMM under test; a test of the verification puts a wrong one in. */
interface SpmmSubject extends Subject<SpmmCase> {

    /** The library's own, on one backend. */
    static SpmmSubject of(Backend backend) {
        return new OfBackend(backend);
    }

    @Override
    default boolean takes(SpmmCase test) {
        return test.dtype() == DType.F32;
    }

    /**
     * The library's own.
     *
     * @param backend that runs it
     */
    record OfBackend(Backend backend) implements SpmmSubject {

        @Override
        public String name() {
            return backend.id();
        }

        /** Devices split long rows in their own way. */
        @Override
        public boolean sharesBits(SpmmCase test) {
            return backend != Backend.CUDA;
        }

        /** Only devices multiply bf16. */
        @Override
        public boolean takes(SpmmCase test) {
            return backend == Backend.CUDA || SpmmSubject.super.takes(test);
        }

        @Override
        public String run(SpmmCase test, Workers team, DenseMatrix input, DenseMatrix output) {
            SpmmOptions options = test.options().backend(backend).workers(team);
            try (SpmmPlan plan = Spmm.plan(test.a(), options)) {
                plan.run(test.alpha(), input, test.beta(), output);
                return plan.explain().kernel();
            }
        }
    }
}
