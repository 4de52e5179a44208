package dev.filigree.bench;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.filigree.bench.llama.LlamaTokenizer;
import dev.filigree.bench.llama.TinyLlama;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class BenchGenerateCommandTest {

    private static final TinyLlama TINY = TinyLlama.random(false, 6);

    @TempDir
    private Path folder;

    private Path model;
    private Path tokenizer;

    @BeforeEach
    void write() throws IOException {
        model = TinyLlama.write(folder, "model.bin", TINY.checkpoint());
        tokenizer = TinyLlama.write(folder, "tokenizer.bin", TINY.tokenizer());
    }

    private CommandLineRun run(String... more) {
        List<String> arguments = new ArrayList<>(
            List.of("bench", "generate", "--model", model.toString(), "--tokenizer", tokenizer.toString(), "--rounds", "1"));
        arguments.addAll(List.of(more));
        return CommandLineRun.of(arguments.toArray(String[]::new));
    }

    @Test
    void theDenseTextIsTheLikeliestAndSoIsOneThatSkipsNothing() throws IOException {
        CommandLineRun run = run("--cett", "0", "--threads", "1", "--backend", "scalar,vector", "--json");
        assertThat(run.code()).as(run.err()).isZero();
        assertThat(run.out().lines()).hasSize(1);
        JsonObject json = JsonParser.parseString(run.out()).getAsJsonObject();
        assertThat(json.get("op").getAsString()).isEqualTo("generate");
        assertThat(json.getAsJsonObject("case").getAsJsonArray("calibrated")).hasSize(TINY.shape().layers());
        String text = LlamaTokenizer.read(tokenizer, TINY.shape().vocabulary()).text(TINY.greedy());
        JsonArray results = json.getAsJsonArray("results");
        assertThat(results).hasSize(3).allSatisfy(line -> {
            JsonObject result = line.getAsJsonObject();
            assertThat(result.get("text").getAsString()).isEqualTo(text);
            assertThat(result.get("tokens").getAsInt()).isEqualTo(TINY.greedy().size());
            assertThat(result.get("departs_at").isJsonNull()).isTrue();
            assertThat(result.get("tokens_per_second").getAsDouble()).isPositive();
        });
        assertThat(results.get(0).getAsJsonObject().get("name").getAsString()).isEqualTo("filigree/dense");
    }

    @Test
    void aTextThatSkipsMuchDeparts() {
        CommandLineRun run = run("--cett", "0.9", "--tokens", "12", "--backend", "vector");
        assertThat(run.code()).as(run.err()).isZero();
        assertThat(run.out()).contains("model.bin: 3 layers, 32 -> 21, at most 12 tokens", "Gate[threshold=",
            "filigree/dense:", "filigree/vector:");
        assertThat(run.out().lines().filter(line -> line.startsWith("filigree/vector ")).findFirst().orElseThrow())
            .doesNotContain("nowhere");
    }

    @ParameterizedTest
    @CsvSource({"--cett, 1.5", "--tokens, 20", "--rounds, 0", "--threads, 0", "--backend, gpu"})
    void aBadOptionIsOneLineThatNamesIt(String option, String value) {
        CommandLineRun run = run(option, value);
        assertThat(run.code()).isEqualTo(2);
        assertThat(run.err().lines()).hasSize(1).first().asString().contains(option);
    }

    @Test
    void aBadFileIsOneLineThatNamesIt() throws IOException {
        model = folder.resolve("none.bin");
        CommandLineRun missing = run();
        assertThat(missing.code()).isEqualTo(2);
        assertThat(missing.errLines()).containsExactly("filigree: " + model + ": no such file");
        model = TinyLlama.write(folder, "short.bin", new byte[10]);
        CommandLineRun tooShort = run();
        assertThat(tooShort.code()).isEqualTo(2);
        assertThat(tooShort.errLines())
            .containsExactly("filigree: " + model + ": 10 bytes are too short for a checkpoint");
    }
}
