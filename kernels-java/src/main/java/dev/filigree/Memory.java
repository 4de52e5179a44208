package dev.filigree;

import java.lang.foreign.MemorySegment;

/**
 * The memory that an operand lives in: the host's, or one device's.
 *
 * <p>A {@link MemorySegment} in device memory carries a device address; only its owner may read it. Two operands
 * are in the same memory when their {@code Memory} objects are equal. Implementations are thread-safe.
 */
public interface Memory {

    /** Host memory, on the heap or off it. */
    Memory HOST = new HostMemory();

    /** A short name for messages: {@code host}, {@code cuda:0}. */
    String id();

    /** Whether the JVM can read and write this memory through a {@link MemorySegment}. */
    default boolean isHost() {
        return this == HOST;
    }

    /**
     * Copies from host memory into this memory, and returns when the copy is complete.
     *
     * @param source host segment
     * @param target segment in this memory, at least as long as {@code source}
     */
    void copyFromHost(MemorySegment source, MemorySegment target);

    /**
     * Copies from this memory into host memory, and returns when the copy is complete.
     *
     * @param source segment in this memory
     * @param target host segment, at least as long as {@code source}
     */
    void copyToHost(MemorySegment source, MemorySegment target);

    /**
     * Refuses a segment that does not lie in this memory, as far as its owner can tell: what was said of an address when a
     * matrix was made of it may be wrong. Allocates nothing.
     *
     * @param name what the segment is, for the message
     * @throws IllegalArgumentException naming the segment, where it lies and what was expected
     */
    default void requireHolds(String name, MemorySegment segment) {}
}
