package dev.filigree.format;

import java.util.Arrays;

/** Block columns by block row, in compressed rows; filled in ascending order, then only read. */
final class BlockList {

    /** offsets[r + 1] counts the entries of rows 0 to r once {@link #seal} has run; before, up to the current row. */
    private final int[] offsets;
    private int[] columns = new int[16];
    private int row;
    private int size;

    BlockList(int rows) {
        offsets = new int[rows + 1];
    }

    /** Rows must not fall, columns must rise within a row. */
    void add(int newRow, int column) {
        if (newRow < row || newRow == row && size > offsets[row] && columns[size - 1] >= column) {
            throw new IllegalArgumentException("block (" + newRow + ", " + column + ") does not follow the one before");
        }
        advance(newRow);
        if (size == columns.length) {
            if (size == Integer.MAX_VALUE - 8) {
                throw new IllegalArgumentException("a mask cannot list more than " + size + " blocks");
            }
            columns = Arrays.copyOf(columns, (int) Math.min(2L * size, Integer.MAX_VALUE - 8));
        }
        columns[size++] = column;
    }

    private void advance(int newRow) {
        while (row < newRow) {
            offsets[++row] = size;
        }
    }

    /** Ends the last row, and drops spare room. */
    void seal() {
        advance(offsets.length - 1);
        columns = Arrays.copyOf(columns, size);
    }

    int size() {
        return size;
    }

    int begin(int of) {
        return offsets[of];
    }

    int end(int of) {
        return offsets[of + 1];
    }

    int column(int index) {
        return columns[index];
    }

    /** The entry of a row with a column, or -1. */
    int find(int of, int column) {
        int index = Arrays.binarySearch(columns, begin(of), end(of), column);
        return index < 0 ? -1 : index;
    }

    boolean sameAs(BlockList other) {
        return Arrays.equals(offsets, other.offsets) && Arrays.equals(columns, other.columns);
    }

    int contentHash() {
        return 31 * Arrays.hashCode(offsets) + Arrays.hashCode(columns);
    }
}
