package dev.filigree.suite.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.filigree.format.HeadPattern;
import dev.filigree.format.MInferencePatterns;
import dev.filigree.format.MatrixFormatException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class MInferencePatternsTest {

    private static final String EXAMPLE = "minference-patterns.json";

    private static MInferencePatterns read(String text) throws IOException {
        return MInferencePatterns.read(Fixtures.stream(text), "p.json");
    }

    @Test
    void readsLayersAndHeads() throws IOException {
        try (InputStream in = getClass().getResourceAsStream(EXAMPLE)) {
            MInferencePatterns patterns = MInferencePatterns.read(in, EXAMPLE);
            assertThat(patterns.layers()).isEqualTo(3);
            assertThat(patterns.layer(0)).containsExactly(new HeadPattern.VerticalSlash(40, 120, 0.96),
                new HeadPattern.Streaming(8, 64, 0.75), new HeadPattern.BlockSparse(8, 1, 0.5),
                new HeadPattern.VerticalSlash(3, 5, 0.01));
            assertThat(patterns.layer(1)).containsExactly(
                new HeadPattern.VerticalSlash(1000, 6096, 0.33349305391311646),
                new HeadPattern.BlockSparse(100, 0, 0.25), new HeadPattern.VerticalSlash(0, 0, 0),
                new HeadPattern.Streaming(4, 32, 1));
            assertThat(patterns.layer(2)).isEmpty();
            assertThat(patterns).hasToString("MInferencePatterns[3 layers, 8 heads]");
            assertThatThrownBy(() -> patterns.layer(3)).isInstanceOf(IndexOutOfBoundsException.class);
        }
        assertThat(read("[]").layers()).isZero();
        assertThatThrownBy(() -> MInferencePatterns.read(Path.of("no-such-file.json")))
            .isInstanceOf(NoSuchFileException.class);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
        `` | 1: column 1: expected an array of layers, found the end of the file
        {} | 1: column 1: expected an array of layers, found '{'
        [] x | 1: column 4: expected the end of the file, found 'x'
        [{}, | 1: column 5, layer 1: expected an object of heads, found the end of the file
        [{},] | 1: column 5, layer 1: expected an object of heads, found ']'
        [{} {}] | 1: column 5, after layer 0: expected ',' or ']', found '{'
        [{"0" ["a_shape",1,2,3]}] | 1: column 7, layer 0: expected ':' after "0", found '['
        [{0: ["a_shape",1,2,3]}] | 1: column 3, layer 0: expected the number of a head between quotes, found '0'
        [{"x": 1}] | 1: column 3, layer 0: head "x" is not a number in 0..16383
        [{"-1": 1}] | 1: column 3, layer 0: head "-1" is not a number in 0..16383
        [{"99999": 1}] | 1: column 3, layer 0: head "99999" is not a number in 0..16383
        [{"0": 1}] | 1: column 8, layer 0, head 0: expected the array of a pattern, found '1'
        [{"0": ["dense",1,2,3]}] | 1: column 9, layer 0, head 0: pattern "dense" is unknown; known are \
        vertical_and_slash, stream_llm, a_shape and block_sparse
        [{"0": ["stream_llm",1,0,3]}] | 1: column 24, layer 0, head 0: the window 0 is not in 1..2147483647
        [{"0": ["a_shape",-1,2,3]}] | 1: column 19, layer 0, head 0: the number of first keys -1 is not in \
        0..2147483647
        [{"0": ["vertical_and_slash",3000000000,2,3]}] | 1: column 30, layer 0, head 0: the number of verticals \
        3000000000 is not in 0..2147483647
        [{"0": ["vertical_and_slash",1.5,2,3]}] | 1: column 30, layer 0, head 0: the number of verticals 1.5 is not a \
        whole number
        [{"0": ["vertical_and_slash",1,02,3]}] | 1: column 32, layer 0, head 0: the number of slashes "02" is not a \
        number
        [{"0": ["vertical_and_slash",1,2]}] | 1: column 33, layer 0, head 0: expected ',' and the score, found ']'
        [{"0": ["vertical_and_slash",1,2,null]}] | 1: column 34, layer 0, head 0: expected the score, a number, found 'n'
        [{"0": ["vertical_and_slash",1,2,1e999]}] | 1: column 34, layer 0, head 0: the score 1e999 overflows a 64-bit \
        float
        [{"0": ["vertical_and_slash",1,2,3,4]}] | 1: column 35, layer 0, head 0: a pattern has a name and three numbers, \
        this one has more
        [{"0": ["a_shape",1,2,3], "0": 1}] | 1: column 27, layer 0: head 0 is there twice
        [{"0": ["a_shape",1,2,3], "2": ["a_shape",1,2,3]}] | 1: column 49, layer 0: head 1 is missing: the last one is 2
        """)
    void malformedFilesAreExplained(String text, String message) {
        assertThatThrownBy(() -> read(text)).isInstanceOf(MatrixFormatException.class).hasMessage("p.json:" + message);
    }

    @Test
    void theLineIsNamed() {
        assertThatThrownBy(() -> read("[{\"0\":\n [\"a_shape\", 4,\r\n  32 1]}]"))
            .hasMessage("p.json:3: column 6, layer 0, head 0: expected ',' and the score, found '1'");
    }

    /** Whatever comes in, the reader gives patterns or one line that says what is wrong. */
    @Test
    void mutatedFilesGivePatternsOrOneLine() throws IOException {
        long seed = Fixtures.seed("mutatedFilesGivePatternsOrOneLine");
        SplittableRandom random = new SplittableRandom(seed);
        byte[] example;
        try (InputStream in = getClass().getResourceAsStream(EXAMPLE)) {
            example = in.readAllBytes();
        }
        byte[] alphabet = "0123456789\"\\[]{},:.-eE \n\0é_a".getBytes(StandardCharsets.UTF_8);
        int valid = 0;
        for (int i = 0; i < 4000; i++) {
            byte[] file = Arrays.copyOf(example, random.nextInt(4) == 0 ? random.nextInt(example.length)
                : example.length);
            for (int n = random.nextInt(1, 3); n > 0 && file.length > 0; n--) {
                file[random.nextInt(file.length)] = alphabet[random.nextInt(alphabet.length)];
            }
            String text = new String(file, StandardCharsets.ISO_8859_1);
            try {
                valid += read(text).layers();
            } catch (MatrixFormatException e) {
                assertThat(e.getMessage()).as("seed " + seed + ", iteration " + i + ", file " + text)
                    .matches("p\\.json:[1-9][0-9]*: column [1-9][0-9]*[ -~]*: [ -~]+");
            }
        }
        assertThat(valid).isPositive();
    }
}
