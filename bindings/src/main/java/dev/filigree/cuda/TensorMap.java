package dev.filigree.cuda;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.internal.ffi.CUtensorMap_st;
import dev.filigree.internal.ffi.CudaDriver;
import dev.filigree.internal.ffi.CudaDriverApi;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Objects;

/**
 * A tensor map: what the copy engine of a device (compute capability 9.0 and later) needs to know of a matrix to bring
 * boxes of it to shared memory by itself. A kernel takes it as a {@code const __grid_constant__ CUtensorMap} parameter.
 * What a box has outside the matrix is filled with zeros.
 *
 * <p>Immutable and thread-safe. It points into the matrix's memory, which must outlive the kernels that use it.
 */
public final class TensorMap {

    /** The driver wants 64; as a kernel's parameter it has 128. */
    private static final long ALIGNMENT = 128;
    /** What addresses, row strides and box rows are multiples of, in bytes. */
    private static final long ACCESS_BYTES = 16;
    private static final long MOST_STRIDE_BYTES = 1L << 40;
    private static final int MOST_BOX = 256;

    /** How a box's rows are swizzled in shared memory, so that columns of 16 bytes do not meet in a bank. */
    public enum Swizzle {
        /** Rows lie as they are. */
        NONE(Long.MAX_VALUE),
        /** Among 32 bytes. */
        BYTES_32(32),
        /** Among 64 bytes. */
        BYTES_64(64),
        /** Among 128 bytes: what wgmma's 128-byte mode reads. */
        BYTES_128(128);

        private final long mostBoxBytes;

        Swizzle(long mostBoxBytes) {
            this.mostBoxBytes = mostBoxBytes;
        }

        private int code() {
            return switch (this) {
                case NONE -> CudaDriverApi.CU_TENSOR_MAP_SWIZZLE_NONE();
                case BYTES_32 -> CudaDriverApi.CU_TENSOR_MAP_SWIZZLE_32B();
                case BYTES_64 -> CudaDriverApi.CU_TENSOR_MAP_SWIZZLE_64B();
                case BYTES_128 -> CudaDriverApi.CU_TENSOR_MAP_SWIZZLE_128B();
            };
        }
    }

    private final MemorySegment segment;

    private TensorMap(MemorySegment segment) {
        this.segment = segment;
    }

    /**
     * Describes a matrix.
     *
     * @param device where the matrix lies
     * @param matrix not empty; its address and row stride are multiples of 16 bytes
     * @param boxRows of a box, 1 to 256
     * @param boxCols of a box, 1 to 256; a multiple of 16 bytes, and no more of them than the swizzle spans
     * @throws UnsupportedOperationException if the device has no such copy engine
     * @throws IllegalArgumentException naming what is impossible, and its value
     */
    public static TensorMap of(CudaDevice device, DenseMatrix matrix, int boxRows, int boxCols, Swizzle swizzle) {
        Objects.requireNonNull(matrix, "matrix");
        Objects.requireNonNull(swizzle, "swizzle");
        if (device.properties().capability() < 90) {
            throw new UnsupportedOperationException("tensor maps need compute capability 9.0, " + device + " has "
                + device.properties().capability() / 10.0);
        }
        if (!matrix.memory().equals(device.memory())) {
            throw new IllegalArgumentException(
                "matrix is in " + matrix.memory().id() + " memory, expected " + device.memory().id());
        }
        device.memory().requireHolds("matrix", matrix.data());
        int elementBytes = matrix.dtype().bytes();
        requireRange("rows", matrix.rows(), 1, Integer.MAX_VALUE);
        requireRange("cols", matrix.cols(), 1, Integer.MAX_VALUE);
        requireRange("boxRows", boxRows, 1, MOST_BOX);
        requireRange("boxCols", boxCols, 1, MOST_BOX);
        requireRange("box row bytes", (long) boxCols * elementBytes, 1, swizzle.mostBoxBytes);
        requireRange("row stride bytes", matrix.rowStride() * elementBytes, 1, MOST_STRIDE_BYTES - 1);
        requireMultiple("address", matrix.data().address());
        requireMultiple("row stride bytes", matrix.rowStride() * elementBytes);
        requireMultiple("box row bytes", (long) boxCols * elementBytes);
        device.makeCurrent();
        MemorySegment map = Arena.ofAuto().allocate(CUtensorMap_st.sizeof(), ALIGNMENT);
        try (Arena arena = Arena.ofConfined()) {
            // The dimension whose elements follow each other comes first.
            CudaDriver.check("cuTensorMapEncodeTiled", CudaDriverApi.cuTensorMapEncodeTiled(map,
                matrix.dtype() == DType.F32 ? CudaDriverApi.CU_TENSOR_MAP_DATA_TYPE_FLOAT32()
                    : CudaDriverApi.CU_TENSOR_MAP_DATA_TYPE_BFLOAT16(),
                2, matrix.data(), arena.allocateFrom(JAVA_LONG, matrix.cols(), matrix.rows()),
                arena.allocateFrom(JAVA_LONG, matrix.rowStride() * elementBytes),
                arena.allocateFrom(JAVA_INT, boxCols, boxRows), arena.allocateFrom(JAVA_INT, 1, 1),
                CudaDriverApi.CU_TENSOR_MAP_INTERLEAVE_NONE(), swizzle.code(),
                CudaDriverApi.CU_TENSOR_MAP_L2_PROMOTION_L2_128B(), CudaDriverApi.CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE()));
        }
        return new TensorMap(map.asReadOnly());
    }

    private static void requireRange(String name, long value, long least, long most) {
        if (value < least || value > most) {
            throw new IllegalArgumentException(name + " = " + value + " is not in " + least + ".." + most);
        }
    }

    private static void requireMultiple(String name, long value) {
        if (value % ACCESS_BYTES != 0) {
            throw new IllegalArgumentException(name + " = " + value + " is not a multiple of " + ACCESS_BYTES);
        }
    }

    /** The {@code CUtensorMap}, 128 bytes, as a kernel's argument; read-only. */
    public MemorySegment segment() {
        return segment;
    }
}
