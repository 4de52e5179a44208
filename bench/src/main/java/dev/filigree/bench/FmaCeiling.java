package dev.filigree.bench;

import dev.filigree.bench.measure.Contender;
import dev.filigree.bench.measure.Timing;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.VectorSpecies;

/**
 * What the machine's multiply-add units reach with operands in registers, on as many threads as the contenders use: a
 * contender itself, so that it meets the same clock rate and the same neighbours.
 */
final class FmaCeiling implements Contender {

    private static final VectorSpecies<Float> SPECIES = FloatVector.SPECIES_PREFERRED;
    /** Chains enough to hide the latency of an FMA: 4 or 5 cycles on 2 units. */
    private static final int CHAINS = 12;
    private static final int STEPS = 20_000;

    private final int threads;
    private final ExecutorService helpers;
    private volatile float sink;

    FmaCeiling(int threads) {
        this.threads = threads;
        helpers = Executors.newFixedThreadPool(Math.max(1, threads - 1),
            Thread.ofPlatform().daemon().name("fma-ceiling-", 0).factory());
    }

    /** GFLOP/s in a run of this time. */
    double gflops(Timing timing) {
        return 2.0 * threads * STEPS * CHAINS * SPECIES.length() / (timing.medianMillis() * 1e6);
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
            helpers.execute(() -> {
                sink = multiplyAdd(STEPS);
                done.countDown();
            });
        }
        sink = multiplyAdd(STEPS);
        try {
            done.await();
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new IllegalStateException("interrupted", e);
        }
    }

    private static float multiplyAdd(int steps) {
        FloatVector x = FloatVector.broadcast(SPECIES, 0.999f);
        FloatVector y = FloatVector.broadcast(SPECIES, 0.001f);
        // Chains that began alike would be one to the compiler.
        FloatVector a0 = FloatVector.broadcast(SPECIES, 0.01f);
        FloatVector a1 = FloatVector.broadcast(SPECIES, 0.02f);
        FloatVector a2 = FloatVector.broadcast(SPECIES, 0.03f);
        FloatVector a3 = FloatVector.broadcast(SPECIES, 0.04f);
        FloatVector a4 = FloatVector.broadcast(SPECIES, 0.05f);
        FloatVector a5 = FloatVector.broadcast(SPECIES, 0.06f);
        FloatVector a6 = FloatVector.broadcast(SPECIES, 0.07f);
        FloatVector a7 = FloatVector.broadcast(SPECIES, 0.08f);
        FloatVector a8 = FloatVector.broadcast(SPECIES, 0.09f);
        FloatVector a9 = FloatVector.broadcast(SPECIES, 0.10f);
        FloatVector a10 = FloatVector.broadcast(SPECIES, 0.11f);
        FloatVector a11 = FloatVector.broadcast(SPECIES, 0.12f);
        for (int i = 0; i < steps; i++) {
            a0 = a0.fma(x, y);
            a1 = a1.fma(x, y);
            a2 = a2.fma(x, y);
            a3 = a3.fma(x, y);
            a4 = a4.fma(x, y);
            a5 = a5.fma(x, y);
            a6 = a6.fma(x, y);
            a7 = a7.fma(x, y);
            a8 = a8.fma(x, y);
            a9 = a9.fma(x, y);
            a10 = a10.fma(x, y);
            a11 = a11.fma(x, y);
        }
        return a0.add(a1).add(a2).add(a3).add(a4).add(a5).add(a6).add(a7).add(a8).add(a9).add(a10).add(a11).lane(0);
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
