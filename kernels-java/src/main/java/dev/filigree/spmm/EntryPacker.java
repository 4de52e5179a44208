package dev.filigree.spmm;

import dev.filigree.format.CsrMatrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Moves the nonzeros of a CSR matrix to where {@link dev.filigree.spi.SpmmFormat} wants them: block by block, group by
 * group, and within a group row by row or in turns.
 *
 * <p>Nonzeros pass through arrays, many rows at a time: an access to a segment costs several times as much, a bulk copy
 * as much as tens of nonzeros, and both hundreds of times that until the compiler has seen them often.
 */
final class EntryPacker {

    /**
     * Pieces are taken together up to so many nonzeros, and groups are written so many entries at a time: the
     * first-level cache holds their columns and values, and arrays of that size touch few pages of a heap that is new.
     */
    private static final int WINDOW_ENTRIES = 1 << 12;

    private final MemorySegment columns;
    private final MemorySegment values;
    private final long[] begins;
    private final int virtualRows;
    private final int group;
    private final int groups;
    private final int[] places;
    private final int[] pieces;
    private final long blockDepth;
    private final int blockCount;
    private final long[] starts;

    /** The virtual rows at hand, and their nonzeros. */
    private int firstRow;
    private int lastRow;
    private int[] windowColumns = new int[0];
    private float[] windowValues = new float[0];
    /** Of each of these rows, the first nonzero that is not written yet. */
    private int[] next = new int[0];
    private int[] packedColumns = new int[0];
    private short[] narrowColumns = new short[0];
    private float[] packedValues = new float[0];

    /**
     * Lays entries out.
     *
     * @param begins first nonzero of each virtual row, and where the last one ends
     * @param group rows of a group
     * @param places the virtual row that is each member of each group; null when a group is one row
     * @param pieces first virtual rows of what can be packed by itself, and where the last one ends
     * @param blockDepth columns of a block
     * @param blockCount blocks, at least one; times the groups, an int
     */
    EntryPacker(CsrMatrix a, long[] begins, int group, int[] places, int[] pieces, long blockDepth, long blockCount) {
        columns = a.columns();
        values = a.values();
        this.begins = begins;
        this.group = group;
        this.places = places;
        this.pieces = pieces;
        this.blockDepth = blockDepth;
        this.blockCount = Math.toIntExact(blockCount);
        virtualRows = begins.length - 1;
        groups = Math.ceilDiv(virtualRows, group);
        starts = new long[Math.toIntExact(blockCount * (groups + 1L))];
        layOut();
    }

    /** The format's table of where each group begins in each block. */
    long[] starts() {
        return starts;
    }

    /** Entries, padding included. */
    long count() {
        return starts[starts.length - 1];
    }

    private void layOut() {
        if (blockCount == 1) {
            for (int member = 0; member < groups * group; member++) {
                int v = row(member);
                long length = v < virtualRows ? begins[v + 1] - begins[v] : 0;
                starts[member / group] = Math.max(starts[member / group], group * length);
            }
        } else {
            for (int piece = 0; piece < pieces.length - 1; ) {
                piece = openWindow(piece);
                countWindow();
            }
        }
        long sum = 0;
        for (int i = 0; i < starts.length; i++) {
            long count = starts[i];
            starts[i] = sum;
            sum += count;
        }
    }

    /** The virtual row that is a member of all groups; a number past the last one stands for none. */
    private int row(int member) {
        return places == null ? member : places[member];
    }

    /** Takes the rows of one piece or more. Returns the piece after them. */
    private int openWindow(int piece) {
        firstRow = pieces[piece];
        int end = piece + 1;
        while (end < pieces.length - 1 && begins[pieces[end + 1]] - begins[firstRow] <= WINDOW_ENTRIES) {
            end++;
        }
        lastRow = pieces[end];
        int count = (int) (begins[lastRow] - begins[firstRow]);
        if (windowColumns.length < count) {
            windowColumns = new int[Math.max(count, WINDOW_ENTRIES)];
        }
        MemorySegment.copy(columns, ValueLayout.JAVA_INT, Integer.BYTES * begins[firstRow], windowColumns, 0, count);
        return end;
    }

    private int firstGroup() {
        return firstRow / group;
    }

    private int lastGroup() {
        return Math.ceilDiv(lastRow, group);
    }

    /** What each group of the window takes in each block: as much for every member as for its longest. */
    private void countWindow() {
        long stride = groups + 1L;
        for (int member = firstGroup() * group; member < lastGroup() * group; member++) {
            int v = row(member);
            if (v < virtualRows) {
                countRow((int) (begins[v] - begins[firstRow]), (int) (begins[v + 1] - begins[firstRow]),
                    member / group, stride);
            }
        }
    }

