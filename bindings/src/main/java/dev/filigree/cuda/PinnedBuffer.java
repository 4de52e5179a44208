package dev.filigree.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;

import dev.filigree.internal.ffi.CudaDriver;
import dev.filigree.internal.ffi.CudaDriverApi;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Host memory that stays where it is, so that the device copies from and to it while the program goes on:
 * {@link CudaStream#copy(PinnedBuffer, DeviceBuffer, long)}.
 */
public final class PinnedBuffer extends CudaResource {

    private final MemorySegment allocated;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment segment;

    PinnedBuffer(CudaDevice device, long bytes) {
        super(device, "a pinned buffer of " + bytes + " bytes");
        MemorySegment made = null;
        try {
            made = allocate(device, bytes);
        } finally {
            if (made == null) {
                arena.close();
                notMade();
            }
        }
        allocated = made;
        segment = made.reinterpret(bytes, arena, null);
    }

    private static MemorySegment allocate(CudaDevice device, long bytes) {
        if (bytes < 1) {
            throw new IllegalArgumentException("bytes = " + bytes + " is less than 1");
        }
        device.makeCurrent();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment pointer = arena.allocate(ADDRESS);
            CudaDriver.check("cuMemAllocHost_v2", CudaDriverApi.cuMemAllocHost_v2(pointer, bytes));
            return pointer.get(ADDRESS, 0);
        }
    }

    /** The memory; host operands of plans may lie in it. Valid until the buffer is closed. */
    public MemorySegment segment() {
        return segment;
    }

    /** Its size. */
    public long byteSize() {
        return segment.byteSize();
    }

    /** Waits for the device, which may be using it, and frees it. A second call does nothing. */
    @Override
    public void close() {
        super.close();
    }

    @Override
    void release() {
        try {
            device().synchronize();
        } finally {
            arena.close();
            CudaDriver.check("cuMemFreeHost", CudaDriverApi.cuMemFreeHost(allocated));
        }
    }
}
