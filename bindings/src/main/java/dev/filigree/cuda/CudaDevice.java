package dev.filigree.cuda;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Memory;
import dev.filigree.internal.ffi.CudaDriver;
import dev.filigree.internal.ffi.CudaDriverApi;
import dev.filigree.spi.Device;
import dev.filigree.spi.SpmmDeviceKernel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/**
 * A CUDA device of this process.
 *
 * <pre>{@code
 * CudaDevice device = CudaDevice.get(0);
 * try (DeviceBuffer b = device.allocateBuffer(bytes); CudaStream stream = device.newStream()) {
 *     ...
 * }
 * }</pre>
 */
public final class CudaDevice implements Device {

    private static final int NAME_BYTES = 256;

    private final int index;
    private final Properties properties;
    private final CudaMemory memory = new CudaMemory(this);
    private final int handle;
    private MemorySegment context;

    /**
     * What a device is.
     *
     * @param name the product's name
     * @param capability its compute capability, ten times major plus minor: 90
     * @param memoryBytes of all its memory
     * @param l2Bytes of its second-level cache
     * @param multiprocessors that it has
     * @param sharedBytes of shared memory that a block may ask for
     */
    public record Properties(String name, int capability, long memoryBytes, long l2Bytes, int multiprocessors,
        int sharedBytes) {}

    /** The devices of this process, described once. */
    private static final class Holder {
        static final List<CudaDevice> ALL = describe();

        private Holder() {}
    }

    private CudaDevice(int index, int handle, Properties properties) {
        this.index = index;
        this.handle = handle;
        this.properties = properties;
    }

    /**
     * The devices that this process sees, in the driver's order.
     *
     * @throws UnsupportedOperationException with reason and cure, if there is no driver, an old one, or no device
     */
    public static List<CudaDevice> all() {
        CudaDriver.refusal().ifPresent(refusal -> {
            throw new UnsupportedOperationException("no CUDA device: " + refusal.reason() + " (" + refusal.cure() + ")");
        });
        return Holder.ALL;
    }

    /**
     * One of {@link #all()}.
     *
     * @throws IndexOutOfBoundsException if there are not so many
     * @throws UnsupportedOperationException as {@link #all()}
     */
    public static CudaDevice get(int index) {
        List<CudaDevice> all = all();
        Objects.checkIndex(index, all.size());
        return all.get(index);
    }

