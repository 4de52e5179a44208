package dev.filigree.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.nio.file.Files;
import java.nio.file.Path;

/**
 * The device of these tests: a driver and a kernel library that run on the processor, which the native build makes for
 * tests alone. Work waits in its stream until somebody waits for it.
 */
final class Simulated {

    private Simulated() {}

    /** The folder with both libraries; skips the test where no natives were built. */
    static Path folder() {
        Path folder = Path.of(System.getProperty("filigree.cuda.simulation"));
        assumeTrue(Files.exists(folder.resolve("libcuda.so.1")), () -> "natives were not built: " + folder);
        return folder;
    }

    /** The device; a missing one is a failure where the natives were built. */
    static CudaDevice device() {
        folder();
        CudaDevice device = CudaDevice.get(0);
        assertThat(device.properties().name()).isEqualTo("Simulated");
        return device;
    }
}
