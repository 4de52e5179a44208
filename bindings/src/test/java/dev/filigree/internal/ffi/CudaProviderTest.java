package dev.filigree.internal.ffi;

import static org.assertj.core.api.Assertions.assertThat;

import dev.filigree.Backend;
import dev.filigree.Refusal;
import dev.filigree.probe.BackendProbe;
import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What is said about CUDA, with drivers and libraries of a few lines: the probe runs beside them. */
class CudaProviderTest {

    /** As much of a driver as is asked before the library is; VERSION is the newest CUDA release that it knows. */
    private static final String DRIVER = """
        int cuDriverGetVersion(int *version) { *version = VERSION; return 0; }
        int cuInit(unsigned flags) { return STARTED; }
        int cuDeviceGetCount(int *count) { *count = COUNT; return 0; }
        int cuGetErrorName(int code, const char **text) { *text = "CUDA_ERROR_OF_TEST"; return 0; }
        int cuGetErrorString(int code, const char **text) { *text = "as planted"; return 0; }
        """;

    /** STATUSES are those of the devices in turn; COUNTED is that of the count. */
    private static final String LIBRARY = """
        #include <stdio.h>
        #include "filigree_cuda.h"
        static const int statuses[] = {STATUSES -1};
        int32_t filigree_cuda_abi_version(void) { return FILIGREE_CUDA_ABI_VERSION; }
        const char *filigree_cuda_status_text(int32_t status) {
            static char text[32];
            snprintf(text, sizeof text, "status %d", status);
            return text;
        }
        int32_t filigree_cuda_device_count(int32_t *count) {
            *count = sizeof statuses / sizeof statuses[0] - 1;
            return COUNTED;
        }
        int32_t filigree_cuda_get_device(int32_t index, filigree_cuda_device *out) {
            snprintf(out->name, sizeof out->name, "GPU %d", index);
            return statuses[index];
        }
        """;

    @TempDir
    private Path temporary;

    /** The line about CUDA of a process that finds this driver, if any, and this library, if any. */
    private String cudaLine(String driver, String library) throws Exception {
        String include = "-I" + Path.of(System.getProperty("filigree.repository"), "native", "include");
        if (driver != null) {
            Tools.library(temporary, "libcuda.so.1", driver);
        }
        if (library != null) {
            Tools.library(temporary, "libfiligree_cuda.so", library, include);
        }
        String classPath = Stream.of(Backend.class, CudaProvider.class, BackendProbe.class)
            .map(type -> type.getProtectionDomain().getCodeSource().getLocation().getPath())
            .reduce((x, y) -> x + File.pathSeparator + y).orElseThrow();
        Tools.Result result = Tools.java(Map.of("LD_LIBRARY_PATH", temporary.toString()), "-cp", classPath,
            "--enable-native-access=ALL-UNNAMED", "-Dfiligree.native.path=" + temporary,
            BackendProbe.class.getName()).await();
        assertThat(result.exit()).as(result.output()).isZero();
        return result.output().lines().filter(line -> line.startsWith("cuda: ")).findFirst().orElseThrow();
    }

    private static String driver(int version, int started, int devices) {
        return DRIVER.replace("VERSION", "" + version).replace("STARTED", "" + started).replace("COUNT", "" + devices);
    }

    private static String goodDriver() {
        return driver(13000, 0, 1);
    }

    private static String library(String counted, String statuses) {
        return LIBRARY.replace("COUNTED", counted).replace("STATUSES", statuses);
    }

    @Test
    void withoutADriver() throws Exception {
        // A file that cannot be opened stands in front of the driver that this machine may have.
        Files.writeString(temporary.resolve("libcuda.so.1"), "not a library");
        assertThat(cudaLine(null, library("FILIGREE_CUDA_OK", "FILIGREE_CUDA_OK,"))).isEqualTo(
            "cuda: no CUDA driver: libcuda.so.1 was not found (install the NVIDIA driver)");
    }

    @Test
    void withoutTheLibrary() throws Exception {
        assertThat(cudaLine(goodDriver(), null))
            .contains("libfiligree_cuda.so cannot be loaded: -Dfiligree.native.path");
    }

    @Test
    void aDriverThatIsOldOrSeesNothingOrDoesNotStart() throws Exception {
        assertThat(cudaLine(driver(12080, 0, 1), null)).isEqualTo("cuda: the NVIDIA driver knows CUDA 12.8, the kernels "
            + "are built with CUDA 13.0 (update the NVIDIA driver)");
        String invisible = "cuda: the NVIDIA driver shows no device to this process "
            + "(make a device visible to this process (CUDA_VISIBLE_DEVICES, container settings))";
        assertThat(cudaLine(driver(13000, 100, 1), null)).isEqualTo(invisible);
        assertThat(cudaLine(driver(13000, 0, 0), null)).isEqualTo(invisible);
        assertThat(cudaLine(driver(13000, 999, 1), null)).isEqualTo("cuda: the NVIDIA driver does not start: cuInit "
            + "failed with code 999: CUDA_ERROR_OF_TEST, as planted (repair the NVIDIA driver)");
        assertThat(cudaLine("int cuDriverGetVersion(int *v) { *v = 13000; return 0; }\n", null))
            .startsWith("cuda: the NVIDIA driver does not start: Symbol not found: cuInit");
    }

    @Test
    void aDriverThatFailsIsToldInTheLibrarysWords() throws Exception {
        assertThat(cudaLine(goodDriver(), library("FILIGREE_CUDA_NO_DEVICE", ""))).isEqualTo("cuda: status 4 "
            + "(make a device visible to this process (CUDA_VISIBLE_DEVICES, container settings))");
        assertThat(cudaLine(goodDriver(), library("FILIGREE_CUDA_OLD_DRIVER", "")))
            .isEqualTo("cuda: status 3 (update the NVIDIA driver)");
        assertThat(cudaLine(goodDriver(), library("FILIGREE_CUDA_ERROR + 2", "")))
            .isEqualTo("cuda: status 1002 (repair the NVIDIA driver)");
    }

    @Test
    void aDeviceThatIsTooOldIsNamed() throws Exception {
        assertThat(cudaLine(goodDriver(), library("0", "FILIGREE_CUDA_OLD_DEVICE,")))
            .isEqualTo("cuda: device 0 GPU 0: status 5 (use another backend)");
    }

    @Test
    void thisMachineIsDescribed() {
        CudaProvider provider = new CudaProvider();
        assertThat(provider.backend()).isEqualTo(Backend.CUDA);
        assertThat(provider.kernels().isEmpty()).isEqualTo(provider.refusal().isPresent());
        assertThat(provider.refusal().map(Refusal::backend).orElse(Backend.CUDA)).isEqualTo(Backend.CUDA);
    }
}
