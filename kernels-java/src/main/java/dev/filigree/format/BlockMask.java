package dev.filigree.format;

import java.util.Arrays;
import java.util.Locale;
import java.util.Objects;

/**
 * Which scores of an attention are computed: for each query head, or for all heads alike, the blocks of the score
 * matrix that count, as two lists a block row. A block of the first list is full: every element counts. A block of the
 * second is partial and has an element mask. What is in neither is never computed, and its keys and values are never
 * met. Elements of the last blocks that lie outside the matrix count as nothing in either list.
 *
 * <p>Made by {@link BlockMasks}. Immutable and thread-safe; everything is checked when it is made. Equal element masks
 * are stored once. Two masks are equal when their grids, heads, lists and element masks are.
 */
public final class BlockMask {

    private final BlockGrid grid;
    private final int heads;
    private final BlockList full;
    private final BlockList partial;
    /** By partial block. */
    private final int[] patternOf;
    /** {@code blockRows x blockCols / 16} words each. */
    private final short[][] patterns;
    private final long elements;

    BlockMask(BlockGrid grid, int heads, BlockList full, BlockList partial, int[] patternOf, short[][] patterns) {
        this.grid = grid;
        this.heads = heads;
        this.full = full;
        this.partial = partial;
        this.patternOf = patternOf;
        this.patterns = patterns;
        full.seal();
        partial.seal();
        elements = countElements();
    }

    private long countElements() {
        long[] ofPattern = new long[patterns.length];
        for (int i = 0; i < patterns.length; i++) {
            for (short word : patterns[i]) {
                ofPattern[i] += Integer.bitCount(word & 0xffff);
            }
        }
        long count = 0;
        for (int pattern : patternOf) {
            count += ofPattern[pattern];
        }
        for (int list = 0; list < heads * grid.rowBlocks(); list++) {
            int row = list % grid.rowBlocks() * grid.blockRows();
            long rows = Math.min(grid.blockRows(), grid.queries() - row);
            for (int i = full.begin(list); i < full.end(list); i++) {
                count += rows * Math.min(grid.blockCols(), grid.keys() - full.column(i) * grid.blockCols());
            }
        }
        return count;
    }

    /** How the score matrix is cut. */
    public BlockGrid grid() {
        return grid;
    }

    /** The query heads that have lists of their own; 1 when all heads share them. */
    public int heads() {
        return heads;
    }

    /** Blocks whose elements all count, over all heads and rows. */
    public int fullBlocks() {
        return full.size();
    }

    /** Blocks with an element mask, over all heads and rows. */
    public int partialBlocks() {
        return partial.size();
    }

    /** Scores that count, over all heads of the mask. */
    public long elements() {
        return elements;
    }

    /** The share of all scores that count, 0 to 1. */
    public double density() {
        return elements / ((double) heads * grid.queries() * grid.keys());
    }

    /** The share of all scores that lie in listed blocks, which is the share of the work, 0 to 1. */
    public double blockDensity() {
        return ((double) full.size() + partial.size()) / ((double) heads * grid.rowBlocks() * grid.colBlocks());
    }

    /**
     * The number of full blocks in a block row of a head.
     *
     * @throws IndexOutOfBoundsException if there is no such head or block row; so do the methods below
     */
    public int fullCount(int head, int rowBlock) {
        int list = list(head, rowBlock);
        return full.end(list) - full.begin(list);
    }

    /** The block column of the n-th full block in a block row, in ascending order. */
    public int fullBlock(int head, int rowBlock, int n) {
        Objects.checkIndex(n, fullCount(head, rowBlock));
        return full.column(full.begin(list(head, rowBlock)) + n);
    }

    /** The number of partial blocks in a block row of a head. */
    public int partialCount(int head, int rowBlock) {
        int list = list(head, rowBlock);
        return partial.end(list) - partial.begin(list);
    }

    /** The block column of the n-th partial block in a block row, in ascending order. */
    public int partialBlock(int head, int rowBlock, int n) {
        return partial.column(partialIndex(head, rowBlock, n));
    }

    /** The element mask of the n-th partial block in a block row, as an index below {@link #patterns()}. */
    public int partialPattern(int head, int rowBlock, int n) {
        return patternOf[partialIndex(head, rowBlock, n)];
    }

    /** The number of different element masks. */
    public int patterns() {
        return patterns.length;
    }

    /**
     * Sixteen elements of an element mask; the lowest bit is the first key.
     *
     * @param pattern the index of the element mask
     * @param row of the block
     * @param word key / 16, counted in the block
     */
    public int patternWord(int pattern, int row, int word) {
        int words = grid.blockCols() / BlockGrid.GRANULE;
        Objects.checkIndex(row, grid.blockRows());
        Objects.checkIndex(word, words);
        return patterns[pattern][row * words + word] & 0xffff;
    }

    private int partialIndex(int head, int rowBlock, int n) {
        Objects.checkIndex(n, partialCount(head, rowBlock));
        return partial.begin(list(head, rowBlock)) + n;
    }

    private int list(int head, int rowBlock) {
        return Objects.checkIndex(head, heads) * grid.rowBlocks() + Objects.checkIndex(rowBlock, grid.rowBlocks());
    }

