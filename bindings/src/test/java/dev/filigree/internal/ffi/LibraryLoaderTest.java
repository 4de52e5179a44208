package dev.filigree.internal.ffi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.filigree.internal.ffi.NativeLibrary.Loaded;
import dev.filigree.internal.ffi.NativeLibrary.Missing;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The loader on libraries of a few lines, built here. */
class LibraryLoaderTest {

    private static final int ABI = 7;
    private static final BundledLibrary.Resources EMPTY_JAR = path -> null;

    @TempDir
    private Path temporary;
    private Path home;

    @BeforeEach
    void makeHome() throws IOException {
        home = Files.createDirectory(temporary.resolve("home"));
    }

    private LoadSettings settings(Path nativePath, Path cache) {
        return new LoadSettings("Linux", "amd64", nativePath == null ? null : nativePath.toString(),
            cache == null ? null : cache.toString(), home.toString(), temporary.toString(), "a user");
    }

    private static NativeLibrary load(LoadSettings settings, BundledLibrary.Resources jar) {
        return new LibraryLoader("filigree", settings, jar, () -> ABI).load();
    }

    private NativeLibrary loadFromPath(Path path) {
        return load(settings(path, null), EMPTY_JAR);
    }

    /** A jar with a library whose description tells a hash: the right one, or one that a test makes up. */
    private static BundledLibrary.Resources jar(byte[] library, String sha256) {
        Map<String, byte[]> files = Map.of(
            "/META-INF/native/linux-x86_64/libfiligree.so", library,
            "/META-INF/native/linux-x86_64/libfiligree.properties",
            ("version=1.2.3\nabi=7\nsha256=" + sha256 + "\n").getBytes(StandardCharsets.ISO_8859_1));
        return path -> files.containsKey(path) ? new ByteArrayInputStream(files.get(path)) : null;
    }

    private static BundledLibrary.Resources jar(byte[] library) throws Exception {
        return jar(library, sha256(library));
    }

