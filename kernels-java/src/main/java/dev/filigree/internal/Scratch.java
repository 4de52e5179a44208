package dev.filigree.internal;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * An aligned block of native memory that grows when more is asked for and never shrinks. Used by one thread at a
 * time; the memory may be read by others while that thread waits for them.
 */
public final class Scratch implements AutoCloseable {

    private static final long ALIGNMENT = 64;
    private static final long GRANULE = 1 << 16;

    private Arena arena;
    private MemorySegment segment = MemorySegment.NULL;

    /** A segment of at least {@code bytes}, aligned to 64 bytes, with undefined content. */
    public MemorySegment atLeast(long bytes) {
        if (segment.byteSize() < bytes) {
            close();
            Arena grown = Arena.ofShared();
            try {
                // A size near the largest long cannot be rounded up, nor had.
                long size = Math.multiplyExact(Math.ceilDiv(bytes, GRANULE), GRANULE);
                segment = grown.allocate(size, ALIGNMENT);
            } catch (OutOfMemoryError | IllegalArgumentException | ArithmeticException e) {
                grown.close();
                throw outOfMemory(bytes, e);
            }
            arena = grown;
        }
        return segment;
    }

    private static OutOfMemoryError outOfMemory(long bytes, Throwable cause) {
        OutOfMemoryError error = new OutOfMemoryError("no native memory for " + bytes + " bytes of kernel scratch");
        error.initCause(cause);
        return error;
    }

    /** Lets go first: closing may fail half-way where the caller has run out of stack, and must not be tried twice. */
    @Override
    public void close() {
        Arena old = arena;
        arena = null;
        segment = MemorySegment.NULL;
        if (old != null) {
            old.close();
        }
    }
}
