package dev.filigree.cuda;

import dev.filigree.Memory;
import dev.filigree.internal.ffi.CudaDriver;
import dev.filigree.internal.ffi.CudaDriverApi;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Objects;

/** A device's memory: copies that are complete when they return. */
final class CudaMemory implements Memory {

    /** Heap memory, which the driver cannot see, is copied by so many bytes. */
    private static final long CHUNK_BYTES = 1 << 20;

    private static final ThreadLocal<PointerQuery> QUERY = ThreadLocal.withInitial(PointerQuery::new);

    private final CudaDevice device;

    CudaMemory(CudaDevice device) {
        this.device = device;
    }

    @Override
    public String id() {
        return "cuda:" + device.index();
    }

    @Override
    public void copyFromHost(MemorySegment source, MemorySegment target) {
        requireRoom(source, target);
        device.makeCurrent();
        copy(source, target.address(), (host, at, bytes) ->
            CudaDriver.check("cuMemcpyHtoD_v2", CudaDriverApi.cuMemcpyHtoD_v2(at, host, bytes)), true);
    }

    @Override
    public void copyToHost(MemorySegment source, MemorySegment target) {
        requireRoom(source, target);
        device.makeCurrent();
        copy(target.asSlice(0, source.byteSize()), source.address(), (host, at, bytes) ->
            CudaDriver.check("cuMemcpyDtoH_v2", CudaDriverApi.cuMemcpyDtoH_v2(host, at, bytes)), false);
    }

    private static void requireRoom(MemorySegment source, MemorySegment target) {
        if (target.byteSize() < source.byteSize()) {
            throw new IllegalArgumentException("target has " + target.byteSize() + " bytes, source " + source.byteSize());
        }
        if (target.isReadOnly()) {
            throw new IllegalArgumentException("target is read-only");
        }
    }

    private interface Copy {
        void run(MemorySegment host, long onDevice, long bytes);
    }

    private static void copy(MemorySegment host, long onDevice, Copy copy, boolean toDevice) {
        if (host.byteSize() == 0) {
            return;
        }
        if (host.isNative()) {
            copy.run(host, onDevice, host.byteSize());
            return;
        }
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment chunk = arena.allocate(Math.min(CHUNK_BYTES, host.byteSize()), 64);
            for (long at = 0; at < host.byteSize(); at += chunk.byteSize()) {
                long bytes = Math.min(chunk.byteSize(), host.byteSize() - at);
                if (toDevice) {
                    MemorySegment.copy(host, at, chunk, 0, bytes);
                }
                copy.run(chunk, onDevice + at, bytes);
                if (!toDevice) {
                    MemorySegment.copy(chunk, 0, host, at, bytes);
                }
            }
        }
    }

    @Override
    public void requireHolds(String name, MemorySegment segment) {
        if (segment.byteSize() == 0) {
            return;
        }
        device.makeCurrent();
        PointerQuery found = QUERY.get();
        found.ask(segment.address());
        if (!found.isDeviceMemory()) {
            throw new IllegalArgumentException(
                place(name, segment) + (found.isHostMemory() ? ", in host memory" : ", which is not CUDA's")
                    + ", expected " + id() + " memory");
        }
        if (found.ordinal() != device.index()) {
            throw new IllegalArgumentException(
                name + " is in cuda:" + found.ordinal() + " memory, expected " + id());
        }
        long past = segment.address() + segment.byteSize() - found.rangeEnd();
        if (past > 0) {
            throw new IllegalArgumentException(place(name, segment) + " and has " + segment.byteSize()
                + " bytes, " + past + " more than were allocated there");
        }
    }

    private static String place(String name, MemorySegment segment) {
        return name + " is at address 0x" + Long.toHexString(segment.address());
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof CudaMemory that && device == that.device;
    }

    @Override
    public int hashCode() {
        return Objects.hashCode(id());
    }

    @Override
    public String toString() {
        return id();
    }
}
