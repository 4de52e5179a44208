package dev.filigree.format;

import java.util.Objects;
import java.util.SplittableRandom;
import java.util.stream.IntStream;

/**
 * Makes {@link BlockMask}s. Rules about positions count query {@code i} at position {@code i + keys - queries}, as
 * {@link BlockGrid#queryOffset()} says, and are exact to the element: a block that a rule cuts becomes partial. Methods
 * without a head in their name or arguments make masks that all heads share.
 */
public final class BlockMasks {

    private BlockMasks() {}

    /** Every score. */
    public static BlockMask dense(BlockGrid grid) {
        return of(grid, new ElementRule.Columns(0, grid.keys()));
    }

    /** Every key up to the query's own position. */
    public static BlockMask causal(BlockGrid grid) {
        return of(grid, before());
    }

    private static ElementRule before() {
        return new ElementRule.Band(0, Integer.MAX_VALUE, 1);
    }

    /**
     * The last {@code window} keys up to the query's position, and the first {@code sinks} keys, none after the query:
     * the streaming attention of Xiao et al., arXiv 2309.17453; without sinks that of Mistral.
     *
     * @throws IllegalArgumentException if the window is less than 1, or sinks are negative
     */
    public static BlockMask slidingWindow(BlockGrid grid, int window, int sinks) {
        requireAtLeast("window", window, 1);
        requireAtLeast("sinks", sinks, 0);
        ElementRule band = new ElementRule.Band(0, window - 1, 1);
        if (sinks == 0) {
            return of(grid, band);
        }
        ElementRule columns = new ElementRule.Columns(0, sinks);
        return of(grid, new ElementRule.Causal(new ElementRule.AnyOf(band, columns)));
    }

    /**
     * Every {@code dilation}-th key to both sides of the query, {@code reach} of them, and the key at its position.
     *
     * @throws IllegalArgumentException if the reach is negative, the dilation less than 1, or their product 2^31
     */
    public static BlockMask dilated(BlockGrid grid, int reach, int dilation) {
        requireAtLeast("reach", reach, 0);
        requireAtLeast("dilation", dilation, 1);
        long span = (long) reach * dilation;
        if (span > Integer.MAX_VALUE) {
            throw new IllegalArgumentException("reach " + reach + " x dilation " + dilation + " is not below 2^31");
        }
        return of(grid, new ElementRule.Band((int) -span, (int) span, dilation));
    }

    /**
     * Longformer (Beltagy et al., arXiv 2004.05150): {@code reach} keys to both sides of the query; the first
     * {@code globals} positions see all and are seen by all.
     *
     * @throws IllegalArgumentException if a number is negative
     */
    public static BlockMask longformer(BlockGrid grid, int reach, int globals) {
        requireAtLeast("reach", reach, 0);
        requireAtLeast("globals", globals, 0);
        return of(grid, new ElementRule.AnyOf(new ElementRule.Band(-reach, reach, 1),
            new ElementRule.Columns(0, globals), new ElementRule.Rows(0, globals)));
    }

    /**
     * BigBird (Zaheer et al., arXiv 2007.14062), in whole blocks: the block at the query's place and {@code reach} to
     * each side, the first {@code globals} block columns and block rows, and {@code random} further blocks a row.
     *
     * @param seed of the random blocks: the same seed gives the same mask everywhere
     * @throws IllegalArgumentException if a number is negative
     */
    public static BlockMask bigBird(BlockGrid grid, int reach, int globals, int random, long seed) {
        requireAtLeast("reach", reach, 0);
        requireAtLeast("globals", globals, 0);
        requireAtLeast("random", random, 0);
        SplittableRandom draw = new SplittableRandom(seed);
        int cols = grid.colBlocks();
        BlockMaskBuilder builder = new BlockMaskBuilder(grid, 1);
        for (int row = 0; row < grid.rowBlocks(); row++) {
            boolean[] listed = new boolean[cols];
            int count = 0;
            long position = Math.max(0, (long) row * grid.blockRows() + grid.queryOffset());
            long place = position / grid.blockCols();
            for (int col = 0; col < cols; col++) {
                listed[col] = row < globals || col < globals || Math.abs(col - place) <= reach;
                count += listed[col] ? 1 : 0;
            }
            for (int left = Math.min(random, cols - count); left > 0; left--) {
                int skip = draw.nextInt(cols - count++);
                for (int col = 0; ; col++) {
                    if (!listed[col] && skip-- == 0) {
                        listed[col] = true;
                        break;
                    }
                }
            }
            addRow(builder, 0, row, listed);
        }
        return builder.build();
    }

    /**
     * The pattern of MInference (Jiang et al., arXiv 2407.02490): some keys for every query, and for each query the
     * keys at some distances before it; none after the query.
     *
     * @param verticals keys, 0 to keys - 1
     * @param slashes distances, 0 for the query's own position
     * @throws IllegalArgumentException if one is negative or not below the number of keys
     */
    public static BlockMask verticalSlash(BlockGrid grid, int[] verticals, int[] slashes) {
        requireBelowKeys("verticals", verticals, grid);
        requireBelowKeys("slashes", slashes, grid);
        return of(grid, new ElementRule.Causal(new ElementRule.VerticalSlash(grid.keys(), verticals, slashes)));
    }

