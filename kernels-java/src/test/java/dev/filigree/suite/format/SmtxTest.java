package dev.filigree.suite.format;

import static dev.filigree.suite.format.Fixtures.columns;
import static dev.filigree.suite.format.Fixtures.rowOffsets;
import static dev.filigree.suite.format.Fixtures.stream;
import static dev.filigree.suite.format.Fixtures.values;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.filigree.format.CsrMatrix;
import dev.filigree.format.MatrixFormatException;
import dev.filigree.format.Smtx;
import dev.filigree.format.SparseFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class SmtxTest {

    private static final String EXAMPLE = "3, 4, 5\n0 2 2 5\n0 2 1 2 3\n";

    private static CsrMatrix read(String text) throws IOException {
        return Smtx.read(stream(text), "w.smtx");
    }

    @ParameterizedTest
    @ValueSource(strings = {
        EXAMPLE,
        "3, 4, 5\n0 2 2 5\n0 2 1 2 3",
        "3,4,5\r\n0 2 2 5 \r\n0 2 1 2 3 \r\n",
        "3 4 5\n 0\t2 2  5\n0 2 1 2 3\n\n \n"
    })
    void readsThePattern(String text) throws IOException {
        assertThat(read(text)).isEqualTo(CsrMatrix.fromArrays(3, 4, new int[] {0, 2, 2, 5},
            new int[] {0, 2, 1, 2, 3}, new float[] {1, 1, 1, 1, 1}));
    }

    @ParameterizedTest
    @ValueSource(strings = {"0, 0, 0\n0\n\n", "0, 7, 0\n0\n", "0, 7, 0\n0", "2, 0, 0\n0 0 0\n\n",
        "1, 1, 0\n0 0"})
    void readsPatternsWithoutEntries(String text) throws IOException {
        CsrMatrix matrix = read(text);
        assertThat(matrix.rows()).isEqualTo(text.charAt(0) - '0');
        assertThat(matrix.cols()).isEqualTo(text.charAt(3) - '0');
        assertThat(matrix.nnz()).isZero();
    }

    @Test
    void drawsTheValuesFromTheSeed() throws IOException {
        SplittableRandom random = new SplittableRandom(42);
        float[] expected = new float[5];
        for (int i = 0; i < 5; i++) {
            expected[i] = (random.nextInt() >> 8) * 0x1p-23f;
        }
        CsrMatrix matrix = Smtx.read(stream(EXAMPLE), "w.smtx", 42);
        assertThat(values(matrix)).containsExactly(expected);
        assertThat(columns(matrix)).containsExactly(columns(read(EXAMPLE)));
        assertThat(Smtx.read(stream(EXAMPLE), "w.smtx", 42)).isEqualTo(matrix);
        assertThat(Smtx.read(stream(EXAMPLE), "w.smtx", 43)).isNotEqualTo(matrix);
        String row = "1, 20000, 20000\n0 20000\n"
            + IntStream.range(0, 20_000).mapToObj(String::valueOf).collect(Collectors.joining(" "));
        float[] many = values(Smtx.read(stream(row), "w.smtx", 1));
        double sum = 0;
        for (float value : many) {
            assertThat(value).isBetween(-1f, Math.nextDown(1f));
            sum += value;
        }
        // The mean of 20,000 draws has a deviation of 0.004.
        assertThat(sum / many.length).isBetween(-0.03, 0.03);
    }

    @Test
    void readsLongLines() throws IOException {
        SplittableRandom random = new SplittableRandom(Fixtures.seed("readsLongLines"));
        CsrMatrix matrix = Fixtures.random(random, 300, 400, 0.3);
        String text = "300, 400, " + matrix.nnz() + "\n"
            + Arrays.stream(rowOffsets(matrix)).mapToObj(Long::toString).collect(Collectors.joining(" "))
            + "\n"
            + Arrays.stream(columns(matrix)).mapToObj(Integer::toString).collect(Collectors.joining(" "))
            + "\n";
        CsrMatrix read = read(text);
        assertThat(rowOffsets(read)).containsExactly(rowOffsets(matrix));
        assertThat(columns(read)).containsExactly(columns(matrix));
    }

    static Stream<Arguments> malformed() {
        return Stream.of(
            Arguments.of("", 1, "the line ends where the number of rows is expected"),
            Arguments.of("3, 4\n", 1, "the line ends where the number of nonzeros is expected"),
            Arguments.of("3, 4, 5, 6\n", 1, "unexpected \"6\" after the three sizes"),
            Arguments.of("3, x, 5\n", 1, "the number of columns \"x\" is not an integer"),
            Arguments.of("-3, 4, 5\n", 1, "the number of rows -3 is not in 0..2147483647"),
            Arguments.of("2147483648, 4, 5\n", 1, "the number of rows 2147483648 is not in 0..2147483647"),
            Arguments.of("3, 4, 13\n", 1, "the number of nonzeros 13 is not in 0..12"),
            Arguments.of("3, 4, 5\n", 1, "the line ends after 0 of the 4 row offsets of 3 rows"),
            Arguments.of("3, 4, 5\n0 2 2\n", 2, "the line ends after 3 of the 4 row offsets of 3 rows"),
            Arguments.of("3, 4, 5\n0 2 2 5 5\n", 2, "unexpected \"5\" after the 4 row offsets"),
            Arguments.of("3, 4, 5\n1 2 2 5\n", 2, "row offset 0 is 1 and not 0"),
            Arguments.of("3, 4, 5\n0 3 2 5\n", 2, "row offset 2 is 2, below the 3 before it"),
            Arguments.of("3, 4, 5\n0 2 6 5\n", 2, "row offset 6 is not in 0..5"),
            Arguments.of("3, 4, 5\n0 2 -2 5\n", 2, "row offset -2 is not in 0..5"),
            Arguments.of("3, 4, 5\n0, 2 2 5\n", 2, "row offset \"0,\" is not an integer"),
            Arguments.of("3, 4, 5\n0 2 2 4\n", 2,
                "row offset 3 is 4 and not the 5 nonzeros that line 1 announces"),
            Arguments.of("3, 4, 5\n0 2 2 5\n", 2, "the line ends after 0 of the 5 columns"),
            Arguments.of("3, 4, 5\n0 2 2 5\n0 2 1 2", 3, "the line ends after 4 of the 5 columns"),
            Arguments.of("3, 4, 5\n0 2 2 5\n0 2 1 2\n3\n", 3, "the line ends after 4 of the 5 columns"),
            Arguments.of("3, 4, 5\n0 2 2 5\n0 2 1 2 3 3\n", 3, "unexpected \"3\" after the 5 columns"),
            Arguments.of("3, 4, 5\n0 2 2 5\n0 2 1 2 4\n", 3,
                "column 4 at row 2, entry 2 is not below 4 columns"),
            Arguments.of("3, 4, 5\n0 2 2 5\n0 -2 1 2 3\n", 3, "column -2 at row 0, entry 1 is negative"),
            Arguments.of("3, 4, 5\n0 2 2 5\n0 2 2 1 3\n", 3,
                "column 1 at row 2, entry 1 does not exceed column 2 before it"),
            Arguments.of("3, 4, 5\n0 2 2 5\n0 0 1 2 3\n", 3,
                "column 0 at row 0, entry 1 does not exceed column 0 before it"),
            Arguments.of("3, 4, 5\n0 2 2 5\n0 4294967298 1 2 3\n", 3,
                "column 4294967298 at row 0, entry 1 is not below 4 columns"),
            Arguments.of("3, 4, 5\n0 2 2 5\n0 2.0 1 2 3\n", 3, "column \"2.0\" is not an integer"),
            Arguments.of(EXAMPLE + "\n7\n", 5, "unexpected \"7\" after the three lines of the format"),
            Arguments.of("3, 4, 5\n0 2 \0002 5\n", 2, "byte 0x00 at offset 12 is not text"),
            Arguments.of("3, 4, " + "5".repeat(2000) + "\n", 1,
                "the number of nonzeros is longer than 1024 bytes: \"" + "5".repeat(60) + "...\""));
    }

    @ParameterizedTest(name = "{2}")
    @MethodSource("malformed")
    void refusesMalformedFiles(String text, int line, String reason) {
        assertThatThrownBy(() -> read(text)).isInstanceOfSatisfying(MatrixFormatException.class, e -> {
            assertThat(e).hasMessage("w.smtx:" + line + ": " + reason);
            assertThat(e.line()).isEqualTo(line);
        });
        assertThatThrownBy(() -> Smtx.read(stream(text), "w.smtx", 1))
            .hasMessage("w.smtx:" + line + ": " + reason);
    }

    @Test
    void headersCannotMakeItAllocate() {
        for (String text : new String[] {"2147483647, 2147483647, 1099511627776\n0 1\n5\n",
            "1, 2147483647, 2147483647\n0 2147483647\n1 2 3\n", "2147483647, 1, 0\n0 0 0\n"}) {
            assertThatThrownBy(() -> read(text)).isInstanceOf(MatrixFormatException.class);
        }
    }

    @Test
    void theExtensionPicksTheReader(@TempDir Path directory) throws IOException {
        CsrMatrix expected = read(EXAMPLE);
        Path smtx = Files.writeString(directory.resolve("a.b.SMTX"), EXAMPLE);
        assertThat(SparseFiles.read(smtx)).isEqualTo(expected).isEqualTo(Smtx.read(smtx));
        assertThat(Smtx.read(smtx, 5)).isEqualTo(Smtx.read(stream(EXAMPLE), "w.smtx", 5));
        Path mtx = Files.writeString(directory.resolve("a.Mtx"),
            "%%MatrixMarket matrix coordinate pattern general\n3 4 5\n1 1\n1 3\n3 2\n3 3\n3 4\n");
        assertThat(SparseFiles.read(mtx)).isEqualTo(expected);
        for (String name : new String[] {"m.csv", "m.mtx.gz", "mtx", "m.", "", "smtx"}) {
            Path file = Path.of(name);
            assertThatThrownBy(() -> SparseFiles.read(file)).isInstanceOf(IllegalArgumentException.class)
                .hasMessage(name
                    + ": no reader for this extension; supported are .mtx (Matrix Market coordinate) "
                    + "and .smtx (DLMC)");
        }
        assertThatThrownBy(() -> SparseFiles.read(Path.of("/"))).hasMessageContaining(".mtx");
        assertThatThrownBy(() -> SparseFiles.read(directory.resolve("absent.smtx")))
            .isInstanceOf(NoSuchFileException.class);
    }
}
