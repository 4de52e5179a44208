package dev.filigree.bench.peer;

import dev.filigree.Activation;
import dev.filigree.DType;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;

/** What a helper process is to compute, in memory that it shares with the process that measures. */
public sealed interface PeerProblem permits SpmmPeerProblem, AttentionPeerProblem {

    /** Vector loads and huge operands alike are at home on this alignment. */
    long ALIGNMENT = 64;

    /** Sizes and options. */
    Shape shape();

    /** The operands that are no part of what a library packs. */
    MemorySegment input();

    /** Where the result is to be shown. */
    MemorySegment output();

    /** Sizes and options; what a command says of a problem. */
    sealed interface Shape permits SpmmPeerProblem.Shape, AttentionPeerProblem.Shape {

        /** The words of a command that {@link #parse} reads, the operation first. */
        List<String> words();

        /** Bytes of all the parts of a problem. */
        long sharedBytes();

        /** Of the operands. */
        DType dtype();

        /** Bytes of {@link PeerProblem#input()}. */
        long inputBytes();

        /** Bytes of {@link PeerProblem#output()}. */
        long outputBytes();

        /** What an output goes through at the end. */
        default Activation activation() {
            return Activation.NONE;
        }

        /** Lays a problem over shared memory of {@link #sharedBytes()}. */
        PeerProblem over(MemorySegment memory);

        /** @throws PeerException if there is no such operation */
        static Shape parse(List<String> words) {
            List<String> rest = words.subList(1, words.size());
            return switch (words.getFirst()) {
                case SpmmPeerProblem.OPERATION -> SpmmPeerProblem.Shape.parse(rest);
                case AttentionPeerProblem.OPERATION -> AttentionPeerProblem.Shape.parse(rest);
                default -> throw new PeerException("no such operation: " + words.getFirst());
            };
        }
    }

    /** An output full of NaN, so that an element that nobody writes cannot pass for a result. */
    default MemorySegment newOutput(Arena arena) {
        return arena.allocate(shape().outputBytes(), ALIGNMENT).fill((byte) 0xff);
    }

    /** A copy of a part, in memory of the process itself. */
    static MemorySegment copy(MemorySegment part, Arena arena) {
        MemorySegment copy = arena.allocate(Math.max(1, part.byteSize()), ALIGNMENT);
        MemorySegment.copy(part, 0, copy, 0, part.byteSize());
        return copy;
    }

    /** So many bytes, and what is left up to the next aligned place. */
    static long aligned(long bytes) {
        return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    }
}
