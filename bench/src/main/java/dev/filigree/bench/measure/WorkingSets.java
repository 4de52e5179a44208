package dev.filigree.bench.measure;

/** How many copies of its operands a contender takes in turn, so that a run finds them in memory. */
public final class WorkingSets {

    /** What is read in turn exceeds the cache so many times. */
    public static final int CACHE_MULTIPLE = 4;
    /** A problem so small that this is not enough is never out of the cache in earnest. */
    private static final int MOST = 4096;

    private WorkingSets() {}

    /** How many working sets exceed the cache more than fourfold; one where nothing is to be rotated. */
    public static int count(boolean rotate, long bytes, long lastLevelCache) {
        return rotate ? (int) Math.min(MOST, CACHE_MULTIPLE * lastLevelCache / Math.max(1, bytes) + 1) : 1;
    }
}
