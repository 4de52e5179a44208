package dev.filigree.bench.peer;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** A packed matrix. */
public interface PackedSpmm extends AutoCloseable {

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
     * @param input the dense operand, in native memory, aligned to 64 bytes
     * @param arena of the output
     */
    Bound bind(MemorySegment input, Arena arena);

    @Override
    default void close() {}

    /** A packed matrix with its operands. */
    interface Bound {

        /** Computes the output. */
        void run();

        /** What runs write. */
        MemorySegment output();
    }
}
