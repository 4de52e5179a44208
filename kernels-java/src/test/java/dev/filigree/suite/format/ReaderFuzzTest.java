package dev.filigree.suite.format;

import static org.assertj.core.api.Assertions.assertThat;

import dev.filigree.format.CsrMatrix;
import dev.filigree.format.MatrixFormatException;
import dev.filigree.format.MatrixMarket;
import dev.filigree.format.Smtx;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.SplittableRandom;
import java.util.regex.Pattern;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * Mutates valid files: whatever comes in, a reader gives a valid matrix or one line that says what is wrong.
 */
class ReaderFuzzTest {

    private static final int ITERATIONS = 4000;

    /** A scanner takes 65 KiB; the first failures of a JVM, which load classes, ten times that. */
    private static final long MAX_HEAP_BYTES = 4 << 20;

    private static final Pattern MESSAGE = Pattern.compile("f:[1-9][0-9]*: [ -~]+");

    /** Bytes that mean something to a reader are drawn more often than others. */
    private static final byte[] ALPHABET =
        "0123456789 \n\r\t.-+eE%,\0\u007f".getBytes(StandardCharsets.US_ASCII);

    enum Sample {
        REAL("%%MatrixMarket matrix coordinate real general\n% comment\n7 9 8\n1 1 1.5\n1 9 -2e-3\n2 3 .25\n"
            + "4 4 1e10\n5 1 7\n5 2 0\n7 8 3.4028235e38\n7 9 -1\n"),
        SHUFFLED("%%MatrixMarket matrix coordinate integer general\n5 5000 6\n3 4999 1\n1 3000 -2\n5 1 3\n\n"
            + "3 2 4\n%\n1 2048 5\n2 2049 6\n"),
        SYMMETRIC("%%MatrixMarket matrix coordinate real symmetric\n4 4 5\n"
            + "1 1 1\n3 1 2\n4 2 3\n2 2 4\n4 3 5\n"),
        SKEW("%%MatrixMarket matrix coordinate real skew-symmetric\n4 4 3\n3 1 2\n4 2 3\n4 3 5\n"),
        PATTERN("%%MatrixMarket matrix coordinate pattern general\r\n3 3 3\r\n1 1\r\n2 2\r\n3 3\r\n"),
        SMTX("5, 12, 9\n0 3 3 5 6 9\n0 4 11 2 3 7 0 1 10\n");

        private final byte[] bytes;

        Sample(String text) {
            bytes = text.getBytes(StandardCharsets.US_ASCII);
        }

        CsrMatrix read(byte[] file) throws IOException {
            ByteArrayInputStream in = new ByteArrayInputStream(file);
            return this == SMTX ? Smtx.read(in, "f") : MatrixMarket.read(in, "f");
        }
    }

    @ParameterizedTest
    @EnumSource
    void givesAMatrixOrOneLine(Sample sample) throws IOException {
        long seed = Fixtures.seed("givesAMatrixOrOneLine " + sample);
        SplittableRandom random = new SplittableRandom(seed);
        int valid = 0;
        assertThat(sample.read(sample.bytes).nnz()).isPositive();
        for (int i = 0; i < ITERATIONS; i++) {
            byte[] file = sample.bytes;
            for (int n = random.nextInt(1, 4); n > 0; n--) {
                file = mutate(file, random);
            }
            String context = "seed " + seed + ", iteration " + i + ", file " + Arrays.toString(file);
            long before = Fixtures.allocatedBytes();
            try {
                CsrMatrix matrix = sample.read(file);
                // The constructor has checked the matrix; this reads every element through what it checked.
                if (matrix.rows() < 1000 && matrix.cols() < 10_000) {
                    assertThat(matrix.transpose().transpose()).as(context).isEqualTo(matrix);
                }
                valid++;
            } catch (MatrixFormatException e) {
                assertThat(e.getMessage()).as(context).matches(MESSAGE);
                long newlines = 0;
                for (byte b : file) {
                    newlines += b == '\n' ? 1 : 0;
                }
                assertThat(e.line()).as(context).isBetween(1L, newlines + 1);
            } catch (RuntimeException | Error e) {
                throw new AssertionError(context, e);
            }
            assertThat(Fixtures.allocatedBytes() - before).as(context).isLessThan(MAX_HEAP_BYTES);
        }
        // Otherwise the mutations are so wild, or so tame, that one of the two outcomes goes untested.
        assertThat(valid).isBetween(ITERATIONS / 200, ITERATIONS * 9 / 10);
    }

    private static byte[] mutate(byte[] file, SplittableRandom random) {
        int at = random.nextInt(file.length + 1);
        int length = Math.min(random.nextInt(1, 24), file.length - at);
        return switch (random.nextInt(6)) {
            case 0 -> splice(file, at, Math.min(1, length), new byte[] {(byte) random.nextInt()});
            case 1 -> splice(file, at, Math.min(1, length), new byte[] {draw(random)});
            case 2 -> splice(file, at, 0, new byte[] {draw(random)});
            case 3 -> splice(file, at, 0, Arrays.copyOfRange(file, at, at + length));
            case 4 -> splice(file, at, length, new byte[0]);
            default -> random.nextInt(4) == 0 ? Arrays.copyOf(file, at)
                : splice(file, at, 0, new byte[] {'\n'});
        };
    }

    private static byte draw(SplittableRandom random) {
        return ALPHABET[random.nextInt(ALPHABET.length)];
    }

    /** The file with {@code drop} bytes at a place replaced. */
    private static byte[] splice(byte[] file, int at, int drop, byte[] insert) {
        byte[] result = new byte[file.length - drop + insert.length];
        System.arraycopy(file, 0, result, 0, at);
        System.arraycopy(insert, 0, result, at, insert.length);
        System.arraycopy(file, at + drop, result, at + insert.length, file.length - at - drop);
        return result;
    }
}
