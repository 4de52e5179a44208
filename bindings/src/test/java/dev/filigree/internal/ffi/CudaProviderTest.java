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

    private static final String DRIVER = "int cuInit(unsigned flags) { return 0; }\n";

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
        assertThat(cudaLine(DRIVER, null))
            .contains("libfiligree_cuda.so cannot be loaded: -Dfiligree.native.path");
    }

    @Test
    void aDriverThatFailsIsToldInTheLibrarysWords() throws Exception {
        assertThat(cudaLine(DRIVER, library("FILIGREE_CUDA_NO_DEVICE", ""))).isEqualTo("cuda: status 4 "
            + "(make a device visible to this process (CUDA_VISIBLE_DEVICES, container settings))");
        assertThat(cudaLine(DRIVER, library("FILIGREE_CUDA_OLD_DRIVER", "")))
            .isEqualTo("cuda: status 3 (update the NVIDIA driver)");
        assertThat(cudaLine(DRIVER, library("FILIGREE_CUDA_ERROR + 2", "")))
            .isEqualTo("cuda: status 1002 (repair the NVIDIA driver)");
    }

    @Test
    void devicesAreNamed() throws Exception {
        assertThat(cudaLine(DRIVER, library("0", "0, FILIGREE_CUDA_OLD_DEVICE, 0,")))
            .isEqualTo("cuda: no kernels yet for GPU 0, GPU 2 (use another backend)");
        assertThat(cudaLine(DRIVER, library("0", "FILIGREE_CUDA_OLD_DEVICE,")))
            .isEqualTo("cuda: device 0 GPU 0: status 5 (use another backend)");
    }

    @Test
    void thisMachineIsDescribed() {
        CudaProvider provider = new CudaProvider();
        assertThat(provider.backend()).isEqualTo(Backend.CUDA);
        assertThat(provider.kernels()).isEmpty();
        assertThat(provider.refusal()).get().extracting(Refusal::backend).isEqualTo(Backend.CUDA);
    }
}
