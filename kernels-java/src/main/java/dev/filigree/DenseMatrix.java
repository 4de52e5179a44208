package dev.filigree;

import dev.filigree.internal.Operands;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Locale;
import java.util.Objects;

/**
 * A row-major view of dense elements that the caller owns: nothing is copied, and nothing is freed.
 *
 * <p>Element {@code (r, c)} lies {@code r * rowStride + c} elements after the start of the segment. The last row
 * need not be followed by padding. Off-heap segments are the zero-copy path; a heap array is copied through
 * scratch memory during a run. The view itself is immutable and thread-safe; the elements follow the rules of
 * the segment's arena.
 */
public final class DenseMatrix {

    /** Alignment that off-heap matrices made by this class have: a cache line, the widest vector. */
    private static final long ALIGNMENT = 64;

    static {
        Operands.install(new Operands.Access() {
            @Override
            public MemorySegment shareable(DenseMatrix matrix) {
                return matrix.shareable;
            }

            @Override
            public Object heapBase(DenseMatrix matrix) {
                return matrix.heapBase;
            }
        });
    }

    private final MemorySegment data;
    /** What kernels use while the caller waits: an alias of a confined or mapped segment, else the segment. */
    private final MemorySegment shareable;
    /** The array behind a heap segment, null when there is none or the segment hides it. */
    private final Object heapBase;
    private final Memory memory;
    private final DType dtype;
    private final int rows;
    private final int cols;
    private final long rowStride;

    private DenseMatrix(MemorySegment data, Memory memory, DType dtype, int rows, int cols, long rowStride) {
        Objects.requireNonNull(data, "data");
        Objects.requireNonNull(memory, "memory");
        Objects.requireNonNull(dtype, "dtype");
        if (rows < 0) {
            throw new IllegalArgumentException("rows = " + rows + " is negative");
        }
        if (cols < 0) {
            throw new IllegalArgumentException("cols = " + cols + " is negative");
        }
        if (rowStride < cols) {
            throw new IllegalArgumentException("row stride " + rowStride + " is less than the " + cols + " columns");
        }
        long bytes = byteSize(dtype, rows, cols, rowStride);
        if (data.byteSize() < bytes) {
            throw new IllegalArgumentException(String.format(Locale.ROOT,
                "a segment of %d bytes is too short: %d x %d %s with row stride %d needs %d",
                data.byteSize(), rows, cols, dtype.id(), rowStride, bytes));
        }
        if (data.maxByteAlignment() < dtype.bytes()) {
            throw new IllegalArgumentException(misaligned(data, dtype));
        }
        this.data = data.asSlice(0, bytes);
        this.memory = memory;
        this.dtype = dtype;
        this.rows = rows;
        this.cols = cols;
        this.rowStride = rowStride;
        this.shareable = shareable(this.data);
        this.heapBase = data.heapBase().orElse(null);
    }

    /**
     * Views a packed row-major host segment.
     *
     * @param data at least {@code rows * cols} elements, aligned to the element size; a {@code byte[]}, which has no
     *     alignment of its own, cannot be behind it
     * @param dtype the element type
     * @param rows the number of rows
     * @param cols the number of columns
     * @throws IllegalArgumentException if a dimension is negative or the segment too short or misaligned
     */
    public static DenseMatrix of(MemorySegment data, DType dtype, int rows, int cols) {
        return new DenseMatrix(data, Memory.HOST, dtype, rows, cols, cols);
    }

    /**
     * Views a row-major host segment whose rows start {@code rowStride} elements apart.
     *
     * @param data the elements; the last row may end with its last element
     * @param dtype the element type
     * @param rows the number of rows
     * @param cols the number of columns
     * @param rowStride in elements, at least {@code cols}
     * @throws IllegalArgumentException if a dimension is negative, the stride too small, or the segment too short
     *     or misaligned
     */
    public static DenseMatrix of(MemorySegment data, DType dtype, int rows, int cols, long rowStride) {
        return new DenseMatrix(data, Memory.HOST, dtype, rows, cols, rowStride);
    }

    /**
     * Views a segment in a given memory; the module that owns a device calls this.
     *
     * @throws IllegalArgumentException as for the host
     */
    public static DenseMatrix of(
            Memory memory, MemorySegment data, DType dtype, int rows, int cols, long rowStride) {
        return new DenseMatrix(data, memory, dtype, rows, cols, rowStride);
    }

    /**
     * Views a heap array of f32 elements, packed row-major. Runs copy it through scratch memory: prefer off-heap.
     *
     * @throws IllegalArgumentException if a dimension is negative or the array too short
     */
    public static DenseMatrix of(float[] data, int rows, int cols) {
        return of(MemorySegment.ofArray(data), DType.F32, rows, cols);
    }

