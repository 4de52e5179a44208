package dev.filigree.spi;

import dev.filigree.DType;
import dev.filigree.Stream;
import java.lang.foreign.MemorySegment;

/** SpMM on a device: operands and packed matrix lie in the device's memory. Thread-safe. */
public interface SpmmDeviceKernel {

    /** The kernel's id, as in {@link KernelInfo}. */
    String id();

    /** The type of all operands. */
    DType dtype();

    /** The device that it runs on. */
    Device device();

    /**
     * Submits the whole product to a stream and returns; other parameters as in {@link SpmmKernel}.
     *
     * @param header the packed matrix's header in host memory. f32: of {@link SpmmFormat}, {@link SpmmFormat#GROUP} is
     *     1, {@link SpmmFormat#BLOCK_COUNT} at most 1, and there is an {@link SpmmFormat#ORDER}. bf16: of
     *     {@link BitmapFormat}
     * @param packed the packed matrix in the device's memory
     * @throws dev.filigree.NativeException if the submission fails
     */
    void launch(MemorySegment header, MemorySegment packed, MemorySegment b, long bStride, MemorySegment c,
        long cStride, int n, float alpha, float beta, Stream stream);
}
