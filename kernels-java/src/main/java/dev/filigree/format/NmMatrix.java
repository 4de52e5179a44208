package dev.filigree.format;

import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.spi.Backends;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.Objects;

/**
 * A sparse f32 matrix in N:M form: of every M consecutive elements of a row exactly N are stored, in ascending
 * columns. Columns are padded logically to a multiple of M; with a vector length V, V consecutive rows store the same
 * columns.
 *
 * <p>A group that has fewer than N nonzeros stores zeros too, those of the lowest columns, so every row holds
 * {@code slots = groups * N} entries. An entry that is stored meets its operand in a product, whatever its value; one
 * that is not never does. Only in the last group may a stored column lie past the end of the matrix: such an entry is
 * +0 and meets +0.
 *
 * <p>Memory: 4 bytes a value, and for each group of V rows N indices of ceil(log2 M) bits, or a mask of M bits where
 * that is smaller, or nothing where N = M.
 *
 * <p>Everything is checked once, when the matrix is built; inputs are copied off-heap, onto huge pages where the fastest
 * backend can ask for them, and freed by the garbage collector. Immutable and thread-safe. Two matrices are equal when
 * their shapes, patterns, columns and value bits are.
 */
public final class NmMatrix {

    private static final long ALIGNMENT = 64;
    /** Positions are read and written a word at a time. */
    private static final int READ_PAST = Long.BYTES;
    private static final ValueLayout.OfLong WORD = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle INTS =
        MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);

    private final int rows;
    private final int cols;
    private final NmPattern pattern;
    private final int slots;
    /** Row-major: {@code rows x slots}. */
    private final MemorySegment values;
    /** A line of positions for each V rows, each starting at a byte. */
    private final MemorySegment positions;
    private final int lineBytes;

    /** Zeroed storage, which a {@link NmConversion} fills before anybody else sees the matrix. */
    NmMatrix(int rows, int cols, NmPattern pattern) {
        this.rows = rows;
        this.cols = cols;
        this.pattern = pattern;
        long padded = (long) pattern.groups(cols) * pattern.m();
        if (padded > Integer.MAX_VALUE - 8) {
            throw new IllegalArgumentException(
                cols + " columns, padded to a multiple of " + pattern.m() + ", are too many");
        }
        slots = pattern.groups(cols) * pattern.n();
        lineBytes = Math.toIntExact(Math.ceilDiv((long) pattern.groups(cols) * pattern.groupBits(), Byte.SIZE));
        SegmentAllocator memory = Backends.memory(Arena.ofAuto());
        values = memory.allocate(Math.multiplyExact((long) rows * slots, Float.BYTES), ALIGNMENT);
        positions = memory.allocate((long) Math.ceilDiv(rows, pattern.vector()) * lineBytes + READ_PAST, ALIGNMENT);
    }

    /**
     * Takes a dense matrix that has the pattern already.
     *
     * @param dense f32 in host memory, of any stride, on or off the heap; nobody may write to it meanwhile
     * @param pattern what the matrix conforms to; -0.0 counts as a zero, NaN does not
     * @throws IllegalArgumentException if a group has more than N nonzeros (with V &gt; 1: more than N columns that
     *     are not all zero); the message names the row, the group and what was found
     * @throws UnsupportedOperationException if the matrix is not f32 or not in host memory
     */
    public static NmMatrix fromDense(DenseMatrix dense, NmPattern pattern) {
        return new NmConversion(dense, pattern).conforming();
    }

    /**
     * Takes what a mask keeps of a dense matrix.
     *
     * @param dense f32 in host memory, as above
     * @param pattern what the mask conforms to
     * @param mask as large as the matrix
     * @throws IllegalArgumentException if the mask has another shape, keeps more than N elements of a group, or, with
     *     V &gt; 1, keeps other columns in one row than in another; the message names the row and the group
     * @throws UnsupportedOperationException if the matrix is not f32 or not in host memory
     */
    public static NmMatrix fromDense(DenseMatrix dense, NmPattern pattern, Mask mask) {
        return new NmConversion(dense, pattern).masked(mask);
    }

    /**
     * Prunes a dense matrix by magnitude: each group keeps its N largest absolute values, or, with V &gt; 1, the N
     * columns of largest Euclidean norm over the V rows. Of equal ones the lowest column is kept.
     *
     * @param dense f32 in host memory, as above
     * @param pattern what to prune to
     * @throws IllegalArgumentException if an element is NaN, with its place
     * @throws UnsupportedOperationException if the matrix is not f32 or not in host memory
     */
    public static NmMatrix pruned(DenseMatrix dense, NmPattern pattern) {
        return new NmConversion(dense, pattern).pruned();
    }

    /** The number of rows. */
    public int rows() {
        return rows;
    }

    /** The number of columns, without the padding. */
    public int cols() {
        return cols;
    }

    /** The pattern. */
    public NmPattern pattern() {
        return pattern;
    }

    /** The stored entries of a row. */
    public int slots() {
        return slots;
    }

    /** The stored entries: {@code rows * slots}, zeros and padding included. */
    public long nnz() {
        return (long) rows * slots;
    }

    /** The values, row-major, {@code rows x slots} elements of {@link ValueLayout#JAVA_FLOAT}, read-only, off-heap. */
    public MemorySegment values() {
        return values.asReadOnly();
    }

    /**
     * Copies the columns of a row's entries, ascending; in the last group they may be {@link #cols()} or more.
     *
     * @param into at least {@link #slots()} long
     * @throws IndexOutOfBoundsException if there is no such row, or the array is too short
     */
    public void columns(int row, int[] into) {
        Objects.checkIndex(row, rows);
        Objects.checkFromIndexSize(0, slots, into.length);
        int n = pattern.n();
        int m = pattern.m();
        if (n == m) {
            for (int i = 0; i < slots; i++) {
                into[i] = i;
            }
            return;
        }
        BitReader reader = new BitReader(positions, (long) (row / pattern.vector()) * lineBytes);
        int slot = 0;
        for (int first = 0; slot < slots; first += m) {
            if (pattern.isMasked()) {
                for (long mask = reader.next(m); mask != 0; mask &= mask - 1) {
                    into[slot++] = first + Long.numberOfTrailingZeros(mask);
                }
            } else {
                for (int i = 0; i < n; i++) {
                    into[slot++] = first + (int) reader.next(pattern.indexBits());
                }
            }
        }
    }

    /** Bytes of values and positions. */
    public long bytes() {
        return values.byteSize() + positions.byteSize() - READ_PAST;
    }

    /**
     * Writes the matrix out as f32, row-major and packed, with +0 where nothing is stored.
     *
     * @param arena owns the memory of the result
     * @throws OutOfMemoryError if the memory is not there
     */
    public DenseMatrix toDense(Arena arena) {
        DenseMatrix dense = DenseMatrix.allocate(arena, DType.F32, rows, cols);
        int[] columns = new int[slots];
        for (int r = 0; r < rows; r++) {
            if (r % pattern.vector() == 0) {
                columns(r, columns);
            }
            for (int i = 0; i < slots && columns[i] < cols; i++) {
                dense.data().setAtIndex(ValueLayout.JAVA_FLOAT, (long) r * cols + columns[i],
                    values.getAtIndex(ValueLayout.JAVA_FLOAT, (long) r * slots + i));
            }
        }
        return dense;
    }

    /** Stores one line of rows: the kept places of each group, and the rows' elements, padded to whole groups. */
    void fill(int firstRow, long[] kept, float[][] elements, float[] line, byte[] bytes) {
        int m = pattern.m();
        if (pattern.groupBits() > 0) {
            BitWriter writer = new BitWriter(bytes);
            for (int g = 0; g < pattern.groups(cols); g++) {
                if (pattern.isMasked()) {
                    writer.put(kept[g], m);
                } else {
                    for (long mask = kept[g]; mask != 0; mask &= mask - 1) {
                        writer.put(Long.numberOfTrailingZeros(mask), pattern.indexBits());
                    }
                }
            }
            writer.finish();
            MemorySegment.copy(bytes, 0, positions, ValueLayout.JAVA_BYTE,
                (long) (firstRow / pattern.vector()) * lineBytes, lineBytes);
        }
        for (int r = firstRow; r < Math.min(rows, firstRow + pattern.vector()); r++) {
            float[] row = elements[r - firstRow];
            int slot = 0;
            for (int g = 0; g < pattern.groups(cols); g++) {
                for (long mask = kept[g]; mask != 0; mask &= mask - 1) {
                    line[slot++] = row[g * m + Long.numberOfTrailingZeros(mask)];
                }
            }
            MemorySegment.copy(line, 0, values, ValueLayout.JAVA_FLOAT, (long) r * slots * Float.BYTES, slots);
        }
    }

    /** Room for a line of positions that is being written. */
    byte[] newLine() {
        return new byte[lineBytes + READ_PAST];
    }

    /** Compares shape, pattern, columns and the bits of the values. */
    @Override
    public boolean equals(Object other) {
        return this == other
            || other instanceof NmMatrix that && rows == that.rows && cols == that.cols
                && pattern.equals(that.pattern) && positions.mismatch(that.positions) == -1
                && values.mismatch(that.values) == -1;
    }

    @Override
    public int hashCode() {
        int hash = 31 * (31 * rows + cols) + pattern.hashCode();
        for (long i = 0; i < nnz(); i++) {
            hash = 31 * hash + values.getAtIndex(ValueLayout.JAVA_INT, i);
        }
        return hash;
    }

    @Override
    public String toString() {
        return "NmMatrix[" + rows + " x " + cols + ", " + pattern + "]";
    }

    /** Writes fields of up to 64 bits one after the other, the least significant bit first. */
    private static final class BitWriter {
        private final byte[] bytes;
        private int at;
        private long word;
        private int filled;

        BitWriter(byte[] bytes) {
            this.bytes = bytes;
        }

        void put(long field, int bits) {
            if (bits > Integer.SIZE) {
                put(field & 0xffff_ffffL, Integer.SIZE);
                put(field >>> Integer.SIZE, bits - Integer.SIZE);
                return;
            }
            word |= field << filled;
            filled += bits;
            if (filled >= Integer.SIZE) {
                INTS.set(bytes, at, (int) word);
                at += Integer.BYTES;
                word >>>= Integer.SIZE;
                filled -= Integer.SIZE;
            }
        }

        /** Writes what is left; whole words, so the last may go past the last field. */
        void finish() {
            INTS.set(bytes, at, (int) word);
        }
    }

    /** Reads what a {@link BitWriter} wrote. */
    private static final class BitReader {
        private final MemorySegment lines;
        private long at;

        BitReader(MemorySegment lines, long from) {
            this.lines = lines;
            at = from * Byte.SIZE;
        }

        long next(int bits) {
            if (bits > Integer.SIZE) {
                long low = next(Integer.SIZE);
                return low | next(bits - Integer.SIZE) << Integer.SIZE;
            }
            long word = lines.get(WORD, at / Byte.SIZE) >>> at % Byte.SIZE;
            at += bits;
            return word & (1L << bits) - 1;
        }
    }
}
