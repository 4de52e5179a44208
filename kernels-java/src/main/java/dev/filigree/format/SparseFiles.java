package dev.filigree.format;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Locale;

/** Reads sparse matrix files by the extension of their name. May be called by any thread at any time. */
public final class SparseFiles {

    private SparseFiles() {}

    /**
     * Reads {@code .mtx} with {@link MatrixMarket#read(Path)} and {@code .smtx} with {@link Smtx#read(Path)},
     * in upper or lower case.
     *
     * @throws IOException if the file cannot be read
     * @throws IllegalArgumentException if the extension is another; the message names those that are
     *     supported
     * @throws MatrixFormatException if the file is malformed or not of a supported kind
     */
    public static CsrMatrix read(Path file) throws IOException {
        Path name = file.getFileName();
        String text = name == null ? "" : name.toString();
        String extension = text.substring(text.lastIndexOf('.') + 1).toLowerCase(Locale.ROOT);
        return switch (text.contains(".") ? extension : "") {
            case "mtx" -> MatrixMarket.read(file);
            case "smtx" -> Smtx.read(file);
            default -> throw new IllegalArgumentException(file
                + ": no reader for this extension; supported are .mtx (Matrix Market coordinate) "
                + "and .smtx (DLMC)");
        };
    }
}
