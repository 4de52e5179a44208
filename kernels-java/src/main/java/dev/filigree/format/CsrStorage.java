package dev.filigree.format;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The writable arrays of a matrix under construction; {@link CsrMatrix} adopts, checks, then only reads them.
 *
 * <p>The arena is automatic: a finished matrix is an immutable value that any number of plans and threads
 * share, so nobody is in a place to close it, and it must live as long as any segment that was handed out.
 */
final class CsrStorage {

    /** A cache line, and the widest vector. */
    private static final long ALIGNMENT = 64;

    private final Arena arena = Arena.ofAuto();
    private final MemorySegment rowOffsets;
    private MemorySegment columns;
    private MemorySegment values;

    /** Allocates {@code rows + 1} zeroed row offsets. */
    CsrStorage(int rows) {
        rowOffsets = arena.allocate((rows + 1L) * Long.BYTES, ALIGNMENT);
    }

    /** Allocates the columns and values of as many entries as are to come. */
    void allocateEntries(long nonzeros) {
        columns = arena.allocate(Math.multiplyExact(nonzeros, (long) Integer.BYTES), ALIGNMENT);
        values = arena.allocate(Math.multiplyExact(nonzeros, (long) Float.BYTES), ALIGNMENT);
    }

    /** Turns the counts that were left in elements 1 to {@code rows} into offsets; returns their sum. */
    long sumCounts(int rows) {
        long sum = 0;
        for (long r = 1; r <= rows; r++) {
            sum = Math.addExact(sum, rowOffset(r));
            setRowOffset(r, sum);
        }
        return sum;
    }

    /**
     * Undoes the advance of the offsets that were used as write positions: when every row is full, offset
     * {@code r} has become offset {@code r + 1}.
     */
    void rewindOffsets(int rows) {
        MemorySegment.copy(rowOffsets, 0, rowOffsets, Long.BYTES, (long) rows * Long.BYTES);
        setRowOffset(0, 0);
    }

    long rowOffset(long row) {
        return rowOffsets.getAtIndex(ValueLayout.JAVA_LONG, row);
    }

    void setRowOffset(long row, long offset) {
        rowOffsets.setAtIndex(ValueLayout.JAVA_LONG, row, offset);
    }

    void setEntry(long index, int column, float value) {
        columns.setAtIndex(ValueLayout.JAVA_INT, index, column);
        values.setAtIndex(ValueLayout.JAVA_FLOAT, index, value);
    }

    MemorySegment rowOffsets() {
        return rowOffsets;
    }

    MemorySegment columns() {
        return columns;
    }

    MemorySegment values() {
        return values;
    }
}
