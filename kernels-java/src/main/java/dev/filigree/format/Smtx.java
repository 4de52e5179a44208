package dev.filigree.format;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.SplittableRandom;

/**
 * Reads the {@code .smtx} files of the Deep Learning Matrix Collection (Gale, Zaharia, Young, Elsen, "Sparse
 * GPU Kernels for Deep Learning", 2020): patterns of pruned weights, without their values.
 *
 * <p>Three lines: {@code rows, columns, nonzeros}; the {@code rows + 1} row offsets; the column of each
 * nonzero, counted from 0 and strictly increasing within a row, as in every file of the collection. Numbers
 * are separated by blanks, in the first line by commas too. Memory grows with what is read and not with what
 * the first line announces.
 *
 * <p>All methods may be called by any thread at any time.
 */
public final class Smtx {

    private Smtx() {}

    /** Where the values come from, which the files do not have. */
    @FunctionalInterface
    private interface Values {
        float next();
    }

    /**
     * Reads a file and gives every entry the value 1.
     *
     * @throws IOException if the file cannot be read
     * @throws MatrixFormatException if it is malformed
     */
    public static CsrMatrix read(Path file) throws IOException {
        try (InputStream in = Files.newInputStream(file)) {
            return read(in, file.toString());
        }
    }

    /**
     * Reads a file and gives the entries random values, the same for the same seed: entry by entry,
     * {@code (random.nextInt() >> 8) * 0x1p-23f} of one {@link SplittableRandom}, which is uniform over the
     * multiples of 2^-23 in [-1, 1).
     *
     * @throws IOException if the file cannot be read
     * @throws MatrixFormatException if it is malformed
     */
    public static CsrMatrix read(Path file, long seed) throws IOException {
        try (InputStream in = Files.newInputStream(file)) {
            return read(in, file.toString(), seed);
        }
    }

    /**
     * Reads a stream to its end, without closing it, and gives every entry the value 1. No buffering is
     * needed.
     *
     * @param in the bytes of a file
     * @param name what messages call it
     * @throws IOException if the stream cannot be read
     * @throws MatrixFormatException if it is malformed
     */
    public static CsrMatrix read(InputStream in, String name) throws IOException {
        return read(new TextScanner(in, name), () -> 1);
    }

    /**
     * Reads a stream to its end, without closing it, and gives the entries the values of
     * {@link #read(Path, long)}.
     *
     * @param in the bytes of a file
     * @param name what messages call it
     * @param seed of the values
     * @throws IOException if the stream cannot be read
     * @throws MatrixFormatException if it is malformed
     */
    public static CsrMatrix read(InputStream in, String name, long seed) throws IOException {
        SplittableRandom random = new SplittableRandom(seed);
        return read(new TextScanner(in, name), () -> (random.nextInt() >> 8) * 0x1p-23f);
    }

    private static CsrMatrix read(TextScanner scanner, Values values) throws IOException {
        scanner.treatCommaAsBlank(true);
        int rows = (int) scanner.readInteger("the number of rows", 0, Integer.MAX_VALUE);
        int cols = (int) scanner.readInteger("the number of columns", 0, Integer.MAX_VALUE);
        long nnz = scanner.readInteger("the number of nonzeros", 0, (long) rows * cols);
        scanner.nextLine("the three sizes");
        scanner.treatCommaAsBlank(false);
        try (GrowableSegment offsets = new GrowableSegment();
                GrowableSegment columns = new GrowableSegment()) {
            readOffsets(scanner, rows, nnz, offsets);
            scanner.nextLine("the " + (rows + 1L) + " row offsets");
            readColumns(scanner, rows, cols, offsets, columns);
            scanner.nextLine("the " + nnz + " columns");
            while (scanner.peek() != TextScanner.END_OF_FILE) {
                scanner.nextLine("the three lines of the format");
            }
            CsrStorage storage = new CsrStorage(rows);
            storage.rowOffsets().copyFrom(offsets.elements());
            storage.allocateEntries(nnz);
            MemorySegment.copy(columns.elements(), 0, storage.columns(), 0, nnz * Integer.BYTES);
            for (long i = 0; i < nnz; i++) {
                storage.values().setAtIndex(ValueLayout.JAVA_FLOAT, i, values.next());
            }
            return new CsrMatrix(rows, cols, storage);
        }
    }

    private static void readOffsets(TextScanner scanner, int rows, long nnz, GrowableSegment offsets)
            throws IOException {
        long previous = 0;
        for (long r = 0; r <= rows; r++) {
            if (atEndOfLine(scanner)) {
                throw scanner.malformedAtEnd("the line ends after " + r + " of the " + (rows + 1L)
                    + " row offsets of " + rows + " rows");
            }
            long offset = scanner.readInteger("row offset", 0, nnz);
            if (r == 0 && offset != 0) {
                throw scanner.malformed("row offset 0 is " + offset + " and not 0");
            }
            if (offset < previous) {
                throw scanner.malformed("row offset " + r + " is " + offset + ", below the " + previous
                    + " before it");
            }
            offsets.addLong(offset);
            previous = offset;
        }
        if (previous != nnz) {
            throw scanner.malformed("row offset " + rows + " is " + previous + " and not the " + nnz
                + " nonzeros that line 1 announces");
        }
    }

    private static void readColumns(
            TextScanner scanner, int rows, int cols, GrowableSegment offsets, GrowableSegment columns)
            throws IOException {
        long nnz = offsets.getLong(rows);
        for (int r = 0; r < rows; r++) {
            long begin = offsets.getLong(r);
            long end = offsets.getLong(r + 1L);
            int previous = -1;
            for (long i = begin; i < end; i++) {
                if (atEndOfLine(scanner)) {
                    throw scanner.malformedAtEnd("the line ends after " + i + " of the " + nnz + " columns");
                }
                long column = scanner.readInteger("column");
                if (column <= previous || column >= cols) {
                    throw scanner.malformed("column " + column + " at row " + r + ", entry " + (i - begin)
                        + " " + CsrMatrix.columnFault(column, previous, cols));
                }
                previous = (int) column;
                columns.addInt(previous);
            }
        }
    }

    private static boolean atEndOfLine(TextScanner scanner) throws IOException {
        int next = scanner.peek();
        return next == '\n' || next == TextScanner.END_OF_FILE;
    }
}
