package dev.filigree.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.filigree.Activation;
import dev.filigree.Backend;
import dev.filigree.Workers;
import dev.filigree.bench.measure.SideBySide;
import dev.filigree.bench.peer.PeerPool;
import dev.filigree.spmm.Layout;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** Peers in processes of their own: fakes in every build, the real ones where the build has them in it. */
class PeersTest {

    private static final SideBySide.Settings BRIEF =
        new SideBySide.Settings(2, Duration.ofMillis(1), Duration.ofMillis(1));

    private static List<ContenderResult> compare(SpmmProblem problem, int threads, String... peers) {
        try (Workers team = Workers.of(threads); PeerPool pool = new PeerPool(threads)) {
            return SpmmComparison.run(problem,
                new SpmmEntrants(List.of(Backend.SCALAR), false, List.of(peers), pool), team, BRIEF, () -> {})
                .results();
        }
    }

    private static SpmmProblem problem(int n, Layout layout, Activation activation) {
        return new SpmmProblem(RandomMatrices.uniform(37, 53, 0.7, 3), n, layout, activation, 5);
    }

    @ParameterizedTest
    @EnumSource(Layout.class)
    void aPeerIsMeasuredBesideOurs(Layout layout) {
        List<ContenderResult> results = compare(problem(17, layout, Activation.SILU), 1, "fake-noisy", "fake-right");
        assertThat(results).extracting(ContenderResult::name)
            .containsExactly("filigree/scalar", "fake-noisy", "fake-right");
        assertThat(results).allSatisfy(result -> assertThat(result).isInstanceOfSatisfying(
            ContenderResult.Figures.class, figures -> {
                assertThat(figures.timing().medianMillis()).isPositive();
                assertThat(figures.maxRelErr()).isLessThan(1e-6);
            }));
    }

    @Test
    void whatGoesWrongIsAnErrorOfThePeerAlone() {
        List<ContenderResult> results = compare(problem(17, Layout.FEATURE_MAJOR, Activation.NONE), 1, "fake-wrong",
            "fake-refusing", "nobody-sparse", "fake-right");
        assertThat(results.get(0)).isInstanceOf(ContenderResult.Figures.class);
        assertThat(error(results.get(1))).startsWith("wrong result: row 0, column 1 is 1000.0");
        assertThat(error(results.get(2))).contains("not this one");
        assertThat(error(results.get(3))).contains("not part of this build");
        assertThat(results).filteredOn(ContenderResult.Failure.class::isInstance)
            .allSatisfy(result -> assertThat(((ContenderResult.Failure) result).wrong()).isFalse());
    }

    @Test
    void aDeadProcessIsReplaced() {
        SpmmProblem problem = problem(17, Layout.FEATURE_MAJOR, Activation.NONE);
        try (Workers team = Workers.of(1); PeerPool pool = new PeerPool(1)) {
            for (String peer : List.of("fake-crashing", "fake-right")) {
                List<ContenderResult> results =
                    SpmmComparison.run(problem, new SpmmEntrants(List.of(), false, List.of(peer), pool), team, BRIEF,
                        () -> {}).results();
                if (peer.equals("fake-crashing")) {
                    assertThat(error(results.getFirst()))
                        .startsWith("its process ended with code 3").contains("the reason why");
                } else {
                    assertThat(results.getFirst()).isInstanceOf(ContenderResult.Figures.class);
                }
            }
        }
    }

    private static String error(ContenderResult result) {
        assertThat(result).isInstanceOf(ContenderResult.Failure.class);
        return ((ContenderResult.Failure) result).error();
    }

    @ParameterizedTest
    @CsvSource({"FEATURE_MAJOR, NONE, 33, 1", "FEATURE_MAJOR, GELU_ERF, 5, 1", "FEATURE_MAJOR, NONE, 1, 1",
        "TOKEN_MAJOR, NONE, 33, 1", "TOKEN_MAJOR, RELU_SQUARED, 5, 1", "TOKEN_MAJOR, NONE, 1, 1",
        "FEATURE_MAJOR, RELU, 17, 1", "TOKEN_MAJOR, GELU_TANH, 17, 1", "FEATURE_MAJOR, SILU, 17, 1"})
    void realPeersAreRight(Layout layout, Activation activation, int n, int threads) {
        assumeTrue(System.getProperty(PeerPool.NATIVES) != null, "a build without peers");
        List<ContenderResult> results =
            compare(problem(n, layout, activation), threads, PeerNames.SPMM.toArray(String[]::new));
        assertThat(results).hasSize(1 + PeerNames.SPMM.size())
            .allSatisfy(result -> assertThat(result).isInstanceOf(ContenderResult.Figures.class));
    }
}
