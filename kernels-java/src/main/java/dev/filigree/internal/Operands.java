package dev.filigree.internal;

import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Layout;
import dev.filigree.Memory;
import java.lang.foreign.MemorySegment;

/**
 * Checks on the dense operands of a run, and the one door to what {@link DenseMatrix} does not publish.
 */
public final class Operands {

    /** What {@link DenseMatrix} knows and does not publish. */
    public interface Access {
        /** The segment that threads other than the owner may use while the owner waits. */
        MemorySegment shareable(DenseMatrix matrix);

        /** The array behind a heap segment, null when there is none or the segment is read-only. */
        Object heapBase(DenseMatrix matrix);
    }

    /** Never started: it is "another thread", to ask a segment whether it is confined. */
    private static final Thread STRANGER = new Thread(() -> {}, "filigree-confinement-probe");

    private static volatile Access access;

    private Operands() {}

    /** Called once, from {@link DenseMatrix}'s initializer. */
    public static void install(Access installed) {
        access = installed;
    }

    /** The segment that threads other than the owner may use while the owner waits for them. */
    public static MemorySegment shareable(DenseMatrix matrix) {
        return access.shareable(matrix);
    }

    /** Whether only some threads may use a segment. */
    public static boolean isConfined(MemorySegment segment) {
        return !segment.isAccessibleBy(STRANGER);
    }

    /**
     * Refuses an operand that the calling thread may not touch.
     *
     * @throws IllegalArgumentException if it is confined to another thread
     * @throws IllegalStateException if its arena is closed
     */
    public static void requireUsable(String name, DenseMatrix matrix) {
        MemorySegment data = matrix.data();
        if (!data.scope().isAlive()) {
            throw new IllegalStateException("the arena of " + name + " is closed");
        }
        if (!data.isAccessibleBy(Thread.currentThread())) {
            throw new IllegalArgumentException(name + " is confined to another thread than "
                + Thread.currentThread().getName());
        }
    }

    /**
     * Refuses an operand of the wrong type or in the wrong memory.
     *
     * @throws IllegalArgumentException naming the operand, what it is and what was expected
     */
    public static void requireKind(String name, DenseMatrix matrix, DType dtype, Memory memory) {
        if (matrix.dtype() != dtype) {
            throw new IllegalArgumentException(
                name + " is " + matrix.dtype().id() + ", this plan takes " + dtype.id());
        }
        if (!matrix.memory().equals(memory)) {
            throw new IllegalArgumentException(
                name + " is in " + matrix.memory().id() + " memory, expected " + memory.id());
        }
    }

    /**
     * Refuses an operand of the wrong shape.
     *
     * @throws IllegalArgumentException naming the operand, its shape and what was expected
     */
    public static void requireShape(String name, DenseMatrix matrix, long rows, long cols, String expected) {
        if (matrix.rows() != rows || matrix.cols() != cols) {
            throw new IllegalArgumentException(name + " is " + matrix.rows() + " x " + matrix.cols()
                + ", expected " + rows + " x " + cols + " (" + expected + ")");
        }
    }

    /**
     * Refuses an output that cannot be written, or whose elements share memory with an input's.
     *
     * @throws IllegalArgumentException naming both operands
     */
    public static void requireWritable(String name, DenseMatrix output, String inputName, DenseMatrix input) {
        if (output.data().isReadOnly()) {
            throw new IllegalArgumentException(name + " is read-only");
        }
        if (overlaps(output, input)) {
            throw new IllegalArgumentException(name + " overlaps " + inputName);
        }
    }

    /**
     * Checks both operands of {@code C = A * B}, or of {@code Y = X * A^T} when token-major.
     *
     * @param layout of the operands
     * @param rows of A
     * @param cols of A
     * @param dtype that both must have
     * @param memory where both must be
     * @return N, the columns or tokens
     * @throws IllegalArgumentException naming the operand
     * @throws IllegalStateException if an arena is closed
     */
    public static int requireProduct(
            Layout layout, int rows, int cols, DType dtype, Memory memory, DenseMatrix b, DenseMatrix c) {
        boolean tokens = layout == Layout.TOKEN_MAJOR;
        String input = tokens ? "x" : "b";
        String output = tokens ? "y" : "c";
        requireKind(input, b, dtype, memory);
        requireKind(output, c, dtype, memory);
        int n = tokens ? b.rows() : b.cols();
        if (tokens) {
            requireShape(input, b, n, cols, "tokens x columns of A");
            requireShape(output, c, n, rows, "tokens x rows of A");
        } else {
            requireShape(input, b, cols, n, "columns of A x N");
            requireShape(output, c, rows, n, "rows of A x N");
        }
        requireUsable(input, b);
        requireUsable(output, c);
        requireWritable(output, c, input, b);
        memory.requireHolds(input, b.data());
        memory.requireHolds(output, c.data());
        return n;
    }

    private static boolean overlaps(DenseMatrix x, DenseMatrix y) {
        MemorySegment a = x.data();
        MemorySegment b = y.data();
        if (a.byteSize() == 0 || b.byteSize() == 0 || !x.memory().equals(y.memory())) {
            return false;
        }
        if (a.isNative() != b.isNative()) {
            return false;
        }
        if (!a.isNative() && access.heapBase(x) != access.heapBase(y)) {
            // A read-only segment hides its array; asking it directly is the slow way, but it knows.
            return access.heapBase(y) == null && a.asOverlappingSlice(b).isPresent() && !besideEachOther(x, y);
        }
        boolean rangesMeet =
            a.address() < b.address() + b.byteSize() && b.address() < a.address() + a.byteSize();
        return rangesMeet && !besideEachOther(x, y);
    }

    /** Two column windows of one larger matrix: same stride, and the windows do not meet. */
    private static boolean besideEachOther(DenseMatrix x, DenseMatrix y) {
        if (x.rowStride() != y.rowStride() || x.dtype() != y.dtype()) {
            return false;
        }
        long stride = x.rowStride();
        long distance = y.data().address() - x.data().address();
        if (distance % x.dtype().bytes() != 0) {
            return false;
        }
        long shift = Math.floorMod(distance / x.dtype().bytes(), stride);
        return shift >= x.cols() && y.cols() <= stride - shift;
    }
}
