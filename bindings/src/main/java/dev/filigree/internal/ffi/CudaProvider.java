package dev.filigree.internal.ffi;

import dev.filigree.Backend;
import dev.filigree.NativeException;
import dev.filigree.Refusal;
import dev.filigree.spi.KernelInfo;
import dev.filigree.spi.KernelProvider;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.function.Supplier;

/** The CUDA kernels. There are none yet, so this provider always refuses; it says how far the machine would do. */
public final class CudaProvider implements KernelProvider {

    private final Refusal refusal;

    /** Created by the service loader. */
    public CudaProvider() {
        this(CudaDriver.LIBRARY, LoadSettings.ofProcess(), NativeLibrary::cuda);
    }

    CudaProvider(String driver, LoadSettings settings, Supplier<NativeLibrary> library) {
        refusal = lookForRefusal(driver, settings, library);
    }

    /** From what costs nothing to ask to what starts the driver. */
    private static Refusal lookForRefusal(String driverName, LoadSettings settings, Supplier<NativeLibrary> library) {
        if (!settings.isLinuxX86()) {
            return refuse("CUDA kernels exist for Linux x86-64 only", "use the vector backend; nothing to install");
        }
        try {
            Optional<CudaDriver> driver = CudaDriver.open(driverName);
            if (driver.isEmpty()) {
                return refuse("no CUDA driver: " + driverName + " was not found",
                    "install the NVIDIA driver, or use another backend");
            }
            if (library.get() instanceof NativeLibrary.Missing missing) {
                return missing.refusal(Backend.CUDA);
            }
            List<String> devices = driver.get().deviceNames();
            if (devices.isEmpty()) {
                return refuse("the CUDA driver finds no device", "make a device visible to this process");
            }
            return refuse("no kernels yet for " + String.join(", ", devices), "use another backend");
        } catch (IllegalCallerException e) {
            return refuse("native access is denied (" + e.getMessage() + ")", "start Java with "
                + "--enable-native-access=" + LibraryLoader.moduleOption(CudaProvider.class.getModule()));
        } catch (NoSuchElementException | NativeException e) {
            return refuse("the CUDA driver does not work: " + e.getMessage(), "repair the NVIDIA driver");
        }
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
