package dev.filigree.internal.ffi;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * The system properties that the loader obeys.
 *
 * @param osName {@code os.name}
 * @param osArch {@code os.arch}
 * @param nativePath {@value #PATH_PROPERTY}, or null
 * @param cache {@value #CACHE_PROPERTY}, or null
 * @param home {@code user.home}
 * @param temporary {@code java.io.tmpdir}
 * @param user {@code user.name}
 */
record LoadSettings(String osName, String osArch, String nativePath, String cache, String home,
    String temporary, String user) {

    static final String PATH_PROPERTY = "filigree.native.path";
    static final String CACHE_PROPERTY = "filigree.native.cache";

    static LoadSettings ofProcess() {
        return new LoadSettings(System.getProperty("os.name"), System.getProperty("os.arch"),
            System.getProperty(PATH_PROPERTY), System.getProperty(CACHE_PROPERTY),
            System.getProperty("user.home"), System.getProperty("java.io.tmpdir"),
            System.getProperty("user.name"));
    }

    boolean isLinuxX86() {
        return osName.equals("Linux") && osArch.equals("amd64");
    }

    /** The folders that may hold libraries from the jar, best first. One that the user names stands alone. */
    List<Path> cacheFolders() {
        if (cache != null) {
            return List.of(Path.of(cache));
        }
        List<Path> folders = new ArrayList<>();
        // A process without a home has the property all the same: "?" or a relative path.
        if (home != null && Path.of(home).isAbsolute()) {
            folders.add(Path.of(home, ".cache", "filigree"));
        }
        folders.add(Path.of(temporary, "filigree-" + user.replaceAll("[^A-Za-z0-9_.-]", "_")));
        return folders;
    }
}
