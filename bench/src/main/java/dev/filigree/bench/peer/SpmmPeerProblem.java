package dev.filigree.bench.peer;

import dev.filigree.Activation;
import dev.filigree.DType;
import dev.filigree.Layout;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Locale;

/**
 * An SpMM as a helper process sees it, in memory that it shares with the process that measures.
 *
 * @param shape of it
 * @param offsets where each row begins, and the end: long
 * @param columns of the stored entries, ascending in a row: int
 * @param values of the stored entries: float, exact in the type
 * @param input the dense operand, its rows without gaps, of the type
 * @param output where the result is to be shown, of the type
 */
public record SpmmPeerProblem(Shape shape, MemorySegment offsets, MemorySegment columns, MemorySegment values,
        MemorySegment input, MemorySegment output) {

    /** Vector loads and huge operands alike are at home on this alignment. */
    public static final long ALIGNMENT = 64;

    /**
     * Sizes and options.
     *
     * @param rows of A
     * @param cols of A
     * @param nnz stored entries of A
     * @param n columns of B, or tokens
     * @param layout of the dense operands
     * @param activation of the epilogue
     * @param dtype of all operands
     */
    public record Shape(int rows, int cols, long nnz, int n, Layout layout, Activation activation, DType dtype) {

        /** The words of a command that {@link #parse} reads. */
        List<String> words() {
            return List.of(Integer.toString(rows), Integer.toString(cols), Long.toString(nnz), Integer.toString(n),
                layout.name(), activation.name(), dtype.name());
        }

        static Shape parse(List<String> words) {
            return new Shape(Integer.parseInt(words.get(0)), Integer.parseInt(words.get(1)),
                Long.parseLong(words.get(2)), Integer.parseInt(words.get(3)),
                Layout.valueOf(words.get(4).toUpperCase(Locale.ROOT)),
                Activation.valueOf(words.get(5).toUpperCase(Locale.ROOT)),
                DType.valueOf(words.get(6).toUpperCase(Locale.ROOT)));
        }

        /** Whether tokens are rows. */
        public boolean tokenMajor() {
            return layout == Layout.TOKEN_MAJOR;
        }

        /** Bytes of the dense input. */
        public long inputBytes() {
            return (long) dtype.bytes() * cols * n;
        }

        /** Bytes of the dense output. */
        public long outputBytes() {
            return (long) dtype.bytes() * rows * n;
        }

        /** Bytes of all the parts of a problem, one after the other. */
        public long sharedBytes() {
            return aligned(Long.BYTES * (rows + 1L)) + 2 * aligned(Float.BYTES * nnz) + aligned(inputBytes())
                + aligned(outputBytes());
        }
    }

    private static long aligned(long bytes) {
        return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }

    /** Lays a problem over shared memory of {@link Shape#sharedBytes()}. */
    public static SpmmPeerProblem over(Shape shape, MemorySegment memory) {
        long columns = aligned(Long.BYTES * (shape.rows + 1L));
        long values = columns + aligned(Integer.BYTES * shape.nnz);
        long input = values + aligned(Float.BYTES * shape.nnz);
        long output = input + aligned(shape.inputBytes());
        return new SpmmPeerProblem(shape, memory.asSlice(0, Long.BYTES * (shape.rows + 1L)),
            memory.asSlice(columns, Integer.BYTES * shape.nnz), memory.asSlice(values, Float.BYTES * shape.nnz),
            memory.asSlice(input, shape.inputBytes()), memory.asSlice(output, shape.outputBytes()));
    }

    /** The matrix with its zeros, row by row, in f32. */
    public MemorySegment dense(Arena arena) {
        MemorySegment dense = arena.allocate((long) Float.BYTES * shape.rows * shape.cols, ALIGNMENT);
        for (int r = 0; r < shape.rows; r++) {
            long end = offset(r + 1L);
            for (long p = offset(r); p < end; p++) {
                long place = (long) r * shape.cols + columns.getAtIndex(ValueLayout.JAVA_INT, p);
                dense.setAtIndex(ValueLayout.JAVA_FLOAT, place, values.getAtIndex(ValueLayout.JAVA_FLOAT, p));
            }
        }
        return dense;
    }

    /**
     * The offsets in the 32 bits that libraries take.
     *
     * @throws PeerException if they do not fit
     */
    public MemorySegment intOffsets(Arena arena) {
        if (shape.nnz > Integer.MAX_VALUE) {
            throw new PeerException(shape.nnz + " nonzeros are more than its 32-bit indices reach");
        }
        MemorySegment ints = arena.allocate(Integer.BYTES * (shape.rows + 1L), ALIGNMENT);
        for (long r = 0; r <= shape.rows; r++) {
            ints.setAtIndex(ValueLayout.JAVA_INT, r, (int) offset(r));
        }
        return ints;
    }

    private long offset(long row) {
        return offsets.getAtIndex(ValueLayout.JAVA_LONG, row);
    }

    /** A copy of a part, in memory of the process itself. */
    public static MemorySegment copy(MemorySegment part, Arena arena) {
        MemorySegment copy = arena.allocate(Math.max(1, part.byteSize()), ALIGNMENT);
        MemorySegment.copy(part, 0, copy, 0, part.byteSize());
        return copy;
    }

    /** An output full of NaN, so that an element that nobody writes cannot pass for a result. */
    public MemorySegment newOutput(Arena arena) {
        return arena.allocate(shape.outputBytes(), ALIGNMENT).fill((byte) 0xff);
    }
}
