package dev.filigree.internal;

import java.util.Arrays;

/**
 * Selects the largest scores of each of many groups of equal length; among equal ones, the earlier.
 *
 * <p>A score is selected when fewer than N of its group go before it: every two of a group are compared, and the one
 * that goes after the other falls by a rank. That is M (M - 1) / 2 comparisons a group, but none of them is a branch,
 * and the same two places of many groups are compared side by side, in loops that compilers turn into vectors.
 */
public final class GroupSelection {

    /** Scores and ranks of a batch of groups stay in a first-level cache. */
    private static final int BATCH_SCORES = 2048;

    private final int m;
    private final int n;
    private final int batch;
    /** By place in the group, then by group. */
    private final int[][] scores;
    private final int[][] ranks;

    /**
     * For groups of a length.
     *
     * @param m scores of a group, 1 to 64
     * @param n how many to select of each, 0 to m
     */
    public GroupSelection(int m, int n) {
        this.m = m;
        this.n = n;
        batch = Math.max(1, BATCH_SCORES / m);
        scores = new int[m][batch];
        ranks = new int[m][batch];
    }

    /**
     * Selects, group by group.
     *
     * @param all the scores of {@code kept.length} groups: raw bits of floats that are not negative nor NaN, whose
     *     order is that of the numbers
     * @param kept becomes a mask of the selected places of each group
     */
    public void largest(int[] all, long[] kept) {
        if (n == m) {
            Arrays.fill(kept, -1L >>> Long.SIZE - m);
            return;
        }
        for (int first = 0; first < kept.length; first += batch) {
            int count = Math.min(batch, kept.length - first);
            for (int i = 0; i < m; i++) {
                gather(all, first * m + i, m, scores[i], count);
                Arrays.fill(ranks[i], 0);
            }
            for (int i = 0; i < m; i++) {
                for (int j = i + 1; j < m; j++) {
                    compare(scores[i], scores[j], ranks[i], ranks[j], count);
                }
            }
            Arrays.fill(kept, first, first + count, 0);
            for (int i = 0; i < m; i++) {
                select(ranks[i], n, 1L << i, kept, first, count);
            }
        }
    }

    private static void gather(int[] all, int from, int step, int[] scores, int count) {
        for (int g = 0; g < count; g++) {
            scores[g] = all[from + g * step];
        }
    }

    /** One of the two falls by a rank: the earlier where the later is larger, or else the later. */
    private static void compare(int[] earlier, int[] later, int[] earlierRanks, int[] laterRanks, int count) {
        for (int g = 0; g < count; g++) {
            // Minus one where the later is larger: neither is negative.
            int larger = earlier[g] - later[g] >> Integer.SIZE - 1;
            earlierRanks[g] -= larger;
            laterRanks[g] += larger + 1;
        }
    }

    private static void select(int[] ranks, int n, long place, long[] kept, int first, int count) {
        for (int g = 0; g < count; g++) {
            kept[first + g] |= (long) (ranks[g] - n >> Integer.SIZE - 1) & place;
        }
    }
}
