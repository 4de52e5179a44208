package dev.filigree.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;

import dev.filigree.internal.Gate;
import dev.filigree.internal.ffi.CudaDriver;
import dev.filigree.internal.ffi.CudaDriverApi;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Work that {@link CudaStream#capture} recorded, to be submitted again and again as one. */
public final class CudaGraph extends CudaResource {

    private final MemorySegment handle;

    /** Takes ownership of a {@code CUgraph}. */
    CudaGraph(CudaDevice device, MemorySegment graph) {
        super(device, "a graph");
        MemorySegment made = null;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment pointer = arena.allocate(ADDRESS);
            CudaDriver.check("cuGraphInstantiateWithFlags",
                CudaDriverApi.cuGraphInstantiateWithFlags(pointer, graph, 0));
            made = pointer.get(ADDRESS, 0);
        } finally {
            CudaDriverApi.cuGraphDestroy(graph);
            if (made == null) {
                notMade();
            }
        }
        handle = made;
    }

    /** Submits the work to a stream of the device and returns at once. */
    public void launch(CudaStream stream) {
        requireSameDevice("stream", stream);
        Gate.Visit visit = use();
        try {
            Gate.Visit other = stream.use();
            try {
                CudaDriver.check("cuGraphLaunch", CudaDriverApi.cuGraphLaunch(handle, stream.handle()));
            } finally {
                other.inside = false;
            }
        } finally {
            visit.inside = false;
        }
    }

    @Override
    void release() {
        CudaDriver.check("cuGraphExecDestroy", CudaDriverApi.cuGraphExecDestroy(handle));
    }
}
