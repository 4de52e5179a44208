package dev.filigree.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;

import dev.filigree.Memory;
import dev.filigree.Stream;
import dev.filigree.internal.Gate;
import dev.filigree.internal.ffi.CudaDriver;
import dev.filigree.internal.ffi.CudaDriverApi;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Objects;

/** An ordered queue of work on a CUDA device. It does not wait for the device's default stream. */
public final class CudaStream extends CudaResource implements Stream {

    private final MemorySegment handle;

    CudaStream(CudaDevice device) {
        super(device, "a stream");
        MemorySegment made = null;
        try (Arena arena = Arena.ofConfined()) {
            device.makeCurrent();
            MemorySegment pointer = arena.allocate(ADDRESS);
            CudaDriver.check("cuStreamCreate",
                CudaDriverApi.cuStreamCreate(pointer, CudaDriverApi.CU_STREAM_NON_BLOCKING()));
            made = pointer.get(ADDRESS, 0);
        } finally {
            if (made == null) {
                notMade();
            }
        }
        handle = made;
    }

    /** The {@code CUstream} itself, for other libraries; valid until the stream is closed. */
    public MemorySegment handle() {
        return handle;
    }

    @Override
    public Memory memory() {
        return device().memory();
    }

    /** Whether everything submitted so far has completed. */
    public boolean isComplete() {
        Gate.Visit visit = use();
        try {
            int status = CudaDriverApi.cuStreamQuery(handle);
            if (status == CudaDriverApi.CUDA_ERROR_NOT_READY()) {
                return false;
            }
            CudaDriver.check("cuStreamQuery", status);
            return true;
        } finally {
            visit.inside = false;
        }
    }

    /** Also of a closed stream, whose work has completed or is waited for by whoever closes it. */
    @Override
    public void synchronize() {
        if (isClosed()) {
            device().synchronize();
            return;
        }
        Gate.Visit visit = use();
        try {
            CudaDriver.check("cuStreamSynchronize", CudaDriverApi.cuStreamSynchronize(handle));
        } finally {
            visit.inside = false;
        }
    }

    /**
     * Submits a copy to the device and returns at once.
     *
     * @param from must stay as it is until the stream has completed the copy
     * @param bytes from the beginning of the one to the beginning of the other
     * @throws IllegalArgumentException if one of them is shorter, or belongs to another device
     */
    public void copy(PinnedBuffer from, DeviceBuffer to, long bytes) {
        Gate.Visit visit = useBoth("from", from, from.byteSize(), "to", to, to.byteSize(), bytes);
        try {
            CudaDriver.check("cuMemcpyHtoDAsync_v2",
                CudaDriverApi.cuMemcpyHtoDAsync_v2(to.segment().address(), from.segment(), bytes, handle));
        } finally {
            visit.inside = false;
        }
    }

    /**
     * Submits a copy from the device and returns at once; {@code to} holds it when the stream has completed.
     *
     * @param bytes from the beginning of the one to the beginning of the other
     * @throws IllegalArgumentException if one of them is shorter, or belongs to another device
     */
    public void copy(DeviceBuffer from, PinnedBuffer to, long bytes) {
        Gate.Visit visit = useBoth("from", from, from.byteSize(), "to", to, to.byteSize(), bytes);
        try {
            CudaDriver.check("cuMemcpyDtoHAsync_v2",
                CudaDriverApi.cuMemcpyDtoHAsync_v2(to.segment(), from.segment().address(), bytes, handle));
        } finally {
            visit.inside = false;
        }
    }

    /**
     * Submits a copy within the device and returns at once.
     *
     * @param bytes from the beginning of the one to the beginning of the other
     * @throws IllegalArgumentException if one of them is shorter, or belongs to another device
     */
    public void copy(DeviceBuffer from, DeviceBuffer to, long bytes) {
        Gate.Visit visit = useBoth("from", from, from.byteSize(), "to", to, to.byteSize(), bytes);
        try {
            CudaDriver.check("cuMemcpyDtoDAsync_v2", CudaDriverApi.cuMemcpyDtoDAsync_v2(
                to.segment().address(), from.segment().address(), bytes, handle));
        } finally {
            visit.inside = false;
        }
    }

    private Gate.Visit useBoth(String fromName, CudaResource from, long fromBytes, String toName,
            CudaResource to, long toBytes, long bytes) {
        requireSameDevice(fromName, from);
        requireSameDevice(toName, to);
        Objects.checkFromIndexSize(0, bytes, fromBytes);
        Objects.checkFromIndexSize(0, bytes, toBytes);
        return use();
    }

    /** Marks the end of what was submitted so far. */
    public void record(CudaEvent event) {
        requireSameDevice("event", event);
        Gate.Visit visit = use();
        try {
            Gate.Visit other = event.use();
            try {
                CudaDriver.check("cuEventRecord", CudaDriverApi.cuEventRecord(event.handle(), handle));
            } finally {
                other.inside = false;
            }
        } finally {
            visit.inside = false;
        }
    }

    /** Makes what is submitted from now on wait for an event of another stream; the caller does not wait. */
    public void await(CudaEvent event) {
        requireSameDevice("event", event);
        Gate.Visit visit = use();
        try {
            Gate.Visit other = event.use();
            try {
                CudaDriver.check("cuStreamWaitEvent", CudaDriverApi.cuStreamWaitEvent(handle, event.handle(), 0));
            } finally {
                other.inside = false;
            }
        } finally {
            visit.inside = false;
        }
    }

    /**
     * Records what an action submits to this stream instead of executing it. Plans and buffers that it uses must stay
     * open for as long as the graph is launched.
     *
     * @param work submits to this stream, from the calling thread, and does not wait for it
     * @throws dev.filigree.NativeException if the work does something that cannot be recorded
     */
    public CudaGraph capture(Runnable work) {
        Objects.requireNonNull(work, "work");
        Gate.Visit visit = use();
        try (Arena arena = Arena.ofConfined()) {
            CudaDriver.check("cuStreamBeginCapture_v2", CudaDriverApi.cuStreamBeginCapture_v2(
                handle, CudaDriverApi.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL()));
            MemorySegment graph = arena.allocate(ADDRESS);
            try {
                work.run();
            } catch (Throwable t) {
                endCapture(graph);
                throw t;
            }
            CudaDriver.check("cuStreamEndCapture", CudaDriverApi.cuStreamEndCapture(handle, graph));
            return new CudaGraph(device(), graph.get(ADDRESS, 0));
        } finally {
            visit.inside = false;
        }
    }

    /** After a failure: what was recorded is thrown away, so that the stream is as before. */
    private void endCapture(MemorySegment graph) {
        if (CudaDriverApi.cuStreamEndCapture(handle, graph) == CudaDriverApi.CUDA_SUCCESS()) {
            CudaDriverApi.cuGraphDestroy(graph.get(ADDRESS, 0));
        }
    }

    @Override
    public void close() {
        super.close();
    }

    @Override
    void release() {
        try {
            CudaDriver.check("cuStreamSynchronize", CudaDriverApi.cuStreamSynchronize(handle));
        } finally {
            CudaDriver.check("cuStreamDestroy_v2", CudaDriverApi.cuStreamDestroy_v2(handle));
        }
    }
}
