package dev.filigree.bench.measure;

/**
 * What reading so many bytes of memory takes one thread, by the loop of {@link Ceilings}: a contender itself, so that it
 * meets the same neighbours as those that are compared with it.
 */
public final class ReadCeiling implements Contender {

    private final VectorLoops.Reading loop;
    private final long bytes;

    /**
     * A reader.
     *
     * @param bytes of a run
     * @param memory that runs read in turn, at least; more than any cache holds
     */
    public ReadCeiling(long bytes, long memory) {
        this.bytes = bytes;
        loop = new VectorLoops.Reading(Math.max(bytes, memory));
    }

    @Override
    public String name() {
        return "read-ceiling";
    }

    @Override
    public String kernel() {
        return name();
    }

    @Override
    public void run() {
        long read = 0;
        while (read < bytes) {
            read += loop.once();
        }
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
        return bytes;
    }

    @Override
    public void close() {
        loop.close();
    }
}
