package dev.filigree.format;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * Entries in the order of a file, gathered off-heap and then sorted into CSR in linear time.
 *
 * <p>The sort is a stable counting sort by row. It leaves the columns of each row in order when the entries
 * came by row or by column, as nearly all files have them; otherwise a stable radix sort by column goes
 * first.
 */
final class Triplets implements AutoCloseable {

    /** 2048 write streams stay within the translation buffers, and two passes sort four million columns. */
    private static final int DIGIT_BITS = 11;

    private final GrowableSegment rows = new GrowableSegment();
    private final GrowableSegment columns = new GrowableSegment();
    private final GrowableSegment values = new GrowableSegment();
    private final GrowableSegment lines = new GrowableSegment();
    private long count;
    private int lastRow;
    private int lastColumn;
    private boolean orderedByRow = true;
    private boolean orderedByColumn = true;

    /** Makes the exception for two entries at one place. */
    @FunctionalInterface
    interface DuplicateReport {
        RuntimeException of(int row, int column, long firstLine, long secondLine);
    }

    /** Appends an entry, 0-based, that was read from a line of the file. */
    void add(int row, int column, float value, long line) {
        orderedByRow &= row > lastRow || row == lastRow && column >= lastColumn;
        orderedByColumn &= column >= lastColumn;
        lastRow = row;
        lastColumn = column;
        rows.addInt(row);
        columns.addInt(column);
        values.addFloat(value);
        lines.addLong(line);
        count++;
    }

    /** Sorts the entries, all of which lie within the shape, into a matrix. */
    CsrMatrix toCsr(int rowCount, int columnCount, DuplicateReport duplicate) {
        CsrStorage storage = new CsrStorage(rowCount);
        storage.allocateEntries(count);
        for (long i = 0; i < count; i++) {
            long place = rows.getInt(i) + 1L;
            storage.setRowOffset(place, storage.rowOffset(place) + 1);
        }
        storage.sumCounts(rowCount);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment order = orderedByRow || orderedByColumn ? null : orderByColumn(arena, columnCount);
            for (long i = 0; i < count; i++) {
                long entry = order == null ? i : order.getAtIndex(ValueLayout.JAVA_LONG, i);
                int row = rows.getInt(entry);
                long place = storage.rowOffset(row);
                storage.setEntry(place, columns.getInt(entry), values.getFloat(entry));
                storage.setRowOffset(row, place + 1);
            }
        }
        storage.rewindOffsets(rowCount);
        refuseDuplicates(storage, rowCount, duplicate);
        return new CsrMatrix(rowCount, columnCount, storage);
    }

    /** The entry numbers sorted by column, those of one column in the order of the file. */
    private MemorySegment orderByColumn(Arena arena, int columnCount) {
        MemorySegment from = arena.allocate(count * Long.BYTES, Long.BYTES);
        MemorySegment to = arena.allocate(count * Long.BYTES, Long.BYTES);
        for (long i = 0; i < count; i++) {
            from.setAtIndex(ValueLayout.JAVA_LONG, i, i);
        }
        int mask = (1 << DIGIT_BITS) - 1;
        long[] places = new long[mask + 1];
        for (int shift = 0; shift < Integer.SIZE && (columnCount - 1) >>> shift != 0; shift += DIGIT_BITS) {
            Arrays.fill(places, 0);
            for (long i = 0; i < count; i++) {
                places[(columns.getInt(i) >>> shift) & mask]++;
            }
            long start = 0;
            for (int digit = 0; digit <= mask; digit++) {
                long size = places[digit];
                places[digit] = start;
                start += size;
            }
            for (long i = 0; i < count; i++) {
                long entry = from.getAtIndex(ValueLayout.JAVA_LONG, i);
                long place = places[(columns.getInt(entry) >>> shift) & mask]++;
                to.setAtIndex(ValueLayout.JAVA_LONG, place, entry);
            }
            MemorySegment sorted = to;
            to = from;
            from = sorted;
        }
        return from;
    }

    private void refuseDuplicates(CsrStorage storage, int rowCount, DuplicateReport duplicate) {
        for (int r = 0; r < rowCount; r++) {
            long end = storage.rowOffset(r + 1L);
            for (long i = storage.rowOffset(r) + 1; i < end; i++) {
                int column = storage.columns().getAtIndex(ValueLayout.JAVA_INT, i);
                if (column == storage.columns().getAtIndex(ValueLayout.JAVA_INT, i - 1)) {
                    long first = find(r, column, 0);
                    long second = find(r, column, first + 1);
                    throw duplicate.of(r, column, lines.getLong(first), lines.getLong(second));
                }
            }
        }
    }

    private long find(int row, int column, long from) {
        long i = from;
        while (rows.getInt(i) != row || columns.getInt(i) != column) {
            i++;
        }
        return i;
    }

    @Override
    public void close() {
        rows.close();
        columns.close();
        values.close();
        lines.close();
    }
}
