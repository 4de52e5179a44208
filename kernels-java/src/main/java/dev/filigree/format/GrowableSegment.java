package dev.filigree.format;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Off-heap elements that are appended one by one. Grows by doubling as elements really arrive, and never by a
 * number that a file announces, so that its memory is at most a small multiple of what was read.
 *
 * <p>Confined to the thread that made it, which closes it.
 */
final class GrowableSegment implements AutoCloseable {

    private static final long FIRST_BYTES = 1 << 14;

    private Arena arena = Arena.ofConfined();
    private MemorySegment segment = arena.allocate(FIRST_BYTES, Long.BYTES);
    private long bytes;

    void addInt(int value) {
        reserve(Integer.BYTES);
        segment.set(ValueLayout.JAVA_INT, bytes, value);
        bytes += Integer.BYTES;
    }

    void addFloat(float value) {
        reserve(Float.BYTES);
        segment.set(ValueLayout.JAVA_FLOAT, bytes, value);
        bytes += Float.BYTES;
    }

    void addLong(long value) {
        reserve(Long.BYTES);
        segment.set(ValueLayout.JAVA_LONG, bytes, value);
        bytes += Long.BYTES;
    }

    int getInt(long index) {
        return segment.getAtIndex(ValueLayout.JAVA_INT, index);
    }

    float getFloat(long index) {
        return segment.getAtIndex(ValueLayout.JAVA_FLOAT, index);
    }

    long getLong(long index) {
        return segment.getAtIndex(ValueLayout.JAVA_LONG, index);
    }

    /** What was appended so far; valid until the next append. */
    MemorySegment elements() {
        return segment.asSlice(0, bytes);
    }

    private void reserve(int more) {
        if (segment.byteSize() - bytes < more) {
            Arena larger = Arena.ofConfined();
            MemorySegment target = larger.allocate(2 * segment.byteSize(), Long.BYTES);
            MemorySegment.copy(segment, 0, target, 0, bytes);
            arena.close();
            arena = larger;
            segment = target;
        }
    }

    @Override
    public void close() {
        arena.close();
    }
}
