package dev.filigree.bench;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Exit codes and messages: one line on stderr that names what is at fault, nothing on stdout. */
class CommandLineTest {

    private static final String SHAPE = "bench spmm --rows 8 --cols 8 --sparsity 0.5 --n 4 ";

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "''                                                       | a command is missing",
        "nonsense                                                 | 'nonsense'",
        "bench                                                    | an operation is missing",
        "bench gemm                                               | 'gemm'",
        "bench spmm                                               | --n",
        "bench spmm --n 4                                         | --matrix FILE is needed",
        "bench spmm --n 4 --rows 8                                | --matrix FILE is needed",
        "bench spmm --n 4 --rows 8 --cols 8 --sparsity 1.5        | '--sparsity': 1.5",
        "bench spmm --n 4 --rows 8 --cols 8 --sparsity NaN        | '--sparsity': NaN",
        "bench spmm --n 4 --rows 0 --cols 8 --sparsity 0.5        | '--rows': 0",
        "bench spmm --n 4 --rows 8 --cols -3 --sparsity 0.5       | '--cols': -3",
        "bench spmm --n 0 --rows 8 --cols 8 --sparsity 0.5        | '--n': 0",
        "bench spmm --n x --rows 8 --cols 8 --sparsity 0.5        | 'x'",
        "bench spmm --n 4 --matrix a.mtx --rows 8                 | leave out --rows",
        "bench spmm --n 4 --matrix no/such.mtx                    | no/such.mtx: no such file",
        "bench spmm --n 4 --matrix .                              | .: is a folder",
        "bench spmm --n 4 --matrix pom.xml                        | pom.xml",
        "@ --dtype f64                                            | 'f64' is not one of f32",
        "@ --layout sideways                                      | 'sideways' is not one of feature-major",
        "@ --activation tanh                                      | 'tanh' is not one of none, relu",
        "@ --backend sse                                          | 'sse' is not one of scalar",
        "@ --backend scalar,sse                                   | 'sse' is not one of scalar",
        "@ --peers blas                                           | 'blas' is not one of mkl, onednn",
        "@ --peers mkl,mkl-spars                                  | 'mkl-spars' is not one of mkl, onednn",
        "@ --peers=                                               | ''",
        "bench floors                                             | --family",
        "bench floors --family gemm                               | 'gemm' is not one of attention, mlp, nm",
        "bench floors --family nm --only decode                   | '--only': 'decode' is not one of nm-",
        "bench floors --family spmm --rounds 0                    | '--rounds': 0",
        "bench floors --family spmm --data no/such                | no/such: not a folder",
        "@ --threads 0                                            | '--threads': 0",
        "@ --threads 9999                                         | '--threads': 9999",
        "@ --rounds 0                                             | '--rounds': 0",
        "@ --seed abc                                             | 'abc'",
        "@ --nonsense                                             | --nonsense",
        "verify --op gemm                                         | 'gemm' is not one of spmm",
        "verify --cases 0                                         | '--cases': 0",
        "verify --seed x                                          | 'x'",
        "verify --backend sse                                     | 'sse' is not one of scalar",
        "info --xml                                               | --xml",
        "report --out pom.xml/x                                   | pom.xml/x",
    })
    void badInputIsNamedInOneLine(String arguments, String named) {
        String line = arguments.replace("@ ", SHAPE).strip();
        CommandLineRun run = CommandLineRun.of(line.isEmpty() ? new String[0] : line.split(" +"));
        assertThat(run.errLines()).hasSize(1);
        assertThat(run.err()).startsWith("filigree: ").contains(named);
        assertThat(run.out()).isEmpty();
        assertThat(run.code()).isEqualTo(Main.BAD_INPUT);
    }

    @Test
    void aMalformedMatrixIsNamedWithItsLine(@TempDir Path folder) throws IOException {
        Path file = folder.resolve("bad.mtx");
        Files.writeString(file, "%%MatrixMarket matrix coordinate real general\n2 2 1\n3 1 1.0\n");
        CommandLineRun run = CommandLineRun.of("bench", "spmm", "--n", "4", "--matrix", file.toString());
        assertThat(run.errLines()).hasSize(1);
        assertThat(run.err()).contains("bad.mtx:3:");
        assertThat(run.code()).isEqualTo(Main.BAD_INPUT);
    }

    @ParameterizedTest
    @CsvSource({"--help", "info --help", "report --help", "verify --help", "bench --help", "bench spmm --help",
        "bench floors --help",
        "--version"})
    void helpGoesToStdout(String arguments) {
        CommandLineRun run = CommandLineRun.of(arguments.split(" "));
        assertThat(run.code()).isZero();
        assertThat(run.out()).contains("filigree");
        assertThat(run.err()).isEmpty();
    }
}