    private static List<CudaDevice> describe() {
        List<CudaDevice> devices = new ArrayList<>();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment number = arena.allocate(JAVA_INT);
            CudaDriver.check("cuDeviceGetCount", CudaDriverApi.cuDeviceGetCount(number));
            int count = number.get(JAVA_INT, 0);
            for (int i = 0; i < count; i++) {
                CudaDriver.check("cuDeviceGet", CudaDriverApi.cuDeviceGet(number, i));
                int handle = number.get(JAVA_INT, 0);
                devices.add(new CudaDevice(i, handle, describe(handle, arena)));
            }
        }
        return List.copyOf(devices);
    }

    private static Properties describe(int handle, Arena arena) {
        MemorySegment name = arena.allocate(NAME_BYTES, JAVA_BYTE.byteAlignment());
        CudaDriver.check("cuDeviceGetName", CudaDriverApi.cuDeviceGetName(name, NAME_BYTES, handle));
        MemorySegment bytes = arena.allocate(JAVA_LONG);
        CudaDriver.check("cuDeviceTotalMem_v2", CudaDriverApi.cuDeviceTotalMem_v2(bytes, handle));
        int capability = 10 * attribute(CudaDriverApi.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR(), handle, arena)
            + attribute(CudaDriverApi.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR(), handle, arena);
        return new Properties(name.getString(0), capability, bytes.get(JAVA_LONG, 0),
            attribute(CudaDriverApi.CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE(), handle, arena),
            attribute(CudaDriverApi.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT(), handle, arena),
            attribute(CudaDriverApi.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN(), handle, arena));
    }

    private static int attribute(int attribute, int handle, Arena arena) {
        MemorySegment value = arena.allocate(JAVA_INT);
        CudaDriver.check("cuDeviceGetAttribute", CudaDriverApi.cuDeviceGetAttribute(value, attribute, handle));
        return value.get(JAVA_INT, 0);
    }

    /**
     * Makes the device's primary context the calling thread's. It is retained when first needed, and for as long as the
     * process lives: others may be using it.
     */
    void makeCurrent() {
        CudaDriver.check("cuCtxSetCurrent", CudaDriverApi.cuCtxSetCurrent(context()));
    }

    private synchronized MemorySegment context() {
        if (context == null) {
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment made = arena.allocate(ADDRESS);
                CudaDriver.check("cuDevicePrimaryCtxRetain", CudaDriverApi.cuDevicePrimaryCtxRetain(made, handle));
                context = made.get(ADDRESS, 0);
            }
        }
        return context;
    }

    /** Its number in {@link #all()}. */
    public int index() {
        return index;
    }

    /** What it is. */
    public Properties properties() {
        return properties;
    }

    /** The bytes of its memory that nobody has allocated just now. */
    public long freeBytes() {
        makeCurrent();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment free = arena.allocate(JAVA_LONG);
            MemorySegment total = arena.allocate(JAVA_LONG);
            CudaDriver.check("cuMemGetInfo_v2", CudaDriverApi.cuMemGetInfo_v2(free, total));
            return free.get(JAVA_LONG, 0);
        }
    }

    /** Its memory, as operands name it. */
    @Override
    public Memory memory() {
        return memory;
    }

    @Override
    public MemorySegment allocate(long bytes) {
        if (bytes < 1) {
            throw new IllegalArgumentException("bytes = " + bytes + " is less than 1");
        }
        makeCurrent();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment address = arena.allocate(JAVA_LONG);
            CudaDriver.check("cuMemAlloc_v2", CudaDriverApi.cuMemAlloc_v2(address, bytes));
            return MemorySegment.ofAddress(address.get(JAVA_LONG, 0)).reinterpret(bytes);
        }
    }

    @Override
    public void free(MemorySegment segment) {
        makeCurrent();
        CudaDriver.check("cuMemFree_v2", CudaDriverApi.cuMemFree_v2(segment.address()));
    }

    /**
     * Allocates device memory.
     *
     * @param bytes at least 1
     * @throws dev.filigree.NativeException if there is not enough (code 2)
     */
    public DeviceBuffer allocateBuffer(long bytes) {
        return new DeviceBuffer(this, bytes);
    }

    /**
     * Allocates host memory that the device copies from and to by itself.
     *
     * @param bytes at least 1
     * @throws dev.filigree.NativeException if there is not enough
     */
    public PinnedBuffer allocatePinned(long bytes) {
        return new PinnedBuffer(this, bytes);
    }

    /** Copies a matrix into a new buffer, without what lies between its rows; the caller closes the buffer. */
    public DeviceBuffer upload(DenseMatrix matrix) {
        Objects.requireNonNull(matrix, "matrix");
        if (!matrix.memory().isHost()) {
            throw new IllegalArgumentException("matrix is in " + matrix.memory().id() + " memory, expected host");
        }
        long width = (long) matrix.dtype().bytes() * matrix.cols();
        DeviceBuffer buffer = allocateBuffer(Math.max(1, width * matrix.rows()));
        try (Arena arena = Arena.ofConfined()) {
            if (width > 0 && matrix.rows() > 0) {
                MemorySegment dense = arena.allocate(width * matrix.rows(), DType.F32.bytes());
                for (int row = 0; row < matrix.rows(); row++) {
                    MemorySegment.copy(matrix.data(), row * matrix.rowStride() * matrix.dtype().bytes(), dense,
                        row * width, width);
                }
                memory.copyFromHost(dense, buffer.segment());
            }
            return buffer;
        } catch (Throwable t) {
            buffer.close();
            throw t;
        }
    }

    @Override
    public long cacheBytes() {
        return properties.l2Bytes();
    }

    @Override
    public CudaStream newStream() {
        return new CudaStream(this);
    }

    /** Makes an event, which marks a place in a stream. */
    public CudaEvent newEvent() {
        return new CudaEvent(this);
    }

    /** SpMM on this device with operands of a type, for plans. */
    public SpmmDeviceKernel spmm(DType dtype) {
        return new CudaSpmm(this, dtype);
    }

    /** Waits for all that was submitted to the device by this process. */
    public void synchronize() {
        makeCurrent();
        CudaDriver.check("cuCtxSynchronize", CudaDriverApi.cuCtxSynchronize());
    }

    @Override
    public String toString() {
        return "CudaDevice[" + index + ", " + properties.name() + "]";
    }
}
