package dev.filigree.internal.ffi;

import java.io.IOException;
import java.io.InputStream;
import java.util.Optional;
import java.util.Properties;

/**
 * A library in the jar, with what the build wrote down about it.
 *
 * @param name without prefix and suffix: {@code filigree}
 * @param version of the build
 * @param sha256 of the file, in lower-case hexadecimal
 * @param content where its bytes come from
 */
record BundledLibrary(String name, String version, String sha256, Content content) {

    static final String FOLDER = "/META-INF/native/linux-x86_64/";

    /** Hexadecimal digits of the hash in a file's name: enough that two builds never meet. */
    private static final int NAME_DIGITS = 16;

    /** Opens the library's bytes. */
    @FunctionalInterface
    interface Content {
        InputStream open() throws IOException;
    }

    /** The files of a jar, or of a test. */
    @FunctionalInterface
    interface Resources {
        /** The content at an absolute path, or null if there is none. */
        InputStream open(String path) throws IOException;
    }

    /** The name under which the library is kept outside the jar: one for each build. */
    String fileName() {
        return "lib" + name + "-" + version + "-" + sha256.substring(0, NAME_DIGITS) + ".so";
    }

    /** The library of that name, unless the jar was built without it. */
    static Optional<BundledLibrary> find(String name, Resources resources) throws IOException, LoadException {
        String base = FOLDER + "lib" + name;
        try (InputStream description = resources.open(base + ".properties")) {
            if (description == null) {
                return Optional.empty();
            }
            Properties properties = new Properties();
            properties.load(description);
            String version = properties.getProperty("version", "");
            String sha256 = properties.getProperty("sha256", "");
            if (!version.matches("[A-Za-z0-9._-]+") || !sha256.matches("[0-9a-f]{64}")) {
                throw new LoadException("lib" + name + ".properties in the jar is damaged: version=" + version
                    + ", sha256=" + sha256, "get an intact filigree-bindings jar");
            }
            return Optional.of(new BundledLibrary(name, version, sha256, () -> resources.open(base + ".so")));
        }
    }
}