    /**
     * Allocates a zeroed off-heap matrix, aligned to 64 bytes.
     *
     * @param arena owns the memory
     * @param dtype the element type
     * @param rows the number of rows
     * @param cols the number of columns
     * @throws IllegalArgumentException if a dimension is negative, or the matrix exceeds the address space
     */
    public static DenseMatrix allocate(Arena arena, DType dtype, int rows, int cols) {
        if (rows < 0 || cols < 0) {
            throw new IllegalArgumentException("a matrix of " + rows + " x " + cols + " has a negative dimension");
        }
        return of(arena.allocate(byteSize(dtype, rows, cols, cols), ALIGNMENT), dtype, rows, cols);
    }

    private static long byteSize(DType dtype, int rows, int cols, long rowStride) {
        if (rows == 0 || cols == 0) {
            return 0;
        }
        try {
            return Math.multiplyExact(
                Math.addExact(Math.multiplyExact(rows - 1L, rowStride), cols), dtype.bytes());
        } catch (ArithmeticException e) {
            throw new IllegalArgumentException(
                rows + " rows with stride " + rowStride + " exceed the address space", e);
        }
    }

    private static String misaligned(MemorySegment data, DType dtype) {
        String place = data.isNative() ? "address 0x" + Long.toHexString(data.address())
            : "byte " + data.address() + " of a "
                + data.heapBase().map(array -> array.getClass().getSimpleName()).orElse("heap array");
        return "a segment at " + place + " is not aligned to the " + dtype.bytes() + " bytes of " + dtype.id()
            + " elements";
    }

    private static MemorySegment shareable(MemorySegment data) {
        boolean confined = Operands.isConfined(data);
        if (!data.isNative() || !confined && !data.isMapped()) {
            return data;
        }
        try {
            // The alias of a mapped segment keeps its arena; its point is that kernels see one class of segment.
            MemorySegment alias =
                confined ? data.reinterpret(Arena.global(), null) : data.reinterpret(data.byteSize());
            return data.isReadOnly() ? alias.asReadOnly() : alias;
        } catch (IllegalCallerException e) {
            // Native access is denied: the operand stays usable, a confined one by its owner thread alone.
            return data;
        }
    }

    /** The elements, from the first to the last. */
    public MemorySegment data() {
        return data;
    }

    /** Where the elements live. */
    public Memory memory() {
        return memory;
    }

    /** The element type. */
    public DType dtype() {
        return dtype;
    }

    /** The number of rows. */
    public int rows() {
        return rows;
    }

    /** The number of columns. */
    public int cols() {
        return cols;
    }

    /** The distance between the starts of two rows, in elements. */
    public long rowStride() {
        return rowStride;
    }

    /**
     * Reads one element of a host matrix. For tests and small matrices, not for loops over many elements.
     *
     * @throws IndexOutOfBoundsException if the position is outside the matrix
     * @throws UnsupportedOperationException if the matrix is not in host memory
     */
    public float get(int row, int col) {
        long offset = elementOffset(row, col);
        return switch (dtype) {
            case F32 -> data.get(ValueLayout.JAVA_FLOAT, offset);
            case BF16 -> Bf16.toFloat(data.get(ValueLayout.JAVA_SHORT, offset));
        };
    }

    /**
     * Writes one element of a host matrix, rounded to nearest even where it is bf16.
     *
     * @throws IndexOutOfBoundsException if the position is outside the matrix
     * @throws UnsupportedOperationException if the matrix is not in host memory
     */
    public void set(int row, int col, float value) {
        long offset = elementOffset(row, col);
        switch (dtype) {
            case F32 -> data.set(ValueLayout.JAVA_FLOAT, offset, value);
            case BF16 -> data.set(ValueLayout.JAVA_SHORT, offset, Bf16.fromFloat(value));
        }
    }

    private long elementOffset(int row, int col) {
        if (!memory.isHost()) {
            throw new UnsupportedOperationException("element access needs host memory, this is " + this);
        }
        Objects.checkIndex(row, rows);
        Objects.checkIndex(col, cols);
        return (row * rowStride + col) * dtype.bytes();
    }

    @Override
    public String toString() {
        return String.format(Locale.ROOT, "DenseMatrix[%d x %d %s, row stride %d, %s%s]", rows, cols, dtype.id(),
            rowStride, memory.id(), memory.isHost() && !data.isNative() ? " heap" : "");
    }
}
