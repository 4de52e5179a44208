package dev.filigree.bench;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.suite.Dense;
import dev.filigree.suite.spmm.SpmmCase;
import dev.filigree.suite.spmm.SpmmReference;
import java.lang.foreign.Arena;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;

/** SpMM on random cases. */
final class SpmmVerification extends ProductVerification<SpmmCase> {

    private final List<? extends Subject<SpmmCase>> subjects;

    SpmmVerification(List<? extends Subject<SpmmCase>> subjects) {
        super(SpmmSubject.of(Backend.SCALAR), subjects);
        this.subjects = List.copyOf(subjects);
    }

    /** Every other case is of bf16 where one of the subjects takes that. */
    @Override
    protected SpmmCase draw(long seed) {
        SpmmCase test = SpmmCase.random(seed);
        SpmmCase bf16 = test.dtype(DType.BF16);
        return seed % 2 != 0 && subjects.stream().anyMatch(subject -> subject.takes(bf16)) ? bf16 : test;
    }

    @Override
    protected Dense.Place place(SpmmCase test) {
        return test.place();
    }

    @Override
    protected DenseMatrix input(SpmmCase test, Arena arena) {
        return test.input(arena);
    }

    @Override
    protected DenseMatrix output(SpmmCase test, Arena arena) {
        return test.output(arena);
    }

    @Override
    protected Function<DenseMatrix, Optional<String>> reference(
            SpmmCase test, DenseMatrix input, DenseMatrix oldOutput) {
        return new SpmmReference(test, input, oldOutput)::mismatch;
    }
}
