package dev.filigree.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.filigree.Backend;
import dev.filigree.bench.peer.PeerPool;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BenchSpmmCommandTest {

    @Test
    void jsonFollowsTheContract() {
        CommandLineRun run = CommandLineRun.of("bench", "spmm", "--rows", "40", "--cols", "50", "--sparsity", "0.8",
            "--n", "17", "--layout", "token-major", "--activation", "silu", "--threads", "2", "--rounds", "2",
            "--seed", "9", "--backend", "vector,scalar,cuda", "--dense", "--peers", "mkl", "--json");
        assertThat(run.code()).as(run.err()).isZero();
        assertThat(run.out().lines()).hasSize(1);
        JsonObject json = JsonParser.parseString(run.out()).getAsJsonObject();
        assertThat(json.keySet()).containsExactly("op", "case", "results");
        assertThat(json.get("op").getAsString()).isEqualTo("spmm");
        JsonObject describes = json.getAsJsonObject("case");
        assertThat(describes.keySet()).containsExactly("rows", "cols", "n", "dtype", "layout", "activation",
            "dense", "backend", "peers", "threads", "rounds", "seed", "working_sets", "nnz", "sparsity");
        assertThat(describes.get("nnz").getAsLong()).isEqualTo(400);
        assertThat(describes.get("sparsity").getAsDouble()).isEqualTo(0.8);
        assertThat(describes.get("layout").getAsString()).isEqualTo("token-major");
        JsonArray results = json.getAsJsonArray("results");
        assertThat(results).extracting(r -> r.getAsJsonObject().get("name").getAsString())
            .containsExactly("filigree/vector", "filigree/scalar", "filigree/cuda", "filigree/dense", "mkl-dense",
                "mkl-sparse");
        assertThat(results.get(0).getAsJsonObject().get("kernel").getAsString()).isEqualTo("spmm_csr_f32_vector");
        assertThat(results.get(3).getAsJsonObject().get("kernel").getAsString()).startsWith("gemm_packed_f32_");
        for (int i : new int[] {0, 1, 3}) {
            JsonObject result = results.get(i).getAsJsonObject();
            assertThat(result.keySet()).containsExactly("name", "median_ms", "min_ms", "rounds", "gflops", "gbps",
                "max_rel_err", "pack_ms", "packed_bytes", "resident_bytes", "kernel");
            assertThat(result.get("median_ms").getAsDouble()).isPositive();
            assertThat(result.get("min_ms").getAsDouble()).isLessThanOrEqualTo(result.get("median_ms").getAsDouble());
            assertThat(result.get("rounds").getAsInt()).isEqualTo(2);
            assertThat(result.get("max_rel_err").getAsDouble()).isBetween(0.0, 1e-5);
            assertThat(result.get("resident_bytes").getAsLong())
                .isEqualTo(result.get("packed_bytes").getAsLong() + 4 * 17 * (40 + 50));
        }
        assertThat(results.get(2).getAsJsonObject().keySet()).containsExactly("name", "error");
        for (int i = 4; i < 6; i++) {
            // Peers have figures in a build that has them in it, and otherwise a reason.
            JsonObject peer = results.get(i).getAsJsonObject();
            assertThat(peer.has("error")).isEqualTo(System.getProperty(PeerPool.NATIVES) == null);
        }
    }

    @Test
    void aPatternFileGetsValuesFromTheSeed(@TempDir Path folder) throws IOException {
        Path file = folder.resolve("pattern.smtx");
        Files.writeString(file, "2, 3, 3\n0 2 3\n0 2 1\n");
        assertThat(MatrixFiles.read(file, 5)).isEqualTo(MatrixFiles.read(file, 5))
            .isNotEqualTo(MatrixFiles.read(file, 6));
        CommandLineRun run = CommandLineRun.of("bench", "spmm", "--matrix", file.toString(), "--n", "20",
            "--rounds", "1", "--backend", "scalar");
        assertThat(run.code()).as(run.err()).isZero();
        assertThat(run.out()).contains("2 x 3, 3 nonzeros").contains("filigree/scalar");
    }

    @Test
    void anUnavailableBackendAppearsWithItsReason() {
        Backend missing = Arrays.stream(Backend.values()).filter(b -> !b.isAvailable()).findFirst()
            .orElse(null);
        assumeTrue(missing != null, "every backend is available here");
        CommandLineRun run = CommandLineRun.of("bench", "spmm", "--rows", "4", "--cols", "4", "--sparsity", "0",
            "--n", "1", "--rounds", "1", "--backend", missing.id(), "--json");
        assertThat(run.code()).isZero();
        JsonObject result = JsonParser.parseString(run.out()).getAsJsonObject().getAsJsonArray("results").get(0)
            .getAsJsonObject();
        assertThat(result.get("name").getAsString()).isEqualTo("filigree/" + missing.id());
        assertThat(result.get("error").getAsString()).contains(missing.unavailabilityCause().get().reason());
    }
}
