package dev.filigree.bench;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;

/** Reads the files that users name. */
final class UserFiles {

    /** Reads one format. */
    @FunctionalInterface
    interface Reader<T> {
        /** @throws IllegalArgumentException if the file is malformed; the message begins with its name */
        T read(Path file) throws IOException;
    }

    private UserFiles() {}

    /** @throws InputException if the file cannot be read; the message begins with its name */
    static <T> T read(Path file, Reader<T> reader) {
        if (Files.isDirectory(file)) {
            throw new InputException(file + ": is a folder");
        }
        try {
            return reader.read(file);
        } catch (NoSuchFileException e) {
            throw new InputException(file + ": no such file", e);
        } catch (IOException e) {
            throw new InputException(file + ": cannot be read: " + e.getMessage(), e);
        } catch (IllegalArgumentException e) {
            throw new InputException(e.getMessage(), e);
        }
    }
}
