package dev.filigree.bench.peer;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** A problem that a library has prepared: a packed matrix, or an operator. */
public interface PackedPeer extends AutoCloseable {

    /** What the library says of how it runs, if anything. */
    default String detail() {
        return "";
    }

    /** Memory that a run reads of it, as far as the library tells. */
    long packedBytes();

    /** Memory that it takes, padding that no run reads included. */
    default long allocatedBytes() {
        return packedBytes();
    }

    /**
     * Prepares runs on an operand.
     *
     * @param input the operands that are not packed, in native memory, aligned to 64 bytes
     * @param arena of the output
     */
    Bound bind(MemorySegment input, Arena arena);

    @Override
    default void close() {}

    /** The same with its operands. */
    interface Bound {

        /** Computes the output. */
        void run();

        /** What runs write. */
        MemorySegment output();
    }
}
