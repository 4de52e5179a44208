package dev.filigree.internal.ffi;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** Reads from Linux whether programs may run from a folder. */
final class MountTable {

    /** Fields of a line of mountinfo(5). */
    private static final int MOUNT_POINT = 4;
    private static final int OPTIONS = 5;

    private static final Path MOUNTS = Path.of("/proc/self/mountinfo");

    private MountTable() {}

    /** Whether the file lies on a file system mounted noexec; false when that cannot be told. */
    static boolean isNoExec(Path file) {
        try {
            return isNoExec(file.toRealPath(), Files.readAllLines(MOUNTS));
        } catch (IOException e) {
            return false;
        }
    }

    /** The same for a real path and the lines of a mount table. */
    static boolean isNoExec(Path file, List<String> mountInfo) {
        Path best = null;
        boolean noExec = false;
        for (String line : mountInfo) {
            String[] fields = line.split(" ");
            if (fields.length > OPTIONS) {
                Path mountPoint = Path.of(unescape(fields[MOUNT_POINT]));
                // The deepest mount counts, and of two at one place the later, which hides the earlier.
                if (file.startsWith(mountPoint)
                        && (best == null || mountPoint.getNameCount() >= best.getNameCount())) {
                    best = mountPoint;
                    noExec = List.of(fields[OPTIONS].split(",")).contains("noexec");
                }
            }
        }
        return noExec;
    }

    /** Blanks and the like are written as three octal digits. */
    private static String unescape(String field) {
        return field.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n")
            .replace("\\134", "\\");
    }
}
