package dev.filigree.bench;

import static org.assertj.core.api.Assertions.assertThat;

import dev.filigree.Activation;
import dev.filigree.Backend;
import dev.filigree.DenseMatrix;
import dev.filigree.Layout;
import dev.filigree.Workers;
import dev.filigree.spmm.Spmm;
import dev.filigree.spmm.SpmmPlan;
import dev.filigree.suite.Dense;
import dev.filigree.suite.spmm.SpmmCase;
import dev.filigree.suite.spmm.SpmmReference;
import java.lang.foreign.Arena;
import java.util.List;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The fast reference against the suite's, which is slow and simple. */
class SpmmDoubleReferenceTest {

    @ParameterizedTest
    @CsvSource({"FEATURE_MAJOR, NONE, 33", "TOKEN_MAJOR, SILU, 20", "FEATURE_MAJOR, RELU_SQUARED, 1",
        "TOKEN_MAJOR, GELU_ERF, 64"})
    void agreesWithTheSuite(Layout layout, Activation activation, int n) {
        SpmmProblem problem =
            new SpmmProblem(SpmmCase.uniform(3, 50, 70, 0.2), n, layout, activation, 4);
        SpmmCase same = new SpmmCase(0, problem.a(), n, layout, activation, null, 1, 0, Dense.Place.AUTO, 0, 0);
        try (Arena arena = Arena.ofShared(); Workers alone = Workers.of(1)) {
            DenseMatrix input = problem.input(arena);
            SpmmReference slow = new SpmmReference(same, input, problem.output(arena));
            DenseMatrix right = run(problem, alone, input, arena);
            DenseMatrix wrong = run(problem, alone, input, arena);
            wrong.set(wrong.rows() / 2, wrong.cols() / 2, wrong.get(wrong.rows() / 2, wrong.cols() / 2) + 0.01f);
            DenseMatrix unwritten = problem.output(arena);

            var verdicts = new SpmmDoubleReference(problem, input).check(List.of(right, wrong, unwritten));

            assertThat(verdicts.get(0).mismatch()).isEmpty();
            assertThat(verdicts.get(0).relativeError()).isEqualTo(slow.relativeError(right));
            assertThat(slow.mismatch(right)).isEmpty();
            assertThat(verdicts.get(1).mismatch()).isPresent();
            assertThat(verdicts.get(1).relativeError()).isEqualTo(slow.relativeError(wrong)).isPositive();
            assertThat(verdicts.get(2).mismatch()).isPresent();
            assertThat(verdicts.get(2).relativeError()).isNaN();
        }
    }

    private static DenseMatrix run(SpmmProblem problem, Workers team, DenseMatrix input, Arena arena) {
        DenseMatrix output = problem.output(arena);
        try (SpmmPlan plan =
                Spmm.plan(problem.a(), problem.options().backend(Backend.SCALAR).workers(team))) {
            plan.run(input, output);
        }
        return output;
    }
}
