package dev.filigree.bench;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.filigree.format.BlockGrid;
import dev.filigree.format.BlockMask;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class BenchAttentionCommandTest {

    @Test
    void jsonFollowsTheContract() {
        CommandLineRun run = CommandLineRun.of("bench", "attention", "--seq", "100", "--heads", "4", "--kv-heads", "2",
            "--head-dim", "24", "--block", "16", "--density", "0.4", "--causal", "--threads", "2", "--rounds", "2",
            "--backend", "scalar,vector,cuda", "--peers", "ort-attention", "--json");
        assertThat(run.code()).as(run.err() + run.out()).isZero();
        assertThat(run.out().lines()).hasSize(1);
        JsonObject json = JsonParser.parseString(run.out()).getAsJsonObject();
        assertThat(json.get("op").getAsString()).isEqualTo("attention");
        assertThat(json.getAsJsonObject("case").keySet()).containsExactly("seq", "heads", "kv_heads", "head_dim",
            "block", "density", "causal", "dtype", "backend", "peers", "threads", "rounds", "seed", "nnz", "sparsity");
        JsonArray results = json.getAsJsonArray("results");
        assertThat(results).extracting(r -> r.getAsJsonObject().get("name").getAsString()).containsExactlyInAnyOrder(
            "filigree/scalar", "filigree/vector", "filigree/cuda", "filigree/dense", "ort-attention");
        for (var each : results) {
            JsonObject result = each.getAsJsonObject();
            if (!result.has("error")) {
                assertThat(result.keySet()).containsExactly("name", "median_ms", "min_ms", "rounds", "gflops", "gbps",
                    "max_rel_err", "pack_ms", "packed_bytes", "resident_bytes", "kernel");
                assertThat(result.get("max_rel_err").getAsDouble()).isBetween(0.0, 1e-5);
            }
        }
    }

    @ParameterizedTest
    @EnumSource(AttentionLayouts.class)
    void everyLayoutListsSomethingInEachRow(AttentionLayouts layout) {
        BlockMask mask = layout.mask(BlockGrid.square(1000, 64), 3);
        assertThat(mask.density()).isBetween(0.001, 1.0);
        for (int row = 0; row < 16; row++) {
            assertThat(mask.fullCount(0, row) + mask.partialCount(0, row)).isPositive();
        }
    }

    @Test
    void aRandomMaskHasTheDensityThatWasAskedFor() {
        assertThat(AttentionLayouts.random(BlockGrid.square(640, 64), 0.3, false, 5).density()).isEqualTo(0.3);
    }

    @ParameterizedTest
    @CsvSource({"--head-dim,20,not a multiple of 8", "--kv-heads,3,does not divide the 8 heads",
        "--block,24,not a multiple of 16", "--density,1.5,not in 0..1", "--dtype,bf16,no kernels for bf16",
        "--layout,round,not one of"})
    void badOptionsAreNamed(String option, String value, String message) {
        CommandLineRun run = option.equals("--density") || option.equals("--layout")
            ? CommandLineRun.of("bench", "attention", "--seq", "64", option, value)
            : CommandLineRun.of("bench", "attention", "--seq", "64", "--density", "0.5", option, value);
        assertThat(run.code()).isEqualTo(2);
        assertThat(run.err()).contains(option, message);
    }
}
