package dev.filigree.format;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

/** Collects blocks head by head, block row by block row, in ascending column order within a row. */
final class BlockMaskBuilder {

    /** The element mask of a block without holes. */
    private static final int FULL = -1;
    /** What {@link #add} does not store. */
    private static final int EMPTY = -2;

    private final BlockGrid grid;
    private final int heads;
    private final BlockList full;
    private final BlockList partial;
    private int[] patternOf = new int[16];
    private short[][] patterns = new short[16][];
    private int patternCount;
    private final Map<Pattern, Integer> known = new HashMap<>();

    /** An element mask by its content. */
    private record Pattern(short[] bits) {
        @Override
        public boolean equals(Object other) {
            return other instanceof Pattern pattern && Arrays.equals(bits, pattern.bits);
        }

        @Override
        public int hashCode() {
            return Arrays.hashCode(bits);
        }
    }

    BlockMaskBuilder(BlockGrid grid, int heads) {
        if (heads < 1 || (long) heads * grid.rowBlocks() >= Integer.MAX_VALUE) {
            throw new IllegalArgumentException("heads = " + heads + ": must be at least 1, and heads x "
                + grid.rowBlocks() + " block rows below 2^31");
        }
        this.grid = grid;
        this.heads = heads;
        full = new BlockList(heads * grid.rowBlocks());
        partial = new BlockList(heads * grid.rowBlocks());
    }

    BlockGrid grid() {
        return grid;
    }

    void addFull(int head, int rowBlock, int colBlock) {
        full.add(head * grid.rowBlocks() + rowBlock, colBlock);
    }

    /**
     * Adds what a pattern allows of a block: nothing, all of it, or a part.
     *
     * @param bits {@code blockRows x blockCols / 16} words, key 0 of a word in its lowest bit; adopted
     */
    void add(int head, int rowBlock, int colBlock, short[] bits) {
        int pattern = intern(rowBlock, colBlock, bits);
        if (pattern == EMPTY) {
            return;
        }
        if (pattern == FULL) {
            addFull(head, rowBlock, colBlock);
            return;
        }
        if (partial.size() == patternOf.length) {
            patternOf = Arrays.copyOf(patternOf, 2 * patternOf.length);
        }
        patternOf[partial.size()] = pattern;
        partial.add(head * grid.rowBlocks() + rowBlock, colBlock);
    }

    /** Adds what a rule allows of a block. */
    void add(int head, int rowBlock, int colBlock, ElementRule rule) {
        int offset = grid.queryOffset();
        int row = rowBlock * grid.blockRows();
        int col = colBlock * grid.blockCols();
        int rowEnd = Math.min(grid.queries(), row + grid.blockRows());
        int colEnd = Math.min(grid.keys(), col + grid.blockCols());
        if (!rule.touches(row + offset, rowEnd - 1 + offset, col, colEnd - 1)) {
            return;
        }
        if (rule.covers(row + offset, rowEnd - 1 + offset, col, colEnd - 1)) {
            addFull(head, rowBlock, colBlock);
            return;
        }
        int words = grid.blockCols() / BlockGrid.GRANULE;
        short[] bits = new short[grid.blockRows() * words];
        int at = 0;
        for (int i = row; i < rowEnd; i++) {
            for (int j = col; j < col + grid.blockCols(); j += BlockGrid.GRANULE) {
                bits[at++] = (short) rule.word(i + offset, j);
            }
        }
        add(head, rowBlock, colBlock, bits);
    }

    /** Bits outside the matrix are cleared, so that equal masks have equal bits. */
    private int intern(int rowBlock, int colBlock, short[] bits) {
        int words = grid.blockCols() / BlockGrid.GRANULE;
        int rows = Math.min(grid.blockRows(), grid.queries() - rowBlock * grid.blockRows());
        int cols = Math.min(grid.blockCols(), grid.keys() - colBlock * grid.blockCols());
        boolean all = true;
        boolean none = true;
        for (int word = 0; word < words; word++) {
            int inside = ElementRule.range(0, cols - word * BlockGrid.GRANULE);
            for (int row = 0, at = word; at < bits.length; row++, at += words) {
                int mask = row < rows ? inside : 0;
                bits[at] &= (short) mask;
                all &= (bits[at] & 0xffff) == mask;
                none &= bits[at] == 0;
            }
        }
        if (all || none) {
            return all ? FULL : EMPTY;
        }
        Pattern pattern = new Pattern(bits);
        Integer index = known.putIfAbsent(pattern, patternCount);
        if (index != null) {
            return index;
        }
        if (patternCount == patterns.length) {
            patterns = Arrays.copyOf(patterns, 2 * patterns.length);
        }
        patterns[patternCount] = bits;
        return patternCount++;
    }

    BlockMask build() {
        return new BlockMask(grid, heads, full, partial, Arrays.copyOf(patternOf, partial.size()),
            Arrays.copyOf(patterns, patternCount));
    }
}