    private void countRow(int begin, int end, int g, long stride) {
        int p = begin;
        while (p < end) {
            long block = windowColumns[p] / blockDepth;
            long limit = (block + 1) * blockDepth;
            int from = p;
            do {
                p++;
            } while (p < end && windowColumns[p] < limit);
            int at = (int) (block * stride + g);
            starts[at] = Math.max(starts[at], (long) group * (p - from));
        }
    }

    /** Writes all entries to a packed matrix. */
    void write(MemorySegment packed, long columnsAt, long valuesAt) {
        if (group == 1 && blockCount == 1) {
            MemorySegment.copy(columns, 0, packed, columnsAt, Integer.BYTES * count());
            MemorySegment.copy(values, 0, packed, valuesAt, Float.BYTES * count());
            return;
        }
        for (int piece = 0; piece < pieces.length - 1; ) {
            piece = openWindow(piece);
            openValues();
            for (int block = 0; block < blockCount; block++) {
                writeBlock(packed, columnsAt, valuesAt, block);
            }
        }
    }

    /** The window's entries of a block, some groups at a time. */
    private void writeBlock(MemorySegment packed, long columnsAt, long valuesAt, int block) {
        int at = (int) (block * (groups + 1L));
        for (int g = firstGroup(); g < lastGroup(); ) {
            long begin = starts[at + g];
            int end = g + 1;
            while (end < lastGroup() && starts[at + end + 1] - begin <= WINDOW_ENTRIES) {
                end++;
            }
            int size = (int) (starts[at + end] - begin);
            if (packedColumns.length < size) {
                packedColumns = new int[Math.max(size, WINDOW_ENTRIES)];
                packedValues = new float[packedColumns.length];
                narrowColumns = new short[group == 1 ? 0 : packedColumns.length];
            }
            arrange(block, g, end, at);
            writeGroups(packed, columnsAt, valuesAt, begin, size);
            g = end;
        }
    }

    private void openValues() {
        int count = (int) (begins[lastRow] - begins[firstRow]);
        if (windowValues.length < count) {
            windowValues = new float[windowColumns.length];
        }
        MemorySegment.copy(values, ValueLayout.JAVA_FLOAT, Float.BYTES * begins[firstRow], windowValues, 0, count);
        if (next.length < lastRow - firstRow) {
            next = new int[lastRow - firstRow];
        }
        for (int v = firstRow; v < lastRow; v++) {
            next[v - firstRow] = (int) (begins[v] - begins[firstRow]);
        }
    }

    /**
     * The entries of groups [first, last) in a block, which is the one after that of these groups' last call, in the
     * order of the format.
     */
    private void arrange(int block, int first, int last, int startsAt) {
        long begin = starts[startsAt + first];
        for (int member = first * group; member < last * group; member++) {
            int g = startsAt + member / group;
            int to = (int) (starts[g] - begin) + member % group;
            int v = row(member);
            if (v < virtualRows) {
                to = arrangeRow(v, block, to);
            }
            int end = (int) (starts[g + 1] - begin);
            for (; to < end; to += group) {
                packedColumns[to] = (int) blockDepth;
                packedValues[to] = 0f;
            }
        }
    }

    private int arrangeRow(int v, int block, int begin) {
        int[] own = windowColumns;
        int end = (int) (begins[v + 1] - begins[firstRow]);
        int first = (int) (block * blockDepth);
        long limit = first + blockDepth;
        int to = begin;
        int p = next[v - firstRow];
        for (; p < end && own[p] < limit; p++, to += group) {
            packedColumns[to] = own[p] - first;
            packedValues[to] = windowValues[p];
        }
        next[v - firstRow] = p;
        return to;
    }

    private void writeGroups(MemorySegment packed, long columnsAt, long valuesAt, long begin, int size) {
        MemorySegment.copy(packedValues, 0, packed, ValueLayout.JAVA_FLOAT, valuesAt + Float.BYTES * begin, size);
        if (group == 1) {
            long to = columnsAt + Integer.BYTES * begin;
            MemorySegment.copy(packedColumns, 0, packed, ValueLayout.JAVA_INT, to, size);
            return;
        }
        for (int i = 0; i < size; i++) {
            narrowColumns[i] = (short) packedColumns[i];
        }
        long to = columnsAt + Short.BYTES * begin;
        MemorySegment.copy(narrowColumns, 0, packed, ValueLayout.JAVA_SHORT, to, size);
    }
}
