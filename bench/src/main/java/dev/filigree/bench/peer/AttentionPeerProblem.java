package dev.filigree.bench.peer;

import dev.filigree.DType;
import java.lang.foreign.MemorySegment;
import java.util.List;

/**
 * Attention of as many queries as keys, {@code softmax(q k^T / sqrt(dim)) v}, as a helper process sees it. Operands are
 * {@code [heads, rows, dim]} without gaps.
 *
 * @param shape of it
 * @param starts by list and block row, where it begins among the columns, and the end of each list: int
 * @param columns of the listed blocks, ascending in a block row: int
 * @param input q, k and v, one after the other
 * @param output where the result is to be shown
 */
public record AttentionPeerProblem(Shape shape, MemorySegment starts, MemorySegment columns, MemorySegment input,
        MemorySegment output) implements PeerProblem {

    /** The first word of a shape. */
    static final String OPERATION = "attention";

    /**
     * Sizes and options.
     *
     * @param heads of queries, keys and values
     * @param rows queries, and keys
     * @param dim of a head
     * @param causal whether the keys after a query do not count
     * @param dtype of all operands
     * @param block of the lists; 0 if every score counts
     * @param lists one for all heads, or one for each
     * @param listed the blocks of the longest list
     */
    public record Shape(int heads, int rows, int dim, boolean causal, DType dtype, int block, int lists, int listed)
            implements PeerProblem.Shape {

        @Override
        public List<String> words() {
            return List.of(OPERATION, Integer.toString(heads), Integer.toString(rows), Integer.toString(dim),
                Boolean.toString(causal), dtype.name(), Integer.toString(block), Integer.toString(lists),
                Integer.toString(listed));
        }

        static Shape parse(List<String> words) {
            return new Shape(Integer.parseInt(words.get(0)), Integer.parseInt(words.get(1)),
                Integer.parseInt(words.get(2)), Boolean.parseBoolean(words.get(3)), DType.valueOf(words.get(4)),
                Integer.parseInt(words.get(5)), Integer.parseInt(words.get(6)), Integer.parseInt(words.get(7)));
        }

        /** Block rows, and block columns; 0 without lists. */
        public int blocks() {
            return block == 0 ? 0 : Math.ceilDiv(rows, block);
        }

        private long startsBytes() {
            return block == 0 ? 0 : Integer.BYTES * (long) lists * (blocks() + 1L);
        }

        private long columnsBytes() {
            return Integer.BYTES * (long) lists * listed;
        }

        /** Bytes of q, which k and v have, too. */
        public long operandBytes() {
            return (long) dtype.bytes() * heads * rows * dim;
        }

        @Override
        public long inputBytes() {
            return 3 * operandBytes();
        }

        @Override
        public long outputBytes() {
            return operandBytes();
        }

        @Override
        public long sharedBytes() {
            return PeerProblem.aligned(startsBytes()) + PeerProblem.aligned(columnsBytes())
                + PeerProblem.aligned(inputBytes()) + outputBytes();
        }

        @Override
        public AttentionPeerProblem over(MemorySegment memory) {
            long columnsAt = PeerProblem.aligned(startsBytes());
            long inputAt = columnsAt + PeerProblem.aligned(columnsBytes());
            return new AttentionPeerProblem(this, memory.asSlice(0, startsBytes()),
                memory.asSlice(columnsAt, columnsBytes()), memory.asSlice(inputAt, inputBytes()),
                memory.asSlice(inputAt + PeerProblem.aligned(inputBytes()), outputBytes()));
        }
    }

    /** One of the operands: 0 for q, 1 for k, 2 for v. */
    public static MemorySegment operand(MemorySegment input, int which) {
        long bytes = input.byteSize() / 3;
        return input.asSlice(which * bytes, bytes);
    }
}
