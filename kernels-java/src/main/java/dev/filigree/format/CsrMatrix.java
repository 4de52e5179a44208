package dev.filigree.format;

import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Locale;
import java.util.Objects;

/**
 * A sparse f32 matrix in compressed sparse row form: columns and values of the stored entries, row by row.
 *
 * <p>The entries of row {@code r} have the indices {@code rowOffsets[r]} to {@code rowOffsets[r + 1] - 1};
 * within a row the columns strictly increase. This is checked once, when the matrix is built, and holds ever
 * after: inputs are copied, and the arrays are off-heap, aligned to 64 bytes and handed out read-only. They
 * are freed by the garbage collector, when neither the matrix nor a segment of it is reachable.
 *
 * <p>Stored values may be anything, zeros, NaN and infinities included. Immutable and thread-safe. Two
 * matrices are equal when their shapes, patterns and value bits are.
 */
public final class CsrMatrix {

    private final int rows;
    private final int cols;
    private final long nnz;
    private final MemorySegment rowOffsets;
    private final MemorySegment columns;
    private final MemorySegment values;

    /** Adopts storage that nobody else writes to, and checks it. */
    CsrMatrix(int rows, int cols, CsrStorage storage) {
        this.rows = rows;
        this.cols = cols;
        this.nnz = storage.rowOffset(rows);
        this.rowOffsets = storage.rowOffsets().asReadOnly();
        this.columns = storage.columns().asReadOnly();
        this.values = storage.values().asReadOnly();
        checkColumns();
    }

    /**
     * Copies a matrix from arrays.
     *
     * @param rows number of rows
     * @param cols number of columns
     * @param rowOffsets at least {@code rows + 1} offsets into the other arrays: the first is 0, none is
     *     below the one before it, and number {@code rows} is the number of entries
     * @param columns the column of each entry, strictly increasing within a row; elements past the last entry
     *     are ignored
     * @param values the value of each entry; elements past the last entry are ignored
     * @throws IllegalArgumentException if a dimension is negative, an array too short, or an element not as
     *     above; the message names the array, the place and the value
     */
    public static CsrMatrix fromArrays(int rows, int cols, long[] rowOffsets, int[] columns, float[] values) {
        return fromSegments(rows, cols, MemorySegment.ofArray(rowOffsets), MemorySegment.ofArray(columns),
            MemorySegment.ofArray(values));
    }

    /**
     * Copies a matrix from arrays whose offsets are {@code int}.
     *
     * @param rows number of rows
     * @param cols number of columns
     * @param rowOffsets as in {@link #fromArrays(int, int, long[], int[], float[])}
     * @param columns as there
     * @param values as there
     * @throws IllegalArgumentException as there
     */
    public static CsrMatrix fromArrays(int rows, int cols, int[] rowOffsets, int[] columns, float[] values) {
        long[] wide = new long[rowOffsets.length];
        for (int i = 0; i < wide.length; i++) {
            wide[i] = rowOffsets[i];
        }
        return fromArrays(rows, cols, wide, columns, values);
    }

    /**
     * Copies a matrix from host segments, native or heap, of any alignment, in the byte order of the machine.
     *
     * @param rows number of rows
     * @param cols number of columns
     * @param rowOffsets {@code long} elements, as in {@link #fromArrays(int, int, long[], int[], float[])}
     * @param columns {@code int} elements, as there
     * @param values {@code float} elements, as there
     * @throws IllegalArgumentException as there
     */
    public static CsrMatrix fromSegments(
            int rows, int cols, MemorySegment rowOffsets, MemorySegment columns, MemorySegment values) {
        checkShape(rows, cols);
        checkLength("rowOffsets", rowOffsets.byteSize() / Long.BYTES, rows + 1L, rows + " rows need");
        CsrStorage storage = new CsrStorage(rows);
        // Copied first and checked after: what another thread writes to the inputs cannot slip through.
        MemorySegment.copy(rowOffsets, 0, storage.rowOffsets(), 0, (rows + 1L) * Long.BYTES);
        checkOffsets(rows, storage);
        long nnz = storage.rowOffset(rows);
        String need = "rowOffsets[" + rows + "] needs";
        checkLength("columns", columns.byteSize() / Integer.BYTES, nnz, need);
        checkLength("values", values.byteSize() / Float.BYTES, nnz, need);
        storage.allocateEntries(nnz);
        MemorySegment.copy(columns, 0, storage.columns(), 0, nnz * Integer.BYTES);
        MemorySegment.copy(values, 0, storage.values(), 0, nnz * Float.BYTES);
        return new CsrMatrix(rows, cols, storage);
    }

