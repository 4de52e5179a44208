package dev.filigree.mlp;

import dev.filigree.DenseMatrix;
import dev.filigree.spi.RowFormat;
import java.util.Arrays;
import java.util.Objects;

/**
 * Which units, neurons of an MLP or heads of attention, each of some tokens needs. Reusable: a caller fills it, runs,
 * clears it and fills it again, and allocates nothing. A unit that is added twice is there once. Not thread-safe.
 */
public final class ActiveSet {

    private final int units;
    private final int tokens;
    /** For each group of 16 tokens, for each unit, a bit a token. */
    private final short[] masks;
    /** Made when it is first needed. */
    private TopK topK;

    /**
     * An empty set.
     *
     * @param units how many there are to choose from
     * @param tokens how many choose
     * @throws IllegalArgumentException if a number is negative, or the set too large
     */
    public ActiveSet(int units, int tokens) {
        if (units < 0 || tokens < 0) {
            throw new IllegalArgumentException("a set of " + units + " units for " + tokens + " tokens");
        }
        long size = (long) Math.ceilDiv(tokens, RowFormat.TOKENS) * units;
        if (size > Integer.MAX_VALUE - 8) {
            throw new IllegalArgumentException(units + " units for " + tokens + " tokens are too many");
        }
        this.units = units;
        this.tokens = tokens;
        masks = new short[(int) size];
    }

    /** How many units there are to choose from. */
    public int units() {
        return units;
    }

    /** How many tokens choose. */
    public int tokens() {
        return tokens;
    }

    /** Empties the set. */
    public void clear() {
        Arrays.fill(masks, (short) 0);
    }

    /** Empties the set of one token. */
    public void clear(int token) {
        short others = (short) ~bit(token);
        int at = at(token);
        for (int unit = 0; unit < units; unit++) {
            masks[at + unit] &= others;
        }
    }

    /**
     * Adds a unit for a token.
     *
     * @throws IndexOutOfBoundsException if there is no such token or unit
     */
    public void add(int token, int unit) {
        int at = at(token);
        masks[at + Objects.checkIndex(unit, units)] |= bit(token);
    }

    /**
     * Adds units for a token.
     *
     * @throws IndexOutOfBoundsException if there is no such token or unit; then none is added
     */
    public void addAll(int token, int... list) {
        int at = at(token);
        for (int unit : list) {
            Objects.checkIndex(unit, units);
        }
        for (int unit : list) {
            masks[at + unit] |= bit(token);
        }
    }

    /** Adds all units for a token. */
    public void addEvery(int token) {
        int at = at(token);
        for (int unit = 0; unit < units; unit++) {
            masks[at + unit] |= bit(token);
        }
    }

    /**
     * Adds for each token the units whose score is not less than a threshold.
     *
     * @param scores f32 in host memory, tokens x units
     * @throws IllegalArgumentException if the scores have another shape
     */
    public void addAtLeast(DenseMatrix scores, float threshold) {
        requireScores(scores);
        for (int token = 0; token < tokens; token++) {
            for (int unit = 0; unit < units; unit++) {
                if (scores.get(token, unit) >= threshold) {
                    add(token, unit);
                }
            }
        }
    }

    /**
     * Adds for each token the k units of the largest scores; of equal ones, those of the lowest index.
     *
     * @param scores f32 in host memory, tokens x units; a NaN is less than all
     * @param k how many; all, if there are fewer
     * @throws IllegalArgumentException if the scores have another shape, or k is negative
     */
    public void addLargest(DenseMatrix scores, int k) {
        requireScores(scores);
        if (topK == null) {
            topK = new TopK(units);
        }
        TopK select = topK;
        for (int token = 0; token < tokens; token++) {
            for (int unit = 0; unit < units; unit++) {
                select.score(unit, scores.get(token, unit));
            }
            select.select(k, this, token);
        }
    }

    private void requireScores(DenseMatrix scores) {
        if (scores.rows() != tokens || scores.cols() != units) {
            throw new IllegalArgumentException("scores is " + scores.rows() + " x " + scores.cols() + ", expected "
                + tokens + " x " + units + " (tokens x units)");
        }
    }

    /** Whether a token needs a unit. */
    public boolean contains(int token, int unit) {
        return (masks[at(token) + Objects.checkIndex(unit, units)] & bit(token)) != 0;
    }

    /** How many units a token needs. */
    public int count(int token) {
        int at = at(token);
        int count = 0;
        for (int unit = 0; unit < units; unit++) {
            count += (masks[at + unit] & bit(token)) != 0 ? 1 : 0;
        }
        return count;
    }

    /** The bits of a unit for the tokens from {@code group * 16} on. */
    short mask(int group, int unit) {
        return masks[group * units + unit];
    }

    private int at(int token) {
        return Objects.checkIndex(token, tokens) / RowFormat.TOKENS * units;
    }

    private static short bit(int token) {
        return (short) (1 << token % RowFormat.TOKENS);
    }

    @Override
    public String toString() {
        return "ActiveSet[of " + units + " units for " + tokens + " tokens]";
    }
}
