package dev.filigree.format;

import dev.filigree.Bf16;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.spi.Backends;
import dev.filigree.spi.RowFormat;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Objects;

/**
 * A dense matrix whose rows are used or skipped as a whole: the weights of an MLP with a row for each neuron, of
 * attention with a block of rows for each head. Rows are contiguous, begin at multiples of 64 bytes, and are padded with
 * zeros.
 *
 * <p>In memory and in a file it is the same bytes, so that {@link #map} costs nothing until rows are used, and costs no
 * memory that the page cache would not have. Elements are f32 or bf16. Inputs are copied off-heap, onto huge pages
 * where the fastest backend can ask for them, and freed by the garbage collector. Immutable and thread-safe.
 */
public final class RowMatrix {

    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;
    private static final ValueLayout.OfShort BF16 = ValueLayout.JAVA_SHORT;
    private static final long VALUES_AT = 64;
    /** Columns and rows that are transposed at a time: 16 KiB in each matrix. */
    private static final int TILE = 64;

    private final MemorySegment block;
    private final MemorySegment readOnly;
    private final int rows;
    private final int cols;
    private final DType dtype;

    private RowMatrix(MemorySegment block, int rows, int cols, DType dtype) {
        this.block = block;
        readOnly = block.asReadOnly();
        this.rows = rows;
        this.cols = cols;
        this.dtype = dtype;
    }

    /**
     * Copies a matrix whose rows are the rows of this one.
     *
     * @param dense f32 or bf16 in host memory, of any stride, on or off the heap; nobody may write to it meanwhile
     * @throws UnsupportedOperationException if it is not in host memory
     */
    public static RowMatrix of(DenseMatrix dense) {
        return of(dense, dense.dtype());
    }

    /**
     * Copies a matrix whose rows are the rows of this one.
     *
     * @param dense f32 or bf16 in host memory, as above
     * @param dtype the type to keep; f32 is rounded to bf16 to nearest even
     * @throws UnsupportedOperationException if it is not in host memory
     */
    public static RowMatrix of(DenseMatrix dense, DType dtype) {
        RowMatrix matrix = allocate(dense, dense.rows(), dense.cols(), dtype);
        for (int r = 0; r < matrix.rows; r++) {
            long from = r * dense.rowStride() * dense.dtype().bytes();
            if (dtype == dense.dtype()) {
                MemorySegment.copy(dense.data(), from, matrix.block, RowFormat.rowAt(matrix.block, r),
                    (long) matrix.cols * dtype.bytes());
            } else {
                for (int c = 0; c < matrix.cols; c++) {
                    matrix.set(r, c, element(dense, r, c));
                }
            }
        }
        return matrix;
    }

    /**
     * Copies a matrix whose columns are the rows of this one.
     *
     * @param dense f32 or bf16 in host memory, as above
     * @param dtype the type to keep; f32 is rounded to bf16 to nearest even
     * @throws UnsupportedOperationException if it is not in host memory
     */
    public static RowMatrix ofTransposed(DenseMatrix dense, DType dtype) {
        RowMatrix matrix = allocate(dense, dense.cols(), dense.rows(), dtype);
        for (int firstRow = 0; firstRow < matrix.rows; firstRow += TILE) {
            for (int firstCol = 0; firstCol < matrix.cols; firstCol += TILE) {
                for (int r = firstRow; r < Math.min(matrix.rows, firstRow + TILE); r++) {
                    for (int c = firstCol; c < Math.min(matrix.cols, firstCol + TILE); c++) {
                        matrix.set(r, c, element(dense, c, r));
                    }
                }
            }
        }
        return matrix;
    }

    private static float element(DenseMatrix dense, int row, int col) {
        long at = row * dense.rowStride() + col;
        return dense.dtype() == DType.F32 ? dense.data().get(ValueLayout.JAVA_FLOAT_UNALIGNED, Float.BYTES * at)
            : Bf16.toFloat(dense.data().get(ValueLayout.JAVA_SHORT_UNALIGNED, Short.BYTES * at));
    }

