package dev.filigree.spi;

import dev.filigree.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * A matrix whose rows are used or skipped as a whole: one block of a header and rows, in memory and in files, which
 * the Java and the native kernels read alike.
 *
 * <p>{@code native/include/filigree.h} defines what each field means ({@code filigree_row_matrix}) and how the kernels
 * share their work; the constants here are byte offsets of the header's fields, and sizes.
 */
public final class RowFormat {

    /** Logical lanes of a sum. */
    public static final int LANES = 16;
    /** Positions of a list that an item of a product with rows covers. */
    public static final int BLOCK = 16;
    /** Columns that an item of a sum of rows covers. */
    public static final int STRIP = 64;
    /** The most tokens of a call. */
    public static final int TOKENS = 16;
    /** Floats of sums that a call holds in scratch. */
    public static final int SUMS = 16384;
    /** Scratch that a call needs: the sums, and a line of them for the Java kernels to put in order. */
    public static final long SCRATCH_BYTES = Float.BYTES * (SUMS + 32L);
    /** A row's stride is a multiple of as many elements. */
    public static final int ROW_STEP = 32;
    /** Bytes of a row that are read at a time. */
    public static final long LINE = 64;
    /** Alignment of the block, and where its rows begin. */
    public static final long ALIGNMENT = 64;
    /** Readable bytes after the last row. */
    public static final long TAIL = 64;

    /** First eight bytes of every block: {@code flgrow1}. */
    public static final long MAGIC_VALUE = 0x31776f72676c66L;
    /** {@code int64}. */
    public static final long MAGIC = 0;
    /** {@code int64}. */
    public static final long BYTES = 8;
    /** {@code int64}. */
    public static final long ROWS = 16;
    /** {@code int64}. */
    public static final long COLS = 24;
    /** {@code int64}, in elements. */
    public static final long STRIDE = 32;
    /** {@code int64}, see {@link #code(DType)}. */
    public static final long DTYPE = 40;
    /** Offset of the rows. */
    public static final long VALUES = 48;
    /** Size of the header. */
    public static final long HEADER_BYTES = 56;

    private RowFormat() {}

    /** Reads a field of the header. */
    public static long field(MemorySegment matrix, long field) {
        return matrix.get(ValueLayout.JAVA_LONG, field);
    }

    /** The number of a type in the header. */
    public static long code(DType dtype) {
        return switch (dtype) {
            case F32 -> 0;
            case BF16 -> 1;
        };
    }

    /** Columns of {@link #LINE} bytes. */
    public static int lineColumns(MemorySegment matrix) {
        return field(matrix, DTYPE) == 0 ? LANES : 2 * LANES;
    }

    /** Byte offset of a row. */
    public static long rowAt(MemorySegment matrix, long row) {
        return field(matrix, VALUES) + row * field(matrix, STRIDE) * (LINE / lineColumns(matrix));
    }

    /** The items of a product with {@code count} rows. */
    public static long blocks(long count) {
        return Math.ceilDiv(count, BLOCK);
    }

    /** The items of a sum of rows of so many columns. */
    public static long strips(long cols) {
        return Math.ceilDiv(cols, STRIP);
    }
}
