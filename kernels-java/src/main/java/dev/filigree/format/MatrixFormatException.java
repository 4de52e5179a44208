package dev.filigree.format;

import java.util.Locale;

/**
 * A file of a matrix or of attention patterns, or a stream in such a format, is malformed or uses a part of
 * the format that is not supported. The message is exactly one line of printable text: {@code <file>:<line>:
 * <what is wrong, with the value>}.
 *
 * <p>It is an {@link IllegalArgumentException}, as from the checks of the formats themselves: the content is
 * an argument that the caller chose, and reading it again will not help. Failures to read at all, which may
 * help to retry, stay {@link java.io.IOException}.
 */
public final class MatrixFormatException extends IllegalArgumentException {

    private static final long serialVersionUID = 1L;

    /** Longer pieces of a file are cut: a message is to be read by a person. */
    private static final int MAX_QUOTED = 60;

    private final String source;
    private final long line;

    MatrixFormatException(String source, long line, String reason) {
        super(oneLine(source) + ":" + line + ": " + reason);
        this.source = source;
        this.line = line;
    }

    /** The file, as the caller named it. */
    public String source() {
        return source;
    }

    /** The line at fault, counted from 1. */
    public long line() {
        return line;
    }

    /** A piece of a file between quotes: long ones are cut, bytes that are not printable ASCII escaped. */
    static String quote(byte[] bytes, int length) {
        StringBuilder result = new StringBuilder("\"");
        for (int i = 0; i < Math.min(length, MAX_QUOTED); i++) {
            if (bytes[i] >= ' ' && bytes[i] < 0x7f) {
                result.append((char) bytes[i]);
            } else {
                result.append(String.format(Locale.ROOT, "\\x%02x", bytes[i] & 0xff));
            }
        }
        return result.append(length > MAX_QUOTED ? "...\"" : "\"").toString();
    }

    /** A file name may be in any script: only what would break the line is replaced. */
    private static String oneLine(String name) {
        return name.codePoints()
            .map(c -> Character.isISOControl(c) || c == 0x2028 || c == 0x2029 ? '?' : c)
            .collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append)
            .toString();
    }
}
