package dev.filigree.format;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Locale;
import java.util.UUID;
import java.util.stream.Collectors;

/**
 * Reads and writes sparse matrices in the Matrix Market exchange format (Boisvert, Pozo, Remington, 1996).
 *
 * <p>Read are {@code coordinate} files with the fields {@code real}, {@code integer} and {@code pattern}
 * (every value is 1) and the symmetries {@code general}, {@code symmetric} and {@code skew-symmetric}, whose
 * entries stand for their mirror images as well. The format puts such entries below the diagonal; graph collections
 * often put them above, so either is read. Comments and blank lines may stand anywhere below the banner. Values are
 * rounded to the nearest f32, and explicit zeros are kept.
 *
 * <p>Refused, with the line: an entry given twice, be it as its mirror image, or on the diagonal of a skew-symmetric
 * file, a value that is not a number or overflows, more or fewer entries than announced.
 * Memory grows with what is read and not with what a size line announces; for the same reason a matrix has at
 * most {@code 16 Mi + 16 * bytes read} rows: a file may be nearly empty, but it cannot exhaust memory.
 *
 * <p>All methods may be called by any thread at any time.
 */
public final class MatrixMarket {

    private static final String BANNER = "%%MatrixMarket";

    /** 64 times what the format allows: some collections have long comments. */
    private static final long MAX_LINE_BYTES = 1 << 16;

    private static final long FREE_ROWS = 16 << 20;
    private static final long ROWS_PER_BYTE = 16;

    /** Entries are written in pieces of this length. */
    private static final int TEXT_CHARS = 1 << 16;

    private enum Field { REAL, INTEGER, PATTERN }

    private enum Symmetry { GENERAL, SYMMETRIC, SKEW_SYMMETRIC }

    private final TextScanner scanner;
    private Field field;
    private Symmetry symmetry;
    private long sizeLine;
    private int rows;
    private int cols;
    private long entries;

    private MatrixMarket(TextScanner scanner) {
        this.scanner = scanner;
        scanner.limitLines(MAX_LINE_BYTES);
    }

    /**
     * Reads a file.
     *
     * @throws IOException if the file cannot be read
     * @throws MatrixFormatException if it is malformed or not of a supported kind
     */
    public static CsrMatrix read(Path file) throws IOException {
        try (InputStream in = Files.newInputStream(file)) {
            return read(in, file.toString());
        }
    }

    /**
     * Reads a stream to its end, without closing it. No buffering is needed.
     *
     * @param in the bytes of a file
     * @param name what messages call it
     * @throws IOException if the stream cannot be read
     * @throws MatrixFormatException if it is malformed or not of a supported kind
     */
    public static CsrMatrix read(InputStream in, String name) throws IOException {
        return new MatrixMarket(new TextScanner(in, name)).read();
    }

    private CsrMatrix read() throws IOException {
        readBanner();
        readSize();
        try (Triplets triplets = new Triplets()) {
            readEntries(triplets);
            if (rows > FREE_ROWS + ROWS_PER_BYTE * scanner.bytes()) {
                throw scanner.malformed(sizeLine, rows + " rows are too many for a file of " + scanner.bytes()
                    + " bytes: at most " + FREE_ROWS + " + " + ROWS_PER_BYTE + " per byte are read");
            }
            return triplets.toCsr(rows, cols, this::duplicate);
        }
    }

    private void readBanner() throws IOException {
        if (scanner.peek() == TextScanner.END_OF_FILE) {
            throw scanner.malformed("the file ends where the banner " + BANNER + " is expected");
        }
        scanner.readToken("the banner " + BANNER);
        if (!scanner.token().equalsIgnoreCase(BANNER)) {
            throw scanner.malformed("expected the banner " + BANNER + ", found " + scanner.quotedToken());
        }
        readWord("object", List.of("matrix"));
        readWord("format", List.of("coordinate"));
        field = readWord("field", List.of(Field.values()));
        symmetry = readWord("symmetry", List.of(Symmetry.values()));
        if (field == Field.PATTERN && symmetry == Symmetry.SKEW_SYMMETRIC) {
            throw scanner.malformed("a pattern cannot be skew-symmetric: it has no signs");
        }
        scanner.nextLine("the banner");
    }

    private <T> T readWord(String what, List<T> supported) throws IOException {
        scanner.readToken("the " + what);
        String word = scanner.token().toLowerCase(Locale.ROOT);
        for (T choice : supported) {
            if (word.equals(spelling(choice))) {
                return choice;
            }
        }
        throw scanner.malformed(what + " " + scanner.quotedToken() + " is not supported, only "
            + supported.stream().map(MatrixMarket::spelling).collect(Collectors.joining(", ")));
    }

