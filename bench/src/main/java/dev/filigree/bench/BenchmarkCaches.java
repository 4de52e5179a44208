package dev.filigree.bench;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.Workers;

/** Decode for JMH: a cache of 8 heads of 128 in pages of 64 tokens, too large for the processor's. */
public final class BenchmarkCaches implements AutoCloseable {

    private final Workers team;
    private final DecodeCaches caches;
    private final DecodeContender contender;

    /**
     * Fills caches.
     *
     * @param density the share of blocks of 64 keys that is selected; each run selects others
     */
    public BenchmarkCaches(int seq, double density, DType dtype, Backend backend) {
        team = Workers.of(Runtime.getRuntime().availableProcessors());
        caches = new DecodeCaches(new DecodeProblem(seq, 8, 8, 128, 64, 64, density, dtype, 1),
            Machine.here().lastLevelCacheBytes());
        contender = DecodeContender.open(caches, backend, team);
    }

    /** The kernel that runs. */
    public String kernel() {
        return contender.kernel();
    }

    /** One token. */
    public void run() {
        contender.run();
    }

    @Override
    public void close() {
        contender.close();
        caches.close();
        team.close();
    }
}
