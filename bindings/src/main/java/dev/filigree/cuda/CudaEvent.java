package dev.filigree.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.filigree.internal.Gate;
import dev.filigree.internal.ffi.CudaDriver;
import dev.filigree.internal.ffi.CudaDriverApi;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** A place in a stream, marked by {@link CudaStream#record}: to wait for, and to take the time between two. */
public final class CudaEvent extends CudaResource {

    private final MemorySegment handle;

    CudaEvent(CudaDevice device) {
        super(device, "an event");
        MemorySegment made = null;
        try (Arena arena = Arena.ofConfined()) {
            device.makeCurrent();
            MemorySegment pointer = arena.allocate(ADDRESS);
            CudaDriver.check("cuEventCreate", CudaDriverApi.cuEventCreate(pointer, CudaDriverApi.CU_EVENT_DEFAULT()));
            made = pointer.get(ADDRESS, 0);
        } finally {
            if (made == null) {
                notMade();
            }
        }
        handle = made;
    }

    MemorySegment handle() {
        return handle;
    }

    /** Whether the stream has passed it; true for one that was never recorded. */
    public boolean isComplete() {
        Gate.Visit visit = use();
        try {
            int status = CudaDriverApi.cuEventQuery(handle);
            if (status == CudaDriverApi.CUDA_ERROR_NOT_READY()) {
                return false;
            }
            CudaDriver.check("cuEventQuery", status);
            return true;
        } finally {
            visit.inside = false;
        }
    }

    /** Blocks until the stream has passed it. */
    public void synchronize() {
        Gate.Visit visit = use();
        try {
            CudaDriver.check("cuEventSynchronize", CudaDriverApi.cuEventSynchronize(handle));
        } finally {
            visit.inside = false;
        }
    }

    /**
     * The milliseconds from another event to this one, to about half a microsecond; waits for this one.
     *
     * @throws dev.filigree.NativeException if one of them was never recorded
     */
    public float millisSince(CudaEvent start) {
        requireSameDevice("start", start);
        Gate.Visit visit = use();
        try {
            Gate.Visit other = start.use();
            try (Arena arena = Arena.ofConfined()) {
                CudaDriver.check("cuEventSynchronize", CudaDriverApi.cuEventSynchronize(handle));
                MemorySegment millis = arena.allocate(JAVA_FLOAT);
                CudaDriver.check("cuEventElapsedTime_v2",
                    CudaDriverApi.cuEventElapsedTime_v2(millis, start.handle, handle));
                return millis.get(JAVA_FLOAT, 0);
            } finally {
                other.inside = false;
            }
        } finally {
            visit.inside = false;
        }
    }

    @Override
    void release() {
        CudaDriver.check("cuEventDestroy_v2", CudaDriverApi.cuEventDestroy_v2(handle));
    }
}
