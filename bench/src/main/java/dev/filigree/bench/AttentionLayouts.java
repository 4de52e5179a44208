package dev.filigree.bench;

import dev.filigree.format.BlockGrid;
import dev.filigree.format.BlockMask;
import dev.filigree.format.BlockMasks;
import java.util.Arrays;
import java.util.SplittableRandom;

/** Masks by the names that the command line uses; their parameters follow from the sequence and the block size. */
enum AttentionLayouts {
    /** Every score. */
    DENSE,
    /** Every key up to the query. */
    CAUSAL,
    /** An eighth of the sequence before the query. */
    SLIDING_WINDOW,
    /** The same, and four first keys. */
    STREAMING,
    /** A sixteenth of the sequence to both sides, one global block. */
    LONGFORMER,
    /** Three blocks in the middle, two global, three random. */
    BIGBIRD,
    /** Every fourth key, a sixteenth of the sequence of them to both sides. */
    DILATED,
    /** Keys and distances that a seed draws: a 64th and a 32nd of the sequence, and the first and nearest ones. */
    VERTICAL_SLASH;

    BlockMask mask(BlockGrid grid, long seed) {
        int n = grid.keys();
        return switch (this) {
            case DENSE -> BlockMasks.dense(grid);
            case CAUSAL -> BlockMasks.causal(grid);
            case SLIDING_WINDOW -> BlockMasks.slidingWindow(grid, Math.max(1, n / 8), 0);
            case STREAMING -> BlockMasks.slidingWindow(grid, Math.max(1, n / 8), 4);
            case LONGFORMER -> BlockMasks.longformer(grid, n / 16, grid.blockCols());
            case BIGBIRD -> BlockMasks.bigBird(grid, 1, 2, 3, seed);
            case DILATED -> BlockMasks.dilated(grid, n / 16, 4);
            case VERTICAL_SLASH -> verticalSlash(grid, new SplittableRandom(seed));
        };
    }

    private static BlockMask verticalSlash(BlockGrid grid, SplittableRandom random) {
        int n = grid.keys();
        int[] verticals = random.ints(1 + n / 64, 0, n).toArray();
        int[] slashes = random.ints(1 + n / 32, 0, n).toArray();
        verticals[0] = 0;
        slashes[0] = 0;
        return BlockMasks.verticalSlash(grid, verticals, slashes);
    }

    /**
     * Whole blocks at random.
     *
     * @param density the share of each block row that is listed
     * @param causal a share of the blocks up to the diagonal, which itself is always listed
     */
    static BlockMask random(BlockGrid grid, double density, boolean causal, long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        boolean[][][] listed = new boolean[1][grid.rowBlocks()][grid.colBlocks()];
        for (int r = 0; r < listed[0].length; r++) {
            boolean[] row = listed[0][r];
            int last = Math.min(r, row.length - 1);
            int count = (int) Math.round(density * (causal ? last + 1 : row.length));
            if (causal) {
                row[last] = true;
                draw(row, last, count - 1, random);
            } else {
                draw(row, row.length, count, random);
            }
        }
        return BlockMasks.ofBlocks(grid, listed);
    }

    /** Lists some of the first blocks of a row. */
    private static void draw(boolean[] row, int of, int count, SplittableRandom random) {
        Arrays.fill(row, 0, Math.max(0, count), true);
        for (int i = of - 1; i > 0; i--) {
            int j = random.nextInt(i + 1);
            boolean swapped = row[i];
            row[i] = row[j];
            row[j] = swapped;
        }
    }
}
