package dev.filigree.internal.ffi;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.filigree.Backend;
import dev.filigree.NativeException;
import dev.filigree.Refusal;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.util.Locale;
import java.util.Optional;

/** The NVIDIA driver, {@code libcuda.so.1}: opened and initialised once in a process, or missing with the reason. */
public final class CudaDriver {

    private static final String LIBRARY = "libcuda.so.1";
    /** The longest text of the driver's that is read. */
    private static final long TEXT_BYTES = 1024;

    private static final Optional<SymbolLookup> SYMBOLS;
    private static final Optional<Refusal> REFUSAL;

    static {
        SymbolLookup symbols = null;
        Refusal refusal = null;
        if (LoadSettings.ofProcess().isLinuxX86()) {
            try {
                symbols = SymbolLookup.libraryLookup(LIBRARY, Arena.global());
            } catch (IllegalArgumentException e) {
                refusal = refuse("no CUDA driver: " + LIBRARY + " was not found", "install the NVIDIA driver");
            } catch (IllegalCallerException e) {
                refusal = refuse("native access is denied (" + e.getMessage() + ")", "start Java with "
                    + "--enable-native-access=" + LibraryLoader.moduleOption(CudaDriver.class.getModule()));
            }
        } else {
            refusal = refuse("CUDA kernels exist for Linux x86-64 only", "use another backend");
        }
        SYMBOLS = Optional.ofNullable(symbols);
        REFUSAL = Optional.ofNullable(refusal);
    }

    private CudaDriver() {}

    /** The driver is started when devices are first asked for. */
    private static final class Devices {
        static final Optional<Refusal> REFUSAL = Optional.ofNullable(lookForRefusal());

        private Devices() {}
    }

    /** What the driver's class of jextract's looks its functions up in. */
    static SymbolLookup symbols() {
        return name -> SYMBOLS.flatMap(symbols -> symbols.find(name));
    }

    /** Why devices cannot be used; empty when they can. */
    public static Optional<Refusal> refusal() {
        return REFUSAL.isPresent() ? REFUSAL : Devices.REFUSAL;
    }

    private static Refusal lookForRefusal() {
        int needed = CudaDriverApi.CUDA_VERSION();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment number = arena.allocate(JAVA_INT);
            // The version first: an old driver lacks what is asked next.
            check("cuDriverGetVersion", CudaDriverApi.cuDriverGetVersion(number));
            int version = number.get(JAVA_INT, 0);
            // Drivers know every release of their major version, and of those before.
            if (version / 1000 < needed / 1000) {
                return refuse("the NVIDIA driver knows CUDA " + release(version) + ", the kernels are built with CUDA "
                    + release(needed), "update the NVIDIA driver");
            }
            int status = CudaDriverApi.cuInit(0);
            if (status == CudaDriverApi.CUDA_ERROR_NO_DEVICE()) {
                return noDevice();
            }
            check("cuInit", status);
            check("cuDeviceGetCount", CudaDriverApi.cuDeviceGetCount(number));
            return number.get(JAVA_INT, 0) == 0 ? noDevice() : null;
        } catch (NativeException e) {
            return doesNotStart(e);
        } catch (LinkageError e) {
            // A function that this driver lacks.
            return doesNotStart(e.getCause() == null ? e : e.getCause());
        }
    }

    private static Refusal doesNotStart(Throwable cause) {
        return refuse("the NVIDIA driver does not start: " + cause.getMessage(), "repair the NVIDIA driver");
    }

    private static Refusal noDevice() {
        return refuse("the NVIDIA driver shows no device to this process",
            "make a device visible to this process (CUDA_VISIBLE_DEVICES, container settings)");
    }

    private static String release(int version) {
        return String.format(Locale.ROOT, "%d.%d", version / 1000, version % 1000 / 10);
    }

    private static Refusal refuse(String reason, String cure) {
        return new Refusal(Backend.CUDA, reason, cure);
    }

    /**
     * Does nothing when a function of the driver's succeeded.
     *
     * @throws NativeException otherwise, with the driver's name and text for the code
     */
    public static void check(String function, int code) {
        if (code != CudaDriverApi.CUDA_SUCCESS()) {
            throw new NativeException(function, code, text(code));
        }
    }

    private static String text(int code) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment pointer = arena.allocate(ADDRESS);
            if (CudaDriverApi.cuGetErrorName(code, pointer) != CudaDriverApi.CUDA_SUCCESS()) {
                return "an error that the driver does not know";
            }
            String name = string(pointer);
            return CudaDriverApi.cuGetErrorString(code, pointer) == CudaDriverApi.CUDA_SUCCESS()
                ? name + ", " + string(pointer) : name;
        }
    }

    private static String string(MemorySegment pointer) {
        return pointer.get(ADDRESS, 0).reinterpret(TEXT_BYTES).getString(0);
    }
}
