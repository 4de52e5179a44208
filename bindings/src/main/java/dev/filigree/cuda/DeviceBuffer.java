package dev.filigree.cuda;

import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Memory;
import dev.filigree.internal.Gate;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Device memory, aligned to 256 bytes; its content is undefined at first. */
public final class DeviceBuffer extends CudaResource {

    private final MemorySegment allocated;
    private final Arena arena = Arena.ofShared();
    private final MemorySegment segment;

    DeviceBuffer(CudaDevice device, long bytes) {
        super(device, "a device buffer of " + bytes + " bytes");
        MemorySegment made = null;
        try {
            made = device.allocate(bytes);
        } finally {
            if (made == null) {
                arena.close();
                notMade();
            }
        }
        allocated = made;
        // In an arena of its own: who runs with a closed buffer is told.
        segment = MemorySegment.ofAddress(made.address()).reinterpret(bytes, arena, null);
    }

    /** The device addresses; the JVM must not read or write there. Valid until the buffer is closed. */
    public MemorySegment segment() {
        return segment;
    }

    /** Its size. */
    public long byteSize() {
        return allocated.byteSize();
    }

    /** What it is a part of, as operands name it. */
    public Memory memory() {
        return device().memory();
    }

    /**
     * A packed row-major view from its beginning, as an operand of plans.
     *
     * @throws IllegalArgumentException if the buffer is too short
     */
    public DenseMatrix matrix(DType dtype, int rows, int cols) {
        return DenseMatrix.of(memory(), segment, dtype, rows, cols, cols);
    }

    /** Copies from host memory to its beginning, and returns when the copy is complete. */
    public void copyFrom(MemorySegment source) {
        Gate.Visit visit = use();
        try {
            memory().copyFromHost(source, segment);
        } finally {
            visit.inside = false;
        }
    }

    /** Fills host memory from its beginning, and returns when the copy is complete. */
    public void copyTo(MemorySegment target) {
        Gate.Visit visit = use();
        try {
            if (target.byteSize() > byteSize()) {
                throw new IllegalArgumentException(
                    "target has " + target.byteSize() + " bytes, the buffer " + byteSize());
            }
            memory().copyToHost(segment.asSlice(0, target.byteSize()), target);
        } finally {
            visit.inside = false;
        }
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
            device().free(allocated);
        }
    }
}
