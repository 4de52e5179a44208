package dev.filigree.format;

/**
 * How a matrix of attention scores (queries x keys) is cut into blocks. The last block row and column may be short.
 *
 * @param queries rows of the score matrix, at least 1
 * @param keys its columns, at least 1
 * @param blockRows queries of a block, a multiple of 16
 * @param blockCols keys of a block, a multiple of 16
 */
public record BlockGrid(int queries, int keys, int blockRows, int blockCols) {

    /** Block sizes are multiples of it. */
    public static final int GRANULE = 16;
    /** The largest block size: a block's element mask stays small, and offsets inside it stay {@code int}. */
    public static final int MAX_BLOCK = 4096;

    /** Checks the sizes. */
    public BlockGrid {
        requirePositive("queries", queries);
        requirePositive("keys", keys);
        requireBlock("blockRows", blockRows);
        requireBlock("blockCols", blockCols);
    }

    /** A grid of square blocks over as many queries as keys. */
    public static BlockGrid square(int sequence, int block) {
        return new BlockGrid(sequence, sequence, block, block);
    }

    private static void requirePositive(String name, int value) {
        if (value < 1) {
            throw new IllegalArgumentException(name + " = " + value + " is less than 1");
        }
    }

    private static void requireBlock(String name, int value) {
        if (value < GRANULE || value > MAX_BLOCK || value % GRANULE != 0) {
            throw new IllegalArgumentException(
                name + " = " + value + " is not a multiple of " + GRANULE + " from " + GRANULE + " to " + MAX_BLOCK);
        }
    }

    /** Block rows that cover the queries. */
    public int rowBlocks() {
        return Math.ceilDiv(queries, blockRows);
    }

    /** Block columns that cover the keys. */
    public int colBlocks() {
        return Math.ceilDiv(keys, blockCols);
    }

    /**
     * The position of query 0 among the keys: the last query stands at the last key, so that a block of new queries
     * after a cached prefix sees the prefix. 0 for as many queries as keys.
     */
    public int queryOffset() {
        return keys - queries;
    }

    @Override
    public String toString() {
        return queries + " x " + keys + " in blocks of " + blockRows + " x " + blockCols;
    }
}
