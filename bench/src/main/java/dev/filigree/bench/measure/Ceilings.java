package dev.filigree.bench.measure;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * What this machine can do at most, measured: the roof over every kernel (Williams et al., "Roofline", 2009). Each is
 * the best of several tries, since whatever else runs here only takes away.
 *
 * @param threads that worked together
 * @param fmaGflops multiply-adds in f32 with all operands in registers, two operations each
 * @param cacheGbps reading what fits a core's second-level cache
 * @param memoryGbps reading what fits no cache
 */
public record Ceilings(int threads, double fmaGflops, double cacheGbps, double memoryGbps) {

    /** It ends when so many tries in a row bring next to nothing. */
    private static final int IDLE_TRIES = 6;
    private static final int MOST_TRIES = 60;
    private static final double GAIN = 1.02;
    /** So many calls compile a loop, however slow it is before; no more than so long. */
    private static final int WARM_CALLS = 500;
    private static final long WARM_NANOS = 2_000_000_000;
    /** A try of this length hides the start of its threads. */
    private static final long TRY_NANOS = 25_000_000;
    /** So much more than the last-level cache is read that what it holds does not count. */
    private static final int CACHE_MULTIPLE = 4;
    private static final long LEAST_BYTES = 64L << 20;
    private static final long MOST_BYTES = 1L << 30;

    /**
     * Measures for a second or two.
     *
     * @param threads to work together
     * @param l2Bytes the cache of a core; 0 if unknown
     * @param lastLevelBytes the largest cache
     * @return empty where the Vector API is not in the module graph: plain loops would not reach the ceilings
     */
    public static Optional<Ceilings> measure(int threads, long l2Bytes, long lastLevelBytes) {
        if (ModuleLayer.boot().findModule("jdk.incubator.vector").isEmpty()) {
            return Optional.empty();
        }
        try (ExecutorService team = Executors.newFixedThreadPool(threads)) {
            double fma = rate(team, threads, member -> new VectorLoops.MultiplyAdd());
            // Half of the cache: the rest is for whoever shares it.
            long cacheBytes = Math.max(64 << 10, l2Bytes / 2);
            double cache = rate(team, threads, member -> new VectorLoops.Reading(cacheBytes));
            long memoryBytes = Math.clamp(CACHE_MULTIPLE * lastLevelBytes, LEAST_BYTES, MOST_BYTES) / threads;
            double memory = rate(team, threads, member -> new VectorLoops.Reading(memoryBytes));
            return Optional.of(new Ceilings(threads, fma, cache, memory));
        }
    }

    /** Work that can be repeated; used by one thread. */
    interface Loop extends AutoCloseable {

        /** Does it once and returns how many units of it that was. */
        long once();

        @Override
        default void close() {}
    }

    @FunctionalInterface
    private interface Loops {
        Loop of(int member);
    }

    /** Units a nanosecond, of all threads together. */
    private static double rate(ExecutorService team, int threads, Loops loops) {
        List<Loop> members = new ArrayList<>();
        try {
            for (int i = 0; i < threads; i++) {
                members.add(loops.of(i));
            }
            warmUp(members.getFirst());
            double best = 0;
            int idle = 0;
            for (int i = 0; i < MOST_TRIES && idle < IDLE_TRIES; i++) {
                List<Future<Double>> rates = new ArrayList<>();
                for (Loop member : members) {
                    rates.add(team.submit(() -> rate(member)));
                }
                double sum = 0;
                for (Future<Double> rate : rates) {
                    sum += rate.get();
                }
                idle = sum > best * GAIN ? 0 : idle + 1;
                best = Math.max(best, sum);
            }
            return best;
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted", e);
        } catch (ExecutionException e) {
            throw new IllegalStateException(e.getCause());
        } finally {
            members.forEach(Loop::close);
        }
    }

    private static void warmUp(Loop loop) {
        long start = System.nanoTime();
        for (int i = 0; i < WARM_CALLS && System.nanoTime() - start < WARM_NANOS; i++) {
            loop.once();
        }
    }

    private static double rate(Loop loop) {
        long start = System.nanoTime();
        long units = 0;
        long nanos;
        do {
            units += loop.once();
            nanos = System.nanoTime() - start;
        } while (nanos < TRY_NANOS);
        return (double) units / nanos;
    }
}
