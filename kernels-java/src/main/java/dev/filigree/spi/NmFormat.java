package dev.filigree.spi;

import dev.filigree.DType;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * The packed form of an N:M matrix in f32 or bf16: one off-heap block of a header and tables, which the Java and the
 * native kernels read alike.
 *
 * <p>{@code native/include/filigree.h} defines what each field and table means ({@code filigree_nm_packed}); the
 * constants here are byte offsets of the header's fields. The field of a table holds the table's own byte offset in the
 * block, that of a scratch area its byte offset in the scratch memory.
 */
public final class NmFormat {

    /** Columns of B, or tokens, that one work item covers. */
    public static final int PANEL = 64;
    /** Rows of A whose values are interleaved, and the widest vector in floats: rows of scratch are padded to it. */
    public static final int LANES = 16;
    /** The most columns, or tokens, for which a kernel may put rows of A in its lanes instead of them. */
    public static final int FEW = 8;
    /** Floats of scratch after each token's part of a block of B, when rows of A are in the lanes. */
    public static final int TOKEN_GAP = 16;
    /** Rows of the result that are finished at a time. */
    public static final int FINISH_ROWS = 48;
    /** Alignment of the block and of each table in it, in bytes. */
    public static final long ALIGNMENT = 64;
    /** Readable bytes after the last table. */
    public static final long TAIL = 64;

    /** First eight bytes of every block: {@code flgnmsp1}. */
    public static final long MAGIC_VALUE = 0x3170736d6e676c66L;

    /** {@code int64}. */
    public static final long MAGIC = 0;
    /** {@code int64}. */
    public static final long BYTES = 8;
    /** {@code int64}. */
    public static final long ROWS = 16;
    /** {@code int64}. */
    public static final long COLS = 24;
    /** {@code int32}. */
    public static final long N = 32;
    /** {@code int32}. */
    public static final long M = 36;
    /** {@code int32}. */
    public static final long VECTOR = 40;
    /** {@code int32}. */
    public static final long INDEX_BITS = 44;
    /** {@code int64}. */
    public static final long BLOCK_DEPTH = 48;
    /** {@code int64}. */
    public static final long BLOCK_COUNT = 56;
    /** {@code int64}. */
    public static final long GROUP_COUNT = 64;
    /** {@code int64}. */
    public static final long PASS_GROUPS = 72;
    /** {@code int64}. */
    public static final long CHUNK_GROUPS = 80;
    /** {@code int64}. */
    public static final long CHUNK_COUNT = 88;
    /** {@code int64}. */
    public static final long SCRATCH_BYTES = 96;
    /** Scratch offset of {@code float[16 * PASS_GROUPS][PANEL]}. */
    public static final long SUMS = 104;
    /** Scratch offset of {@code int32[slots of a block][streams]}. */
    public static final long COLUMNS = 112;
    /** Scratch offset of {@code float[FINISH_ROWS][PANEL]}. */
    public static final long OLD_VALUES = 120;
    /** Scratch offset of the memory through which operands are transposed. */
    public static final long STAGE = 128;
    /** Scratch offset of {@code float[slots of a block][16]}: values of a group in bf16, widened. */
    public static final long WORK = 136;
    /** {@code int32}: the code of a type. */
    public static final long DTYPE = 144;
    /** {@code int32}: columns are padded to a multiple of it. */
    public static final long UNIT = 148;
    /** {@code int32}. */
    public static final long LAYOUT = 152;
    /** {@code int32}. */
    public static final long ACTIVATION = 156;
    /** Offset of {@code float[16 * GROUP_COUNT]}, or 0. */
    public static final long BIAS = 160;
    /** Offset of {@code int32[slots of a block][streams]}. */
    public static final long FIRST_COLUMNS = 168;
    /** Offset of the indices. */
    public static final long INDICES = 176;
    /** Offset of the values. */
    public static final long VALUES = 184;
    /** Size of the header. */
    public static final long HEADER_BYTES = 192;

    private NmFormat() {}

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

    /** Index streams of a group of 16 rows: one for each set of rows that share their positions. */
    public static int streams(int vector) {
        return Math.max(1, LANES / vector);
    }

    /** Groups of 16 rows that share one run of indices. */
    public static int groupsPerRun(int vector) {
        return Math.max(1, vector / LANES);
    }

    /** Bytes of the indices of one block and one run. */
    public static long runBytes(long slots, int vector, int indexBits) {
        return Math.ceilDiv(slots * streams(vector) * indexBits, Byte.SIZE);
    }

    /** The code of a type in a header. */
    public static int code(DType dtype) {
        return switch (dtype) {
            case F32 -> 0;
            case BF16 -> 1;
        };
    }

    /** The type of a packed matrix. */
    public static DType dtype(MemorySegment packed) {
        return intField(packed, DTYPE) == 0 ? DType.F32 : DType.BF16;
    }

    /** Columns that a block is a multiple of: those of one N:M group, or of two where their entries make pairs. */
    public static int unit(DType dtype, int n, int m) {
        return dtype == DType.BF16 && n % 2 == 1 ? 2 * m : m;
    }

    /** The stored entries of a row in a block. */
    public static int slots(MemorySegment packed, long block) {
        long depth = field(packed, BLOCK_DEPTH);
        int unit = intField(packed, UNIT);
        long columns = Math.min(depth, field(packed, COLS) - block * depth);
        return (int) (Math.ceilDiv(columns, unit) * (unit / intField(packed, M)) * intField(packed, N));
    }

    /** Where the values of a block and group are: {@code float[slots][16]}, or {@code bf16[slots / 2][16][2]}. */
    public static long valuesAt(MemorySegment packed, long block, long group) {
        long before = block * slots(packed, 0) * field(packed, GROUP_COUNT) + group * slots(packed, block);
        return field(packed, VALUES) + before * LANES * dtype(packed).bytes();
    }

    /** Where the indices of a block and group are. */
    public static long indicesAt(MemorySegment packed, long block, long group) {
        int vector = intField(packed, VECTOR);
        int bits = intField(packed, INDEX_BITS);
        int perRun = groupsPerRun(vector);
        long runs = Math.ceilDiv(field(packed, GROUP_COUNT), perRun);
        return field(packed, INDICES) + block * runs * runBytes(slots(packed, 0), vector, bits)
            + group / perRun * runBytes(slots(packed, block), vector, bits);
    }
}