    /**
     * Whether a query may see a key.
     *
     * @param head 0 when the heads share their lists
     */
    public boolean contains(int head, int query, int key) {
        Objects.checkIndex(query, grid.queries());
        Objects.checkIndex(key, grid.keys());
        int list = list(head, query / grid.blockRows());
        int col = key / grid.blockCols();
        if (full.find(list, col) >= 0) {
            return true;
        }
        int index = partial.find(list, col);
        int at = key % grid.blockCols();
        return index >= 0 && (patternWord(patternOf[index], query % grid.blockRows(), at / 16) >> at % 16 & 1) == 1;
    }

    /**
     * The scores that count in this mask or in another one.
     *
     * @throws IllegalArgumentException if the grids differ, or both have lists per head of different number
     */
    public BlockMask union(BlockMask other) {
        return combine(other, true);
    }

    /**
     * The scores that count in this mask and in another one.
     *
     * @throws IllegalArgumentException if the grids differ, or both have lists per head of different number
     */
    public BlockMask intersection(BlockMask other) {
        return combine(other, false);
    }

    private BlockMask combine(BlockMask other, boolean union) {
        if (!grid.equals(other.grid)) {
            throw new IllegalArgumentException("the masks differ in their grids: " + grid + ", and " + other.grid);
        }
        if (heads != other.heads && heads != 1 && other.heads != 1) {
            throw new IllegalArgumentException("the masks are for " + heads + " and " + other.heads + " heads");
        }
        int combined = Math.max(heads, other.heads);
        BlockMaskBuilder builder = new BlockMaskBuilder(grid, combined);
        for (int head = 0; head < combined; head++) {
            for (int row = 0; row < grid.rowBlocks(); row++) {
                RowWalk mine = new RowWalk(this, heads == 1 ? 0 : head, row);
                RowWalk theirs = new RowWalk(other, other.heads == 1 ? 0 : head, row);
                combineRow(builder, head, row, mine, theirs, union);
            }
        }
        return builder.build();
    }

    private static void combineRow(
            BlockMaskBuilder builder, int head, int row, RowWalk mine, RowWalk theirs, boolean union) {
        while (mine.column() != RowWalk.END || theirs.column() != RowWalk.END) {
            int column = Math.min(mine.column(), theirs.column());
            short[] a = mine.column() == column ? mine.takeBits() : null;
            short[] b = theirs.column() == column ? theirs.takeBits() : null;
            if (a == null || b == null) {
                if (union) {
                    builder.add(head, row, column, a == null ? b : a);
                }
                continue;
            }
            for (int i = 0; i < a.length; i++) {
                a[i] = (short) (union ? a[i] | b[i] : a[i] & b[i]);
            }
            builder.add(head, row, column, a);
        }
    }

    /** Adds a block row of head 0 to another mask. */
    void addRowTo(BlockMaskBuilder builder, int head, int rowBlock) {
        for (RowWalk walk = new RowWalk(this, 0, rowBlock); walk.column() != RowWalk.END; ) {
            int column = walk.column();
            builder.add(head, rowBlock, column, walk.takeBits());
        }
    }

    /** Walks both lists of a block row in ascending column order. */
    private static final class RowWalk {
        static final int END = Integer.MAX_VALUE;

        private final BlockMask mask;
        private final int fullEnd;
        private final int partialEnd;
        private int nextFull;
        private int nextPartial;

        RowWalk(BlockMask mask, int head, int rowBlock) {
            this.mask = mask;
            int list = mask.list(head, rowBlock);
            nextFull = mask.full.begin(list);
            fullEnd = mask.full.end(list);
            nextPartial = mask.partial.begin(list);
            partialEnd = mask.partial.end(list);
        }

        private int fullColumn() {
            return nextFull < fullEnd ? mask.full.column(nextFull) : END;
        }

        private int partialColumn() {
            return nextPartial < partialEnd ? mask.partial.column(nextPartial) : END;
        }

        int column() {
            return Math.min(fullColumn(), partialColumn());
        }

        /** A copy of the block's element mask; goes on to the next block. */
        short[] takeBits() {
            if (fullColumn() <= partialColumn()) {
                nextFull++;
                short[] bits = new short[mask.grid.blockRows() * mask.grid.blockCols() / BlockGrid.GRANULE];
                Arrays.fill(bits, (short) -1);
                return bits;
            }
            return mask.patterns[mask.patternOf[nextPartial++]].clone();
        }
    }

    @Override
    public boolean equals(Object other) {
        return this == other || other instanceof BlockMask mask && grid.equals(mask.grid) && heads == mask.heads
            && elements == mask.elements && full.sameAs(mask.full) && partial.sameAs(mask.partial)
            && samePatterns(mask);
    }

    private boolean samePatterns(BlockMask mask) {
        for (int i = 0; i < patternOf.length; i++) {
            if (!Arrays.equals(patterns[patternOf[i]], mask.patterns[mask.patternOf[i]])) {
                return false;
            }
        }
        return true;
    }

    @Override
    public int hashCode() {
        return Objects.hash(grid, heads, elements, full.contentHash(), partial.contentHash());
    }

    @Override
    public String toString() {
        return String.format(Locale.ROOT, "BlockMask[%s, %s, %d full and %d partial blocks, density %.4f]", grid,
            heads == 1 ? "all heads alike" : heads + " heads", full.size(), partial.size(), density());
    }
}
