package dev.filigree.bench;

import dev.filigree.format.CsrMatrix;
import dev.filigree.format.Smtx;
import dev.filigree.format.SparseFiles;
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
        boolean pattern = file.toString().toLowerCase(Locale.ROOT).endsWith(".smtx");
        return UserFiles.read(file, named -> pattern ? Smtx.read(named, seed) : SparseFiles.read(named));
    }
}
