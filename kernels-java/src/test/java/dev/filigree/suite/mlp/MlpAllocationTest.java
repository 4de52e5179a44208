package dev.filigree.suite.mlp;

import dev.filigree.Activation;
import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Workers;
import dev.filigree.mlp.MlpPlan;
import dev.filigree.mlp.MlpWeights;
import dev.filigree.mlp.MlpWeights.Order;
import dev.filigree.mlp.Skipping;
import dev.filigree.suite.Allocations;
import dev.filigree.suite.HostBackends;
import java.lang.foreign.Arena;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A warm run allocates nothing on any thread: no garbage, and no vector that the compiler had to box. */
class MlpAllocationTest {

    static Stream<Backend> backends() {
        return HostBackends.available().stream();
    }

    @ParameterizedTest
    @MethodSource("backends")
    void warmRunsAllocateNothing(Backend backend) {
        try (Workers team = Workers.of(2)) {
            for (DType dtype : DType.values()) {
                MlpWeights weights = weights(Order.NEURON_MAJOR, dtype).withBiases(new float[60], null, new float[100]);
                // Whole groups of rows and what they leave, for one token and for several.
                for (int tokens : new int[] {1, 7}) {
                    MlpCase dense = MlpCase.plain(weights, new Skipping.None(), tokens);
                    assertNothingAllocated(dense.with(new Skipping.Gate(0.5f)), backend, team);
                    assertNothingAllocated(
                        dense.with(MlpCase.set(new SplittableRandom(1), 60, tokens, 0.5)), backend, team);
                }
                for (float threshold : new float[] {0, 4}) {
                    assertNothingAllocated(MlpCase.plain(weights, new Skipping.Gate(threshold), 40).typical(), backend, team);
                }
                assertNothingAllocated(MlpCase.plain(
                    weights(Order.INPUT_MAJOR, dtype), new Skipping.Input(0.3f, 0.1f), 2), backend, team);
            }
        }
    }

    private static MlpWeights weights(Order order, DType dtype) {
        return MlpCase.weights(new SplittableRandom(1), 100, 60, true, order, Activation.SILU, dtype);
    }

    private static void assertNothingAllocated(MlpCase test, Backend backend, Workers team) {
        try (Arena arena = Arena.ofConfined(); MlpPlan plan = MlpRun.plan(test, backend, team)) {
            DenseMatrix x = test.input(arena);
            DenseMatrix y = test.output(arena);
            Allocations.assertNone(test + " on " + backend, () -> {
                if (test.active() == null) {
                    plan.run(x, y);
                } else {
                    plan.run(x, test.active(), y);
                }
            });
        }
    }
}
