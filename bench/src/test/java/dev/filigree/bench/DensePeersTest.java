package dev.filigree.bench;

import static org.assertj.core.api.Assertions.assertThat;

import dev.filigree.Activation;
import dev.filigree.Layout;
import dev.filigree.bench.measure.FmaCeiling;
import dev.filigree.bench.measure.Timing;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class DensePeersTest {

    /** The dense product is of 2 * 100 * 50 * 20 operations: 200 GFLOP/s in a microsecond. */
    private static SpmmProblem problem(int n) {
        return new SpmmProblem(RandomMatrices.uniform(100, 50, 0.9, 1), n, Layout.FEATURE_MAJOR, Activation.NONE, 1);
    }

    private static ContenderResult figures(String name) {
        return new ContenderResult.Figures(name, "kernel", new Timing(1e-3, 1e-3, 1), 20, 1, 0, 0, 0, 0,
            Optional.empty());
    }

    private static boolean flagged(String name, int n, double ceiling) {
        ContenderResult result = DensePeers.flag(List.of(figures(name)), problem(n), ceiling).getFirst();
        return result.toJson().has("flag");
    }

    @Test
    void onlyDensePeersFarBelowTheCeilingAreFlagged() {
        assertThat(flagged("mkl-dense", 20, 250)).isFalse();
        assertThat(flagged("mkl-dense", 20, 300)).isTrue();
        assertThat(flagged("mkl-sparse", 20, 300)).isFalse();
        assertThat(flagged("mkl-dense", 1, 1e6)).as("bound by memory").isFalse();
    }

    @Test
    void theCeilingCountsEveryThread() {
        try (FmaCeiling one = new FmaCeiling(1); FmaCeiling two = new FmaCeiling(2)) {
            one.run();
            two.run();
            Timing timing = new Timing(1, 1, 1);
            assertThat(two.gflops(timing)).isEqualTo(2 * one.gflops(timing)).isPositive();
        }
    }
}