    private static RowMatrix allocate(DenseMatrix dense, int rows, int cols, DType dtype) {
        Objects.requireNonNull(dtype, "dtype");
        if (!dense.memory().isHost()) {
            throw new UnsupportedOperationException("rows are copied from host memory, this is " + dense);
        }
        long stride = stride(cols);
        long bytes;
        try {
            bytes = Math.addExact(
                VALUES_AT + RowFormat.TAIL, Math.multiplyExact(rows, stride * dtype.bytes()));
        } catch (ArithmeticException e) {
            throw new IllegalArgumentException(rows + " x " + cols + " elements exceed the address space", e);
        }
        MemorySegment block = Backends.memory(Arena.ofAuto()).allocate(bytes, RowFormat.ALIGNMENT);
        set(block, RowFormat.MAGIC, RowFormat.MAGIC_VALUE);
        set(block, RowFormat.BYTES, bytes);
        set(block, RowFormat.ROWS, rows);
        set(block, RowFormat.COLS, cols);
        set(block, RowFormat.STRIDE, stride);
        set(block, RowFormat.DTYPE, RowFormat.code(dtype));
        set(block, RowFormat.VALUES, VALUES_AT);
        return new RowMatrix(block, rows, cols, dtype);
    }

    private static long stride(int cols) {
        return Math.ceilDiv((long) cols, RowFormat.ROW_STEP) * RowFormat.ROW_STEP;
    }

    private static void set(MemorySegment block, long field, long value) {
        block.set(ValueLayout.JAVA_LONG, field, value);
    }

