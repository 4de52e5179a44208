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
        MemorySegment input, MemorySegment output) implements PeerProblem {

    /** The first word of a shape. */
    static final String OPERATION = "spmm";

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
    public record Shape(int rows, int cols, long nnz, int n, Layout layout, Activation activation, DType dtype)
            implements PeerProblem.Shape {

        @Override
        public List<String> words() {
            return List.of(OPERATION, Integer.toString(rows), Integer.toString(cols), Long.toString(nnz),
                Integer.toString(n), layout.name(), activation.name(), dtype.name());
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

        @Override
        public long inputBytes() {
            return (long) dtype.bytes() * cols * n;
        }

        @Override
        public long outputBytes() {
            return (long) dtype.bytes() * rows * n;
        }

        @Override
        public long sharedBytes() {
            return PeerProblem.aligned(Long.BYTES * (rows + 1L)) + 2 * PeerProblem.aligned(Float.BYTES * nnz)
                + PeerProblem.aligned(inputBytes()) + PeerProblem.aligned(outputBytes());
        }

        @Override
        public SpmmPeerProblem over(MemorySegment memory) {
            long columns = PeerProblem.aligned(Long.BYTES * (rows + 1L));
            long values = columns + PeerProblem.aligned(Integer.BYTES * nnz);
            long input = values + PeerProblem.aligned(Float.BYTES * nnz);
            long output = input + PeerProblem.aligned(inputBytes());
            return new SpmmPeerProblem(this, memory.asSlice(0, Long.BYTES * (rows + 1L)),
                memory.asSlice(columns, Integer.BYTES * nnz), memory.asSlice(values, Float.BYTES * nnz),
                memory.asSlice(input, inputBytes()), memory.asSlice(output, outputBytes()));
        }
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
}
