package dev.filigree.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.bench.jmh.DeviceBenchmarkProbe;
import dev.filigree.bench.report.Section;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/** What measures devices, on the simulated one that the native build makes for tests: a process of its own loads it. */
class CudaSimulationTest {

    /** Maven runs the tests of a module in its folder. */
    private static final Path SIMULATION = Path.of("../bindings/target/native/sim").toAbsolutePath().normalize();

    /** The program of that process: one line for each thing tried, its own assertions inside. */
    static final class Program {

        private Program() {}

        public static void main(String[] arguments) {
            assertThat(Backend.CUDA.unavailabilityCause()).isEmpty();
            for (String dtype : new String[] {"f32", "bf16"}) {
                bench(dtype);
                DeviceBenchmarkProbe.run(dtype);
            }
            verify();
            report();
            System.out.println("all was tried");
        }

        private static void bench(String dtype) {
            CommandLineRun run = CommandLineRun.of("bench", "spmm", "--rows", "64", "--cols", "256", "--sparsity", "0.7",
                "--n", "4", "--dtype", dtype, "--layout", "token-major", "--rounds", "2", "--backend", "cuda", "--json");
            assertThat(run.code()).as(run.err()).isZero();
            JsonObject json = JsonParser.parseString(run.out()).getAsJsonObject();
            assertThat(json.getAsJsonObject("case").get("dtype").getAsString()).isEqualTo(dtype);
            // 64 KiB of simulated cache, more than four times over.
            long sets = json.getAsJsonObject("case").get("working_sets").getAsLong();
            JsonObject result = json.getAsJsonArray("results").get(0).getAsJsonObject();
            assertThat(sets * result.get("resident_bytes").getAsLong()).isGreaterThan(4 << 16);
            assertThat(result.get("kernel").getAsString())
                .isEqualTo(dtype.equals("f32") ? "spmm_csr_f32_cuda" : "spmm_bitmap_bf16_cuda");
            assertThat(result.get("median_ms").getAsDouble()).isPositive();
            assertThat(result.get("max_rel_err").getAsDouble()).isBetween(0.0, dtype.equals("f32") ? 1e-5 : 0x1p-7);
        }

        private static void verify() {
            CommandLineRun run = CommandLineRun.of("verify", "--op", "spmm", "--backend", "cuda", "--cases", "8",
                "--seed", "1");
            assertThat(run.code()).as(run.out() + run.err()).isZero();
            assertThat(run.out()).contains("spmm_csr_f32_cuda", "spmm_bitmap_bf16_cuda");
        }

        private static void report() {
            Section section = new CudaReportSection(List.of(new CudaReportSection.Case("64x128@0.8", 16, DType.F32),
                new CudaReportSection.Case("64x128@0.8", 5, DType.BF16)))
                .run(new ReportSection.Context(true, false, Optional.empty()));
            assertThat(section.failures()).isZero();
            assertThat(section.checked()).isEqualTo(3);
            assertThat(section.cases()).hasSize(2);
        }
    }

    @Test
    void productsOfBothTypesAreBenchedVerifiedAndReported() throws Exception {
        assumeTrue(Files.exists(SIMULATION.resolve("libcuda.so.1")), "natives were not built: " + SIMULATION);
        Path output = Files.createTempFile("filigree", ".txt");
        ProcessBuilder program = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-cp", System.getProperty("java.class.path"), "--add-modules", "jdk.incubator.vector",
            "--enable-native-access=ALL-UNNAMED", "-Dfiligree.native.path=" + SIMULATION, Program.class.getName())
            .redirectErrorStream(true).redirectOutput(output.toFile());
        program.environment().put("LD_LIBRARY_PATH", SIMULATION.toString());
        int exit = program.start().waitFor();
        String text = Files.readString(output, StandardCharsets.UTF_8);
        Files.delete(output);
        assertThat(exit).as(text).isZero();
        assertThat(text.lines()).contains("all was tried");
    }
}