    private static String spelling(Object choice) {
        return choice.toString().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    private void readSize() throws IOException {
        if (!findLine()) {
            throw scanner.malformedAtEnd(
                "the file ends where the size line \"rows columns entries\" is expected");
        }
        sizeLine = scanner.line();
        rows = (int) scanner.readInteger("the number of rows", 0, Integer.MAX_VALUE);
        cols = (int) scanner.readInteger("the number of columns", 0, Integer.MAX_VALUE);
        if (symmetry != Symmetry.GENERAL && rows != cols) {
            throw scanner.malformed("a " + spelling(symmetry) + " matrix of " + rows + " x " + cols
                + " is not square");
        }
        long triangle = (long) rows * (rows - 1L) / 2;
        long places = switch (symmetry) {
            case GENERAL -> (long) rows * cols;
            case SYMMETRIC -> triangle + rows;
            case SKEW_SYMMETRIC -> triangle;
        };
        entries = scanner.readInteger("the number of entries", 0, places);
        scanner.nextLine("the size line");
    }

    private void readEntries(Triplets triplets) throws IOException {
        long found = 0;
        while (findLine()) {
            if (found == entries) {
                throw scanner.malformed("entry " + (found + 1) + " is one more than the " + entries
                    + " that line " + sizeLine + " announces");
            }
            readEntry(triplets);
            found++;
        }
        if (found < entries) {
            throw scanner.malformedAtEnd("the file ends after " + found + " of the " + entries
                + " entries that line " + sizeLine + " announces");
        }
    }

    private void readEntry(Triplets triplets) throws IOException {
        int row = (int) scanner.readInteger("row", 1, rows) - 1;
        int column = (int) scanner.readInteger("column", 1, cols) - 1;
        float value = field == Field.PATTERN ? 1 : scanner.readFloat("value", field == Field.INTEGER);
        long line = scanner.line();
        if (symmetry == Symmetry.SKEW_SYMMETRIC && row == column) {
            throw scanner.malformed("entry " + place(row, column)
                + " is on the diagonal, which a skew-symmetric file leaves out");
        }
        triplets.add(row, column, value, line);
        if (symmetry != Symmetry.GENERAL && row != column) {
            triplets.add(column, row, symmetry == Symmetry.SYMMETRIC ? value : -value, line);
        }
        scanner.nextLine("the entry");
    }

    /** Goes to the next line, this one included, that is neither blank nor a comment. */
    private boolean findLine() throws IOException {
        for (;;) {
            switch (scanner.peek()) {
                case TextScanner.END_OF_FILE -> {
                    return false;
                }
                case '\n', '%' -> scanner.skipLine();
                default -> {
                    return true;
                }
            }
        }
    }

    private MatrixFormatException duplicate(int row, int column, long firstLine, long secondLine) {
        // Rows are searched in order: of a pair of mirrored duplicates the one not in the file comes first.
        boolean mirrored = symmetry != Symmetry.GENERAL && row < column;
        return scanner.malformed(secondLine, "entry " + (mirrored ? place(column, row) : place(row, column))
            + " is already on line " + firstLine);
    }

    /** Counted from 1, as in the file. */
    private static String place(int row, int column) {
        return "(" + (row + 1L) + ", " + (column + 1L) + ")";
    }

    /**
     * Writes a matrix as {@code coordinate real general}, entries by row. {@link #read(Path)} gives back an
     * equal matrix, unless it has more rows than a file of that length may. The file appears, or replaces one
     * of the same name, when it is complete: a failure leaves nothing behind.
     *
     * @param matrix has no NaN or infinity, which the format cannot express
     * @param file in a directory that exists
     * @throws IOException if the file cannot be written
     * @throws IllegalArgumentException if a value is not finite, with its place
     */
    public static void write(CsrMatrix matrix, Path file) throws IOException {
        refuseNonFinite(matrix);
        Path name = file.getFileName();
        if (name == null) {
            throw new IOException(file + " is not the name of a file");
        }
        Path part = file.resolveSibling("." + name + "." + UUID.randomUUID() + ".part");
        try {
            try (OutputStream out = Files.newOutputStream(part, StandardOpenOption.CREATE_NEW)) {
                writeTo(matrix, out);
            }
            Files.move(part, file, StandardCopyOption.ATOMIC_MOVE);
        } finally {
            Files.deleteIfExists(part);
        }
    }

    private static void refuseNonFinite(CsrMatrix matrix) {
        for (int r = 0; r < matrix.rows(); r++) {
            long begin = matrix.rowOffsets().getAtIndex(ValueLayout.JAVA_LONG, r);
            for (int i = 0; i < matrix.rowLength(r); i++) {
                float value = matrix.values().getAtIndex(ValueLayout.JAVA_FLOAT, begin + i);
                if (!Float.isFinite(value)) {
                    throw new IllegalArgumentException("value " + value + " at row " + r + ", entry " + i
                        + " cannot be written: the Matrix Market format has finite numbers only");
                }
            }
        }
    }

    private static void writeTo(CsrMatrix matrix, OutputStream out) throws IOException {
        StringBuilder text = new StringBuilder(BANNER + " matrix coordinate real general\n");
        text.append(matrix.rows()).append(' ').append(matrix.cols()).append(' ');
        text.append(matrix.nnz()).append('\n');
        long entry = 0;
        for (int r = 0; r < matrix.rows(); r++) {
            for (long end = entry + matrix.rowLength(r); entry < end; entry++) {
                // Float's own text is the shortest that reads back as the same float.
                text.append(r + 1L).append(' ')
                    .append(matrix.columns().getAtIndex(ValueLayout.JAVA_INT, entry) + 1L).append(' ')
                    .append(matrix.values().getAtIndex(ValueLayout.JAVA_FLOAT, entry)).append('\n');
                if (text.length() >= TEXT_CHARS) {
                    flush(text, out);
                }
            }
        }
        flush(text, out);
    }

    private static void flush(StringBuilder text, OutputStream out) throws IOException {
        out.write(text.toString().getBytes(StandardCharsets.US_ASCII));
        text.setLength(0);
    }
}
