package dev.filigree.bench;

import dev.filigree.format.CsrMatrix;
import dev.filigree.format.Smtx;
import dev.filigree.format.SparseFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Locale;

/** Reads the matrix files that users name. */
final class MatrixFiles {

    private MatrixFiles() {}

    /**
     * Reads a matrix.
     *
     * @param seed of the values of a file that holds a pattern only
     * @throws InputException if the file cannot be read; the message begins with its name
     */
    static CsrMatrix read(Path file, long seed) {
        if (Files.isDirectory(file)) {
            throw new InputException(file + ": is a folder");
        }
        try {
            boolean pattern = file.toString().toLowerCase(Locale.ROOT).endsWith(".smtx");
            return pattern ? Smtx.read(file, seed) : SparseFiles.read(file);
        } catch (NoSuchFileException e) {
            throw new InputException(file + ": no such file", e);
        } catch (IOException e) {
            throw new InputException(file + ": cannot be read: " + e.getMessage(), e);
        } catch (IllegalArgumentException e) {
            throw new InputException(e.getMessage(), e); // The readers' messages begin with the file.
        }
    }
}
