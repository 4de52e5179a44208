package dev.filigree.attention;

import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Objects;

/**
 * A view of queries, keys, values or outputs: f32 or bf16 elements {@code (batch, head, row, d)} that the caller owns, at
 * {@code batch * batchStride + head * headStride + row * rowStride + d} elements after the start of a segment. A row is
 * one token of one head; its {@code dim} elements are consecutive. Nothing is copied, and nothing is freed.
 *
 * <p>Off-heap segments are the zero-copy path; heap arrays are copied whole through scratch memory in each run. The
 * view is immutable and thread-safe; the elements follow the rules of the segment's arena.
 */
public final class AttentionTensor {

    /** Alignment of tensors made by this class: a cache line, the widest vector. */
    private static final long ALIGNMENT = 64;

    private final DenseMatrix span;
    private final int batch;
    private final int heads;
    private final int rows;
    private final int dim;
    private final long batchStride;
    private final long headStride;
    private final long rowStride;
    private final boolean coincides;

    private AttentionTensor(MemorySegment data, DType dtype, int batch, int heads, int rows, int dim, long batchStride,
            long headStride, long rowStride) {
        Objects.requireNonNull(data, "data");
        Objects.requireNonNull(dtype, "dtype");
        requirePositive("batch", batch);
        requirePositive("heads", heads);
        requirePositive("rows", rows);
        requirePositive("dim", dim);
        this.batch = batch;
        this.heads = heads;
        this.rows = rows;
        this.dim = dim;
        this.batchStride = requireStride("batch stride", batchStride);
        this.headStride = requireStride("head stride", headStride);
        this.rowStride = requireStride("row stride", rowStride);
        long elements = Long.MAX_VALUE;
        try {
            elements = Math.addExact(Math.addExact(Math.multiplyExact(batch - 1L, batchStride),
                Math.multiplyExact(heads - 1L, headStride)),
                Math.addExact(Math.multiplyExact(rows - 1L, rowStride), dim));
        } catch (ArithmeticException e) {
            // Too large by far: the check below says so.
        }
        if (elements > Integer.MAX_VALUE) {
            throw new IllegalArgumentException(describe(dtype) + " spans 2^31 elements or more");
        }
        if (data.byteSize() < elements * dtype.bytes()) {
            throw new IllegalArgumentException("a segment of " + data.byteSize() + " bytes is too short: "
                + describe(dtype) + " needs " + elements * dtype.bytes());
        }
        span = DenseMatrix.of(data, dtype, 1, (int) elements);
        coincides = mayCoincide(
            new long[][] {{batch, batchStride}, {heads, headStride}, {rows, rowStride}}, dim);
    }

    private static void requirePositive(String name, int value) {
        if (value < 1) {
            throw new IllegalArgumentException(name + " = " + value + " is less than 1");
        }
    }

    private static long requireStride(String name, long value) {
        if (value < 0) {
            throw new IllegalArgumentException(name + " = " + value + " is negative");
        }
        return value;
    }

    /** {@link #headMajor(MemorySegment, DType, int, int, int, int)} of f32. */
    public static AttentionTensor headMajor(MemorySegment data, int batch, int heads, int rows, int dim) {
        return headMajor(data, DType.F32, batch, heads, rows, dim);
    }

    /**
     * Views packed elements in the order {@code [batch, heads, rows, dim]}.
     *
     * @param data elements, aligned to their size
     * @throws IllegalArgumentException if a size is less than 1, or the segment too short or misaligned
     */
    public static AttentionTensor headMajor(
            MemorySegment data, DType dtype, int batch, int heads, int rows, int dim) {
        return new AttentionTensor(
            data, dtype, batch, heads, rows, dim, (long) heads * rows * dim, (long) rows * dim, dim);
    }

    /** {@link #rowMajor(MemorySegment, DType, int, int, int, int)} of f32. */
    public static AttentionTensor rowMajor(MemorySegment data, int batch, int heads, int rows, int dim) {
        return rowMajor(data, DType.F32, batch, heads, rows, dim);
    }

    /**
     * Views packed elements in the order {@code [batch, rows, heads, dim]}, as linear layers leave them.
     *
     * @param data elements, aligned to their size
     * @throws IllegalArgumentException if a size is less than 1, or the segment too short or misaligned
     */
    public static AttentionTensor rowMajor(
            MemorySegment data, DType dtype, int batch, int heads, int rows, int dim) {
        return new AttentionTensor(
            data, dtype, batch, heads, rows, dim, (long) heads * rows * dim, dim, (long) heads * dim);
    }

