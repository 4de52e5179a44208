package dev.filigree.suite.format;

import static dev.filigree.suite.format.Fixtures.columns;
import static dev.filigree.suite.format.Fixtures.rowOffsets;
import static dev.filigree.suite.format.Fixtures.stream;
import static dev.filigree.suite.format.Fixtures.values;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.filigree.format.CsrMatrix;
import dev.filigree.format.MatrixFormatException;
import dev.filigree.format.MatrixMarket;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class MatrixMarketTest {

    private static final String REAL = "%%MatrixMarket matrix coordinate real general\n";
    private static final String INTEGER = "%%MatrixMarket matrix coordinate integer general\n";
    private static final String PATTERN = "%%MatrixMarket matrix coordinate pattern general\n";
    private static final String SYMMETRIC = "%%MatrixMarket matrix coordinate real symmetric\n";
    private static final String SKEW = "%%MatrixMarket matrix coordinate real skew-symmetric\n";

    private static CsrMatrix read(String text) throws IOException {
        return MatrixMarket.read(stream(text), "m.mtx");
    }

    @Test
    void readsEntriesInAnyOrder() throws IOException {
        CsrMatrix expected = CsrMatrix.fromArrays(3, 4, new long[] {0, 2, 2, 5}, new int[] {0, 2, 1, 2, 3},
            new float[] {1, 2, 3, 4, 5});
        String[] entries = {"1 1 1", "1 3 2", "3 2 3", "3 3 4", "3 4 5"};
        int[][] orders = {{0, 1, 2, 3, 4}, {0, 2, 1, 3, 4}, {4, 3, 2, 1, 0}, {2, 4, 1, 0, 3}};
        for (int[] order : orders) {
            StringBuilder text = new StringBuilder(REAL + "3 4 5\n");
            for (int i : order) {
                text.append(entries[i]).append('\n');
            }
            assertThat(read(text.toString())).isEqualTo(expected);
        }
    }

    @Test
    void readsLooselyWrittenFiles() throws IOException {
        CsrMatrix matrix = read("%%matrixMARKET  MATRIX\tCoordinate REAL General \r\n"
            + "% a comment\r\n%\n\n   % another, with \u00e9\u00ff\n" + "%".repeat(5000)
            + "\n \t 2   3\t2 \r\n"
            + "\n% between\n\t1 2  -.5\r\n   \n+2 03 5.e+00\n%after\n\n  ");
        assertThat(rowOffsets(matrix)).containsExactly(0, 1, 2);
        assertThat(columns(matrix)).containsExactly(1, 2);
        assertThat(values(matrix)).containsExactly(-0.5f, 5);
    }

    @Test
    void readsEveryFieldAndSymmetry() throws IOException {
        assertThat(values(read(INTEGER + "1 3 3\n1 1 -7\n1 2 0\n1 3 +16777217\n")))
            .containsExactly(-7, 0, 16777216);
        assertThat(values(read(PATTERN + "2 2 2\n1 1\n2 2\n"))).containsExactly(1, 1);
        CsrMatrix symmetric = read(SYMMETRIC + "3 3 3\n1 1 1\n3 1 2\n3 2 -3");
        assertThat(rowOffsets(symmetric)).containsExactly(0, 2, 3, 5);
        assertThat(columns(symmetric)).containsExactly(0, 2, 2, 0, 1);
        assertThat(values(symmetric)).containsExactly(1, 2, -3, 2, -3);
        assertThat(symmetric.transpose()).isEqualTo(symmetric);
        assertThat(read(SYMMETRIC + "3 3 3\n1 1 1\n1 3 2\n3 2 -3")).isEqualTo(symmetric);
        CsrMatrix skew = read(SKEW + "3 3 2\n3 1 2\n2 1 -3\n");
        assertThat(rowOffsets(skew)).containsExactly(0, 2, 3, 4);
        assertThat(columns(skew)).containsExactly(1, 2, 0, 0);
        assertThat(values(skew)).containsExactly(3, -2, -3, 2);
        CsrMatrix pattern = read("%%MatrixMarket matrix coordinate pattern symmetric\n2 2 1\n2 1\n");
        assertThat(values(pattern)).containsExactly(1, 1);
    }

    @ParameterizedTest
    @ValueSource(strings = {"0 0 0", "0 5 0", "5 0 0", "1 1 0"})
    void readsMatricesWithoutEntries(String size) throws IOException {
        String[] shape = size.split(" ");
        CsrMatrix matrix = read(REAL + size);
        assertThat(matrix.rows()).isEqualTo(Integer.parseInt(shape[0]));
        assertThat(matrix.cols()).isEqualTo(Integer.parseInt(shape[1]));
        assertThat(matrix.nnz()).isZero();
    }

    @Test
    void readsNumbersAsTheNearestFloat() throws IOException {
        SplittableRandom random = new SplittableRandom(Fixtures.seed("readsNumbersAsTheNearestFloat"));
        Stream<String> chosen = Stream.of("0", "-0", "0e99999999999", "1e-50", "-1e-400", "1.4e-45",
            "0.7e-45",
            "7.0e-46", "1.1754943e-38", "3.4028235e38", "3.4028235677973362e38", "16777217", "16777219",
            "16777217.0000000000000000000000000001", "9007199791611905", "1" + "0".repeat(30),
            "." + "0".repeat(40) + "1", "123456789012345678901234567890e-25", "0.1", "1e22", "1e23",
            "1e-22", "1e-23",
            "0.00000000000000000000000000000000000001e38", "24.20396327972412", "1E+5", "1e05");
        Stream<String> drawn = Stream.generate(() -> switch (random.nextInt(4)) {
            case 0 -> Float.toString(Float.intBitsToFloat(random.nextInt(0x7f80_0000)));
            case 1 -> Double.toString(random.nextGaussian());
            // The middle of two floats, and the doubles around it.
            case 2 -> Double.toString(Double.longBitsToDouble((random.nextLong(0x380, 0x47e) << 52
                | random.nextLong(1L << 23) << 29 | 1L << 28) + random.nextInt(-6, 7)));
            default -> random.nextLong(1_000_000_000_000_000_000L) + "." + random.nextInt(1_000_000) + "e"
                + random.nextInt(-60, 18);
        }).limit(20_000);
        List<String> texts = Stream.concat(chosen, drawn).toList();
        StringBuilder file = new StringBuilder(REAL + "1 " + texts.size() + " " + texts.size() + "\n");
        for (int i = 0; i < texts.size(); i++) {
            file.append("1 ").append(i + 1).append(' ').append(texts.get(i)).append('\n');
        }
        float[] values = values(read(file.toString()));
        for (int i = 0; i < values.length; i++) {
            assertThat(Float.floatToRawIntBits(values[i])).as(texts.get(i))
                .isEqualTo(Float.floatToRawIntBits(Float.parseFloat(texts.get(i))));
        }
    }

    static Stream<Arguments> malformed() {
        return Stream.of(
            // The banner.
            Arguments.of("", 1, "the file ends where the banner %%MatrixMarket is expected"),
            Arguments.of("3 3 1\n", 1, "expected the banner %%MatrixMarket, found \"3\""),
            Arguments.of("%%MatrixMarke matrix coordinate real general\n", 1,
                "expected the banner %%MatrixMarket, found \"%%MatrixMarke\""),
            Arguments.of("\u00ef\u00bb\u00bf" + REAL, 1,
                "expected the banner %%MatrixMarket, found \"\\xef\\xbb\\xbf%%MatrixMarket\""),
            Arguments.of("\n" + REAL, 1, "the line ends where the banner %%MatrixMarket is expected"),
            Arguments.of("%%MatrixMarket matrix coordinate real\n1 1 0\n", 1,
                "the line ends where the symmetry is expected"),
            Arguments.of("%%MatrixMarket", 1, "the line ends where the object is expected"),
            Arguments.of("%%MatrixMarket vector coordinate real general\n", 1,
                "object \"vector\" is not supported, only matrix"),
            Arguments.of("%%MatrixMarket matrix array real general\n", 1,
                "format \"array\" is not supported, only coordinate"),
            Arguments.of("%%MatrixMarket matrix coordinate Complex general\n", 1,
                "field \"Complex\" is not supported, only real, integer, pattern"),
            Arguments.of("%%MatrixMarket matrix coordinate real hermitian\n", 1,
                "symmetry \"hermitian\" is not supported, only general, symmetric, skew-symmetric"),
            Arguments.of("%%MatrixMarket matrix coordinate pattern skew-symmetric\n", 1,
                "a pattern cannot be skew-symmetric: it has no signs"),
            Arguments.of("%%MatrixMarket matrix coordinate real general 7\n", 1,
                "unexpected \"7\" after the banner"),
            // The size line.
            Arguments.of(REAL, 1, "the file ends where the size line \"rows columns entries\" is expected"),
            Arguments.of(REAL + "%\n\n", 3,
                "the file ends where the size line \"rows columns entries\" is expected"),
            Arguments.of(REAL + "%\n3 3\n", 3, "the line ends where the number of entries is expected"),
            Arguments.of(REAL + "3 3 1 1\n", 2, "unexpected \"1\" after the size line"),
            Arguments.of(REAL + "3.0 3 1\n", 2, "the number of rows \"3.0\" is not an integer"),
            Arguments.of(REAL + "-3 3 1\n", 2, "the number of rows -3 is not in 0..2147483647"),
            Arguments.of(REAL + "2147483648 3 1\n", 2,
                "the number of rows 2147483648 is not in 0..2147483647"),
            Arguments.of(REAL + "3 99999999999999999999999 1\n", 2,
                "the number of columns 99999999999999999999999 is not in 0..2147483647"),
            Arguments.of(REAL + "3 3 10\n", 2, "the number of entries 10 is not in 0..9"),
            Arguments.of(REAL + "3 3 -1\n", 2, "the number of entries -1 is not in 0..9"),
            Arguments.of(REAL + "0 3 1\n", 2, "the number of entries 1 is not in 0..0"),
            Arguments.of(SYMMETRIC + "3 3 7\n", 2, "the number of entries 7 is not in 0..6"),
            Arguments.of(SKEW + "3 3 4\n", 2, "the number of entries 4 is not in 0..3"),
            Arguments.of(SYMMETRIC + "3 4 1\n", 2, "a symmetric matrix of 3 x 4 is not square"),
            Arguments.of(SKEW + "4 3 1\n", 2, "a skew-symmetric matrix of 4 x 3 is not square"),
            Arguments.of(REAL + "2000000000 1 1\n1 1 1\n", 2,
                "2000000000 rows are too many for a file of 67 bytes: "
                    + "at most 16777216 + 16 per byte are read"),
            // Entries.
            Arguments.of(REAL + "3 3 1\n0 1 1\n", 3, "row 0 is not in 1..3"),
            Arguments.of(REAL + "3 3 1\n4 1 1\n", 3, "row 4 is not in 1..3"),
            Arguments.of(REAL + "3 2 1\n%\n\n3 3 1\n", 5, "column 3 is not in 1..2"),
            Arguments.of(REAL + "3 3 1\n1 -1 1\n", 3, "column -1 is not in 1..3"),
            Arguments.of(REAL + "3 3 1\n1 1.5 1\n", 3, "column \"1.5\" is not an integer"),
            Arguments.of(REAL + "3 3 1\n+ 1 1\n", 3, "row \"+\" is not an integer"),
            Arguments.of(REAL + "3 3 1\n1 18446744073709551617 1\n", 3,
                "column 18446744073709551617 is not in 1..3"),
            Arguments.of(REAL + "3 3 1\n1\n", 3, "the line ends where column is expected"),
            Arguments.of(REAL + "3 3 1\n1 1\n", 3, "the line ends where value is expected"),
            Arguments.of(REAL + "3 3 1\n1 1 2 3\n", 3, "unexpected \"3\" after the entry"),
            Arguments.of(REAL + "3 3 1\n1 1 2 % why\n", 3, "unexpected \"%\" after the entry"),
            Arguments.of(PATTERN + "3 3 1\n1 1 1.0\n", 3, "unexpected \"1.0\" after the entry"),
            Arguments.of(REAL + "3 3 1\n1 1 nan\n", 3, "value \"nan\" is not a number"),
            Arguments.of(REAL + "3 3 1\n1 1 Infinity\n", 3, "value \"Infinity\" is not a number"),
            Arguments.of(REAL + "3 3 1\n1 1 0x10\n", 3, "value \"0x10\" is not a number"),
            Arguments.of(REAL + "3 3 1\n1 1 1f\n", 3, "value \"1f\" is not a number"),
            Arguments.of(REAL + "3 3 1\n1 1 1e\n", 3, "value \"1e\" is not a number"),
            Arguments.of(REAL + "3 3 1\n1 1 1e-\n", 3, "value \"1e-\" is not a number"),
            Arguments.of(REAL + "3 3 1\n1 1 1e5.0\n", 3, "value \"1e5.0\" is not a number"),
            Arguments.of(REAL + "3 3 1\n1 1 .\n", 3, "value \".\" is not a number"),
            Arguments.of(REAL + "3 3 1\n1 1 1.2.3\n", 3, "value \"1.2.3\" is not a number"),
            Arguments.of(REAL + "3 3 1\n1 1 --1\n", 3, "value \"--1\" is not a number"),
            Arguments.of(REAL + "3 3 1\n1 1 1e39\n", 3, "value 1e39 overflows a 32-bit float"),
            Arguments.of(REAL + "3 3 1\n1 1 -3.4028235677973367e38\n", 3,
                "value -3.4028235677973367e38 overflows a 32-bit float"),
            Arguments.of(REAL + "3 3 1\n1 1 1e999999999999999\n", 3,
                "value 1e999999999999999 overflows a 32-bit float"),
            Arguments.of(INTEGER + "3 3 1\n1 1 1.0\n", 3, "value \"1.0\" is not an integer"),
            Arguments.of(INTEGER + "3 3 1\n1 1 1e3\n", 3, "value \"1e3\" is not an integer"),
            Arguments.of(INTEGER + "3 3 1\n1 1 9" + "0".repeat(38) + "\n", 3,
                "value 9" + "0".repeat(38) + " overflows a 32-bit float"),
            // The entries together.
            Arguments.of(REAL + "3 3 2\n1 1 1\n", 3,
                "the file ends after 1 of the 2 entries that line 2 announces"),
            Arguments.of(REAL + "3 3 2\n1 1 1\n\n% end\n", 5,
                "the file ends after 1 of the 2 entries that line 2 announces"),
            Arguments.of(REAL + "3 3 1\n", 2, "the file ends after 0 of the 1 entries that line 2 announces"),
            Arguments.of(REAL + "3 3 1\n1 1 1\n% more\n2 2 1\n", 5,
                "entry 2 is one more than the 1 that line 2 announces"),
            Arguments.of(REAL + "3 3 3\n1 2 1\n\n3 3 1\n1 2 1\n", 6, "entry (1, 2) is already on line 3"),
            Arguments.of(REAL + "3 3 4\n3 1 1\n1 2 1\n2 2 0\n1 2 0\n", 6,
                "entry (1, 2) is already on line 4"),
            Arguments.of(SYMMETRIC + "3 3 3\n3 1 1\n2 1 1\n3 1 1\n", 5, "entry (3, 1) is already on line 3"),
            Arguments.of(SYMMETRIC + "3 3 3\n2 2 1\n2 1 1\n2 2 1\n", 5, "entry (2, 2) is already on line 3"),
            Arguments.of(SYMMETRIC + "3 3 2\n1 2 1\n2 1 1\n", 4, "entry (2, 1) is already on line 3"),
            Arguments.of(SKEW + "3 3 2\n2 3 1\n3 2 -1\n", 4, "entry (3, 2) is already on line 3"),
            Arguments.of(SKEW + "3 3 1\n2 2 0\n", 3,
                "entry (2, 2) is on the diagonal, which a skew-symmetric file leaves out"),
            // Rubbish.
            Arguments.of("\0\0\0\0", 1, "byte 0x00 at offset 0 is not text"),
            Arguments.of("\u007fELF\2\1\1", 1, "byte 0x7f at offset 0 is not text"),
            Arguments.of("\u0089PNG\r\n\u001a\n", 1,
                "expected the banner %%MatrixMarket, found \"\\x89PNG\""),
            Arguments.of("PK\3\4", 1, "byte 0x03 at offset 2 is not text"),
            Arguments.of(REAL + "% a\0b\n1 1 0\n", 2, "byte 0x00 at offset 49 is not text"),
            Arguments.of(REAL + "1 1 1\n1 1 \0\n", 3, "byte 0x00 at offset 56 is not text"),
            Arguments.of(REAL + "1 1 1\n1 1 \u00fc\u001b\n", 3, "byte 0x1b at offset 57 is not text"),
            Arguments.of(REAL + "1 1 1\n1 1 \u00fc\n", 3, "value \"\\xfc\" is not a number"),
            Arguments.of("x".repeat(100_000), 1,
                "the banner %%MatrixMarket is longer than 1024 bytes: \"" + "x".repeat(60) + "...\""),
            Arguments.of(REAL + "1 1 1\n1 1 " + "1".repeat(1025), 3,
                "value is longer than 1024 bytes: \"" + "1".repeat(60) + "...\""),
            Arguments.of(REAL + "1 1 1\n1 1 " + "z".repeat(61), 3, "value \"" + "z".repeat(60)
                + "...\" is not a number"),
            Arguments.of(REAL + "%" + " long".repeat(20_000) + "\n1 1 0\n", 2,
                "the line is longer than 65536 bytes"),
            Arguments.of(REAL + " ".repeat(70_000) + "1 1 0\n", 2, "the line is longer than 65536 bytes"),
            Arguments.of(REAL + "1 1 0\n" + " ".repeat(1 << 20), 3, "the line is longer than 65536 bytes"));
    }

    @ParameterizedTest(name = "{2}")
    @MethodSource("malformed")
    void refusesMalformedFiles(String text, int line, String reason) {
        assertThatThrownBy(() -> read(text)).isInstanceOfSatisfying(MatrixFormatException.class, e -> {
            assertThat(e).hasMessage("m.mtx:" + line + ": " + reason);
            assertThat(e.source()).isEqualTo("m.mtx");
            assertThat(e.line()).isEqualTo(line);
        });
    }

    @Test
    void theNameOfAFileCannotBreakTheLine() {
        assertThatThrownBy(() -> MatrixMarket.read(stream(""), "a\nb\u2028\u00e9\u001b[1m"))
            .hasMessage("a?b?\u00e9?[1m:1: the file ends where the banner %%MatrixMarket is expected");
    }

    @Test
    void headersCannotMakeItAllocate() throws IOException {
        for (String size : List.of("2147483647 2147483647 4611686014132420609", "2000000000 3 1099511627776",
            "1 2147483647 1099511627776", "2147483647 1 2147483647")) {
            assertThatThrownBy(() -> read(REAL + size + "\n1 1 1\n"))
                .isInstanceOf(MatrixFormatException.class);
        }
        // Columns cost nothing, and some millions of empty rows are allowed.
        assertThat(read(REAL + "1 2147483647 1\n1 2147483647 1\n").cols()).isEqualTo(Integer.MAX_VALUE);
        assertThat(read(REAL + "16777216 1 1\n16777216 1 1\n").rowLength(16777215)).isEqualTo(1);
    }

    @Test
    void sortsWideMatrices() throws IOException {
        // Columns of more than 22 bits take three passes of the column sort.
        CsrMatrix matrix = read(REAL
            + "2 2147483647 5\n1 2147483647 1\n2 4194305 2\n1 5000 3\n1 4194304 4\n2 1 5\n");
        assertThat(rowOffsets(matrix)).containsExactly(0, 3, 5);
        assertThat(columns(matrix)).containsExactly(4999, 4194303, 2147483646, 0, 4194304);
        assertThat(values(matrix)).containsExactly(3, 4, 1, 5, 2);
    }

    @Test
    void shuffledEntriesGiveTheSameMatrix() throws IOException {
        SplittableRandom random = new SplittableRandom(Fixtures.seed("shuffledEntries"));
        CsrMatrix matrix = Fixtures.random(random, 60, 5000, 0.01);
        List<String> lines = new ArrayList<>();
        int i = 0;
        for (int r = 0; r < matrix.rows(); r++) {
            for (int n = matrix.rowLength(r); n > 0; n--, i++) {
                lines.add((r + 1) + " " + (columns(matrix)[i] + 1) + " " + values(matrix)[i]);
            }
        }
        Collections.shuffle(lines, new Random(random.nextLong()));
        // Bytes that arrive one by one meet every boundary of the buffer.
        String text = REAL + "60 5000 " + lines.size() + "\n" + String.join("\n", lines);
        InputStream trickle = new InputStream() {
            private int next;

            @Override
            public int read() {
                return next == text.length() ? -1 : text.charAt(next++);
            }

            @Override
            public int read(byte[] target, int offset, int length) {
                int b = read();
                target[offset] = (byte) b;
                return b < 0 ? -1 : 1;
            }
        };
        assertThat(MatrixMarket.read(trickle, "trickle")).isEqualTo(matrix);
        assertThat(read(text)).isEqualTo(matrix);
    }

    @Test
    void failuresToReadStayWhatTheyAre(@TempDir Path directory) {
        assertThatThrownBy(() -> MatrixMarket.read(directory.resolve("absent.mtx")))
            .isInstanceOf(NoSuchFileException.class);
        assertThatThrownBy(() -> MatrixMarket.read(directory)).isInstanceOf(IOException.class);
        InputStream broken = new InputStream() {
            @Override
            public int read() throws IOException {
                throw new IOException("cable cut");
            }
        };
        assertThatThrownBy(() -> MatrixMarket.read(broken, "x")).isExactlyInstanceOf(IOException.class)
            .hasMessage("cable cut");
    }

    @Test
    void namesTheFileAsGiven(@TempDir Path directory) throws IOException {
        Path file = Files.writeString(directory.resolve("bad.mtx"), REAL + "1 1 1\n1 1 x\n");
        assertThatThrownBy(() -> MatrixMarket.read(file))
            .hasMessage(file + ":3: value \"x\" is not a number");
    }

    @Test
    void readsBackWhatItWrote(@TempDir Path directory) throws IOException {
        SplittableRandom random = new SplittableRandom(Fixtures.seed("readsBackWhatItWrote"));
        Path file = directory.resolve("m.mtx");
        for (int i = 0; i < 20; i++) {
            CsrMatrix matrix =
                Fixtures.random(random, random.nextInt(0, 60), random.nextInt(0, 60), random.nextDouble());
            MatrixMarket.write(matrix, file);
            assertThat(MatrixMarket.read(file)).isEqualTo(matrix);
        }
        int count = 3000;
        int[] columns = new int[count];
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            columns[i] = i;
            float any = Float.intBitsToFloat(random.nextInt());
            values[i] = Float.isFinite(any) ? any : i % 2 == 0 ? -0f : Float.MIN_VALUE;
        }
        CsrMatrix row = CsrMatrix.fromArrays(1, count, new int[] {0, count}, columns, values);
        MatrixMarket.write(row, file);
        assertThat(MatrixMarket.read(file)).isEqualTo(row);
        try (Stream<Path> left = Files.list(directory)) {
            assertThat(left).containsExactly(file);
        }
    }

    @Test
    void writesPlainText(@TempDir Path directory) throws IOException {
        Path file = directory.resolve("m.mtx");
        CsrMatrix matrix =
            CsrMatrix.fromArrays(2, 3, new int[] {0, 1, 2}, new int[] {2, 0}, new float[] {0.5f, -2});
        MatrixMarket.write(matrix, file);
        assertThat(Files.readString(file, StandardCharsets.US_ASCII))
            .isEqualTo(REAL + "2 3 2\n1 3 0.5\n2 1 -2.0\n");
    }

    @Test
    void aFailedWriteLeavesNothing(@TempDir Path directory) throws IOException {
        Path old = Files.writeString(directory.resolve("old.mtx"), "untouched");
        CsrMatrix nan = CsrMatrix.fromArrays(2, 2, new int[] {0, 1, 3}, new int[] {0, 0, 1},
            new float[] {1, 2, Float.NaN});
        assertThatThrownBy(() -> MatrixMarket.write(nan, old)).isInstanceOf(IllegalArgumentException.class)
            .hasMessage("value NaN at row 1, entry 1 cannot be written: "
                + "the Matrix Market format has finite numbers only");
        CsrMatrix one = CsrMatrix.fromArrays(1, 1, new int[] {0, 1}, new int[1], new float[1]);
        Path occupied = Files.createDirectory(directory.resolve("directory.mtx"));
        assertThatThrownBy(() -> MatrixMarket.write(one, occupied)).isInstanceOf(IOException.class);
        assertThatThrownBy(() -> MatrixMarket.write(one, directory.resolve("absent/m.mtx")))
            .isInstanceOf(IOException.class);
        assertThatThrownBy(() -> MatrixMarket.write(one, Path.of("/"))).isInstanceOf(IOException.class);
        assertThat(Files.readString(old)).isEqualTo("untouched");
        try (Stream<Path> left = Files.list(directory)) {
            assertThat(left).containsExactlyInAnyOrder(old, occupied);
        }
    }
}