    /**
     * Keeps the nonzero elements of a dense matrix. Neither zero is stored, 0.0 or -0.0; NaN is.
     *
     * @param dense f32 in host memory, of any stride, on or off the heap; nobody may write to it meanwhile
     * @throws UnsupportedOperationException if the matrix is not f32 or not in host memory
     * @throws java.util.ConcurrentModificationException if the matrix was seen to change meanwhile
     */
    public static CsrMatrix fromDense(DenseMatrix dense) {
        return new DenseConversion(dense).keepNonzeros();
    }

    /**
     * Keeps the elements of a dense matrix that a pruning rule selects.
     *
     * @param dense f32 in host memory, of any stride, on or off the heap; nobody may write to it meanwhile
     * @param pruning which elements to keep
     * @throws IllegalArgumentException if an element is NaN, with its place
     * @throws UnsupportedOperationException if the matrix is not f32 or not in host memory
     * @throws java.util.ConcurrentModificationException if the matrix was seen to change meanwhile
     */
    public static CsrMatrix fromDense(DenseMatrix dense, Pruning pruning) {
        return new DenseConversion(dense).keep(pruning);
    }

    private static void checkShape(int rows, int cols) {
        if (rows < 0) {
            throw new IllegalArgumentException("rows = " + rows + " is negative");
        }
        if (cols < 0) {
            throw new IllegalArgumentException("cols = " + cols + " is negative");
        }
    }

    private static void checkLength(String name, long length, long needed, String need) {
        if (length < needed) {
            throw new IllegalArgumentException(name + " has " + length + " elements, " + need + " " + needed);
        }
    }

    private static void checkOffsets(int rows, CsrStorage storage) {
        long previous = storage.rowOffset(0);
        if (previous != 0) {
            throw new IllegalArgumentException("rowOffsets[0] = " + previous + " is not 0");
        }
        for (long r = 1; r <= rows; r++) {
            long offset = storage.rowOffset(r);
            if (offset < previous) {
                throw new IllegalArgumentException("rowOffsets[" + r + "] = " + offset
                    + " is below rowOffsets[" + (r - 1) + "] = " + previous);
            }
            previous = offset;
        }
    }

    private void checkColumns() {
        for (int r = 0; r < rows; r++) {
            long begin = offset(r);
            long end = offset(r + 1L);
            int previous = -1;
            for (long i = begin; i < end; i++) {
                int column = columns.getAtIndex(ValueLayout.JAVA_INT, i);
                if (column <= previous || column >= cols) {
                    throw new IllegalArgumentException("column " + column + " at row " + r + ", entry "
                        + (i - begin) + " " + columnFault(column, previous, cols));
                }
                previous = column;
            }
        }
    }

    /** What is wrong with a column that is out of range or does not follow the one before it in its row. */
    static String columnFault(long column, int previous, int cols) {
        if (column < 0) {
            return "is negative";
        }
        return column >= cols
            ? "is not below " + cols + " columns"
            : "does not exceed column " + previous + " before it";
    }

    /** The number of rows. */
    public int rows() {
        return rows;
    }

    /** The number of columns. */
    public int cols() {
        return cols;
    }

    /** The number of stored entries, explicit zeros included. */
    public long nnz() {
        return nnz;
    }

    /** The share of places that are stored, from 0 to 1; 0 for a matrix without places. */
    public double density() {
        return nnz == 0 ? 0 : nnz / ((double) rows * cols);
    }

    /** The share of places that are not stored: {@code 1 - density()}. */
    public double sparsity() {
        return 1 - density();
    }

    /**
     * The number of stored entries in a row.
     *
     * @throws IndexOutOfBoundsException if there is no such row
     */
    public int rowLength(int row) {
        Objects.checkIndex(row, rows);
        return (int) (offset(row + 1L) - offset(row));
    }

