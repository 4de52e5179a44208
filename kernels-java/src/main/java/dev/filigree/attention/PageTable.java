package dev.filigree.attention;

import java.util.Arrays;
import java.util.Objects;

/**
 * The pages and the lengths of some sequences. An engine keeps one and changes it between runs; it is not for two
 * threads at a time, and a run reads it once, at its beginning.
 */
public final class PageTable {

    static final int NONE = -1;

    private final int sequences;
    private final int pagesPerSequence;
    private final int[] pages;
    private final int[] lengths;

    /**
     * A table of empty sequences without pages.
     *
     * @param sequences how many
     * @param pagesPerSequence that a sequence has at most
     * @throws IllegalArgumentException if a number is less than 1, or their product is 2^31 or more
     */
    public PageTable(int sequences, int pagesPerSequence) {
        if (sequences < 1 || pagesPerSequence < 1 || (long) sequences * pagesPerSequence > Integer.MAX_VALUE - 8) {
            throw new IllegalArgumentException("no table has " + sequences + " sequences of " + pagesPerSequence
                + " pages");
        }
        this.sequences = sequences;
        this.pagesPerSequence = pagesPerSequence;
        pages = new int[sequences * pagesPerSequence];
        Arrays.fill(pages, NONE);
        lengths = new int[sequences];
    }

    /** Sequences. */
    public int sequences() {
        return sequences;
    }

    /** Pages that a sequence has at most. */
    public int pagesPerSequence() {
        return pagesPerSequence;
    }

    /**
     * Says which page of the pool holds a part of a sequence.
     *
     * @param sequence of the table
     * @param index of the page in the sequence: it holds tokens {@code index * pageRows} and those that follow
     * @param page of the pool
     * @throws IndexOutOfBoundsException if there is no such place in the table
     * @throws IllegalArgumentException if the page is negative
     */
    public void setPage(int sequence, int index, int page) {
        if (page < 0) {
            throw new IllegalArgumentException("page = " + page + " is negative");
        }
        pages[at(sequence, index)] = page;
    }

    /**
     * Sets how many tokens a sequence has; the query of a run is its last one.
     *
     * @throws IndexOutOfBoundsException if there is no such sequence
     * @throws IllegalArgumentException if the length is negative
     */
    public void setLength(int sequence, int length) {
        if (length < 0) {
            throw new IllegalArgumentException("length = " + length + " is negative");
        }
        lengths[Objects.checkIndex(sequence, sequences)] = length;
    }

    /** How many tokens a sequence has. */
    public int length(int sequence) {
        return lengths[Objects.checkIndex(sequence, sequences)];
    }

    private int at(int sequence, int index) {
        return Objects.checkIndex(sequence, sequences) * pagesPerSequence + Objects.checkIndex(index, pagesPerSequence);
    }

    /** The page, or {@link #NONE}. */
    int pageAt(int sequence, int index) {
        return index >= pagesPerSequence ? NONE : pages[at(sequence, index)];
    }

    int[] pages() {
        return pages;
    }
}
