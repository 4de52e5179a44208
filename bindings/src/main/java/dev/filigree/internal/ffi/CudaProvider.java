package dev.filigree.internal.ffi;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.Refusal;
import dev.filigree.cuda.CudaDevice;
import dev.filigree.spi.KernelInfo;
import dev.filigree.spi.KernelProvider;
import dev.filigree.spi.SpmmDeviceKernel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The CUDA kernels, from {@code libfiligree_cuda.so}, on the first device that they run on. */
public final class CudaProvider implements KernelProvider {

    private static final String OTHER_BACKEND = "use another backend";

    private final Refusal refusal;
    private final CudaDevice device;
    /** One for each type, or none at all. */
    private final Map<DType, SpmmDeviceKernel> spmm = new EnumMap<>(DType.class);

    /** Created by the service loader. */
    public CudaProvider() {
        // From what costs nothing to ask to what starts the driver: no library is opened on a machine without one.
        Refusal found = CudaDriver.refusal().orElse(null);
        if (found == null && NativeLibrary.cuda() instanceof NativeLibrary.Missing missing) {
            found = missing.refusal(Backend.CUDA);
        }
        CudaDevice usable = null;
        if (found == null) {
            switch (firstUsable()) {
                case Choice.Device(int index) -> usable = CudaDevice.get(index);
                case Choice.None(Refusal reason) -> found = reason;
            }
        }
        refusal = found;
        device = usable;
        if (usable != null) {
            for (DType dtype : DType.values()) {
                spmm.put(dtype, usable.spmm(dtype));
            }
        }
    }

    private sealed interface Choice {
        record Device(int index) implements Choice {}

        record None(Refusal refusal) implements Choice {}
    }

    private static Choice firstUsable() {
        Refusal unusable = null;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment count = arena.allocate(JAVA_INT);
            int counted = FiligreeCuda.filigree_cuda_device_count(count);
            if (counted != FiligreeCuda.FILIGREE_CUDA_OK()) {
                return new Choice.None(refuse(counted, ""));
            }
            MemorySegment described = filigree_cuda_device.allocate(arena);
            for (int i = 0; i < count.get(JAVA_INT, 0); i++) {
                int status = FiligreeCuda.filigree_cuda_get_device(i, described);
                if (status == FiligreeCuda.FILIGREE_CUDA_OK()) {
                    return new Choice.Device(i);
                }
                if (unusable == null) {
                    unusable = refuse(status,
                        "device " + i + " " + filigree_cuda_device.name(described).getString(0) + ": ");
                }
            }
        }
        return new Choice.None(unusable != null ? unusable : refuse(FiligreeCuda.FILIGREE_CUDA_NO_DEVICE(), ""));
    }

    private static Refusal refuse(int status, String subject) {
        String text = FiligreeCuda.filigree_cuda_status_text(status).getString(0);
        return new Refusal(Backend.CUDA, subject + text, cure(status));
    }

    private static String cure(int status) {
        if (status == FiligreeCuda.FILIGREE_CUDA_NO_DEVICE()) {
            return "make a device visible to this process (CUDA_VISIBLE_DEVICES, container settings)";
        }
        if (status == FiligreeCuda.FILIGREE_CUDA_OLD_DRIVER()) {
            return "update the NVIDIA driver";
        }
        if (status == FiligreeCuda.FILIGREE_CUDA_OLD_DEVICE()) {
            return OTHER_BACKEND;
        }
        return "repair the NVIDIA driver";
    }

    @Override
    public Backend backend() {
        return Backend.CUDA;
    }

    @Override
    public Optional<Refusal> refusal() {
        return Optional.ofNullable(refusal);
    }

    @Override
    public List<KernelInfo> kernels() {
        return spmm.values().stream().map(kernel -> new KernelInfo(kernel.id(), "spmm", kernel.dtype(),
            "sm_" + device.properties().capability(), tile(kernel.dtype()))).toList();
    }

    /** What a team of threads takes of f32, and a block of bf16, at most. */
    private static String tile(DType dtype) {
        return switch (dtype) {
            case F32 -> "1x128";
            case BF16 -> "16x64";
        };
    }

    @Override
    public Optional<SpmmDeviceKernel> spmmOnDevice(DType dtype) {
        return Optional.ofNullable(spmm.get(dtype));
    }
}
