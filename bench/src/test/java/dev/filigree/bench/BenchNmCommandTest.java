package dev.filigree.bench;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class BenchNmCommandTest {

    @Test
    void printsOneJsonObjectWithEveryOptionInForce() {
        CommandLineRun run = CommandLineRun.of("bench", "nm", "--rows", "50", "--cols", "70", "--pattern", "2:4",
            "--vector", "8", "--tokens", "20", "--backend", "scalar,vector", "--threads", "1", "--rounds", "2",
            "--json");
        assertThat(run.code()).as(run.err()).isZero();
        assertThat(run.out().lines()).hasSize(1);
        JsonObject json = JsonParser.parseString(run.out()).getAsJsonObject();
        assertThat(json.get("op").getAsString()).isEqualTo("nm");
        JsonObject of = json.getAsJsonObject("case");
        assertThat(of.get("pattern").getAsString()).isEqualTo("2:4");
        assertThat(of.get("vector").getAsInt()).isEqualTo(8);
        assertThat(of.get("tokens").getAsInt()).isEqualTo(20);
        // 17 groups and the 2 columns after them.
        assertThat(of.get("nnz").getAsLong()).isEqualTo(50 * 36);
        assertThat(json.getAsJsonArray("results")).hasSize(2).allSatisfy(line -> {
            JsonObject result = line.getAsJsonObject();
            assertThat(result.get("kernel").getAsString()).startsWith("nm_packed_f32_");
            assertThat(result.get("max_rel_err").getAsDouble()).isBetween(0.0, 1e-5);
            assertThat(result.get("packed_bytes").getAsLong()).isGreaterThan(4 * 50 * 36);
        });
    }

    @Test
    void measuresBf16WithItsDensePath() {
        CommandLineRun run = CommandLineRun.of("bench", "nm", "--rows", "50", "--cols", "70", "--pattern", "1:4",
            "--tokens", "20", "--dtype", "bf16", "--dense", "--backend", "scalar,vector", "--threads", "1", "--rounds",
            "2", "--json");
        assertThat(run.code()).as(run.err()).isZero();
        JsonObject json = JsonParser.parseString(run.out()).getAsJsonObject();
        assertThat(json.getAsJsonObject("case").get("dtype").getAsString()).isEqualTo("bf16");
        assertThat(json.getAsJsonArray("results")).hasSize(3).allSatisfy(line -> {
            JsonObject result = line.getAsJsonObject();
            assertThat(result.get("kernel").getAsString()).startsWith("nm_packed_bf16_");
            assertThat(result.get("max_rel_err").getAsDouble()).isBetween(1e-5, 0x1p-8);
        });
    }

    @ParameterizedTest
    @CsvSource({"4:2, 1, --pattern", "2:4, 3, --vector", "8:2:4, 1, --pattern", "two, 1, --pattern"})
    void aBadPatternIsOneLineThatNamesTheOption(String pattern, String vector, String option) {
        CommandLineRun run = CommandLineRun.of("bench", "nm", "--rows", "5", "--cols", "7", "--pattern", pattern,
            "--vector", vector, "--tokens", "2");
        assertThat(run.code()).isEqualTo(2);
        assertThat(run.err().lines()).hasSize(1).first().asString().contains(option);
    }

    @Test
    void verifyReachesEveryKernel() {
        CommandLineRun run = CommandLineRun.of("verify", "--op", "nm", "--cases", "30", "--seed", "4");
        assertThat(run.code()).as(run.out() + run.err()).isZero();
        assertThat(run.out()).contains("nm_packed_f32_scalar", "nm_packed_f32_vector",
            "nm_packed_bf16_scalar", "nm_packed_bf16_vector", "all 30 cases agree");
    }
}
