package dev.filigree.bench;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class BenchMlpCommandTest {

    @ParameterizedTest
    @ValueSource(strings = {"--skip list", "--skip gate", "--skip input", "--predictor-rank 5"})
    void printsOneJsonObjectWithEveryOptionInForce(String how) {
        List<String> arguments = new ArrayList<>(List.of("bench", "mlp", "--hidden", "50", "--intermediate", "80",
            "--active", "0.25", "--tokens", "3", "--dtype", "bf16", "--backend", "scalar,vector", "--threads", "1",
            "--rounds", "2", "--json"));
        arguments.addAll(List.of(how.split(" ")));
        CommandLineRun run = CommandLineRun.of(arguments.toArray(String[]::new));
        assertThat(run.code()).as(run.err()).isZero();
        assertThat(run.out().lines()).hasSize(1);
        JsonObject json = JsonParser.parseString(run.out()).getAsJsonObject();
        assertThat(json.get("op").getAsString()).isEqualTo("mlp");
        JsonObject of = json.getAsJsonObject("case");
        assertThat(of.get("hidden").getAsInt()).isEqualTo(50);
        assertThat(of.get("activation").getAsString()).isEqualTo("swiglu");
        assertThat(of.get("dtype").getAsString()).isEqualTo("bf16");
        assertThat(of.get("skip").getAsString()).isEqualTo(how.contains("rank") ? "predictor" : how.substring(7));
        assertThat(json.getAsJsonArray("results")).hasSize(3).allSatisfy(line -> {
            JsonObject result = line.getAsJsonObject();
            assertThat(result.get("kernel").getAsString()).startsWith("mlp_dot_bf16_").contains("mlp_axpy_bf16_");
            assertThat(result.get("max_rel_err").getAsDouble()).isBetween(0.0, 1e-5);
            assertThat(result.get("packed_bytes").getAsLong()).isGreaterThan(2 * 3 * 50 * 80);
        });
        assertThat(json.getAsJsonArray("results").get(2).getAsJsonObject().get("name").getAsString())
            .isEqualTo("filigree/dense");
    }

    @Test
    void manyTokensHaveADensePathOfTheirOwn() {
        CommandLineRun run = CommandLineRun.of("bench", "mlp", "--hidden", "50", "--intermediate", "80", "--active", "0.25",
            "--tokens", "40", "--backend", "vector", "--threads", "1", "--rounds", "1");
        assertThat(run.code()).as(run.out() + run.err()).isZero();
        assertThat(run.out().lines().filter(line -> line.startsWith("filigree/"))).hasSize(2)
            .allSatisfy(line -> assertThat(line).endsWith("+ gemm_packed_f32_vector"));
    }

    @Test
    void everyKindOfMlpIsMeasured() {
        for (MlpProblem.Kind kind : MlpProblem.Kind.values()) {
            CommandLineRun run = CommandLineRun.of("bench", "mlp", "--hidden", "20", "--intermediate", "30", "--active",
                "0.5", "--activation", Choice.name(kind), "--backend", "scalar", "--threads", "1", "--rounds", "1");
            assertThat(run.code()).as(run.out() + run.err()).isZero();
            assertThat(run.out()).contains(Choice.name(kind), "filigree/scalar", "filigree/dense");
        }
    }

    @ParameterizedTest
    @CsvSource({"--active, 1.5", "--tokens, 0", "--activation, softmax", "--dtype, int4", "--predictor-rank, 0",
        "--skip, predictor"})
    void aBadOptionIsOneLineThatNamesIt(String option, String value) {
        List<String> arguments =
            new ArrayList<>(List.of("bench", "mlp", "--hidden", "5", "--intermediate", "7", option, value));
        if (!option.equals("--active")) {
            arguments.addAll(List.of("--active", "0.5"));
        }
        CommandLineRun run = CommandLineRun.of(arguments.toArray(String[]::new));
        assertThat(run.code()).isEqualTo(2);
        assertThat(run.err().lines()).hasSize(1).first().asString().contains(option);
    }

    @Test
    void verifyReachesEveryKernel() {
        CommandLineRun run = CommandLineRun.of("verify", "--op", "mlp", "--cases", "30", "--seed", "4");
        assertThat(run.code()).as(run.out() + run.err()).isZero();
        assertThat(run.out()).contains("mlp_dot_bf16_scalar", "mlp_axpy_f32_vector", "all 30 cases agree");
    }
}
