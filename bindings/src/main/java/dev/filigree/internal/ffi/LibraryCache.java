package dev.filigree.internal.ffi;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Set;

/**
 * A folder outside the jar from which the dynamic linker can open a library. Nobody else may write there:
 * whoever can replace the file runs code in this process.
 *
 * <p>A file appears under its name complete or not at all, by an atomic move, and is never written again; a
 * process that has the old one open keeps it. So processes need no lock between them.
 */
final class LibraryCache {

    private static final System.Logger LOG = System.getLogger("dev.filigree");
    private static final FileAttribute<Set<PosixFilePermission>> PRIVATE =
        PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------"));

    private final Path folder;
    private final int userId;

    LibraryCache(Path folder, int userId) {
        this.folder = folder.toAbsolutePath();
        this.userId = userId;
    }

    /** The library's file in this folder, copied there unless it is there already, byte for byte. */
    Path place(BundledLibrary library) throws LoadException {
        try {
            Files.createDirectories(folder, PRIVATE);
            requirePrivate();
            Path file = folder.resolve(library.fileName());
            if (Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)
                    && sha256(file).equals(library.sha256())) {
                LOG.log(System.Logger.Level.DEBUG, "{0} is unchanged and used again", file);
            } else {
                copy(library, file);
                LOG.log(System.Logger.Level.DEBUG, "{0} was copied out of the jar", file);
            }
            return file;
        } catch (FileAlreadyExistsException e) {
            throw unusable(e.getFile() + " is not a folder");
        } catch (IOException e) {
            throw unusable("cannot be written (" + e + ")");
        }
    }

    private void requirePrivate() throws IOException, LoadException {
        PosixFileAttributes attributes =
            Files.readAttributes(folder, PosixFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
        if (attributes.isSymbolicLink()) {
            throw unusable("is a symbolic link");
        }
        int owner = (int) Files.getAttribute(folder, "unix:uid", LinkOption.NOFOLLOW_LINKS);
        if (owner != userId) {
            throw unusable("belongs to user " + attributes.owner().getName());
        }
        Set<PosixFilePermission> permissions = attributes.permissions();
        if (permissions.contains(PosixFilePermission.GROUP_WRITE)
                || permissions.contains(PosixFilePermission.OTHERS_WRITE)) {
            throw unusable("can be written by others (" + PosixFilePermissions.toString(permissions) + ")");
        }
    }

    private void copy(BundledLibrary library, Path file) throws IOException, LoadException {
        Path temporary = Files.createTempFile(folder, library.fileName(), ".tmp", PRIVATE);
        try {
            String written = write(library, temporary);
            if (!written.equals(library.sha256())) {
                throw new LoadException("lib" + library.name() + ".so in the jar is damaged: its SHA-256 is "
                    + written + ", not " + library.sha256(), "get an intact filigree-bindings jar");
            }
            Files.move(temporary, file, StandardCopyOption.ATOMIC_MOVE);
        } finally {
            Files.deleteIfExists(temporary);
        }
    }

    private static String write(BundledLibrary library, Path target) throws IOException {
        MessageDigest digest = newDigest();
        try (InputStream content = library.content().open()) {
            if (content == null) {
                throw new IOException("the jar describes lib" + library.name() + ".so but lacks it");
            }
            try (var in = new DigestInputStream(content, digest);
                    var out = Files.newOutputStream(target, StandardOpenOption.TRUNCATE_EXISTING)) {
                in.transferTo(out);
            }
        }
        return HexFormat.of().formatHex(digest.digest());
    }

    private static String sha256(Path file) throws IOException {
        return HexFormat.of().formatHex(newDigest().digest(Files.readAllBytes(file)));
    }

    private static MessageDigest newDigest() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }

    private LoadException unusable(String why) {
        return new LoadException("folder " + folder + " " + why,
            "set -D" + LoadSettings.CACHE_PROPERTY + " to a folder of your own that others cannot write");
    }
}
