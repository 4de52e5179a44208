package dev.filigree.suite;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;

/** Counts what warm runs allocate, on the calling thread and on those of the worker teams. */
public final class Allocation {

    private static final ThreadMXBean THREADS = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    private static final int RUNS = 300;
    /** Warm is when that many runs in a row allocate nothing; a slow machine gets a minute to get there. */
    private static final long PATIENCE_NANOS = 60_000_000_000L;

    private Allocation() {}

    /** Fails unless the run comes to allocate nothing. */
    public static void assertNone(String what, Runnable run) {
        long[] workers = Thread.getAllStackTraces().keySet().stream()
            .filter(t -> t.getName().startsWith("filigree-worker")).mapToLong(Thread::threadId).toArray();
        assertThat(workers).as("the team's own threads are measured, too").hasSizeGreaterThanOrEqualTo(1);
        long measuring = Long.MAX_VALUE;
        for (int i = 0; i < 1000; i++) {
            long before = allocated(workers);
            measuring = Math.min(measuring, allocated(workers) - before);
        }
        long deadline = System.nanoTime() + PATIENCE_NANOS;
        long bytes;
        do {
            long before = allocated(workers);
            for (int i = 0; i < RUNS; i++) {
                run.run();
            }
            bytes = allocated(workers) - before - measuring;
        } while (bytes > 0 && System.nanoTime() < deadline);
        assertThat(bytes).as("bytes in " + RUNS + " times " + what).isZero();
    }

    private static long allocated(long[] workers) {
        long sum = THREADS.getCurrentThreadAllocatedBytes();
        for (long id : workers) {
            sum += Math.max(0, THREADS.getThreadAllocatedBytes(id));
        }
        return sum;
    }
}
