package dev.filigree.bench;

import dev.filigree.Backend;
import dev.filigree.DenseMatrix;
import dev.filigree.suite.Dense;
import dev.filigree.suite.nm.NmCase;
import dev.filigree.suite.nm.NmReference;
import java.lang.foreign.Arena;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;

/** N:M sparse GEMM on random cases. */
final class NmVerification extends ProductVerification<NmCase> {

    NmVerification(List<? extends Subject<NmCase>> subjects) {
        super(NmSubject.of(Backend.SCALAR), subjects);
    }

    @Override
    protected NmCase draw(long seed) {
        return NmCase.random(seed);
    }

    @Override
    protected Dense.Place place(NmCase test) {
        return test.place();
    }

    @Override
    protected DenseMatrix input(NmCase test, Arena arena) {
        return test.input(arena);
    }

    @Override
    protected DenseMatrix output(NmCase test, Arena arena) {
        return test.output(arena);
    }

    @Override
    protected Function<DenseMatrix, Optional<String>> reference(
            NmCase test, DenseMatrix input, DenseMatrix oldOutput) {
        return new NmReference(test, input, oldOutput)::mismatch;
    }
}
