package dev.filigree.bench.llama;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The pieces of text that tokens stand for, in the format of llama2.c: an int32 for the longest piece, then for each
 * token a float32 score, an int32 length and as many bytes; all little-endian.
 */
public final class LlamaTokenizer {

    /** Begins a text, and ends one. */
    public static final int BEGIN = 1;

    private static final Pattern BYTE = Pattern.compile("<0x([0-9A-F]{2})>");

    private final byte[][] pieces;

    private LlamaTokenizer(byte[][] pieces) {
        this.pieces = pieces;
    }

    /**
     * Reads a file.
     *
     * @param vocabulary how many tokens the model has
     * @throws IllegalArgumentException if it is not a tokenizer of as many; the message is one line that begins with
     *     its name
     * @throws IOException if the file cannot be read
     */
    public static LlamaTokenizer read(Path file, int vocabulary) throws IOException {
        ByteBuffer in = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
        require(in.remaining() >= Integer.BYTES, file, in.remaining() + " bytes are too short for a tokenizer");
        in.getInt();
        // Each has a score and a length: a number of tokens that the file cannot hold allocates nothing.
        long least = (long) vocabulary * (Float.BYTES + Integer.BYTES);
        require(in.remaining() >= least, file,
            in.capacity() + " bytes are too few for the model's " + vocabulary + " tokens");
        byte[][] pieces = new byte[vocabulary][];
        for (int token = 0; token < vocabulary; token++) {
            require(in.remaining() >= Float.BYTES + Integer.BYTES, file, "ends before token " + token);
            in.getFloat();
            int length = in.getInt();
            require(length >= 0 && length <= in.remaining(), file, "the length of token " + token + " is " + length
                + ", with " + in.remaining() + " bytes left");
            pieces[token] = new byte[length];
            in.get(pieces[token]);
        }
        require(!in.hasRemaining(), file,
            in.remaining() + " bytes are left after the model's " + vocabulary + " tokens");
        return new LlamaTokenizer(pieces);
    }

    private static void require(boolean holds, Path file, String otherwise) {
        if (!holds) {
            throw new IllegalArgumentException(file + ": " + otherwise);
        }
    }

    /** The text of tokens that follow {@link #BEGIN}. */
    public String text(List<Integer> tokens) {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        for (int i = 0; i < tokens.size(); i++) {
            byte[] piece = pieces[tokens.get(i)];
            Matcher escaped = BYTE.matcher(new String(piece, StandardCharsets.ISO_8859_1));
            if (escaped.matches()) {
                bytes.write(Integer.parseInt(escaped.group(1), 16));
            } else {
                // The first word has a space before it that the text does not.
                int from = i == 0 && piece.length > 0 && piece[0] == ' ' ? 1 : 0;
                bytes.write(piece, from, piece.length - from);
            }
        }
        return bytes.toString(StandardCharsets.UTF_8);
    }
}
