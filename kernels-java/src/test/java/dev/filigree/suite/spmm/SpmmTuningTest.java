package dev.filigree.suite.spmm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.filigree.Workers;
import dev.filigree.format.CsrMatrix;
import dev.filigree.spmm.FallbackDense;
import dev.filigree.spmm.Layout;
import dev.filigree.spmm.Spmm;
import dev.filigree.spmm.SpmmOptions;
import dev.filigree.spmm.SpmmPlan;
import dev.filigree.spmm.SpmmTuning;
import dev.filigree.suite.Bits;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** {@link Spmm#tune} and the file that it writes. */
class SpmmTuningTest {

    @TempDir
    private Path folder;

    @Test
    void aTunedPlanComputesTheSameAndIsFoundAgain() throws IOException {
        CsrMatrix a = SpmmCase.uniform(1, 60, 300, 0.2);
        SpmmCase test = SpmmCase.plain(a, 20, Layout.TOKEN_MAJOR);
        Path file = folder.resolve("tuning.txt");
        try (Workers team = Workers.of(1); Arena arena = Arena.ofShared();
                SpmmPlan plain = Spmm.plan(a, test.options())) {
            SpmmTuning tuning = SpmmTuning.open(file);
            SpmmOptions options = test.options().workers(team).fallbackDense(FallbackDense.NEVER).tuning(tuning);
            String format;
            try (SpmmPlan tuned = Spmm.tune(a, options)) {
                format = tuned.explain().format();
                assertThat(Bits.difference("plain", SpmmRun.run(test, plain, arena), "tuned",
                    SpmmRun.run(test, tuned, arena))).isEmpty();
            }
            assertThat(tuning.size()).isEqualTo(1);
            List<String> lines = Files.readAllLines(file);
            assertThat(lines).hasSize(2);
            assertThat(lines.get(1)).matches("\\w+ 60x300/" + a.nnz() + " n\\d+ token-major t1 = tile \\d+");
            SpmmTuning again = SpmmTuning.open(file);
            assertThat(again.size()).isEqualTo(1);
            try (SpmmPlan found = Spmm.plan(a, options.tuning(again))) {
                assertThat(found.explain().format()).isEqualTo(format);
            }
        }
    }

    @Test
    void aLineDecidesThePacking() throws IOException {
        CsrMatrix a = SpmmCase.uniform(1, 200, 300, 0.2);
        Path file = folder.resolve("tuning.txt");
        try (Workers team = Workers.of(1); SpmmPlan plain = Spmm.plan(a)) {
            String problem = plain.backend().id() + " 200x300/" + a.nnz() + " n128 feature-major t1";
            SpmmOptions options = SpmmOptions.defaults().workers(team);
            Files.writeString(file, "# by hand\n\n" + problem + " = tile 100\n");
            try (SpmmPlan tiled = Spmm.plan(a, options.tuning(SpmmTuning.open(file)))) {
                assertThat(tiled.explain().format()).contains("3 blocks of 100 columns");
            }
            Files.writeString(file, problem + " = dense\n");
            try (SpmmPlan dense = Spmm.plan(a, options.tuning(SpmmTuning.open(file)));
                    SpmmPlan never = Spmm.plan(
                        a, options.fallbackDense(FallbackDense.NEVER).tuning(SpmmTuning.open(file)))) {
                assertThat(dense.explain().kernel()).startsWith("gemm_");
                assertThat(never.explain().kernel()).startsWith("spmm_");
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"nonsense", "vector 2x2/1 n1 token-major t1 = tile 0", "vector 2x2/1 n1 token-major t1 =",
        "vector 2x2/1 n1 token-major t1 = tile 99999999999", "vector 2x2/1 n1 token-major t1 = tile -4"})
    void aBadLineIsNamed(String line) throws IOException {
        Path file = folder.resolve("bad.txt");
        Files.writeString(file, "# first\n" + line + "\n");
        assertThatThrownBy(() -> SpmmTuning.open(file)).isInstanceOf(IOException.class)
            .hasMessageContaining("bad.txt, line 2");
    }

    @Test
    void badFilesAndMissingTuningsAreRefused() throws IOException {
        Path binary = folder.resolve("binary");
        Files.write(binary, new byte[] {(byte) 0xff, (byte) 0xfe, 0});
        assertThatThrownBy(() -> SpmmTuning.open(binary)).isInstanceOf(IOException.class)
            .hasMessageContaining("is not a text file");
        CsrMatrix a = SpmmCase.uniform(1, 5, 5, 0.5);
        assertThatThrownBy(() -> Spmm.tune(a, SpmmOptions.defaults())).isInstanceOf(IllegalArgumentException.class)
            .hasMessageContaining("no tuning");
        SpmmTuning nowhere = SpmmTuning.open(folder.resolve("missing").resolve("tuning.txt"));
        assertThatThrownBy(() -> Spmm.tune(a, SpmmOptions.defaults().typicalN(3).tuning(nowhere)))
            .isInstanceOf(IOException.class);
        assertThat(nowhere.size()).isZero();
    }
}
