package dev.filigree.format;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Locale;

/**
 * Reads JSON (RFC 8259) piece by piece as a reader expects it: one fixed buffer, no tree, and the line and column where
 * the piece at fault begins for messages. Strings here are names: short, and without escapes. Not thread-safe.
 */
final class JsonScanner {

    private static final int END_OF_FILE = -1;
    private static final int BUFFER_BYTES = 1 << 14;
    /** Far above any number that a program prints, and any name. */
    private static final int MAX_PIECE_BYTES = 64;

    private final InputStream in;
    private final String source;
    private final byte[] buffer = new byte[BUFFER_BYTES];
    private final byte[] piece = new byte[MAX_PIECE_BYTES];
    private int pieceLength;
    private int position;
    private int limit;
    private long line = 1;
    private long column = 1;
    /** Where the last piece begins. */
    private long pieceLine = 1;
    private long pieceColumn = 1;
    /** Where in the document the reader is, in its own words. */
    private String context = "";

    JsonScanner(InputStream in, String source) {
        this.in = in;
        this.source = source;
    }

    void context(String where) {
        context = where;
    }

    /** Takes the byte that opens an array or object. */
    void begin(char open, String what) throws IOException {
        int b = peek();
        if (b != open) {
            throw malformed("expected " + what + ", found " + describe(b));
        }
        take();
    }

    /**
     * Whether another element follows in an array or object, whose comma is taken; else its closing byte is.
     *
     * @param first whether none has been read yet
     */
    boolean hasNext(char close, boolean first) throws IOException {
        int b = peek();
        if (b == close) {
            take();
            return false;
        }
        if (!first) {
            if (b != ',') {
                throw malformed("expected ',' or '" + close + "', found " + describe(b));
            }
            take();
        }
        return true;
    }

    /** Takes the comma before an element that must be there. */
    void comma(String what) throws IOException {
        int b = peek();
        if (b != ',') {
            throw malformed("expected ',' and " + what + ", found " + describe(b));
        }
        take();
    }

    /** Takes the name of a member and its colon. */
    String name(String what) throws IOException {
        String name = string(what);
        long nameLine = pieceLine;
        long nameColumn = pieceColumn;
        int b = peek();
        if (b != ':') {
            throw malformed("expected ':' after \"" + name + "\", found " + describe(b));
        }
        take();
        pieceLine = nameLine;
        pieceColumn = nameColumn;
        return name;
    }

    String string(String what) throws IOException {
        begin('"', what);
        pieceLength = 0;
        for (int b = next(); b != '"'; b = next()) {
            if (b == END_OF_FILE || b == '\\' || b < ' ' || b > '~') {
                throw malformed(what + " " + quotedPiece() + " goes on with " + describe(b));
            }
            append(b, what);
            take();
        }
        take();
        return pieceText();
    }

    /** Takes a whole number of a range. */
    int integer(String what, int least, int most) throws IOException {
        number(what);
        boolean whole = true;
        for (int i = piece[0] == '-' ? 1 : 0; i < pieceLength; i++) {
            whole &= piece[i] >= '0' && piece[i] <= '9';
        }
        if (!whole) {
            throw malformed(what + " " + pieceText() + " is not a whole number");
        }
        // Eleven digits are more than an int has, and fit a long.
        long value = pieceLength > 11 ? Long.MAX_VALUE : Long.parseLong(pieceText());
        if (value < least || value > most) {
            throw malformed(what + " " + pieceText() + " is not in " + least + ".." + most);
        }
        return (int) value;
    }

    /** Takes a number. */
    double decimal(String what) throws IOException {
        number(what);
        double value = Double.parseDouble(pieceText());
        if (!Double.isFinite(value)) {
            throw malformed(what + " " + pieceText() + " overflows a 64-bit float");
        }
        return value;
    }

    /** {@code -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?}. */
    private void number(String what) throws IOException {
        int b = peek();
        if (b != '-' && !isDigit(b)) {
            throw malformed("expected " + what + ", a number, found " + describe(b));
        }
        pieceLength = 0;
        if (b == '-') {
            accept(what);
        }
        boolean leadingZero = next() == '0';
        int digits = digits(what);
        boolean valid = digits > 0 && !(leadingZero && digits > 1);
        if (next() == '.') {
            accept(what);
            valid &= digits(what) > 0;
        }
        if (next() == 'e' || next() == 'E') {
            accept(what);
            if (next() == '+' || next() == '-') {
                accept(what);
            }
            valid &= digits(what) > 0;
        }
        if (!valid) {
            throw malformed(what + " " + quotedPiece() + " is not a number");
        }
    }

    private int digits(String what) throws IOException {
        int count = 0;
        for (; isDigit(next()); count++) {
            accept(what);
        }
        return count;
    }

    private void accept(String what) throws IOException {
        append(next(), what);
        take();
    }

    private void append(int b, String what) {
        if (pieceLength == MAX_PIECE_BYTES) {
            throw malformed(what + " " + quotedPiece() + " is longer than " + MAX_PIECE_BYTES + " bytes");
        }
        piece[pieceLength++] = (byte) b;
    }

    /** Nothing but blanks may follow. */
    void end() throws IOException {
        int b = peek();
        if (b != END_OF_FILE) {
            throw malformed("expected the end of the file, found " + describe(b));
        }
    }

    MatrixFormatException malformed(String reason) {
        return new MatrixFormatException(source, pieceLine,
            "column " + pieceColumn + (context.isEmpty() ? "" : ", " + context) + ": " + reason);
    }

    private static boolean isDigit(int b) {
        return b >= '0' && b <= '9';
    }

    private String pieceText() {
        return new String(piece, 0, pieceLength, StandardCharsets.ISO_8859_1);
    }

    private String quotedPiece() {
        return MatrixFormatException.quote(piece, pieceLength);
    }

    private static String describe(int b) {
        return b == END_OF_FILE ? "the end of the file"
            : b > ' ' && b <= '~' ? "'" + (char) b + "'" : String.format(Locale.ROOT, "byte 0x%02x", b);
    }

    /** Skips blanks; the byte that follows, not taken. */
    private int peek() throws IOException {
        int b = next();
        while (b == ' ' || b == '\t' || b == '\r' || b == '\n') {
            take();
            b = next();
        }
        pieceLine = line;
        pieceColumn = column;
        return b;
    }

    private int next() throws IOException {
        if (position == limit) {
            position = 0;
            limit = Math.max(0, in.read(buffer));
        }
        return limit == 0 ? END_OF_FILE : buffer[position] & 0xff;
    }

    private void take() {
        if (buffer[position++] == '\n') {
            line++;
            column = 1;
        } else {
            column++;
        }
    }
}
