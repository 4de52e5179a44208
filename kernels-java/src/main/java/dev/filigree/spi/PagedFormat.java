package dev.filigree.spi;

/**
 * The shape of attention over a paged cache: byte offsets of the fields of {@code filigree_paged_shape} in
 * {@code native/include/filigree.h}, which defines them.
 */
public final class PagedFormat {

    /** Selected keys that one work item covers. */
    public static final int SPLIT_KEYS = 1024;

    /** Sequences, one query each. */
    public static final long SEQUENCES = 0;
    /** Query heads. */
    public static final long HEADS = 8;
    /** Key and value heads. */
    public static final long KV_HEADS = 16;
    /** Head dimension. */
    public static final long DIM = 24;
    /** Tokens of a page. */
    public static final long PAGE_ROWS = 32;
    /** Pages from one sequence to the next in the page table. */
    public static final long PAGE_TABLE_STRIDE = 40;
    /** Tokens of a listed block. */
    public static final long BLOCK_KEYS = 48;
    /** Heads with lists of their own: 0 for no lists, 1, or all key heads. */
    public static final long LIST_HEADS = 56;
    /** Strides of q: sequence, head, row; in floats. */
    public static final long Q_STRIDES = 64;
    /** Strides of the output. */
    public static final long OUT_STRIDES = 88;
    /** Strides of the cache: page, head, row; in elements. */
    public static final long CACHE_STRIDES = 112;
    /** Offset of {@code int32[sequences][pageTableStride]}. */
    public static final long PAGE_TABLE = 136;
    /** Offset of {@code int32[sequences]}. */
    public static final long LENGTHS = 144;
    /** Offset of {@code int64[sequences * listHeads + 1]}. */
    public static final long LIST_STARTS = 152;
    /** Offset of {@code int32[]}. */
    public static final long LISTS = 160;
    /** Offset of {@code int64[sequences * kvHeads]}. */
    public static final long SELECTED = 168;
    /** Offset of {@code int64[sequences * kvHeads + 1]}. */
    public static final long SPLIT_STARTS = 176;
    /** Offset of {@code float[heads]}, or 0. */
    public static final long SLOPES = 184;
    /** {@code float}. */
    public static final long SCALE = 192;
    /** {@code float}, 0 for none. */
    public static final long SOFT_CAP = 196;
    /** Size of the shape without its tables. */
    public static final long HEADER_BYTES = 200;

    private PagedFormat() {}

    /** Bytes of scratch that a call needs for a number of query heads a key head. */
    public static long scratchBytes(int group, int dim) {
        long rows = AttentionFormat.roundUp(group, AttentionFormat.ROW_GROUP);
        long width = AttentionFormat.roundUp(dim, AttentionFormat.LANES);
        long chunks = Math.ceilDiv(dim, AttentionFormat.STEP_KEYS);
        long tile = rows * ((chunks + 1) * AttentionFormat.ROW_STRIDE + width + 2L * AttentionFormat.LANES)
            + 2L * AttentionFormat.roundUp((int) rows, AttentionFormat.LANES);
        return Float.BYTES * (tile + 48 * width + 256 * rows);
    }
}