    /** {@link #strided(MemorySegment, DType, int, int, int, int, long, long, long)} of f32. */
    public static AttentionTensor strided(MemorySegment data, int batch, int heads, int rows, int dim,
            long batchStride, long headStride, long rowStride) {
        return strided(data, DType.F32, batch, heads, rows, dim, batchStride, headStride, rowStride);
    }

    /**
     * Views elements that lie any distances apart; the segment may end with the last element. Elements of an output
     * must not coincide, those of an input may: stride 0 repeats.
     *
     * @param data elements, aligned to their size
     * @throws IllegalArgumentException if a size is less than 1, a stride negative, or the segment too short or
     *     misaligned
     */
    public static AttentionTensor strided(MemorySegment data, DType dtype, int batch, int heads, int rows, int dim,
            long batchStride, long headStride, long rowStride) {
        return new AttentionTensor(data, dtype, batch, heads, rows, dim, batchStride, headStride, rowStride);
    }

    /** {@link #allocate(Arena, DType, int, int, int, int)} of f32. */
    public static AttentionTensor allocate(Arena arena, int batch, int heads, int rows, int dim) {
        return allocate(arena, DType.F32, batch, heads, rows, dim);
    }

    /** Allocates zeroed off-heap elements in the order {@code [batch, heads, rows, dim]}, aligned to 64 bytes. */
    public static AttentionTensor allocate(Arena arena, DType dtype, int batch, int heads, int rows, int dim) {
        long bytes = Math.multiplyExact(dtype.bytes() * (long) batch * heads, Math.multiplyExact((long) rows, dim));
        return headMajor(arena.allocate(Math.max(0, bytes), ALIGNMENT), dtype, batch, heads, rows, dim);
    }

    /** Type of the elements. */
    public DType dtype() {
        return span.dtype();
    }

    /** Sequences. */
    public int batch() {
        return batch;
    }

    /** Heads of a sequence. */
    public int heads() {
        return heads;
    }

    /** Tokens of a sequence. */
    public int rows() {
        return rows;
    }

    /** Elements of a row. */
    public int dim() {
        return dim;
    }

    /** Elements from one sequence to the next. */
    public long batchStride() {
        return batchStride;
    }

    /** Elements from one head to the next. */
    public long headStride() {
        return headStride;
    }

    /** Elements from one row to the next. */
    public long rowStride() {
        return rowStride;
    }

    /** The memory from the first element to the last. */
    public MemorySegment data() {
        return span.data();
    }

    /** The same memory, as one row: for checks, and for the alias that other threads may use. */
    DenseMatrix span() {
        return span;
    }

    /** Whether two elements may lie in the same place. */
    boolean coincides() {
        return coincides;
    }

    /** Axes of count and stride around runs of consecutive elements: one that is shorter than what it repeats. */
    private static boolean mayCoincide(long[][] axes, long run) {
        Arrays.sort(axes, Comparator.comparingLong(axis -> axis[1]));
        long extent = run;
        for (long[] axis : axes) {
            if (axis[0] > 1) {
                if (axis[1] < extent) {
                    return true;
                }
                extent += (axis[0] - 1) * axis[1];
            }
        }
        return false;
    }

    /**
     * Reads one element. For tests and small tensors.
     *
     * @throws IndexOutOfBoundsException if the position is outside the tensor
     */
    public float get(int b, int head, int row, int d) {
        return span.get(0, at(b, head, row, d));
    }

    /**
     * Writes one element, rounded to this type. For tests and small tensors.
     *
     * @throws IndexOutOfBoundsException if the position is outside the tensor
     */
    public void set(int b, int head, int row, int d, float value) {
        span.set(0, at(b, head, row, d), value);
    }

    /** Copies the elements of a row. */
    void copyRow(int b, int head, int row, float[] to) {
        int at = at(b, head, row, 0);
        if (dtype() == DType.F32) {
            MemorySegment.copy(span.data(), ValueLayout.JAVA_FLOAT, (long) Float.BYTES * at, to, 0, dim);
            return;
        }
        for (int d = 0; d < dim; d++) {
            to[d] = span.get(0, at + d);
        }
    }

    /** Of all that {@link #span()} has, the number of an element. */
    private int at(int b, int head, int row, int d) {
        return (int) (Objects.checkIndex(b, batch) * batchStride + Objects.checkIndex(head, heads) * headStride
            + Objects.checkIndex(row, rows) * rowStride + Objects.checkIndex(d, dim));
    }

    private String describe(DType dtype) {
        return "AttentionTensor[" + dtype.id() + ", batch " + batch + ", heads " + heads + ", rows " + rows + ", dim " + dim
            + ", strides " + batchStride + ", " + headStride + ", " + rowStride + "]";
    }

    @Override
    public String toString() {
        return describe(dtype());
    }
}
