package dev.filigree.format;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * An N:M pattern: of every M consecutive elements of a row, at most N are not zero. With {@code vector} V greater
 * than 1, V consecutive rows share their positions (V:N:M, vector-wise N:M; Castro et al., "VENOM: A Vectorized N:M
 * Format for Unleashing the Power of Sparse Tensor Cores", 2023, call it so).
 *
 * @param n kept elements of a group, 1 to m
 * @param m elements of a group, 1 to 64
 * @param vector rows that share their positions: 1, 8, 16, 32 or 64
 */
public record NmPattern(int n, int m, int vector) {

    /** The longest group: its positions fit the bits of a long. */
    public static final int MAX_M = 64;

    private static final Pattern TEXT = Pattern.compile("(?:(\\d{1,3}):)?(\\d{1,3}):(\\d{1,3})");

    /**
     * Checks the numbers.
     *
     * @throws IllegalArgumentException naming the one that is out of range
     */
    public NmPattern {
        if (m < 1 || m > MAX_M) {
            throw new IllegalArgumentException("m = " + m + " is not in 1.." + MAX_M);
        }
        if (n < 1 || n > m) {
            throw new IllegalArgumentException("n = " + n + " is not in 1.." + m + ", the length of a group");
        }
        if (vector != 1 && (vector < 8 || vector > 64 || Integer.bitCount(vector) != 1)) {
            throw new IllegalArgumentException("vector = " + vector + " is not 1, 8, 16, 32 or 64");
        }
    }

    /** N:M, each row with positions of its own. */
    public static NmPattern of(int n, int m) {
        return new NmPattern(n, m, 1);
    }

    /**
     * Reads {@code N:M} or {@code V:N:M}.
     *
     * @throws IllegalArgumentException if the text is neither, or a number is out of range
     */
    public static NmPattern parse(String text) {
        Matcher matcher = TEXT.matcher(text);
        if (!matcher.matches()) {
            throw new IllegalArgumentException("'" + text + "' is not N:M or V:N:M");
        }
        int vector = matcher.group(1) == null ? 1 : Integer.parseInt(matcher.group(1));
        return new NmPattern(Integer.parseInt(matcher.group(2)), Integer.parseInt(matcher.group(3)), vector);
    }

    /** The same pattern, shared by {@code newVector} rows. */
    public NmPattern withVector(int newVector) {
        return new NmPattern(n, m, newVector);
    }

    /** The share of elements that are stored. */
    public double density() {
        return (double) n / m;
    }

    /** The groups of a row of {@code cols} elements; the last may reach past its end. */
    public int groups(int cols) {
        return Math.ceilDiv(cols, m);
    }

    /** The bits that tell a position within a group: the binary logarithm of M, rounded up. */
    public int indexBits() {
        return Integer.SIZE - Integer.numberOfLeadingZeros(m - 1);
    }

    /** Whether a group's positions take less room as a mask of M bits than as N indices. */
    boolean isMasked() {
        return m < n * indexBits();
    }

    /** The bits that a group's positions take; none where all are kept. */
    int groupBits() {
        if (n == m) {
            return 0;
        }
        return isMasked() ? m : n * indexBits();
    }

    /** {@code N:M}, or {@code V:N:M} where rows share positions. */
    @Override
    public String toString() {
        return (vector == 1 ? "" : vector + ":") + n + ":" + m;
    }
}
