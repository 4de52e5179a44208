package dev.filigree.format;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Locale;

/**
 * Splits a byte stream into lines and blank-separated tokens: one fixed buffer, no string for a line or a
 * number, line numbers kept for messages.
 *
 * <p>Blanks are spaces, tabs, carriage returns (so that both line ends work) and commas, if asked for. Not
 * thread-safe.
 */
final class TextScanner {

    static final int END_OF_FILE = -1;

    private static final int BUFFER_BYTES = 1 << 16;

    /** Far above any number that a program prints: a longer token comes from a file of another kind. */
    private static final int MAX_TOKEN_BYTES = 1024;

    private final InputStream in;
    private final String source;
    private final byte[] buffer = new byte[BUFFER_BYTES];
    private final byte[] token = new byte[MAX_TOKEN_BYTES];
    private int tokenLength;
    private int position;
    private int limit;
    private long bytesBeforeBuffer;
    private long line = 1;
    private long lineStart;
    private long maxLineBytes = Long.MAX_VALUE;
    private boolean commaIsBlank;

    TextScanner(InputStream in, String source) {
        this.in = in;
        this.source = source;
    }

    /** Makes lines that are longer than this an error. */
    void limitLines(long maxBytes) {
        maxLineBytes = maxBytes;
    }

    void treatCommaAsBlank(boolean blank) {
        commaIsBlank = blank;
    }

    long line() {
        return line;
    }

    /** The number of bytes consumed so far. */
    long bytes() {
        return bytesBeforeBuffer + position;
    }

    /**
     * Skips blanks; returns the byte that follows without consuming it, {@code '\n'} or {@link #END_OF_FILE}.
     */
    int peek() throws IOException {
        while (position < limit || refill()) {
            byte b = buffer[position];
            if (!isBlank(b)) {
                return b & 0xff;
            }
            position++;
        }
        return END_OF_FILE;
    }

    /** Drops what is left of this line and goes to the next, or to the end of the file. */
    void skipLine() throws IOException {
        while (position < limit || refill()) {
            byte b = buffer[position];
            if (b == 0) {
                throw notText(b);
            }
            position++;
            if (b == '\n') {
                checkLineLength();
                line++;
                lineStart = bytes();
                return;
            }
        }
    }

    /** Goes to the next line, or to the end of the file, if nothing but blanks is left of this one. */
    void nextLine(String after) throws IOException {
        int b = peek();
        if (b != '\n' && b != END_OF_FILE) {
            readToken("the text");
            throw malformed("unexpected " + quotedToken() + " after " + after);
        }
        skipLine();
    }

    /** Reads the next token of this line; what it should be serves the message when there is none. */
    void readToken(String what) throws IOException {
        int b = peek();
        if (b == '\n' || b == END_OF_FILE) {
            throw malformed("the line ends where " + what + " is expected");
        }
        int length = 0;
        do {
            if (b >= 0 && b < ' ' || b == 0x7f) {
                throw notText(b);
            }
            if (length == MAX_TOKEN_BYTES) {
                tokenLength = length;
                throw malformed(what + " is longer than " + MAX_TOKEN_BYTES + " bytes: " + quotedToken());
            }
            token[length++] = (byte) b;
            position++;
            if (position == limit && !refill()) {
                break;
            }
            b = buffer[position];
        } while (b != '\n' && !isBlank(b));
        tokenLength = length;
    }

    /** The last token. */
    String token() {
        return new String(token, 0, tokenLength, StandardCharsets.ISO_8859_1);
    }

    String quotedToken() {
        return MatrixFormatException.quote(token, tokenLength);
    }

    /** Reads a whole number; one beyond the range of {@code long} becomes the end of that range. */
    long readInteger(String what) throws IOException {
        readToken(what);
        int i = token[0] == '-' || token[0] == '+' ? 1 : 0;
        boolean valid = i < tokenLength;
        long value = 0;
        for (; i < tokenLength; i++) {
            int digit = token[i] - '0';
            valid &= digit >= 0 && digit <= 9;
            value = value > (Long.MAX_VALUE - 9) / 10 ? Long.MAX_VALUE : 10 * value + digit;
        }
        if (!valid) {
            throw malformed(what + " " + quotedToken() + " is not an integer");
        }
        return token[0] == '-' ? -value : value;
    }

    /** Reads a whole number from a range. */
    long readInteger(String what, long least, long most) throws IOException {
        long value = readInteger(what);
        if (value < least || value > most) {
            // The token and not the value, which may be the end of the range of long.
            throw malformed(what + " " + tokenForMessage() + " is not in " + least + ".." + most);
        }
        return value;
    }

    private String tokenForMessage() {
        String quoted = quotedToken();
        return quoted.substring(1, quoted.length() - 1);
    }

    /** Reads a decimal number, rounded to the nearest float; what underflows becomes a denormal or zero. */
    float readFloat(String what, boolean wholeOnly) throws IOException {
        if (wholeOnly) {
            readInteger(what);
        } else {
            readToken(what);
        }
        float value = DecimalFloat.parse(token, tokenLength);
        if (Float.isNaN(value)) {
            throw malformed(what + " " + quotedToken() + " is not a number");
        }
        if (Float.isInfinite(value)) {
            throw malformed(what + " " + tokenForMessage() + " overflows a 32-bit float");
        }
        return value;
    }

    /** Blames the current line. */
    MatrixFormatException malformed(String reason) {
        return malformed(line, reason);
    }

    MatrixFormatException malformed(long atLine, String reason) {
        return new MatrixFormatException(source, atLine, reason);
    }

    /** Blames the last line that has any bytes: at the end of a file, the current one is usually empty. */
    MatrixFormatException malformedAtEnd(String reason) {
        return malformed(line > 1 && bytes() == lineStart ? line - 1 : line, reason);
    }

    private MatrixFormatException notText(int b) {
        String text = "byte 0x%02x at offset %d is not text";
        return malformed(String.format(Locale.ROOT, text, b & 0xff, bytes()));
    }

    private boolean isBlank(int b) {
        return b == ' ' || b == '\t' || b == '\r' || b == ',' && commaIsBlank;
    }

    private boolean refill() throws IOException {
        checkLineLength();
        bytesBeforeBuffer += limit;
        position = 0;
        limit = 0;
        limit = Math.max(0, in.read(buffer));
        return limit > 0;
    }

    private void checkLineLength() {
        if (bytes() - lineStart > maxLineBytes) {
            throw malformed("the line is longer than " + maxLineBytes + " bytes");
        }
    }
}
