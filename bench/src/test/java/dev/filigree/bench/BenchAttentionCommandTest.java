package dev.filigree.bench;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.filigree.DType;
import dev.filigree.format.BlockGrid;
import dev.filigree.format.BlockMask;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class BenchAttentionCommandTest {

    @ParameterizedTest
    @CsvSource({"f32,1e-5", "bf16,0.0078125"})
    void jsonFollowsTheContract(String dtype, double tolerance) {
        CommandLineRun run = CommandLineRun.of("bench", "attention", "--seq", "100", "--heads", "4", "--kv-heads", "2",
            "--head-dim", "24", "--block", "16", "--density", "0.4", "--causal", "--threads", "2", "--rounds", "2",
            "--dtype", dtype, "--backend", "scalar,vector,cuda", "--peers", "ort-attention", "--json");
        assertThat(run.code()).as(run.err() + run.out()).isZero();
        assertThat(run.out().lines()).hasSize(1);
        JsonObject json = JsonParser.parseString(run.out()).getAsJsonObject();
        assertThat(json.get("op").getAsString()).isEqualTo("attention");
        assertThat(json.getAsJsonObject("case").keySet()).containsExactly("seq", "heads", "kv_heads", "head_dim",
            "block", "density", "causal", "dtype", "decode", "backend", "peers", "threads", "rounds", "seed", "nnz",
            "sparsity");
        JsonArray results = json.getAsJsonArray("results");
        assertThat(results).extracting(r -> r.getAsJsonObject().get("name").getAsString()).containsExactlyInAnyOrder(
            "filigree/scalar", "filigree/vector", "filigree/cuda", "filigree/dense", "ort-attention");
        for (var each : results) {
            JsonObject result = each.getAsJsonObject();
            if (!result.has("error")) {
                assertThat(result.keySet()).containsExactly("name", "median_ms", "min_ms", "rounds", "gflops", "gbps",
                    "max_rel_err", "pack_ms", "packed_bytes", "resident_bytes", "kernel");
                assertThat(result.get("max_rel_err").getAsDouble()).isBetween(0.0, tolerance);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"f32", "bf16"})
    void decodeFollowsTheContract(String dtype) {
        CommandLineRun run = CommandLineRun.of("bench", "attention", "--decode", "--seq", "300", "--heads", "4",
            "--kv-heads", "2", "--head-dim", "24", "--block", "16", "--page", "7", "--density", "0.25", "--threads",
            "2", "--rounds", "2", "--dtype", dtype, "--backend", "scalar,vector", "--peers", "torch", "--json");
        assertThat(run.code()).as(run.err() + run.out()).isZero();
        JsonObject json = JsonParser.parseString(run.out()).getAsJsonObject();
        assertThat(json.getAsJsonObject("case").get("decode").getAsBoolean()).isTrue();
        // 5 of 19 blocks for each of two key heads, and two query heads each.
        assertThat(json.getAsJsonObject("case").get("nnz").getAsLong()).isBetween(4L * (5 * 16 - 4), 4L * 5 * 16);
        JsonArray results = json.getAsJsonArray("results");
        assertThat(results).extracting(r -> r.getAsJsonObject().get("name").getAsString())
            .containsExactly("filigree/scalar", "filigree/vector", "filigree/dense", "torch-sdpa");
        for (int i = 0; i < 3; i++) {
            JsonObject result = results.get(i).getAsJsonObject();
            assertThat(result.get("kernel").getAsString()).startsWith("attention_paged_" + dtype);
            assertThat(result.get("max_rel_err").getAsDouble()).isBetween(0.0, 1e-5);
        }
        // Two thirds of the dense path's bytes are not read.
        assertThat(results.get(0).getAsJsonObject().get("resident_bytes").getAsLong())
            .isLessThan(results.get(2).getAsJsonObject().get("resident_bytes").getAsLong() / 3);
        assertThat(results.get(3).getAsJsonObject().get("error").getAsString()).contains("no paged cache");
    }

    @Test
    void turnsOfADecodeSelectEveryBlockOnce() {
        DecodeProblem problem = new DecodeProblem(320, 4, 2, 8, 16, 16, 0.2, DType.F32, 3);
        for (int head = 0; head < 2; head++) {
            int of = head;
            assertThat(problem.sparse()).hasSize(5);
            assertThat(problem.sparse().stream().flatMapToInt(test -> IntStream.of(test.lists()[0][of])))
                .containsExactlyInAnyOrderElementsOf(IntStream.range(0, 20).boxed().toList());
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
        BlockGrid grid = BlockGrid.square(640, 64);
        BlockMask causal = AttentionLayouts.random(grid, 0.3, true, 5);
        for (int row = 0; row < 10; row++) {
            assertThat(causal.fullCount(0, row)).isEqualTo(Math.max(1, (int) Math.round(0.3 * (row + 1))));
            assertThat(causal.fullBlock(0, row, causal.fullCount(0, row) - 1)).isEqualTo(row);
        }
    }

    @ParameterizedTest
    @CsvSource({"--head-dim,20,not a multiple of 8", "--kv-heads,3,does not divide the 8 heads",
        "--block,24,not a multiple of 16", "--density,1.5,not in 0..1", "--dtype,f16,not one of",
        "--layout,round,not one of", "--page,0,not in 1..", "--peers,mkl,not one of ort"})
    void badOptionsAreNamed(String option, String value, String message) {
        CommandLineRun run = option.equals("--density") || option.equals("--layout")
            ? CommandLineRun.of("bench", "attention", "--seq", "64", option, value)
            : CommandLineRun.of("bench", "attention", "--seq", "64", "--density", "0.5", option, value);
        assertThat(run.code()).isEqualTo(2);
        assertThat(run.err()).contains(option, message);
    }

    @Test
    void decodeNeedsADensity() {
        CommandLineRun run = CommandLineRun.of("bench", "attention", "--decode", "--seq", "64", "--layout", "dense");
        assertThat(run.code()).isEqualTo(2);
        assertThat(run.err()).contains("--decode needs a --density");
        CommandLineRun causal =
            CommandLineRun.of("bench", "attention", "--decode", "--seq", "64", "--density", "0.5", "--causal");
        assertThat(causal.code()).isEqualTo(2);
        assertThat(causal.err()).contains("--causal would drop none");
        CommandLineRun bare = CommandLineRun.of("bench", "attention", "--decode", "--seq", "64");
        assertThat(bare.code()).isEqualTo(2);
        assertThat(bare.err()).contains("--decode needs a --density");
    }
}
