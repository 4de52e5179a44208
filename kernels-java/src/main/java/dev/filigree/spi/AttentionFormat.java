package dev.filigree.spi;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * What the attention kernels read besides the operands: the packed block mask of a plan, the shape of a run, and how
 * scratch and packed keys and values lie. {@code native/include/filigree.h} defines what each field means
 * ({@code filigree_attention_mask}, {@code filigree_attention_shape}); the constants here are byte offsets.
 */
public final class AttentionFormat {

    /** Keys and columns are packed in panels of as many. */
    public static final int LANES = 16;
    /** The most query rows of a tile. */
    public static final int MAX_TILE_ROWS = 64;
    /** The most keys whose scores are normalised together. */
    public static final int STEP_KEYS = 128;
    /** Rows of a tile are padded to a multiple of it: what a kernel holds in registers at a time. */
    public static final int ROW_GROUP = 4;
    /**
     * Floats from row to row of queries and scores in scratch: a step, and a cache line more, so that the rows of a
     * group do not meet in the same sets of the cache.
     */
    public static final int ROW_STRIDE = STEP_KEYS + 16;
    /** Floats of one row of the state of an interrupted attention, besides its sums: the weights' sums, the maximum. */
    public static final int STATE_EXTRA = LANES + 1;
    /** Floats that a Java kernel of bf16 needs behind a tile: two panels, and 32 of each row. */
    public static final int WIDENED_FLOATS = 2 * LANES * (STEP_KEYS + MAX_TILE_ROWS);
    /** Alignment of every block and table, in bytes. */
    public static final long ALIGNMENT = 64;
    /** Readable bytes after the last table. */
    public static final long TAIL = 64;

    /** First eight bytes of every packed mask: {@code flgattn1}. */
    public static final long MAGIC_VALUE = 0x316e747461676c66L;

    /** Fields of the packed mask, {@code int64} each. */
    public static final long MAGIC = 0;
    /** Size of the packed mask. */
    public static final long BYTES = 8;
    /** Queries. */
    public static final long QUERIES = 16;
    /** Keys. */
    public static final long KEYS = 24;
    /** Heads with lists of their own, or 1. */
    public static final long MASK_HEADS = 32;
    /** Rows of an element mask. */
    public static final long BLOCK_ROWS = 40;
    /** Columns of an element mask. */
    public static final long BLOCK_COLS = 48;
    /** The most query rows of a tile. */
    public static final long TILE_ROWS = 56;
    /** Keys of a unit. */
    public static final long UNIT_KEYS = 64;
    /** Units normalised together. */
    public static final long STEP_UNITS = 72;
    /** Tiles of a head. */
    public static final long TILE_COUNT = 80;
    /** Units that some tile lists. */
    public static final long USED_COUNT = 88;
    /** Offset of {@code int32[tileCount + 1]}. */
    public static final long TILE_STARTS = 96;
    /** Offset of {@code int32[maskHeads * tileCount]}. */
    public static final long ORDER = 104;
    /** Offset of {@code int64[maskHeads * tileCount + 1]}. */
    public static final long LIST_STARTS = 112;
    /** Offset of {@code int32[]}. */
    public static final long UNITS = 120;
    /** Offset of {@code int32[]}. */
    public static final long PATTERNS = 128;
    /** Offset of {@code uint16[]}. */
    public static final long WORDS = 136;
    /** Offset of {@code int32[usedCount]}. */
    public static final long USED = 144;
    /** Size of the mask's header. */
    public static final long MASK_HEADER_BYTES = 152;

    /** Fields of the shape, {@code int64} each up to the scale. */
    public static final long BATCH = 0;
    /** Query heads. */
    public static final long HEADS = 8;
    /** Key and value heads. */
    public static final long KV_HEADS = 16;
    /** Head dimension. */
    public static final long DIM = 24;
    /** The first (batch entry, key head) of this call. */
    public static final long FIRST_PAIR = 32;
    /** How many (batch entry, key head) there are in this call. */
    public static final long PAIR_COUNT = 40;
    /** Strides of q: batch, head, row; in elements. */
    public static final long Q_STRIDES = 48;
    /** Strides of k. */
    public static final long K_STRIDES = 72;
    /** Strides of v. */
    public static final long V_STRIDES = 96;
    /** Strides of the output. */
    public static final long OUT_STRIDES = 120;
    /** Offset of {@code int32[batch]} in the shape, or 0. */
    public static final long KEY_LENGTHS = 144;
    /** Offset of {@code float[heads]} in the shape, or 0. */
    public static final long SLOPES = 152;
    /** {@code float}. */
    public static final long SCALE = 160;
    /** {@code float}, 0 for none. */
    public static final long SOFT_CAP = 164;
    /** Type of the output. */
    public static final long OUT_DTYPE = 168;
    /** Size of the shape without its tables. */
    public static final long SHAPE_HEADER_BYTES = 176;

    /** Types, as in {@link #OUT_DTYPE}. */
    public static final long F32 = 0;
    /** See {@link #F32}. */
    public static final long BF16 = 1;

    private AttentionFormat() {}

    /** Reads an {@code int64} field of either header. */
    public static long field(MemorySegment header, long field) {
        return header.get(ValueLayout.JAVA_LONG, field);
    }

    /** Rounds up to a multiple. */
    public static int roundUp(int value, int multiple) {
        return Math.ceilDiv(value, multiple) * multiple;
    }

    /** The units that cover the keys of a packed mask. */
    public static int unitCount(MemorySegment mask) {
        return (int) Math.ceilDiv(field(mask, KEYS), field(mask, UNIT_KEYS));
    }

    /** Elements of the packed keys of a (batch entry, key head). */
    public static long keyElements(MemorySegment mask, int dim) {
        return unitCount(mask) * field(mask, UNIT_KEYS) * dim;
    }

    /** Elements of the packed keys and values of a (batch entry, key head). */
    public static long pairElements(MemorySegment mask, int dim) {
        return keyElements(mask, dim) + keyElements(mask, roundUp(dim, LANES));
    }

    /** Bytes of scratch that a call needs. */
    public static long scratchBytes(MemorySegment mask, int dim) {
        long rows = roundUp((int) field(mask, TILE_ROWS), ROW_GROUP);
        long chunks = Math.ceilDiv(dim, STEP_KEYS);
        long floatsPerRow = (chunks + 1) * ROW_STRIDE + roundUp(dim, LANES) + 2L * LANES;
        long tile = rows * floatsPerRow + 2L * roundUp((int) rows, LANES);
        long stage = field(mask, UNIT_KEYS) * dim;
        return Float.BYTES * Math.max(tile + WIDENED_FLOATS, stage);
    }
}
