package dev.filigree.format;

import java.util.Arrays;
import java.util.BitSet;

/**
 * Which keys a query may see, by position among the keys: query {@code i} stands at position {@code p}, key {@code j}
 * at {@code j}. The two questions about rectangles spare looking at most blocks element by element; they may err on the
 * side of "touches" and of "does not cover".
 */
interface ElementRule {

    /** Whether position p may see key j. */
    boolean test(int p, int j);

    /** False only if no position in [p0, p1] sees a key in [j0, j1]. */
    boolean touches(int p0, int p1, int j0, int j1);

    /** True only if every position in [p0, p1] sees every key in [j0, j1]. */
    boolean covers(int p0, int p1, int j0, int j1);

    /**
     * Keys at a distance from the query in [low, high] that is a multiple of step; a distance is positive for keys
     * before the query.
     */
    record Band(int low, int high, int step) implements ElementRule {

        @Override
        public boolean test(int p, int j) {
            long distance = (long) p - j;
            return distance >= low && distance <= high && distance % step == 0;
        }

        @Override
        public boolean touches(int p0, int p1, int j0, int j1) {
            return (long) p1 - j0 >= low && (long) p0 - j1 <= high;
        }

        @Override
        public boolean covers(int p0, int p1, int j0, int j1) {
            return step == 1 && (long) p0 - j1 >= low && (long) p1 - j0 <= high;
        }
    }

    /** Keys in [begin, end), for every query. */
    record Columns(int begin, int end) implements ElementRule {

        @Override
        public boolean test(int p, int j) {
            return j >= begin && j < end;
        }

        @Override
        public boolean touches(int p0, int p1, int j0, int j1) {
            return j0 < end && j1 >= begin;
        }

        @Override
        public boolean covers(int p0, int p1, int j0, int j1) {
            return j0 >= begin && j1 < end;
        }
    }

    /** Every key, for queries at positions in [begin, end). */
    record Rows(int begin, int end) implements ElementRule {

        @Override
        public boolean test(int p, int j) {
            return p >= begin && p < end;
        }

        @Override
        public boolean touches(int p0, int p1, int j0, int j1) {
            return p0 < end && p1 >= begin;
        }

        @Override
        public boolean covers(int p0, int p1, int j0, int j1) {
            return p0 >= begin && p1 < end;
        }
    }

    /** Some keys for every query, and for each query the keys at some distances before it. */
    final class VerticalSlash implements ElementRule {
        private final BitSet verticals = new BitSet();
        private final BitSet slashes = new BitSet();

        VerticalSlash(int[] verticals, int[] slashes) {
            Arrays.stream(verticals).forEach(this.verticals::set);
            Arrays.stream(slashes).forEach(this.slashes::set);
        }

        @Override
        public boolean test(int p, int j) {
            return verticals.get(j) || p >= j && slashes.get(p - j);
        }

        @Override
        public boolean touches(int p0, int p1, int j0, int j1) {
            return within(verticals, j0, j1) || p1 >= j0 && within(slashes, Math.max(0, p0 - j1), p1 - j0);
        }

        @Override
        public boolean covers(int p0, int p1, int j0, int j1) {
            return verticals.nextClearBit(j0) > j1 || p0 >= j1 && slashes.nextClearBit(p0 - j1) > p1 - j0;
        }

        private static boolean within(BitSet set, int low, int high) {
            int next = set.nextSetBit(low);
            return next >= 0 && next <= high;
        }
    }

    /** What any of several rules allows. */
    record AnyOf(ElementRule... rules) implements ElementRule {

        @Override
        public boolean test(int p, int j) {
            for (ElementRule rule : rules) {
                if (rule.test(p, j)) {
                    return true;
                }
            }
            return false;
        }

        @Override
        public boolean touches(int p0, int p1, int j0, int j1) {
            for (ElementRule rule : rules) {
                if (rule.touches(p0, p1, j0, j1)) {
                    return true;
                }
            }
            return false;
        }

        @Override
        public boolean covers(int p0, int p1, int j0, int j1) {
            for (ElementRule rule : rules) {
                if (rule.covers(p0, p1, j0, j1)) {
                    return true;
                }
            }
            return false;
        }
    }
}
