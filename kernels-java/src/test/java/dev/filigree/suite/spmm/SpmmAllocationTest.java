package dev.filigree.suite.spmm;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import dev.filigree.Activation;
import dev.filigree.Backend;
import dev.filigree.DenseMatrix;
import dev.filigree.Workers;
import dev.filigree.format.CsrMatrix;
import dev.filigree.spmm.FallbackDense;
import dev.filigree.spmm.Layout;
import dev.filigree.spmm.Spmm;
import dev.filigree.spmm.SpmmPlan;
import dev.filigree.suite.HostBackends;
import java.lang.foreign.Arena;
import java.lang.management.ManagementFactory;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** A warm run allocates nothing on any thread: no garbage, and no vector that the compiler had to box. */
class SpmmAllocationTest {

    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

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
            assertNothingAllocated(SpmmCase.plain(inPlace, 400, Layout.FEATURE_MAJOR), backend, team);
            assertNothingAllocated(SpmmCase.plain(tiled, 400, Layout.TOKEN_MAJOR), backend, team);
            assertNothingAllocated(new SpmmCase(1, tiled, 400, Layout.FEATURE_MAJOR,
                Activation.GELU_ERF, new float[50], 2f, 3f, SpmmCase.Place.HEAP, 0, 0), backend, team);
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
                    SpmmCase.Place.AUTO, 0, 0, FallbackDense.ALWAYS, false), backend, team);
            }
        }
    }

    private static void assertNothingAllocated(SpmmCase test, Backend backend, Workers team) {
        try (Arena arena = Arena.ofConfined();
                SpmmPlan plan = Spmm.plan(test.a(), test.options().backend(backend).workers(team))) {
            DenseMatrix b = test.input(arena);
            DenseMatrix c = test.output(arena);
            long[] workers = workers();
            assertThat(workers).as("the team's own threads are measured, too").hasSizeGreaterThanOrEqualTo(1);
            long measuring = measuring(workers);
            // Warm is when 1,000 runs in a row allocate nothing; a slow machine gets a minute to get there.
            long deadline = System.nanoTime() + 60_000_000_000L;
            long bytes;
            do {
                bytes = allocated(test, plan, b, c, workers) - measuring;
            } while (bytes > 0 && System.nanoTime() < deadline);
            assertThat(bytes).as("bytes in 1,000 runs of %s on %s", test, backend).isZero();
        }
    }

    private static long[] workers() {
        return Thread.getAllStackTraces().keySet().stream()
            .filter(t -> t.getName().startsWith("filigree-worker")).mapToLong(Thread::threadId).toArray();
    }

    private static long allocated(SpmmCase test, SpmmPlan plan, DenseMatrix b, DenseMatrix c, long[] workers) {
        long before = ofTeamAndCaller(workers);
        for (int i = 0; i < 1000; i++) {
            plan.run(test.alpha(), b, test.beta(), c);
        }
        return ofTeamAndCaller(workers) - before;
    }

    /** What a measurement itself allocates. */
    private static long measuring(long[] workers) {
        long least = Long.MAX_VALUE;
        for (int i = 0; i < 1000; i++) {
            long before = ofTeamAndCaller(workers);
            least = Math.min(least, ofTeamAndCaller(workers) - before);
        }
        return least;
    }

    private static long ofTeamAndCaller(long[] workers) {
        long sum = THREADS.getCurrentThreadAllocatedBytes();
        for (long id : workers) {
            sum += Math.max(0, THREADS.getThreadAllocatedBytes(id));
        }
        return sum;
    }

    @Test
    void anAllocationOfAWorkerIsSeen() {
        try (Workers team = Workers.of(2)) {
            Thread caller = Thread.currentThread();
            long[] workers = workers();
            long before = ofTeamAndCaller(workers);
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
            assertThat(ofTeamAndCaller(workers) - before).isGreaterThanOrEqualTo(100_000);
        }
    }

    private static volatile byte[] sink;
}
