package dev.filigree.bench.minilm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.StringReader;
import java.util.List;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Against the splits of the reference implementation, with the vocabulary of the real model. */
class WordPieceTest {

    private static WordPiece tokenizer;

    @BeforeAll
    static void read() throws IOException {
        tokenizer = MiniLm.tokenizer();
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', value = {
        "The ferry leaves the harbour at half past six. | the ferry leaves the harbour at half past six .",
        "Naïve café—déjà vu!                            | naive cafe — de ##ja vu !",
        "unaffable                                      | una ##ffa ##ble",
        "embeddings tokenization                        | em ##bed ##ding ##s token ##ization",
        "東京 is big                                     | 東 京 is big",
        "C++ & x_y = $5.00 #1 (a)                       | c + + & x _ y = $ 5 . 00 # 1 ( a )",
        "Ｆｕｌｌ ﬁ ligature Straße İstanbul               | [UNK] ﬁ liga ##ture st ##raße istanbul",
        "☃ 😀 ½ ñandú                                    | [UNK] [UNK] ½ nan ##du",
        "1,234.5e-7 don't                               | 1 , 234 . 5 ##e - 7 don ' t",
        "zzqxjЖ                                         | z ##z ##q ##x ##j ##ж",
    })
    void splitsAsTheReferenceDoes(String text, String pieces) {
        // A piece that the vocabulary lacks is shown as what it becomes.
        List<String> shown = tokenizer.split(text).stream().toList();
        assertThat(String.join(" ", shown)).isEqualTo(pieces);
    }

    @Test
    void idsAreThoseOfTheReference() {
        assertThat(tokenizer.size()).isEqualTo(30522);
        assertThat(tokenizer.encode("")).containsExactly(101, 102);
        assertThat(tokenizer.encode("The ferry leaves the harbour at half past six."))
            .containsExactly(101, 1996, 7115, 3727, 1996, 7440, 2012, 2431, 2627, 2416, 1012, 102);
        assertThat(tokenizer.encode("Naïve café—déjà vu!"))
            .containsExactly(101, 15743, 7668, 1517, 2139, 3900, 24728, 999, 102);
        assertThat(tokenizer.encode("☃")).containsExactly(101, 100, 102);
    }

    @Test
    void controlsAreDroppedAndSpacesAreAlike() {
        assertThat(tokenizer.split("a\u200bb \u0000c\u00a0d\u3000e\tf\n")).containsExactly("ab", "c", "d", "e", "f");
        assertThat(tokenizer.split(" \t\n ")).isEmpty();
    }

    @Test
    void aVeryLongWordIsUnknown() {
        assertThat(tokenizer.split("q".repeat(101))).containsExactly("[UNK]");
        assertThat(tokenizer.split("q".repeat(100))).hasSizeGreaterThan(1);
    }

    @Test
    void whatTheModelCannotTakeIsCut() {
        long[] ids = tokenizer.encode("one two three ".repeat(100));
        assertThat(ids).hasSize(128).startsWith(101).endsWith(102);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', value = {
        "[]", "{}", "nonsense", "{\"model\":{\"type\":\"BPE\"}}",
        "{\"model\":{\"type\":\"BPE\",\"continuing_subword_prefix\":\"##\",\"vocab\":{}},\"normalizer\":{}}",
        "{\"model\":{\"type\":\"WordPiece\",\"continuing_subword_prefix\":\"##\",\"vocab\":{\"a\":1}},"
            + "\"normalizer\":{\"type\":\"BertNormalizer\",\"lowercase\":true}}",
        "{\"model\":{\"type\":\"WordPiece\",\"continuing_subword_prefix\":\"##\",\"vocab\":{\"a\":\"b\"}},"
            + "\"normalizer\":{\"type\":\"BertNormalizer\",\"lowercase\":true}}"})
    void otherFilesAreRefused(String json) {
        assertThatThrownBy(() -> WordPiece.read("test.json", new StringReader(json)))
            .isInstanceOf(IOException.class).hasMessageStartingWith("test.json: not a");
    }
}
