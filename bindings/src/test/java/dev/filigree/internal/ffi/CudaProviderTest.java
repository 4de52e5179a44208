package dev.filigree.internal.ffi;

import static org.assertj.core.api.Assertions.assertThat;

import dev.filigree.Refusal;
import java.lang.foreign.SymbolLookup;
import java.nio.file.Path;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is said about CUDA, with drivers of a few lines. */
class CudaProviderTest {

    private static final LoadSettings LINUX =
        new LoadSettings("Linux", "amd64", null, null, "/home/x", "/tmp", "x");
    private static final NativeLibrary PRESENT =
        new NativeLibrary.Loaded(Path.of("/x/libfiligree_cuda.so"), SymbolLookup.loaderLookup());

    /** Devices 3 and 4, if there are two, so that an index is not taken for a device. */
    private static final String DRIVER = """
        #include <stdio.h>
        int cuInit(unsigned flags) { return flags == 0 ? INIT : 1; }
        int cuDeviceGetCount(int *count) { *count = COUNT; return 0; }
        int cuDeviceGet(int *device, int index) { *device = index + 3; return 0; }
        int cuDeviceGetName(char *name, int bytes, int device) {
            snprintf(name, bytes, "Device %d", device);
            return 0;
        }
        """;

    @TempDir
    private Path temporary;

    private Path driver(int init, int count) throws Exception {
        return Tools.library(temporary, "libcuda-" + init + "-" + count + ".so",
            DRIVER.replace("INIT", "" + init).replace("COUNT", "" + count));
    }

    private static Refusal refusal(Path driver, NativeLibrary library) {
        Optional<Refusal> refusal = new CudaProvider(driver.toString(), LINUX, () -> library).refusal();
        assertThat(refusal).isPresent();
        return refusal.get();
    }

    @Test
    void noDriver() {
        Refusal refusal = new CudaProvider("libnope.so.1", LINUX, () -> {
            throw new IllegalStateException("without a driver nobody looks for the library");
        }).refusal().orElseThrow();
        assertThat(refusal).hasToString("cuda: no CUDA driver: libnope.so.1 was not found "
            + "(install the NVIDIA driver, or use another backend)");
    }

    @Test
    void noLibrary() throws Exception {
        // The driver would fail if it were started, so it is not.
        Refusal refusal = refusal(driver(999, 0), new NativeLibrary.Missing("not built", "build it"));
        assertThat(refusal).hasToString("cuda: not built (build it)");
    }

    @Test
    void noDevice() throws Exception {
        for (Path driver : new Path[] {driver(0, 0), driver(100, 0)}) {
            assertThat(refusal(driver, PRESENT).reason()).isEqualTo("the CUDA driver finds no device");
        }
    }

    @Test
    void devicesAreNamed() throws Exception {
        assertThat(refusal(driver(0, 2), PRESENT).reason()).isEqualTo("no kernels yet for Device 3, Device 4");
    }

    @Test
    void aBrokenDriver() throws Exception {
        assertThat(refusal(driver(3, 1), PRESENT).reason())
            .startsWith("the CUDA driver does not work: cuInit failed with code 3");
        Path empty = Tools.library(temporary, "libempty.so", "int nothing(void) { return 0; }\n");
        assertThat(refusal(empty, PRESENT).reason()).contains("the CUDA driver does not work", "cuInit");
    }

    @Test
    void otherPlatforms() {
        LoadSettings mac = new LoadSettings("Mac OS X", "aarch64", null, null, "/home/x", "/tmp", "x");
        assertThat(new CudaProvider("libcuda.so.1", mac, () -> PRESENT).refusal().orElseThrow().reason())
            .isEqualTo("CUDA kernels exist for Linux x86-64 only");
    }
}
