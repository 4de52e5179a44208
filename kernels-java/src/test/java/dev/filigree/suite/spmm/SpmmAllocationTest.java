package dev.filigree.suite.spmm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.filigree.Activation;
import dev.filigree.Backend;
import dev.filigree.DenseMatrix;
import dev.filigree.Layout;
import dev.filigree.Workers;
import dev.filigree.format.CsrMatrix;
import dev.filigree.spmm.FallbackDense;
import dev.filigree.spmm.Spmm;
import dev.filigree.spmm.SpmmPlan;
import dev.filigree.suite.Allocations;
import dev.filigree.suite.Dense;
import dev.filigree.suite.HostBackends;
import java.lang.foreign.Arena;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A warm run allocates nothing on any thread: no garbage, and no vector that the compiler had to box. */
class SpmmAllocationTest {

    /** A seed whose plan is packed for wide products; the others' is for narrow ones. */
    private static final long PACKED_WIDE = 2;

    static Stream<Backend> backends() {
        return HostBackends.available().stream();
    }

    @ParameterizedTest
    @MethodSource("backends")
    void warmRunsAllocateNothing(Backend backend) {
        // Tiles, splits and a tail; in place; token-major; on the heap: all paths of a run.
        CsrMatrix tiled = SpmmCorrectnessTest.denseRowAmongSparse(50, 200);
        CsrMatrix inPlace = SpmmCase.uniform(1, 60, 2000, 0.003);
        try (Workers team = Workers.of(2)) {
            assertNothingAllocated(SpmmCase.plain(tiled, 400, Layout.FEATURE_MAJOR), backend, team);
            assertNothingAllocated(new SpmmCase(PACKED_WIDE, tiled, 400, Layout.FEATURE_MAJOR, Activation.NONE, null,
                1f, 0f, Dense.Place.AUTO, 0, 0), backend, team);
            assertNothingAllocated(SpmmCase.plain(inPlace, 400, Layout.FEATURE_MAJOR), backend, team);
            assertNothingAllocated(SpmmCase.plain(tiled, 400, Layout.TOKEN_MAJOR), backend, team);
            assertNothingAllocated(new SpmmCase(1, tiled, 400, Layout.FEATURE_MAJOR,
                Activation.GELU_ERF, new float[50], 2f, 3f, Dense.Place.HEAP, 0, 0), backend, team);
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void warmDenseRunsAllocateNothing(Backend backend) {
        // Two blocks of columns and rows that are missing a few elements; both layouts with and without old values.
        CsrMatrix a = SpmmCase.uniform(1, 20, 270, 0.95);
        try (Workers team = Workers.of(2)) {
            for (Layout layout : Layout.values()) {
                assertNothingAllocated(
                    SpmmCase.plain(a, 130, layout).dense(FallbackDense.ALWAYS), backend, team);
                assertNothingAllocated(new SpmmCase(1, a, 130, layout, Activation.SILU, new float[20], 2f, 3f,
                    Dense.Place.AUTO, 0, 0, FallbackDense.ALWAYS, false), backend, team);
            }
        }
    }

    private static void assertNothingAllocated(SpmmCase test, Backend backend, Workers team) {
        try (Arena arena = Arena.ofConfined();
                SpmmPlan plan = Spmm.plan(test.a(), test.options().backend(backend).workers(team))) {
            DenseMatrix b = test.input(arena);
            DenseMatrix c = test.output(arena);
            Allocations.assertNone(test + " on " + backend, () -> plan.run(test.alpha(), b, test.beta(), c));
        }
    }

    @Test
    void anAllocationOfAWorkerIsSeen() {
        try (Workers team = Workers.of(2)) {
            Thread caller = Thread.currentThread();
            long[] workers = Allocations.workers();
            long before = Allocations.ofTeamAndCaller(workers);
            CountDownLatch done = new CountDownLatch(1);
            team.run(2, 0, (begin, end, scratch) -> {
                if (Thread.currentThread() == caller) {
                    // Leaves the other item to the worker.
                    while (done.getCount() > 0) {
                        Thread.onSpinWait();
                    }
                } else {
                    sink = new byte[100_000];
                    done.countDown();
                }
            });
            assertThat(Allocations.ofTeamAndCaller(workers) - before).isGreaterThanOrEqualTo(100_000);
        }
    }

    private static volatile byte[] sink;
}
