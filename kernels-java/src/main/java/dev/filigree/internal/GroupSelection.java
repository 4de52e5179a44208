package dev.filigree.internal;

/** Selects the largest of a few scores; among equal ones, the earlier. */
public final class GroupSelection {

    private static final int MAX = Long.SIZE;
    private static final int PLACE_BITS = 6;

    /** Score above, reversed place below: no two are equal, and the earlier of two equal scores is the larger. */
    private final long[] keys = new long[MAX];

    /**
     * The {@code n} largest of {@code m} scores, as a mask of their places.
     *
     * @param scores raw bits of floats that are not negative nor NaN: their order is that of the numbers
     * @param from the first score
     * @param m how many scores, 1 to 64
     * @param n how many to select, 0 to m
     */
    public long largest(int[] scores, int from, int m, int n) {
        long all = m == MAX ? -1L : (1L << m) - 1;
        if (n == m) {
            return all;
        }
        for (int i = 0; i < m; i++) {
            keys[i] = (long) scores[from + i] << PLACE_BITS | (MAX - 1 - i);
        }
        return n <= m / 2 ? pick(m, n) : all & ~drop(m, m - n);
    }

    private long pick(int m, int count) {
        long picked = 0;
        for (int k = 0; k < count; k++) {
            long best = -1;
            for (int i = 0; i < m; i++) {
                best = Math.max(best, keys[i]);
            }
            int place = MAX - 1 - (int) (best & (MAX - 1));
            picked |= 1L << place;
            keys[place] = -1;
        }
        return picked;
    }

    private long drop(int m, int count) {
        long dropped = 0;
        for (int k = 0; k < count; k++) {
            long least = Long.MAX_VALUE;
            for (int i = 0; i < m; i++) {
                least = Math.min(least, keys[i]);
            }
            int place = MAX - 1 - (int) (least & (MAX - 1));
            dropped |= 1L << place;
            keys[place] = Long.MAX_VALUE;
        }
        return dropped;
    }
}
