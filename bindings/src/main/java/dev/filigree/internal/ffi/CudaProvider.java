package dev.filigree.internal.ffi;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.filigree.Backend;
import dev.filigree.Refusal;
import dev.filigree.spi.KernelInfo;
import dev.filigree.spi.KernelProvider;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** The CUDA kernels, from {@code libfiligree_cuda.so}. It has none yet, so this provider always refuses. */
public final class CudaProvider implements KernelProvider {

    private static final String DRIVER = "libcuda.so.1";
    private static final String OTHER_BACKEND = "use another backend";

    private final Refusal refusal = lookForRefusal();

    /** Created by the service loader. */
    public CudaProvider() {}

    /** From what costs nothing to ask to what starts the driver. */
    private static Refusal lookForRefusal() {
        if (!LoadSettings.ofProcess().isLinuxX86()) {
            return refuse("CUDA kernels exist for Linux x86-64 only", OTHER_BACKEND);
        }
        try {
            if (!isDriverInstalled()) {
                return refuse("no CUDA driver: " + DRIVER + " was not found", "install the NVIDIA driver");
            }
        } catch (IllegalCallerException e) {
            return refuse("native access is denied (" + e.getMessage() + ")", "start Java with "
                + "--enable-native-access=" + LibraryLoader.moduleOption(CudaProvider.class.getModule()));
        }
        return switch (NativeLibrary.cuda()) {
            case NativeLibrary.Missing missing -> missing.refusal(Backend.CUDA);
            case NativeLibrary.Loaded loaded -> refusalOfDevices();
        };
    }

    /** The kernels' library is never opened on a machine without a driver. */
    private static boolean isDriverInstalled() {
        try {
            SymbolLookup.libraryLookup(DRIVER, Arena.global());
            return true;
        } catch (IllegalArgumentException e) {
            return false;
        }
    }

    private static Refusal refusalOfDevices() {
        List<String> devices = new ArrayList<>();
        Refusal unusable = null;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment count = arena.allocate(JAVA_INT);
            int counted = FiligreeCuda.filigree_cuda_device_count(count);
            if (counted != FiligreeCuda.FILIGREE_CUDA_OK()) {
                return refuse(counted, "");
            }
            MemorySegment device = filigree_cuda_device.allocate(arena);
            for (int i = 0; i < count.get(JAVA_INT, 0); i++) {
                int described = FiligreeCuda.filigree_cuda_get_device(i, device);
                String name = filigree_cuda_device.name(device).getString(0);
                if (described == FiligreeCuda.FILIGREE_CUDA_OK()) {
                    devices.add(name);
                } else {
                    unusable = refuse(described, "device " + i + " " + name + ": ");
                }
            }
        }
        if (!devices.isEmpty()) {
            return refuse("no kernels yet for " + String.join(", ", devices), OTHER_BACKEND);
        }
        return unusable != null ? unusable : refuse(FiligreeCuda.FILIGREE_CUDA_NO_DEVICE(), "");
    }

    private static Refusal refuse(int status, String subject) {
        String text = FiligreeCuda.filigree_cuda_status_text(status).getString(0);
        return refuse(subject + text, cure(status));
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

    private static Refusal refuse(String reason, String cure) {
        return new Refusal(Backend.CUDA, reason, cure);
    }

    @Override
    public Backend backend() {
        return Backend.CUDA;
    }

    @Override
    public Optional<Refusal> refusal() {
        return Optional.of(refusal);
    }

    @Override
    public List<KernelInfo> kernels() {
        return List.of();
    }
}
