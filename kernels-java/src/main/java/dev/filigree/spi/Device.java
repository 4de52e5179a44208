package dev.filigree.spi;

import dev.filigree.Memory;
import dev.filigree.Stream;
import java.lang.foreign.MemorySegment;

/** What a plan needs of a device: memory and a stream. Thread-safe. */
public interface Device {

    /** The device's memory. */
    Memory memory();

    /**
     * Allocates device memory, aligned to 256 bytes.
     *
     * @throws dev.filigree.NativeException if there is not enough
     */
    MemorySegment allocate(long bytes);

    /** Frees what {@link #allocate} returned; each segment once. */
    void free(MemorySegment segment);

    /** Bytes of the last cache before the device's memory; 0 if unknown. */
    long cacheBytes();

    /** Makes a stream; the caller closes it. */
    Stream newStream();
}
