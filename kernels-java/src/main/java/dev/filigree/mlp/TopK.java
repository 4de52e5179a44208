package dev.filigree.mlp;

import java.util.Arrays;

/**
 * The k largest of some scores, by three counts of their bits: linear time whatever the scores are, and no allocation.
 * Not thread-safe.
 */
final class TopK {

    private static final int[] SHIFTS = {21, 10, 0};
    private static final int[] WIDTHS = {11, 11, 10};

    private final int[] keys;
    private final int[] counts = new int[1 << 11];

    TopK(int units) {
        keys = new int[units];
    }

    /** Sets a score; its key sorts as an unsigned int, and that of a NaN is the least. */
    void score(int unit, float score) {
        int bits = Float.floatToRawIntBits(score + 0f); // -0 and +0 are equal
        keys[unit] = Float.isNaN(score) ? 0 : bits < 0 ? ~bits : bits | Integer.MIN_VALUE;
    }

    /** Adds the units of the k largest scores to a set; of equal ones, those of the lowest index. */
    void select(int k, ActiveSet into, int token) {
        if (k < 0) {
            throw new IllegalArgumentException("k = " + k + " is negative");
        }
        if (k >= keys.length) {
            into.addEvery(token);
            return;
        }
        int prefix = 0;
        int wanted = k;
        // After each pass: as many keys as k - wanted have a greater prefix.
        for (int pass = 0; pass < SHIFTS.length && wanted > 0; pass++) {
            prefix = narrow(prefix, pass, wanted);
            wanted -= greater;
        }
        for (int unit = 0; unit < keys.length && k > 0; unit++) {
            int order = Integer.compareUnsigned(keys[unit], prefix);
            if (order > 0 || order == 0 && wanted-- > 0) {
                into.add(token, unit);
            }
        }
    }

    /** How many keys with the last prefix lie above the new one. */
    private int greater;

    private int narrow(int prefix, int pass, int wanted) {
        int shift = SHIFTS[pass];
        int size = 1 << WIDTHS[pass];
        int above = shift + WIDTHS[pass];
        Arrays.fill(counts, 0);
        for (int key : keys) {
            if (above == Integer.SIZE || key >>> above == prefix >>> above) {
                counts[key >>> shift & size - 1]++;
            }
        }
        greater = 0;
        int digit = size - 1;
        while (greater + counts[digit] < wanted) {
            greater += counts[digit--];
        }
        return prefix | digit << shift;
    }
}
