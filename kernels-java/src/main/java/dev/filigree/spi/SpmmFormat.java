package dev.filigree.spi;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The packed form of a sparse matrix for SpMM in f32: one off-heap block of a header and tables, which the Java
 * and the native kernels read alike.
 *
 * <p>{@code native/include/filigree.h} defines what each field and table means ({@code filigree_spmm_packed});
 * the constants here are byte offsets of the header's fields. A table's field holds the table's own byte offset
 * in the block.
 */
public final class SpmmFormat {

    /** Columns of B, or tokens, that one work item covers, but for those of the last panel. */
    public static final int PANEL = 64;
    /** The most that the last panel covers. */
    public static final int WIDEST_PANEL = 112;
    /** The widest vector in floats; tile and accumulator rows are padded to it at most. */
    public static final int LANES = 16;
    /** Rows of B that a kernel may gather in scratch when B is not tiled: 8 KiB, a quarter of the first-level cache. */
    public static final int GATHER_ROWS = 32;
    /** Size of a block of 64 x 64 floats that a kernel may transpose or finish in; scratch has two. */
    public static final long STAGE_BYTES = (long) Float.BYTES * 64 * 64;

    /** {@link #GROUP} of rows whose entries lie in turns. */
    public static final int INTERLEAVED = 8;

    /** {@link #TILED}: scratch has no room for a tile. */
    public static final int NO_TILE = 0;
    /** {@link #TILED}: B must be copied to a tile. */
    public static final int TILE = 1;
    /** {@link #TILED}: scratch has room for a tile, and a kernel that can may read B in place instead. */
    public static final int TILE_OR_IN_PLACE = 2;
    /** Alignment of the block and of each table in it, in bytes. */
    public static final long ALIGNMENT = 64;
    /** Readable bytes after the last table. */
    public static final long TAIL = 64;

    /** First eight bytes of every block: {@code flgspmm1}. */
    public static final long MAGIC_VALUE = 0x316d6d7073676c66L;

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
    public static final long VIRTUAL_ROWS = 40;
    /** {@code int64}. */
    public static final long BLOCK_DEPTH = 48;
    /** {@code int64}. */
    public static final long BLOCK_COUNT = 56;
    /** {@code int64}: {@link #NO_TILE}, {@link #TILE} or {@link #TILE_OR_IN_PLACE}. */
    public static final long TILED = 64;
    /** {@code int64}: 1, or {@link #INTERLEAVED}. */
    public static final long GROUP = 72;
    /** {@code int64}. */
    public static final long PASS_ROWS = 80;
    /** {@code int64}. */
    public static final long CHUNK_COUNT = 88;
    /** {@code int64}. */
    public static final long SPLIT_COUNT = 96;
    /** {@code int64}. */
    public static final long PARTIAL_COUNT = 104;
    /** {@code int64}. */
    public static final long SCRATCH_BYTES = 112;
    /** {@code int32}. */
    public static final long LAYOUT = 120;
    /** {@code int32}. */
    public static final long ACTIVATION = 124;
    /** Offset of {@code float[rows]}, or 0. */
    public static final long BIAS = 128;
    /** Offset of {@code int64[chunkCount + 1]}. */
    public static final long CHUNK_STARTS = 136;
    /** Offset of {@code int32[virtualRows]}. */
    public static final long TARGETS = 144;
    /** Offset of {@code int32[2 * splitCount + 2]}. */
    public static final long SPLITS = 152;
    /** Offset of {@code int64[blockCount * (ceil(virtualRows / group) + 1)]}. */
    public static final long GROUP_STARTS = 160;
    /** Offset of {@code int32[ceil(virtualRows / group) * group]}, or 0 where {@link #GROUP} is 1. */
    public static final long PLACES = 168;
    /** Offset of the entries' {@code int32[]}, or {@code uint16[]} where rows are interleaved. */
    public static final long COLUMNS = 176;
    /** Offset of the entries' {@code float[]}. */
    public static final long VALUES = 184;
    /** Offset of {@code int32[virtualRows]}, or 0. */
    public static final long ORDER = 192;
    /** Size of the header. */
    public static final long HEADER_BYTES = 200;

    /** The deepest block whose columns, that of padding included, fit the 16 bits that interleaved rows give them. */
    public static final int MAX_INTERLEAVED_DEPTH = 0xffff;

    private SpmmFormat() {}

    /** Reads an {@code int64} field of the header. */
    public static long field(MemorySegment packed, long field) {
        return packed.get(ValueLayout.JAVA_LONG, field);
    }

    /** Reads an {@code int32} field of the header. */
    public static int intField(MemorySegment packed, long field) {
        return packed.get(ValueLayout.JAVA_INT, field);
    }

    /** The number of panels that cover {@code n} columns. */
    public static int panels(int n) {
        int spare = WIDEST_PANEL - PANEL;
        return n <= spare ? Math.min(n, 1) : Math.ceilDiv(n - spare, PANEL);
    }

    /** The columns of a panel, of those that cover {@code n} columns. */
    public static int width(int panel, int n) {
        return panel < panels(n) - 1 ? PANEL : n - panel * PANEL;
    }

    /** The column of an entry, counted from the start of its block. */
    public static int column(MemorySegment packed, boolean interleaved, long entry) {
        long at = field(packed, COLUMNS);
        return interleaved ? Short.toUnsignedInt(packed.get(ValueLayout.JAVA_SHORT, at + Short.BYTES * entry))
            : packed.get(ValueLayout.JAVA_INT, at + Integer.BYTES * entry);
    }

    /** The virtual row that a member of an interleaved group is; a number past the last one stands for no row. */
    public static int place(MemorySegment packed, long group, int member) {
        long at = field(packed, PLACES);
        return packed.get(ValueLayout.JAVA_INT, at + Integer.BYTES * (group * INTERLEAVED + member));
    }

    /** The floats between two slots of the partial sums of a run over {@code n} columns. */
    public static long partialStride(int n) {
        return Math.ceilDiv((long) n, PANEL) * PANEL;
    }
}
