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
            long size = Math.ceilDiv(bytes, GRANULE) * GRANULE;
            try {
                segment = grown.allocate(size, ALIGNMENT);
            } catch (OutOfMemoryError e) {
                grown.close();
                throw new OutOfMemoryError("no native memory for " + size + " bytes of kernel scratch");
            }
            arena = grown;
        }
        return segment;
    }

    @Override
    public void close() {
        if (arena != null) {
            arena.close();
            arena = null;
            segment = MemorySegment.NULL;
        }
    }
}
