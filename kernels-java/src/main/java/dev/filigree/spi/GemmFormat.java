package dev.filigree.spi;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The packed form of a dense matrix for GEMM in f32: one off-heap block of a header and values, which the Java and
 * the native kernels read alike.
 *
 * <p>{@code native/include/filigree.h} defines what each field means ({@code filigree_gemm_packed}); the constants
 * here are byte offsets of the header's fields. The field of a table holds the table's own byte offset in the block.
 */
public final class GemmFormat {

    /** Columns of B, or tokens, that one work item covers. */
    public static final int PANEL = 64;
    /** Rows of A whose values are interleaved: six accumulators of two vectors leave four of sixteen registers. */
    public static final int MICRO_ROWS = 6;
    /** The widest vector in floats; rows of the block of B and of accumulators are padded to it. */
    public static final int LANES = 16;
    /** Rows of the result that the Java kernels finish at a time. */
    public static final int FINISH_ROWS = 48;
    /** Alignment of the block and of each table in it, in bytes. */
    public static final long ALIGNMENT = 64;
    /** Readable bytes after the last table. */
    public static final long TAIL = 64;

    /** First eight bytes of every block: {@code flggemm1}. */
    public static final long MAGIC_VALUE = 0x316d6d6567676c66L;

    /** {@code int64}. */
    public static final long MAGIC = 0;
    /** {@code int64}. */
    public static final long BYTES = 8;
    /** {@code int64}. */
    public static final long ROWS = 16;
    /** {@code int64}. */
    public static final long COLS = 24;
    /** {@code int64}. */
    public static final long BLOCK_DEPTH = 32;
    /** {@code int64}. */
    public static final long BLOCK_COUNT = 40;
    /** {@code int64}. */
    public static final long PASS_ROWS = 48;
    /** {@code int64}. */
    public static final long CHUNK_ROWS = 56;
    /** {@code int64}. */
    public static final long CHUNK_COUNT = 64;
    /** {@code int64}. */
    public static final long SCRATCH_BYTES = 72;
    /** {@code int32}. */
    public static final long LAYOUT = 80;
    /** {@code int32}. */
    public static final long ACTIVATION = 84;
    /** Offset of {@code float[rows]}, or 0. */
    public static final long BIAS = 88;
    /** Offset of {@code float[cols * rows rounded up to 6]}. */
    public static final long VALUES = 96;
    /** Size of the header. */
    public static final long HEADER_BYTES = 104;

    private GemmFormat() {}

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
        return (int) ((n + (PANEL - 1L)) / PANEL);
    }

    /** Rows rounded up to whole groups of {@link #MICRO_ROWS}. */
    public static long paddedRows(long rows) {
        return Math.ceilDiv(rows, MICRO_ROWS) * MICRO_ROWS;
    }
}