    /**
     * In each block row of each head the {@code k} block columns of the highest scores. Among equal scores the first
     * columns win; a score of negative infinity is never taken.
     *
     * @param scores by head, block row and block column; one head makes a shared mask
     * @param k at least 0
     * @throws IllegalArgumentException if the scores do not fit the grid, or one is NaN
     */
    public static BlockMask topK(BlockGrid grid, float[][][] scores, int k) {
        requireAtLeast("k", k, 0);
        BlockMaskBuilder builder = new BlockMaskBuilder(grid, scores.length);
        for (int head = 0; head < scores.length; head++) {
            requireLength("scores[" + head + "]", scores[head].length, grid.rowBlocks(), "block rows");
            for (int row = 0; row < grid.rowBlocks(); row++) {
                float[] line = scores[head][row];
                requireLength("scores[" + head + "][" + row + "]", line.length, grid.colBlocks(), "block columns");
                for (int col = 0; col < line.length; col++) {
                    if (Float.isNaN(line[col])) {
                        throw new IllegalArgumentException("scores[" + head + "][" + row + "][" + col + "] is NaN");
                    }
                }
                boolean[] listed = new boolean[line.length];
                IntStream.range(0, line.length).boxed().filter(col -> line[col] > Float.NEGATIVE_INFINITY)
                    .sorted((a, b) -> Float.compare(line[b] + 0f, line[a] + 0f)).limit(k)
                    .forEach(col -> listed[col] = true);
                addRow(builder, head, row, listed);
            }
        }
        return builder.build();
    }

    /**
     * Whole blocks.
     *
     * @param listed by head, block row and block column; one head makes a shared mask
     * @throws IllegalArgumentException if the array does not fit the grid
     */
    public static BlockMask ofBlocks(BlockGrid grid, boolean[][][] listed) {
        BlockMaskBuilder builder = new BlockMaskBuilder(grid, listed.length);
        for (int head = 0; head < listed.length; head++) {
            requireLength("listed[" + head + "]", listed[head].length, grid.rowBlocks(), "block rows");
            for (int row = 0; row < grid.rowBlocks(); row++) {
                requireLength(
                    "listed[" + head + "][" + row + "]", listed[head][row].length, grid.colBlocks(), "block columns");
                addRow(builder, head, row, listed[head][row]);
            }
        }
        return builder.build();
    }

    /**
     * The elements that are true; blocks without one are not listed.
     *
     * @param allowed by head, query and key; one head makes a shared mask
     * @throws IllegalArgumentException if the array does not fit the grid
     */
    public static BlockMask ofElements(BlockGrid grid, boolean[][][] allowed) {
        BlockMaskBuilder builder = new BlockMaskBuilder(grid, allowed.length);
        for (int head = 0; head < allowed.length; head++) {
            boolean[][] rows = allowed[head];
            requireLength("allowed[" + head + "]", rows.length, grid.queries(), "queries");
            for (int i = 0; i < rows.length; i++) {
                requireLength("allowed[" + head + "][" + i + "]", rows[i].length, grid.keys(), "keys");
            }
            addRule(builder, head, new Elements(rows, grid.queryOffset()));
        }
        return builder.build();
    }

    private record Elements(boolean[][] allowed, int offset) implements ElementRule {
        @Override
        public int word(int p, int j) {
            boolean[] row = allowed[p - offset];
            int word = 0;
            for (int key = j; key < Math.min(row.length, j + WORD); key++) {
                word |= row[key] ? 1 << key - j : 0;
            }
            return word;
        }

        @Override
        public boolean touches(int p0, int p1, int j0, int j1) {
            return true;
        }

        @Override
        public boolean covers(int p0, int p1, int j0, int j1) {
            return false;
        }
    }

    /**
     * One mask with a list for each head, from masks of single heads.
     *
     * @throws IllegalArgumentException if there is none, their grids differ, or one has several heads
     */
    public static BlockMask perHead(BlockMask... masks) {
        if (masks.length == 0) {
            throw new IllegalArgumentException("masks is empty");
        }
        BlockGrid grid = masks[0].grid();
        BlockMaskBuilder builder = new BlockMaskBuilder(grid, masks.length);
        for (int head = 0; head < masks.length; head++) {
            if (!masks[head].grid().equals(grid) || masks[head].heads() != 1) {
                throw new IllegalArgumentException("masks[" + head + "] = " + masks[head]
                    + ": must be of one head, with the grid of masks[0]: " + grid);
            }
            for (int row = 0; row < grid.rowBlocks(); row++) {
                masks[head].addRowTo(builder, head, row);
            }
        }
        return builder.build();
    }

    private static BlockMask of(BlockGrid grid, ElementRule rule) {
        BlockMaskBuilder builder = new BlockMaskBuilder(grid, 1);
        addRule(builder, 0, rule);
        return builder.build();
    }

    private static void addRule(BlockMaskBuilder builder, int head, ElementRule rule) {
        BlockGrid grid = builder.grid();
        for (int row = 0; row < grid.rowBlocks(); row++) {
            for (int col = 0; col < grid.colBlocks(); col++) {
                builder.add(head, row, col, rule);
            }
        }
    }

    private static void addRow(BlockMaskBuilder builder, int head, int row, boolean[] listed) {
        for (int col = 0; col < listed.length; col++) {
            if (listed[col]) {
                builder.addFull(head, row, col);
            }
        }
    }

    private static void requireAtLeast(String name, int value, int least) {
        if (value < least) {
            throw new IllegalArgumentException(name + " = " + value + " is less than " + least);
        }
    }

    private static void requireLength(String name, int length, int expected, String what) {
        if (length != expected) {
            throw new IllegalArgumentException(name + " has " + length + " elements, the grid has " + expected + " "
                + what);
        }
    }

    private static void requireBelowKeys(String name, int[] values, BlockGrid grid) {
        Objects.requireNonNull(values, name);
        for (int i = 0; i < values.length; i++) {
            if (values[i] < 0 || values[i] >= grid.keys()) {
                throw new IllegalArgumentException(
                    name + "[" + i + "] = " + values[i] + " is not in 0.." + (grid.keys() - 1));
            }
        }
    }
}
