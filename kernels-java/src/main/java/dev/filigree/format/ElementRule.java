package dev.filigree.format;

import java.util.Arrays;
import java.util.BitSet;

/**
 * Which keys a query may see, by position among the keys: query {@code i} stands at position {@code p}, key {@code j}
 * at {@code j}. The two questions about rectangles spare looking into most blocks; they may err on the side of
 * "touches" and of "does not cover".
 */
interface ElementRule {

    /** Keys of a word. */
    int WORD = BlockGrid.GRANULE;
    /** A word of keys that all count. */
    int ALL = 0xffff;

    /** Which of the keys j to j + 15 position p may see, the first in the lowest bit; j is a multiple of 16. */
    int word(int p, int j);

    /** False only if no position in [p0, p1] sees a key in [j0, j1]. */
    boolean touches(int p0, int p1, int j0, int j1);

    /** True only if every position in [p0, p1] sees every key in [j0, j1]. */
    boolean covers(int p0, int p1, int j0, int j1);

    /** The bits of a word from {@code low} up to, not including, {@code high}, which may lie outside of it. */
    static int range(long low, long high) {
        int from = Math.clamp(low, 0, WORD);
        int to = Math.clamp(high, from, WORD);
        return (1 << to) - (1 << from);
    }

    /**
     * Keys at a distance from the query in [low, high] that is a multiple of step; a distance is positive for keys
     * before the query.
     */
    record Band(int low, int high, int step) implements ElementRule {

        @Override
        public int word(int p, int j) {
            long distance = (long) p - j;
            int near = range(distance - high, distance - low + 1);
            if (step == 1 || near == 0) {
                return near;
            }
            int steps = 0;
            for (int bit = Math.floorMod(distance, step); bit < WORD; bit += step) {
                steps |= 1 << bit;
            }
            return near & steps;
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
        public int word(int p, int j) {
            return range((long) begin - j, (long) end - j);
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
        public int word(int p, int j) {
            return p >= begin && p < end ? ALL : 0;
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

    /**
     * Some keys for every query, and for each query the keys at some distances before it. Distances are kept backwards
     * too: those of consecutive keys are consecutive bits there.
     */
    final class VerticalSlash implements ElementRule {
        private final int keys;
        private final BitSet verticals = new BitSet();
        private final BitSet slashes = new BitSet();
        private final long[] verticalWords;
        /** Bit {@code keys - 1 - s} is that of distance s. */
        private final long[] slashWords;

        /** Keys and distances are below {@code keys}. */
        VerticalSlash(int keys, int[] verticals, int[] slashes) {
            this.keys = keys;
            Arrays.stream(verticals).forEach(this.verticals::set);
            Arrays.stream(slashes).forEach(this.slashes::set);
            BitSet backwards = new BitSet();
            Arrays.stream(slashes).forEach(s -> backwards.set(keys - 1 - s));
            verticalWords = this.verticals.toLongArray();
            slashWords = backwards.toLongArray();
        }

        @Override
        public int word(int p, int j) {
            return bits(verticalWords, j) | bits(slashWords, (long) keys - 1 - p + j);
        }

        /** Sixteen bits from any place on; those outside the words are zeros. */
        private static int bits(long[] words, long from) {
            long first = from >> 6;
            long low = first >= 0 && first < words.length ? words[(int) first] >>> from : 0;
            // Two shifts: one by 64 would be none.
            long high = first + 1 >= 0 && first + 1 < words.length ? words[(int) first + 1] << 1 << (~from & 63) : 0;
            return (int) (low | high) & ALL;
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

    /** What a rule allows of the keys up to the query's own position. */
    record Causal(ElementRule rule) implements ElementRule {

        @Override
        public int word(int p, int j) {
            return rule.word(p, j) & range(0, (long) p - j + 1);
        }

        @Override
        public boolean touches(int p0, int p1, int j0, int j1) {
            return p1 >= j0 && rule.touches(p0, p1, j0, j1);
        }

        @Override
        public boolean covers(int p0, int p1, int j0, int j1) {
            return p0 >= j1 && rule.covers(p0, p1, j0, j1);
        }
    }

    /** What any of several rules allows. */
    record AnyOf(ElementRule... rules) implements ElementRule {

        @Override
        public int word(int p, int j) {
            int word = 0;
            for (ElementRule rule : rules) {
                word |= rule.word(p, j);
            }
            return word;
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
