package dev.filigree.internal.ffi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.filigree.Backend;
import dev.filigree.probe.BackendProbe;
import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.jar.JarFile;
import java.util.zip.ZipEntry;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The finished jar, as users get it. */
class JarTest {

    private static final String FOLDER = "META-INF/native/linux-x86_64/";

    /** The library runs on every distribution with this C library or a newer one. */
    private static final int[] NEWEST_GLIBC = {2, 28};

    private JarFile jar;

    @TempDir
    private Path temporary;

    @BeforeEach
    void open() throws IOException {
        jar = new JarFile(System.getProperty("filigree.jar"));
    }

    @AfterEach
    void close() throws IOException {
        jar.close();
    }

    private byte[] entry(String name) throws IOException {
        ZipEntry entry = jar.getEntry(name);
        assertThat(entry).as(name).isNotNull();
        try (InputStream in = jar.getInputStream(entry)) {
            return in.readAllBytes();
        }
    }

    @Test
    void providersAreRegistered() throws IOException {
        assertThat(new String(entry("META-INF/services/dev.filigree.spi.KernelProvider")).lines())
            .containsExactly(Avx512Provider.class.getName(), CudaProvider.class.getName());
        assertThat(jar.getEntry("module-info.class")).isNotNull();
    }

    /** The libraries in the jar; that of the processor is always among them, that of CUDA where nvcc is. */
    private List<String> libraries() {
        assumeTrue(Files.exists(Path.of(System.getProperty("filigree.jar")).resolveSibling("native-resources")
            .resolve(FOLDER)), "natives were not built");
        List<String> names = jar.stream().map(ZipEntry::getName)
            .filter(name -> name.startsWith(FOLDER) && name.endsWith(".so")).toList();
        assertThat(names).contains(FOLDER + "libfiligree.so")
            .isSubsetOf(FOLDER + "libfiligree.so", FOLDER + "libfiligree_cuda.so");
        return names;
    }

    @Test
    void everyLibraryIsWhatItsDescriptionSays() throws Exception {
        for (String name : libraries()) {
            Properties description = new Properties();
            description.load(new ByteArrayInputStream(entry(name.replace(".so", ".properties"))));
            assertThat(description.stringPropertyNames())
                .containsExactlyInAnyOrder("version", "abi", "sha256");
            byte[] sha256 = MessageDigest.getInstance("SHA-256").digest(entry(name));
            assertThat(description.getProperty("sha256")).isEqualTo(HexFormat.of().formatHex(sha256));
            int abi = name.contains("cuda") ? FiligreeCuda.FILIGREE_CUDA_ABI_VERSION()
                : Filigree.FILIGREE_ABI_VERSION();
            assertThat(description.getProperty("abi")).isEqualTo(Integer.toString(abi));
            assertThat(Path.of(jar.getName()).getFileName()).hasToString(
                "filigree-bindings-" + description.getProperty("version") + ".jar");
        }
    }

    @Test
    void everyLibraryExportsOnlyItsOwnAndAsksForNothingNew() throws Exception {
        Tools.assumeInstalled("nm");
        for (String name : libraries()) {
            Path library = Files.write(temporary.resolve("library.so"), entry(name));
            Tools.Result defined = Tools.run("nm", "-D", "--defined-only", library.toString());
            assertThat(defined.output().lines()).isNotEmpty()
                .allMatch(line -> line.matches("[0-9a-f]+ T filigree_\\w+"));
            Tools.Result undefined = Tools.run("nm", "-D", "--undefined-only", library.toString());
            assertThat(undefined.output().lines().map(String::strip))
                .allMatch(JarTest::isOfAnOldEnoughCLibrary);
        }
    }

    @Test
    void theModuleInTheJarFindsItsLibrary() throws Exception {
        assumeTrue(!libraries().isEmpty());
        String modules = location(Backend.class) + File.pathSeparator + jar.getName();
        Tools.Result result = Tools.java(Map.of(), "-p", modules, "--add-modules", "dev.filigree.bindings",
            "-cp", location(BackendProbe.class), "--enable-native-access=dev.filigree.bindings",
            "-Dfiligree.native.cache=" + temporary.resolve("cache"), BackendProbe.class.getName()).await();
        assertThat(result.exit()).as(result.output()).isZero();
        assertThat(result.output()).contains("Avx512Provider in module dev.filigree.bindings")
            .doesNotContain("cannot be loaded");
        assertThat(temporary.resolve("cache")).isNotEmptyDirectory();
    }

    private static String location(Class<?> type) {
        return type.getProtectionDomain().getCodeSource().getLocation().getPath();
    }

    /** {@code U memcpy@GLIBC_2.14} and the like, or a weak symbol, which may be absent. */
    private static boolean isOfAnOldEnoughCLibrary(String line) {
        int at = line.indexOf("@GLIBC_");
        if (at < 0) {
            return line.startsWith("w ");
        }
        String[] version = line.substring(at + "@GLIBC_".length()).split("\\.");
        int major = Integer.parseInt(version[0]);
        int minor = Integer.parseInt(version[1]);
        return major < NEWEST_GLIBC[0] || major == NEWEST_GLIBC[0] && minor <= NEWEST_GLIBC[1];
    }
}
