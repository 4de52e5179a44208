package dev.filigree.spi;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The packed form of a sparse matrix for SpMM in bf16 on a device's matrix units: tiles of 16 x 64 elements, each a
 * bitmap of pairs of elements, and those pairs of which one element at least is stored.
 *
 * <p>{@code native/include/filigree_cuda.h} defines what each field and table means ({@code
 * filigree_cuda_bitmap_packed}); the constants here are byte offsets of the header's fields. A table's field holds the
 * table's own byte offset in the block.
 */
public final class BitmapFormat {

    /** Rows of a strip, and of its tiles. */
    public static final int STRIP_ROWS = 16;
    /** Columns of a tile. */
    public static final int TILE_COLS = 64;
    /** Elements of a tile. */
    public static final int TILE_ELEMENTS = STRIP_ROWS * TILE_COLS;
    /** Lanes of a warp: each has a mask of its pairs. */
    public static final int LANES = 32;
    /** Pairs of a lane: bits of its mask. */
    public static final int LANE_PAIRS = TILE_ELEMENTS / 2 / LANES;
    /** Lanes up to which, each time, pairs are counted. */
    public static final int COUNTED_LANES = 4;
    /** Where a tile has its counts, in bytes from its beginning: after its masks. */
    public static final int ENDS = LANES * Short.BYTES;
    /** Where a tile has its pairs. */
    public static final int PAIRS = ENDS + LANES / COUNTED_LANES * Short.BYTES;
    /** Stands in a pair for an element that is not stored; a stored zero is {@code 0}. */
    public static final short ABSENT = (short) 0x8000;

    /** Tiles begin at multiples of so many bytes, which is what {@link #TILE_STARTS} counts. */
    public static final int TILE_ALIGNMENT = 16;
    /** Alignment of the block and of each table in it, in bytes. */
    public static final long ALIGNMENT = 64;
    /** Readable bytes after the last table. */
    public static final long TAIL = 64;

    /** First eight bytes of every block: {@code flgbmap1}. */
    public static final long MAGIC_VALUE = 0x3170616d62676c66L;

    /** {@code int64}. */
    public static final long MAGIC = 0;
    /** {@code int64}. */
    public static final long BYTES = 8;
    /** {@code int64}. */
    public static final long ROWS = 16;
    /** {@code int64}. */
    public static final long COLS = 24;
    /** {@code int64}. */
    public static final long NNZ = 32;
    /** {@code int64}. */
    public static final long STRIP_COUNT = 40;
    /** {@code int64}: of a strip. */
    public static final long TILE_COUNT = 48;
    /** {@code int32}. */
    public static final long LAYOUT = 56;
    /** {@code int32}. */
    public static final long ACTIVATION = 60;
    /** Offset of {@code float[rows]}, or 0. */
    public static final long BIAS = 64;
    /** Offset of {@code uint32[stripCount * tileCount + 1]}. */
    public static final long TILE_STARTS = 72;
    /** Offset of the tiles. */
    public static final long TILES = 80;
    /** {@code int64}: what the largest tile takes. */
    public static final long TILE_BYTES = 88;
    /** Size of the header. */
    public static final long HEADER_BYTES = 96;

    private BitmapFormat() {}

    /** Reads an {@code int64} field of the header. */
    public static long field(MemorySegment packed, long field) {
        return packed.get(ValueLayout.JAVA_LONG, field);
    }

    /**
     * The place of an element among those of its tile, in the order in which pairs lie: 32 times its lane, plus twice the
     * bit of its pair, or one more.
     *
     * @param row in the tile, 0 to 15
     * @param col in the tile, 0 to 63; a lane has two runs of 8, of which each multiplication takes four, each register two
     */
    public static int place(int row, int col) {
        int lane = row % 8 * 4 + col % 32 / 8;
        int step = col / 32 * 2 + col % 8 / 4;
        int register = col % 4 / 2 * 2 + row / 8;
        return (lane * LANE_PAIRS + step * 4 + register) * 2 + col % 2;
    }

    /** The byte of the block where a tile of a strip begins; {@code tile} may be the number of tiles. */
    public static long tileAt(MemorySegment packed, long strip, long tile) {
        long index = strip * field(packed, TILE_COUNT) + tile;
        int start = packed.get(ValueLayout.JAVA_INT, field(packed, TILE_STARTS) + Integer.BYTES * index);
        return field(packed, TILES) + TILE_ALIGNMENT * Integer.toUnsignedLong(start);
    }
}
