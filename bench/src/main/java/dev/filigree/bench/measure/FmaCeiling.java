package dev.filigree.bench.measure;

import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/**
 * What the machine's multiply-add units reach with operands in registers, on as many threads as the contenders use: a
 * contender itself, so that it meets the same clock rate and the same neighbours.
 */
public final class FmaCeiling implements Contender {

    /** Long enough that handing work to the threads does not count. */
    private static final int LOOPS = 10;

    private final int threads;
    private final ExecutorService helpers;
    private final VectorLoops.MultiplyAdd[] loops;
    /** Operations of a run, all threads together. */
    private volatile long operations;

    /** Of so many threads. */
    public FmaCeiling(int threads) {
        this.threads = threads;
        loops = new VectorLoops.MultiplyAdd[threads];
        Arrays.setAll(loops, i -> new VectorLoops.MultiplyAdd());
        helpers = Executors.newFixedThreadPool(Math.max(1, threads - 1),
            Thread.ofPlatform().daemon().name("fma-ceiling-", 0).factory());
    }

    /** GFLOP/s in a run of this time. */
    public double gflops(Timing timing) {
        return operations / (timing.medianMillis() * 1e6);
    }

    @Override
    public String name() {
        return "fma-ceiling";
    }

    @Override
    public String kernel() {
        return name();
    }

    @Override
    public void run() {
        CountDownLatch done = new CountDownLatch(threads - 1);
        for (int i = 1; i < threads; i++) {
            VectorLoops.MultiplyAdd loop = loops[i];
            helpers.execute(() -> {
                operations(loop);
                done.countDown();
            });
        }
        operations = threads * operations(loops[0]);
        try {
            done.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted", e);
        }
    }

    private static long operations(VectorLoops.MultiplyAdd loop) {
        long done = 0;
        for (int i = 0; i < LOOPS; i++) {
            done += loop.once();
        }
        return done;
    }

    @Override
    public double packMillis() {
        return 0;
    }

    @Override
    public long packedBytes() {
        return 0;
    }

    @Override
    public long residentBytes() {
        return 0;
    }

    @Override
    public void close() {
        helpers.shutdownNow();
    }
}
