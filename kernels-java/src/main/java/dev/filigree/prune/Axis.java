package dev.filigree.prune;

/** Along which dimension the groups of an N:M pattern lie. */
public enum Axis {
    /** M consecutive elements of a row: the reduction of {@code W * X}. */
    ALONG_ROWS,
    /** M consecutive elements of a column: the reduction of {@code X * W}, or of a transposed weight. */
    ALONG_COLUMNS
}
