package dev.filigree.suite.nm;

import dev.filigree.Activation;
import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Layout;
import dev.filigree.Workers;
import dev.filigree.format.NmPattern;
import dev.filigree.nm.Nm;
import dev.filigree.nm.NmPlan;
import dev.filigree.suite.Allocations;
import dev.filigree.suite.Dense;
import dev.filigree.suite.HostBackends;
import java.lang.foreign.Arena;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A warm run allocates nothing on any thread: no garbage, and no vector that the compiler had to box. */
class NmAllocationTest {

    static Stream<Backend> backends() {
        return HostBackends.available().stream();
    }

    @ParameterizedTest
    @MethodSource("backends")
    void warmRunsAllocateNothing(Backend backend) {
        try (Workers team = Workers.of(2)) {
            for (String pattern : new String[] {"2:4", "1:8", "1:32", "16:2:4"}) {
                for (Layout layout : Layout.values()) {
                    // Every tile of a panel, wide and narrow; rows in the lanes for one token and for several; a group
                    // that lacks rows, and three blocks, in the fewest multiply-adds.
                    for (int n : new int[] {1, 7, 127}) {
                        assertNothingAllocated(NmCase.plain(
                            NmCase.matrix(1, 18, 136, NmPattern.parse(pattern)), n, layout), backend, team);
                    }
                }
            }
            for (int n : new int[] {1, 100}) {
                assertNothingAllocated(new NmCase(1, NmCase.matrix(2, 50, 200, NmPattern.of(2, 4)), n,
                    Layout.FEATURE_MAJOR, Activation.GELU_ERF, new float[50], 2f, 3f, Dense.Place.HEAP, 0, 0,
                    DType.F32), backend, team);
            }
        }
    }

    private static void assertNothingAllocated(NmCase test, Backend backend, Workers team) {
        for (DType dtype : DType.values()) {
            if (NmRun.backends(dtype).contains(backend)) {
                assertNothingAllocatedIn(test.in(dtype), backend, team);
            }
        }
    }

    private static void assertNothingAllocatedIn(NmCase test, Backend backend, Workers team) {
        try (Arena arena = Arena.ofConfined();
                NmPlan plan = Nm.plan(test.a(), test.options().backend(backend).workers(team))) {
            DenseMatrix b = test.input(arena);
            DenseMatrix c = test.output(arena);
            Allocations.assertNone(test + " on " + backend, () -> plan.run(test.alpha(), b, test.beta(), c));
        }
    }
}