    private static String sha256(byte[] bytes) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    }

    private byte[] goodLibrary() throws Exception {
        return Files.readAllBytes(Tools.libraryOfAbi(temporary, "good.so", ABI));
    }

    private static Missing missing(NativeLibrary library) {
        assertThat(library).isInstanceOf(Missing.class);
        return (Missing) library;
    }

    private static Path file(NativeLibrary library) {
        assertThat(library).isInstanceOf(Loaded.class);
        return ((Loaded) library).file();
    }

    @Test
    void thePathMayNameAFileOrAFolder() throws Exception {
        Path library = Tools.libraryOfAbi(temporary, "libfiligree.so", ABI);
        assertThat(file(loadFromPath(library))).isEqualTo(library);
        assertThat(file(loadFromPath(temporary))).isEqualTo(library);
        assertThat(((Loaded) loadFromPath(library)).symbols().find("filigree_abi_version")).isPresent();
    }

    @Test
    void theDeviceLibraryLiesBesideTheFileThatThePathNames() throws Exception {
        Path mine = Tools.libraryOfAbi(temporary, "mine.so", ABI);
        Path cuda = Tools.library(temporary, "libfiligree_cuda.so",
            "int filigree_cuda_abi_version(void) { return " + ABI + "; }\n");
        LibraryLoader loader = new LibraryLoader("filigree_cuda", settings(mine, null), EMPTY_JAR, () -> ABI);
        assertThat(file(loader.load())).isEqualTo(cuda);
    }

    @Test
    void aMissingFileIsFinalAlthoughTheJarHasOne() throws Exception {
        Path nowhere = temporary.resolve("nowhere.so");
        Missing missing = missing(load(settings(nowhere, null), jar(goodLibrary())));
        assertThat(missing.reason()).isEqualTo(
            "libfiligree.so cannot be loaded: -Dfiligree.native.path: there is no file " + nowhere);
        assertThat(missing.cure()).contains("correct -Dfiligree.native.path");
        assertThat(home.resolve(".cache")).doesNotExist();
    }

    @Test
    void anEmptyPropertyIsNotTheCurrentFolder() throws Exception {
        LoadSettings path = new LoadSettings("Linux", "amd64", "", null, home.toString(), temporary.toString(), "me");
        assertThat(missing(load(path, jar(goodLibrary()))).reason())
            .isEqualTo("libfiligree.so cannot be loaded: -Dfiligree.native.path is empty");
        LoadSettings cache = new LoadSettings("Linux", "amd64", null, "", home.toString(), temporary.toString(), "me");
        assertThat(missing(load(cache, jar(goodLibrary()))).reason())
            .isEqualTo("libfiligree.so cannot be loaded: -Dfiligree.native.cache is empty");
    }

    @Test
    void aFileThatIsNoLibraryIsRefusedInTheLinkersWords() throws IOException {
        Path text = Files.writeString(temporary.resolve("text.so"), "not a library at all ".repeat(50));
        assertThat(missing(loadFromPath(text)).reason()).contains(text.toString(), "invalid ELF header");
        Path empty = Files.createFile(temporary.resolve("empty.so"));
        assertThat(missing(loadFromPath(empty)).reason()).contains(empty.toString(), "file too short");
    }

    @Test
    void aMissingDependencyIsNamed() throws Exception {
        Tools.library(temporary, "libdependency.so", "int depended_on(void) { return 1; }\n");
        Path dependent = Tools.library(temporary, "dependent.so",
            "int depended_on(void); int filigree_abi_version(void) { return depended_on(); }\n",
            "-L" + temporary, "-ldependency");
        assertThat(missing(loadFromPath(dependent)).reason())
            .contains("libdependency.so: cannot open shared object file");
    }

    @Test
    void aLibraryOfSomebodyElseIsRefused() throws Exception {
        Path other = Tools.library(temporary, "other.so", "int other(void) { return 1; }\n");
        assertThat(missing(loadFromPath(other)).reason())
            .contains(other + " is not libfiligree.so: it lacks filigree_abi_version");
    }

    @Test
    void theAbiMustBeTheSame() throws Exception {
        Path old = Tools.libraryOfAbi(temporary, "old.so", ABI - 1);
        assertThat(missing(loadFromPath(old)).reason())
            .contains(old + " is older (ABI 6) than these bindings (ABI 7)");
        Path young = Tools.libraryOfAbi(temporary, "young.so", ABI + 1);
        Missing newer = missing(loadFromPath(young));
        assertThat(newer.reason()).contains(young + " is newer (ABI 8) than these bindings (ABI 7)");
        assertThat(newer.cure()).contains("update filigree-bindings");
        Missing bundled = missing(load(settings(null, null), jar(Files.readAllBytes(old))));
        assertThat(bundled.cure()).contains("rebuild");
    }

    @Test
    void theJarsLibraryIsCopiedToAPrivateFolderAndUsedAgain() throws Exception {
        byte[] library = goodLibrary();
        Path copy = file(load(settings(null, null), jar(library)));
        assertThat(copy).hasParent(home.resolve(".cache/filigree"))
            .hasFileName("libfiligree-1.2.3-" + sha256(library).substring(0, 16) + ".so")
            .hasBinaryContent(library);
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(copy.getParent())))
            .isEqualTo("rwx------");

        FileTime longAgo = FileTime.fromMillis(1_000_000);
        Files.setLastModifiedTime(copy, longAgo);
        assertThat(file(load(settings(null, null), jar(library)))).isEqualTo(copy);
        assertThat(Files.getLastModifiedTime(copy)).isEqualTo(longAgo);
        assertThat(contents(copy.getParent())).containsExactly(copy);
    }

    @Test
    void aDamagedCopyIsReplacedAsAWhole() throws Exception {
        byte[] library = goodLibrary();
        Path copy = file(load(settings(null, null), jar(library)));
        Object inode = Files.getAttribute(copy, "unix:ino");
        for (byte[] damage : List.of(new byte[0], "half".getBytes(StandardCharsets.US_ASCII))) {
            // A new file: this process has the first one open.
            Files.delete(copy);
            Files.write(copy, damage);
            assertThat(file(load(settings(null, null), jar(library)))).isEqualTo(copy);
            assertThat(copy).hasBinaryContent(library);
            assertThat(Files.getAttribute(copy, "unix:ino")).isNotEqualTo(inode);
        }
        assertThat(contents(copy.getParent())).containsExactly(copy);
    }

    @Test
    void aLinkInPlaceOfTheCopyIsReplacedAndItsTargetLeftAlone() throws Exception {
        byte[] library = goodLibrary();
        Path copy = file(load(settings(null, null), jar(library)));
        Path target = Files.writeString(temporary.resolve("target"), "mine");
        Files.delete(copy);
        Files.createSymbolicLink(copy, target);
        load(settings(null, null), jar(library));
        assertThat(Files.isRegularFile(copy, LinkOption.NOFOLLOW_LINKS)).isTrue();
        assertThat(target).hasContent("mine");
    }

    @Test
    void aDamagedJarIsRefused() throws Exception {
        Missing missing = missing(load(settings(null, null), jar(goodLibrary(), "0".repeat(64))));
        assertThat(missing.reason()).contains("libfiligree.so in the jar is damaged");
        assertThat(contents(home.resolve(".cache/filigree"))).isEmpty();
        assertThat(missing(load(settings(null, null), jar(goodLibrary(), "0"))).reason())
            .contains("libfiligree.properties in the jar is damaged");
    }

    @Test
    void aJarWithoutLibrarySaysHowToGetOne() {
        Missing missing = missing(load(settings(null, null), EMPTY_JAR));
        assertThat(missing.reason()).contains("this filigree-bindings jar was built without it");
        assertThat(missing.cure()).contains("C++ compiler", "-Dfiligree.native.path");
    }

    @Test
    void aFolderThatOthersCanWriteIsPassedOver() throws Exception {
        Path cache = Files.createDirectories(home.resolve(".cache/filigree"));
        Files.setPosixFilePermissions(cache, PosixFilePermissions.fromString("rwxrwxrwx"));
        byte[] library = goodLibrary();
        assertThat(file(load(settings(null, null), jar(library))))
            .hasParent(temporary.resolve("filigree-a_user"));
        assertThat(contents(cache)).isEmpty();

        // One that the user names is not passed over, it fails.
        Missing missing = missing(load(settings(null, cache), jar(library)));
        assertThat(missing.reason()).contains("folder " + cache + " can be written by others (rwxrwxrwx)");
        assertThat(missing.cure()).contains("-Dfiligree.native.cache");
    }

    @Test
    void everyAttemptIsListed() throws Exception {
        Path cache = Files.createFile(Files.createDirectory(home.resolve(".cache")).resolve("filigree"));
        Path link = Files.createSymbolicLink(temporary.resolve("filigree-a_user"), home);
        Missing missing = missing(load(settings(null, null), jar(goodLibrary())));
        assertThat(missing.reason())
            .contains(cache + " is not a folder; folder " + link + " is a symbolic link");
    }

    @Test
    void aFolderOfSomebodyElseIsRefused() throws Exception {
        Path folder = Files.createDirectory(temporary.resolve("theirs"),
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
        int owner = (int) Files.getAttribute(folder, "unix:uid");
        BundledLibrary library = BundledLibrary.find("filigree", jar(goodLibrary())).orElseThrow();
        assertThatThrownBy(() -> new LibraryCache(folder, owner + 1).place(library))
            .isInstanceOf(LoadException.class)
            .hasMessageContaining("belongs to user " + Files.getOwner(folder));
        assertThat(new LibraryCache(folder, owner).place(library)).exists();
        assertThat(new LibC().userId()).isEqualTo(owner);
    }

    @Test
    void aFolderThatCannotBeMadeIsAnAttempt() throws Exception {
        Missing missing = missing(load(settings(null, Path.of("/proc/filigree")), jar(goodLibrary())));
        assertThat(missing.reason()).contains("folder /proc/filigree cannot be written");
    }

    @Test
    void aNoExecFileSystemIsRecognised() throws Exception {
        Path mount = Files.createDirectory(temporary.resolve("noexec"));
        Tools.assumeInstalled("mount");
        Tools.Result mounted =
            Tools.run("mount", "-t", "tmpfs", "-o", "noexec,mode=700", "tmpfs", mount.toString());
        assumeTrue(mounted.exit() == 0, "cannot mount: " + mounted.output());
        try {
            Missing missing = missing(load(settings(null, mount), jar(goodLibrary())));
            assertThat(missing.reason()).contains(mount.toString(), "noexec", "failed to map segment");
            assertThat(missing.cure()).contains("set -Dfiligree.native.cache=DIR");
            assertThat(MountTable.isNoExec(mount)).isTrue();
            assertThat(MountTable.isNoExec(temporary)).isFalse();
        } finally {
            // Lazily: the JVM may still hold the file that it could not load.
            assertThat(Tools.run("umount", "-l", mount.toString()).exit()).isZero();
        }
    }

    @Test
    void noExecIsToldFromTheLinkersTextOrTheMount() {
        Path file = Path.of("/tmp/x/libfiligree.so");
        String text = file + ": failed to map segment from shared object";
        assertThat(LibraryLoader.openFailure(file, text, false, "cure it"))
            .hasMessageContaining("forbids execution (noexec)")
            .extracting(LoadException::cure).isEqualTo("cure it");
        assertThat(LibraryLoader.openFailure(file, "Operation not permitted", true, "cure it"))
            .hasMessageContaining(file + " lies on a file system that forbids execution");
        assertThat(LibraryLoader.openFailure(file, "libz.so: cannot open", false, "cure it"))
            .hasMessage("the dynamic linker refused /tmp/x/libfiligree.so: libz.so: cannot open");
    }

    @Test
    void otherPlatformsAreToldSo() {
        for (String[] platform : new String[][] {{"Mac OS X", "aarch64"}, {"Windows 11", "amd64"},
                {"Linux", "aarch64"}}) {
            LoadSettings settings =
                new LoadSettings(platform[0], platform[1], null, null, "/home/x", "/tmp", "x");
            assertThat(missing(load(settings, EMPTY_JAR)).reason())
                .isEqualTo("native kernels exist for Linux x86-64 only, and this is " + platform[0] + " "
                    + platform[1]);
        }
    }

    @Test
    void aProcessWithoutHomeUsesTheTemporaryFolder() {
        assertThat(new LoadSettings("Linux", "amd64", null, null, "?", "/tmp", "x/y").cacheFolders())
            .containsExactly(Path.of("/tmp/filigree-x_y"));
        assertThat(new LoadSettings("Linux", "amd64", null, "mine", "/home/x", "/tmp", "x").cacheFolders())
            .containsExactly(Path.of("mine"));
    }

    private static List<Path> contents(Path folder) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.toList();
        }
    }
}
