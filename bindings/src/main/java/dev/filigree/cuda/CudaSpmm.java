package dev.filigree.cuda;

import dev.filigree.DType;
import dev.filigree.NativeException;
import dev.filigree.Stream;
import dev.filigree.internal.Gate;
import dev.filigree.internal.ffi.FiligreeCuda;
import dev.filigree.spi.Device;
import dev.filigree.spi.SpmmDeviceKernel;
import java.lang.foreign.MemorySegment;
import java.util.Objects;

/** SpMM by {@code filigree_cuda_spmm_csr_f32} and {@code filigree_cuda_spmm_bitmap_bf16}. */
final class CudaSpmm implements SpmmDeviceKernel {

    private final CudaDevice device;
    private final DType dtype;

    /** Binds the function here and now: a first run short of stack would otherwise spoil it for the process. */
    CudaSpmm(CudaDevice device, DType dtype) {
        this.device = device;
        this.dtype = dtype;
        Objects.requireNonNull(switch (dtype) {
            case F32 -> FiligreeCuda.filigree_cuda_spmm_csr_f32$handle();
            case BF16 -> FiligreeCuda.filigree_cuda_spmm_bitmap_bf16$handle();
        });
    }

    @Override
    public String id() {
        return name() + "_cuda";
    }

    private String name() {
        return switch (dtype) {
            case F32 -> "spmm_csr_f32";
            case BF16 -> "spmm_bitmap_bf16";
        };
    }

    @Override
    public DType dtype() {
        return dtype;
    }

    @Override
    public Device device() {
        return device;
    }

    @Override
    public void launch(MemorySegment header, MemorySegment packed, MemorySegment b, long bStride, MemorySegment c,
            long cStride, int n, float alpha, float beta, Stream stream) {
        if (!(stream instanceof CudaStream target)) {
            throw new IllegalArgumentException("stream is a " + stream.getClass().getName() + ", no CUDA stream");
        }
        Gate.Visit visit = target.use();
        try {
            int status = switch (dtype) {
                case F32 -> FiligreeCuda.filigree_cuda_spmm_csr_f32(
                    header, packed, b, bStride, c, cStride, n, alpha, beta, target.handle());
                case BF16 -> FiligreeCuda.filigree_cuda_spmm_bitmap_bf16(
                    header, packed, b, bStride, c, cStride, n, alpha, beta, target.handle());
            };
            if (status != FiligreeCuda.FILIGREE_CUDA_OK()) {
                throw new NativeException("filigree_cuda_" + name(), status,
                    FiligreeCuda.filigree_cuda_status_text(status).getString(0));
            }
        } finally {
            visit.inside = false;
        }
    }
}
