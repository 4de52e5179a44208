package dev.filigree.bench.llama;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class LlamaFilesTest {

    private static final TinyLlama TINY = TinyLlama.random(true, 1);

    @TempDir
    private Path folder;

    private void refuses(byte[] checkpoint, String why) throws IOException {
        Path file = TinyLlama.write(folder, "bad.bin", checkpoint);
        assertThatThrownBy(() -> LlamaCheckpoint.map(file)).isInstanceOf(IllegalArgumentException.class)
            .hasMessageStartingWith(file + ": ").hasMessageContaining(why);
    }

    /** The fields: dim, hidden, layers, heads, key heads, vocabulary, context. */
    @ParameterizedTest
    @CsvSource({"0, 0, dim is 0", "1, -5, hidden is -5", "2, 0, layers is 0", "3, 5, no multiple of 5 heads",
        "4, 3, no multiple of 3 key heads", "5, 0, vocabulary is 0", "6, -1, context is -1", "3, 2, too few",
        "3, 8, a head has 4 features", "0, 2048, a head has 512 features", "2, 2147483647, too few",
        "5, 2147483647, too few", "6, 2147483647, too few", "2, 2, bytes"})
    void aHeaderThatCannotBeIsRefused(int field, int value, String why) throws IOException {
        byte[] bytes = TINY.checkpoint();
        ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putInt(4 * field, value);
        refuses(bytes, why);
    }

    @Test
    void aFileOfAnotherLengthIsRefused() throws IOException {
        byte[] bytes = TINY.checkpoint();
        refuses(new byte[0], "0 bytes are too short");
        refuses(Arrays.copyOf(bytes, 27), "27 bytes are too short");
        for (int length : new int[] {28, 1000, bytes.length - 4, bytes.length - 1}) {
            refuses(Arrays.copyOf(bytes, length), "too few");
        }
        refuses(Arrays.copyOf(bytes, bytes.length + 4), bytes.length + 4 + " bytes");
    }

    @Test
    void matricesAreWhereTheFormatPutsThem() throws IOException {
        LlamaCheckpoint read = LlamaCheckpoint.map(TinyLlama.write(folder, "tiny.bin", TINY.checkpoint()));
        assertThat(read.shape()).isEqualTo(TINY.shape());
        assertThat(read.embedding().get(40, 31)).isEqualTo(TINY.weights().get(0)[40 * 32 + 31]);
        assertThat(read.layers().get(2).key().get(15, 3)).isEqualTo(TINY.weights().get(3)[(2 * 16 + 15) * 32 + 3]);
        assertThat(read.layers().get(1).down().get(31, 20)).isEqualTo(TINY.weights().get(8)[(32 + 31) * 21 + 20]);
        assertThat(read.norm()).isEqualTo(TINY.weights().get(10));
        assertThat(read.classifier()).isSameAs(read.embedding());
    }

    @Test
    void tokensBecomeText() throws IOException {
        LlamaTokenizer tokenizer = LlamaTokenizer.read(TinyLlama.write(folder, "t.bin", TINY.tokenizer()), 41);
        assertThat(tokenizer.text(List.of(2, 3, 0, 4))).isEqualTo("2 3\n 4");
        assertThat(tokenizer.text(List.of())).isEmpty();
    }

    @Test
    void aTokenizerThatDoesNotFitIsRefused() throws IOException {
        byte[] bytes = TINY.tokenizer();
        refusesTokens(bytes, 42, "ends before token 41");
        refusesTokens(bytes, 40, "are left after the model's 40 tokens");
        refusesTokens(bytes, Integer.MAX_VALUE, "too few for the model's 2147483647 tokens");
        refusesTokens(Arrays.copyOf(bytes, 3), 41, "too short");
        refusesTokens(Arrays.copyOf(bytes, bytes.length - 1), 41, "the length of token 40 is 2");
        ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).putInt(8, -1);
        refusesTokens(bytes, 41, "the length of token 0 is -1");
    }

    private void refusesTokens(byte[] content, int vocabulary, String why) throws IOException {
        Path file = TinyLlama.write(folder, "bad.bin", content);
        assertThatThrownBy(() -> LlamaTokenizer.read(file, vocabulary)).isInstanceOf(IllegalArgumentException.class)
            .hasMessageStartingWith(file + ": ").hasMessageContaining(why);
    }
}
