package dev.filigree.internal.ffi;

import static org.assertj.core.api.Assertions.assertThat;

import dev.filigree.Backend;
import dev.filigree.probe.BackendProbe;
import java.io.File;
import java.net.URISyntaxException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** The library as processes of their own see it: class path and module path, flags, several at once. */
class ProcessTest {

    private static final String ALLOW = "--enable-native-access=ALL-UNNAMED";

    @TempDir
    private Path temporary;

    private static Path home(Class<?> type) {
        try {
            return Path.of(type.getProtectionDomain().getCodeSource().getLocation().toURI());
        } catch (URISyntaxException e) {
            throw new IllegalStateException(e);
        }
    }

    private static final String KERNELS = home(Backend.class).toString();
    private static final String BINDINGS = home(Avx512Provider.class).toString();
    private static final String TESTS = home(BackendProbe.class).toString();
    private static final String CLASS_PATH = String.join(File.pathSeparator, KERNELS, BINDINGS, TESTS);

    private Tools.Running probe(String... options) throws Exception {
        List<String> arguments = new ArrayList<>(List.of(options));
        arguments.add("-Dfiligree.native.cache=" + temporary.resolve("cache"));
        arguments.add(BackendProbe.class.getName());
        return Tools.java(Map.of(), arguments.toArray(String[]::new));
    }

    private String onClassPath(String... options) throws Exception {
        return output(probe(prepend(options, "-cp", CLASS_PATH)));
    }

    private String onModulePath(String... options) throws Exception {
        return output(probe(prepend(options, "-p", KERNELS + File.pathSeparator + BINDINGS,
            "--add-modules", "dev.filigree.bindings", "-cp", TESTS)));
    }

    private static String[] prepend(String[] options, String... first) {
        return Stream.concat(Stream.of(first), Stream.of(options)).toArray(String[]::new);
    }

    private static String output(Tools.Running program) throws Exception {
        Tools.Result result = program.await();
        assertThat(result.exit()).as(result.output()).isZero();
        return result.output();
    }

    private static String expectedOfCpu() {
        return new Avx512Provider().refusal().map(Object::toString).orElse("avx512: ready");
    }

    @Test
    void providersAreFoundOnTheClassPath() throws Exception {
        Tools.assumeNatives();
        assertThat(onClassPath(ALLOW).lines())
            .contains("avx512 by dev.filigree.internal.ffi.Avx512Provider in module null",
                "cuda by dev.filigree.internal.ffi.CudaProvider in module null", expectedOfCpu())
            .noneMatch(line -> line.contains("native access") || line.contains("restricted"));
    }

    @Test
    void providersAreFoundOnTheModulePath() throws Exception {
        Tools.assumeNatives();
        assertThat(onModulePath("--enable-native-access=dev.filigree.bindings").lines())
            .contains("avx512 by dev.filigree.internal.ffi.Avx512Provider in module dev.filigree.bindings",
                "cuda by dev.filigree.internal.ffi.CudaProvider in module dev.filigree.bindings",
                expectedOfCpu())
            .noneMatch(line -> line.contains("native access") || line.contains("restricted"));
    }

    @Test
    void deniedNativeAccessNamesTheOption() throws Exception {
        assertThat(onClassPath("--illegal-native-access=deny"))
            .contains("avx512: libfiligree.so cannot be loaded: native access is denied",
                "(start Java with --enable-native-access=ALL-UNNAMED)", "cuda: native access is denied")
            .doesNotContain("Exception in thread");
        assertThat(onModulePath("--illegal-native-access=deny"))
            .contains("avx512: libfiligree.so cannot be loaded: native access is denied",
                "(start Java with --enable-native-access=dev.filigree.bindings)",
                "cuda: native access is denied");
    }

    @Test
    void theNativePathIsStrict() throws Exception {
        Path nowhere = temporary.resolve("nowhere.so");
        assertThat(onClassPath(ALLOW, "-Dfiligree.native.path=" + nowhere)).contains(
            "avx512: libfiligree.so cannot be loaded: -Dfiligree.native.path: there is no file " + nowhere);
        assertThat(temporary.resolve("cache")).doesNotExist();
    }

    @Test
    void aCapRulesTheBackendOut() throws Exception {
        Tools.assumeNatives();
        String avx512 = expectedOfCpu();
        String capped = onClassPath(ALLOW, "-Dfiligree.maxIsa=avx2");
        if (avx512.equals("avx512: ready")) {
            assertThat(capped).contains("avx512: -Dfiligree.maxIsa=avx2 rules AVX-512 out");
        } else {
            assertThat(capped).contains(avx512);
        }
    }

    @Test
    void anUnknownCapIsAnError() throws Exception {
        Tools.Result failed = probe("-cp", CLASS_PATH, ALLOW, "-Dfiligree.maxIsa=avx9").await();
        assertThat(failed.exit()).isNotZero();
        assertThat(failed.output())
            .contains("IllegalArgumentException: -Dfiligree.maxIsa=avx9: must be one of baseline, avx2, avx512, amx");
    }

    @Test
    void processesThatStartAtOnceShareAnEmptyCache() throws Exception {
        Tools.assumeNatives();
        List<Tools.Running> programs = new ArrayList<>();
        for (int i = 0; i < 4; i++) {
            programs.add(probe("-cp", CLASS_PATH, ALLOW));
        }
        for (Tools.Running program : programs) {
            assertThat(output(program)).contains(expectedOfCpu());
        }
        try (Stream<Path> files = Files.list(temporary.resolve("cache"))) {
            assertThat(files).hasSize(1).allMatch(file -> file.toString().endsWith(".so"));
        }
    }

    @Test
    void twoClassLoadersLoadTheLibrary() throws Exception {
        Tools.assumeNatives();
        URL[] urls = {home(Backend.class).toUri().toURL(), home(Avx512Provider.class).toUri().toURL()};
        List<Object> classes = new ArrayList<>();
        for (int i = 0; i < 2; i++) {
            try (var loader = new URLClassLoader(urls, ClassLoader.getPlatformClassLoader())) {
                Class<?> library = loader.loadClass("dev.filigree.internal.ffi.NativeLibrary");
                var cpu = library.getDeclaredMethod("cpu");
                cpu.setAccessible(true);
                assertThat(cpu.invoke(null).getClass().getSimpleName()).isEqualTo("Loaded");
                Class<?> bindings = loader.loadClass("dev.filigree.internal.ffi.Filigree");
                assertThat(bindings.getMethod("filigree_abi_version").invoke(null))
                    .isEqualTo(Filigree.FILIGREE_ABI_VERSION());
                classes.add(library);
            }
        }
        assertThat(classes).doesNotHaveDuplicates().doesNotContain(NativeLibrary.class);
    }
}
