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
    private static final int SHA256_DIGITS = 64;

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

    BundledLibrary {
        if (sha256.length() != SHA256_DIGITS || version.isEmpty() || version.contains("/")) {
            throw new IllegalArgumentException("lib" + name + ".properties is damaged: version=" + version
                + ", sha256=" + sha256);
        }
    }

    /** The name under which the library is kept outside the jar: one for each build. */
    String fileName() {
        return "lib" + name + "-" + version + "-" + sha256.substring(0, NAME_DIGITS) + ".so";
    }

    /** The library of that name, unless the jar was built without it. */
    static Optional<BundledLibrary> find(String name, Resources resources) throws IOException {
        String base = FOLDER + "lib" + name;
        try (InputStream description = resources.open(base + ".properties")) {
            if (description == null) {
                return Optional.empty();
            }
            Properties properties = new Properties();
            properties.load(description);
            return Optional.of(new BundledLibrary(name, properties.getProperty("version", ""),
                properties.getProperty("sha256", ""), () -> resources.open(base + ".so")));
        }
    }
}