    /**
     * Where each row begins: {@code rows + 1} elements of {@link ValueLayout#JAVA_LONG}, read-only, off-heap.
     */
    public MemorySegment rowOffsets() {
        return rowOffsets;
    }

    /**
     * The column of each entry: {@code nnz} elements of {@link ValueLayout#JAVA_INT}, read-only, off-heap.
     */
    public MemorySegment columns() {
        return columns;
    }

    /**
     * The value of each entry: {@code nnz} elements of {@link ValueLayout#JAVA_FLOAT}, read-only, off-heap.
     */
    public MemorySegment values() {
        return values;
    }

    /**
     * Writes the matrix out as f32, row-major and packed, with zeros at the places that are not stored.
     *
     * @param arena owns the memory of the result
     * @throws IllegalArgumentException if the dense matrix would exceed the address space
     * @throws OutOfMemoryError if the memory is not there
     */
    public DenseMatrix toDense(Arena arena) {
        DenseMatrix dense = DenseMatrix.allocate(arena, DType.F32, rows, cols);
        MemorySegment target = dense.data();
        for (int r = 0; r < rows; r++) {
            long start = (long) r * cols;
            for (long i = offset(r), end = offset(r + 1L); i < end; i++) {
                target.setAtIndex(ValueLayout.JAVA_FLOAT, start + column(i), value(i));
            }
        }
        return dense;
    }

    /**
     * The transposed matrix, in time and memory proportional to {@code rows + cols + nnz}.
     *
     * @throws OutOfMemoryError if the memory is not there
     */
    public CsrMatrix transpose() {
        CsrStorage storage = new CsrStorage(cols);
        storage.allocateEntries(nnz);
        for (long i = 0; i < nnz; i++) {
            long place = column(i) + 1L;
            storage.setRowOffset(place, storage.rowOffset(place) + 1);
        }
        storage.sumCounts(cols);
        // Rows are visited in order, so that the columns of each new row increase.
        for (int r = 0; r < rows; r++) {
            for (long i = offset(r), end = offset(r + 1L); i < end; i++) {
                int column = column(i);
                long place = storage.rowOffset(column);
                storage.setEntry(place, r, value(i));
                storage.setRowOffset(column, place + 1);
            }
        }
        storage.rewindOffsets(cols);
        return new CsrMatrix(cols, rows, storage);
    }

    private long offset(long row) {
        return rowOffsets.getAtIndex(ValueLayout.JAVA_LONG, row);
    }

    private int column(long index) {
        return columns.getAtIndex(ValueLayout.JAVA_INT, index);
    }

    private float value(long index) {
        return values.getAtIndex(ValueLayout.JAVA_FLOAT, index);
    }

    /** Compares shape, pattern and the bits of the values: 0.0 differs from -0.0, NaN equals itself. */
    @Override
    public boolean equals(Object other) {
        return this == other
            || other instanceof CsrMatrix that
                && rows == that.rows && cols == that.cols && nnz == that.nnz
                && rowOffsets.mismatch(that.rowOffsets) == -1
                && columns.mismatch(that.columns) == -1
                && values.mismatch(that.values) == -1;
    }

    /** Depends on shape, pattern and values; takes time proportional to {@code rows + nnz}. */
    @Override
    public int hashCode() {
        int hash = 31 * rows + cols;
        for (long r = 1; r <= rows; r++) {
            hash = 31 * hash + Long.hashCode(offset(r));
        }
        for (long i = 0; i < nnz; i++) {
            hash = 31 * (31 * hash + column(i)) + values.getAtIndex(ValueLayout.JAVA_INT, i);
        }
        return hash;
    }

    @Override
    public String toString() {
        return String.format(Locale.ROOT, "CsrMatrix[%d x %d, %d nonzeros, %s %% sparse]", rows, cols, nnz,
            sparsityPercent());
    }

    /** One decimal, or as many more as it takes not to print 100 for a matrix that has entries. */
    private String sparsityPercent() {
        String text = null;
        for (int decimals = 1; decimals <= 16; decimals++) {
            text = String.format(Locale.ROOT, "%." + decimals + "f", 100 * sparsity());
            if (nnz == 0 || !text.startsWith("100")) {
                break;
            }
        }
        return text;
    }
}
