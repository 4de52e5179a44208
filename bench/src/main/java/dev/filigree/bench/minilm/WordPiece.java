package dev.filigree.bench.minilm;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.io.Reader;
import java.text.Normalizer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The uncased WordPiece tokenizer of BERT (Devlin et al., 2018), with the vocabulary of a {@code tokenizer.json}: text
 * is cleaned, stripped of accents and put in lower case, split at white space and punctuation, and each word is taken
 * apart into the longest pieces that the vocabulary has, from its start on. Immutable.
 *
 * <p>A tokenizer library would bring native code of its own for this page of rules.
 */
public final class WordPiece {

    private static final String CONTINUATION = "##";
    /** A word longer than this is unknown as a whole. */
    private static final int LONGEST_WORD = 100;

    private final Map<String, Integer> vocabulary;
    private final int longestInput;
    private final int unknown;
    private final int start;
    private final int end;

    private WordPiece(Map<String, Integer> vocabulary, int longestInput) {
        this.vocabulary = vocabulary;
        this.longestInput = longestInput;
        unknown = idOf("[UNK]");
        start = idOf("[CLS]");
        end = idOf("[SEP]");
    }

    /**
     * Reads a {@code tokenizer.json}.
     *
     * @param source what messages call it
     * @throws IOException if it cannot be read, or describes another tokenizer than this one
     */
    static WordPiece read(String source, Reader reader) throws IOException {
        try {
            JsonObject json = JsonParser.parseReader(reader).getAsJsonObject();
            JsonObject model = json.getAsJsonObject("model");
            JsonObject normalizer = json.getAsJsonObject("normalizer");
            if (!model.get("type").getAsString().equals("WordPiece")
                    || !model.get("continuing_subword_prefix").getAsString().equals(CONTINUATION)
                    || !normalizer.get("type").getAsString().equals("BertNormalizer")
                    || !normalizer.get("lowercase").getAsBoolean()) {
                throw new IOException(source + ": not an uncased WordPiece tokenizer");
            }
            Map<String, Integer> vocabulary = HashMap.newHashMap(model.getAsJsonObject("vocab").size());
            for (Map.Entry<String, JsonElement> entry : model.getAsJsonObject("vocab").entrySet()) {
                vocabulary.put(entry.getKey(), entry.getValue().getAsInt());
            }
            JsonElement truncation = json.get("truncation");
            return new WordPiece(vocabulary, truncation == null || truncation.isJsonNull() ? Integer.MAX_VALUE
                : truncation.getAsJsonObject().get("max_length").getAsInt());
        } catch (JsonParseException | IllegalStateException | NullPointerException | UnsupportedOperationException
                 | NumberFormatException e) {
            // Gson reports a member that is missing or of another kind by any of these.
            throw new IOException(source + ": not a tokenizer.json of a WordPiece model: " + e.getMessage(), e);
        }
    }

    private int idOf(String token) {
        Integer id = vocabulary.get(token);
        if (id == null) {
            throw new IllegalStateException("the vocabulary has no " + token);
        }
        return id;
    }

    /** The pieces of a text, without the marks of its start and end. */
    List<String> split(String text) {
        List<String> pieces = new ArrayList<>();
        for (String word : words(text)) {
            pieces.addAll(pieces(word));
        }
        return pieces;
    }

    /** The ids of a text, from the mark of its start to that of its end, cut to what the model takes. */
    long[] encode(String text) {
        List<String> pieces = split(text);
        int kept = Math.min(pieces.size(), longestInput - 2);
        long[] ids = new long[kept + 2];
        ids[0] = start;
        for (int i = 0; i < kept; i++) {
            ids[i + 1] = vocabulary.getOrDefault(pieces.get(i), unknown);
        }
        ids[kept + 1] = end;
        return ids;
    }

    /** How many tokens the vocabulary has. */
    int size() {
        return vocabulary.size();
    }

    private List<String> pieces(String word) {
        if (word.codePointCount(0, word.length()) > LONGEST_WORD) {
            return List.of("[UNK]");
        }
        List<String> pieces = new ArrayList<>();
        int from = 0;
        while (from < word.length()) {
            String piece = null;
            int to = word.length();
            for (; to > from; to = word.offsetByCodePoints(to, -1)) {
                piece = (from == 0 ? "" : CONTINUATION) + word.substring(from, to);
                if (vocabulary.containsKey(piece)) {
                    break;
                }
            }
            if (to == from) {
                return List.of("[UNK]"); // One part that is unknown makes the word unknown.
            }
            pieces.add(piece);
            from = to;
        }
        return pieces;
    }

    private static List<String> words(String text) {
        String clean = lowerCaseWithoutAccents(cleaned(text));
        List<String> words = new ArrayList<>();
        StringBuilder word = new StringBuilder();
        clean.codePoints().forEach(c -> {
            boolean punctuation = isPunctuation(c);
            if ((punctuation || isSpace(c)) && !word.isEmpty()) {
                words.add(word.toString());
                word.setLength(0);
            }
            if (punctuation) {
                words.add(Character.toString(c));
            } else if (!isSpace(c)) {
                word.appendCodePoint(c);
            }
        });
        if (!word.isEmpty()) {
            words.add(word.toString());
        }
        return words;
    }

    /** Without control characters; an ideograph is a word. */
    private static String cleaned(String text) {
        StringBuilder clean = new StringBuilder(text.length());
        text.codePoints().forEach(c -> {
            if (isSpace(c)) {
                clean.append(' ');
            } else if (isCjk(c)) {
                clean.append(' ').appendCodePoint(c).append(' ');
            } else if (c != 0xfffd && !isControl(c)) {
                clean.appendCodePoint(c);
            }
        });
        return clean.toString();
    }

    private static String lowerCaseWithoutAccents(String text) {
        StringBuilder plain = new StringBuilder(text.length());
        Normalizer.normalize(text, Normalizer.Form.NFD).codePoints()
            .filter(c -> Character.getType(c) != Character.NON_SPACING_MARK)
            .map(Character::toLowerCase).forEach(plain::appendCodePoint);
        return plain.toString();
    }

    private static boolean isSpace(int c) {
        return c == '\t' || c == '\n' || c == '\r' || Character.isWhitespace(c) || Character.isSpaceChar(c);
    }

    private static boolean isControl(int c) {
        return switch (Character.getType(c)) {
            case Character.CONTROL, Character.FORMAT, Character.SURROGATE, Character.PRIVATE_USE,
                Character.UNASSIGNED -> true;
            default -> false;
        };
    }

    /** All that is neither letter nor digit in ASCII, and Unicode's punctuation. */
    private static boolean isPunctuation(int c) {
        if (c < 0x80) {
            return c > ' ' && c < 0x7f && !Character.isLetterOrDigit(c);
        }
        return switch (Character.getType(c)) {
            case Character.CONNECTOR_PUNCTUATION, Character.DASH_PUNCTUATION, Character.START_PUNCTUATION,
                Character.END_PUNCTUATION, Character.INITIAL_QUOTE_PUNCTUATION, Character.FINAL_QUOTE_PUNCTUATION,
                Character.OTHER_PUNCTUATION -> true;
            default -> false;
        };
    }

    /** The blocks that BERT calls Chinese: unified ideographs and their extensions, no kana, no hangul. */
    private static boolean isCjk(int c) {
        return c >= 0x4e00 && c <= 0x9fff || c >= 0x3400 && c <= 0x4dbf || c >= 0x20000 && c <= 0x2a6df
            || c >= 0x2a700 && c <= 0x2ceaf || c >= 0xf900 && c <= 0xfaff || c >= 0x2f800 && c <= 0x2fa1f;
    }
}
