package dev.filigree.suite;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;

/** What the calling thread and every worker allocate. */
public final class Allocations {

    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    private Allocations() {}

    /**
     * Fails unless 1,000 runs in a row come to allocate nothing, on any thread of the caller's team: no garbage, and no
     * vector that the compiler had to box. A slow, busy machine gets minutes to get warm.
     */
    public static void assertNone(String what, Runnable run) {
        long[] workers = workers();
        assertThat(workers).as("the team's own threads are measured, too").hasSizeGreaterThanOrEqualTo(1);
        long measuring = measuring(workers);
        long deadline = System.nanoTime() + 180_000_000_000L;
        long bytes;
        do {
            long before = ofTeamAndCaller(workers);
            for (int i = 0; i < 1000; i++) {
                run.run();
            }
            bytes = ofTeamAndCaller(workers) - before - measuring;
        } while (bytes > 0 && System.nanoTime() < deadline);
        assertThat(bytes).as("bytes in 1,000 runs of %s", what).isZero();
    }

    /** The threads of all teams. */
    public static long[] workers() {
        return Thread.getAllStackTraces().keySet().stream()
            .filter(t -> t.getName().startsWith("filigree-worker")).mapToLong(Thread::threadId).toArray();
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

    /** Bytes that the calling thread and some others have allocated so far. */
    public static long ofTeamAndCaller(long[] workers) {
        long sum = THREADS.getCurrentThreadAllocatedBytes();
        for (long id : workers) {
            sum += Math.max(0, THREADS.getThreadAllocatedBytes(id));
        }
        return sum;
    }
}
