package dev.filigree.bench;

import dev.filigree.Backend;
import dev.filigree.DenseMatrix;
import dev.filigree.suite.Dense;
import dev.filigree.suite.mlp.MlpCase;
import dev.filigree.suite.mlp.MlpReference;
import java.lang.foreign.Arena;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;

/** MLPs that skip on random cases. */
final class MlpVerification extends ProductVerification<MlpCase> {

    MlpVerification(List<? extends Subject<MlpCase>> subjects) {
        super(MlpSubject.of(Backend.SCALAR), subjects);
    }

    @Override
    protected MlpCase draw(long seed) {
        return MlpCase.random(seed);
    }

    @Override
    protected Dense.Place place(MlpCase test) {
        return test.place();
    }

    @Override
    protected DenseMatrix input(MlpCase test, Arena arena) {
        return test.input(arena);
    }

    @Override
    protected DenseMatrix output(MlpCase test, Arena arena) {
        return test.output(arena);
    }

    @Override
    protected Function<DenseMatrix, Optional<String>> reference(
            MlpCase test, DenseMatrix input, DenseMatrix oldOutput) {
        return new MlpReference(test, input)::mismatch;
    }
}