    /**
     * Maps a file that {@link #write} has written. Rows are read from it when they are first used. What happens to a
     * process that truncates the file meanwhile is outside of what the library promises.
     *
     * @throws MatrixFormatException if the file is not a row matrix, with the place and what was found
     * @throws IOException if the file cannot be read
     */
    public static RowMatrix map(Path file) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            long size = channel.size();
            if (size < VALUES_AT + RowFormat.TAIL) {
                throw new MatrixFormatException(
                    file.toString(), 1, size + " bytes are too short for a row matrix");
            }
            return of(channel.map(FileChannel.MapMode.READ_ONLY, 0, size, Arena.ofAuto()), file);
        }
    }

    private static RowMatrix of(MemorySegment block, Path file) throws MatrixFormatException {
        require(file, "magic", RowFormat.field(block, RowFormat.MAGIC), RowFormat.MAGIC_VALUE);
        require(file, "bytes", RowFormat.field(block, RowFormat.BYTES), block.byteSize());
        require(file, "values", RowFormat.field(block, RowFormat.VALUES), VALUES_AT);
        int rows = size(file, "rows", RowFormat.field(block, RowFormat.ROWS));
        int cols = size(file, "cols", RowFormat.field(block, RowFormat.COLS));
        require(file, "stride", RowFormat.field(block, RowFormat.STRIDE), stride(cols));
        long code = RowFormat.field(block, RowFormat.DTYPE);
        if (code != 0 && code != 1) {
            throw new MatrixFormatException(file.toString(), 1, "dtype is " + code + ", expected 0 or 1");
        }
        DType dtype = code == 0 ? DType.F32 : DType.BF16;
        long rowBytes = stride(cols) * dtype.bytes();
        long room = block.byteSize() - VALUES_AT - RowFormat.TAIL;
        if (rowBytes == 0 ? room != 0 : room % rowBytes != 0 || room / rowBytes != rows) {
            throw new MatrixFormatException(file.toString(), 1, block.byteSize()
                + " bytes do not hold " + rows + " rows of " + cols + " " + dtype.id());
        }
        RowMatrix matrix = new RowMatrix(block, rows, cols, dtype);
        matrix.requireZeroPadding(file);
        return matrix;
    }

    private void requireZeroPadding(Path file) throws MatrixFormatException {
        long padding = (stride(cols) - cols) * dtype.bytes();
        for (int r = 0; r < rows && padding > 0; r++) {
            long at = RowFormat.rowAt(block, r) + (long) cols * dtype.bytes();
            for (long i = at; i < at + padding; i += Short.BYTES) {
                if (block.get(BF16, i) != 0) {
                    throw new MatrixFormatException(file.toString(), 1, "the padding of row " + r + " is not zero");
                }
            }
        }
    }

    private static int size(Path file, String field, long value) throws MatrixFormatException {
        if (value < 0 || value > Integer.MAX_VALUE - RowFormat.ROW_STEP) {
            throw new MatrixFormatException(file.toString(), 1, field + " is " + value);
        }
        return (int) value;
    }

    private static void require(Path file, String field, long found, long expected) throws MatrixFormatException {
        if (found != expected) {
            throw new MatrixFormatException(
                file.toString(), 1, field + " is " + found + ", expected " + expected);
        }
    }

    /**
     * Writes the matrix to a file, for {@link #map}; a file that is there is replaced.
     *
     * @throws IOException if it cannot be written
     */
    public void write(Path file) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE,
                StandardOpenOption.TRUNCATE_EXISTING)) {
            long chunk = 1L << 30;
            for (long at = 0; at < block.byteSize(); at += chunk) {
                var buffer = block.asSlice(at, Math.min(chunk, block.byteSize() - at)).asByteBuffer();
                while (buffer.hasRemaining()) {
                    channel.write(buffer);
                }
            }
        }
    }

    /** The number of rows. */
    public int rows() {
        return rows;
    }

    /** The number of columns. */
    public int cols() {
        return cols;
    }

    /** The type of an element. */
    public DType dtype() {
        return dtype;
    }

    /** The whole block, read-only, as {@link RowFormat} describes it. */
    public MemorySegment block() {
        return readOnly;
    }

    /**
     * One element. For tests and small matrices, not for loops over many elements.
     *
     * @throws IndexOutOfBoundsException if the position is outside the matrix
     */
    public float get(int row, int col) {
        Objects.checkIndex(row, rows);
        Objects.checkIndex(col, cols);
        long at = RowFormat.rowAt(block, row);
        return dtype == DType.F32 ? block.get(F32, at + (long) Float.BYTES * col)
            : Bf16.toFloat(block.get(BF16, at + (long) Short.BYTES * col));
    }

    /**
     * Copies a row, widened to f32.
     *
     * @param to as many floats as there are columns, or more
     * @throws IndexOutOfBoundsException if there is no such row, or too little room
     */
    public void copyRow(int row, float[] to) {
        Objects.checkFromIndexSize(0, cols, to.length);
        long at = RowFormat.rowAt(block, Objects.checkIndex(row, rows));
        for (int c = 0; c < cols; c++) {
            to[c] = dtype == DType.F32 ? block.get(F32, at + (long) Float.BYTES * c)
                : Bf16.toFloat(block.get(BF16, at + (long) Short.BYTES * c));
        }
    }

    private void set(int row, int col, float value) {
        long at = RowFormat.rowAt(block, row);
        if (dtype == DType.F32) {
            block.set(F32, at + (long) Float.BYTES * col, value);
        } else {
            block.set(BF16, at + (long) Short.BYTES * col, Bf16.fromFloat(value));
        }
    }

    /** The Euclidean norm of each row, rounded to nearest. */
    public float[] rowNorms() {
        float[] norms = new float[rows];
        float[] values = new float[cols];
        for (int r = 0; r < rows; r++) {
            copyRow(r, values);
            double sum = 0;
            for (float value : values) {
                sum += (double) value * value;
            }
            norms[r] = (float) Math.sqrt(sum);
        }
        return norms;
    }

    @Override
    public String toString() {
        return "RowMatrix[" + rows + " x " + cols + " " + dtype.id() + "]";
    }
}
