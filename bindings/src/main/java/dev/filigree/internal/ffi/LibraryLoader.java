package dev.filigree.internal.ffi;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.function.IntSupplier;

/**
 * Finds and opens one native library: where {@code filigree.native.path} says, and then nowhere else;
 * otherwise the jar's own, copied to a private folder. Fails by value, with every attempt and a cure.
 */
final class LibraryLoader {

    private static final System.Logger LOG = System.getLogger("dev.filigree");

    private final String name;
    private final LoadSettings settings;
    private final BundledLibrary.Resources resources;
    /** Asked only once a library is open: jextract's classes assume the C types of this one platform. */
    private final IntSupplier abi;

    LibraryLoader(String name, LoadSettings settings, BundledLibrary.Resources resources, IntSupplier abi) {
        this.name = name;
        this.settings = settings;
        this.resources = resources;
        this.abi = abi;
    }

    /** The loader of this process: its properties, this jar, and the ABI of the bindings. */
    static LibraryLoader ofProcess(String name, IntSupplier abi) {
        return new LibraryLoader(
            name, LoadSettings.ofProcess(), NativeLibrary.class::getResourceAsStream, abi);
    }

    /** Tries each place in turn. Throws nothing. */
    NativeLibrary load() {
        NativeLibrary library = tryToLoad();
        switch (library) {
            case NativeLibrary.Loaded loaded ->
                LOG.log(System.Logger.Level.DEBUG, "{0} is loaded from {1}", fileName(), loaded.file());
            case NativeLibrary.Missing missing ->
                LOG.log(isNamed() ? System.Logger.Level.WARNING : System.Logger.Level.DEBUG, "{0} ({1})",
                    missing.reason(), missing.cure());
        }
        return library;
    }

    /** Whether the user asked for this library: doing without it in silence would not be what was asked. */
    private boolean isNamed() {
        return settings.nativePath() != null && isProcessorLibrary();
    }

    private boolean isProcessorLibrary() {
        return name.equals("filigree");
    }

    private NativeLibrary tryToLoad() {
        if (!settings.isLinuxX86()) {
            return new NativeLibrary.Missing("native kernels exist for Linux x86-64 only, and this is "
                + settings.osName() + " " + settings.osArch(), "use the vector backend; nothing to install");
        }
        try {
            LibC libc = new LibC();
            return settings.nativePath() != null ? fromPath(libc) : fromJar(libc);
        } catch (LoadException e) {
            return missing(List.of(e.getMessage()), Set.of(e.cure()));
        } catch (IllegalCallerException e) {
            return missing(List.of("native access is denied (" + e.getMessage() + ")"),
                Set.of("start Java with --enable-native-access=" + moduleOption(getClass().getModule())));
        } catch (RuntimeException | IOException e) {
            // Whatever it is, a program that can do with the Java kernels goes on with them.
            LOG.log(System.Logger.Level.WARNING, "looking for lib" + name + ".so failed unexpectedly", e);
            return missing(List.of(e.toString()), Set.of("report this, with the log's stack trace"));
        }
    }

    /** What {@code --enable-native-access} calls a module. */
    static String moduleOption(Module module) {
        return module.isNamed() ? module.getName() : "ALL-UNNAMED";
    }

    private NativeLibrary fromPath(LibC libc) throws LoadException {
        String property = "-D" + LoadSettings.PATH_PROPERTY;
        if (settings.nativePath().isEmpty()) {
            // The empty path is the current folder: libraries from there are what nobody means.
            throw new LoadException(property + " is empty", "name a file or a folder, or leave it out");
        }
        Path path = Path.of(settings.nativePath()).toAbsolutePath();
        // A file is the library of the processor; that of CUDA devices lies beside it.
        Path folder = Files.isDirectory(path) ? path : path.getParent();
        Path file = Files.isDirectory(path) || !isProcessorLibrary() ? folder.resolve(fileName()) : path;
        String cure = "correct " + property + ", or leave it out to use the library in the jar";
        if (!Files.isRegularFile(file)) {
            throw new LoadException(property + ": there is no file " + file, cure);
        }
        SymbolLookup symbols =
            open(file, libc, "copy the library to another file system and correct " + property);
        return handshake(file, symbols, cure);
    }

    private NativeLibrary fromJar(LibC libc) throws LoadException, IOException {
        BundledLibrary library = BundledLibrary.find(name, resources).orElseThrow(() -> new LoadException(
            "this filigree-bindings jar was built without it",
            "use a jar that was built with a C++ compiler and CMake, or name a library by -D"
                + LoadSettings.PATH_PROPERTY));
        List<String> attempts = new ArrayList<>();
        Set<String> cures = new LinkedHashSet<>();
        if (settings.cache() != null && settings.cache().isEmpty()) {
            throw new LoadException("-D" + LoadSettings.CACHE_PROPERTY + " is empty",
                "name a folder, or leave it out");
        }
        for (Path folder : settings.cacheFolders()) {
            Path file;
            SymbolLookup symbols;
            try {
                file = new LibraryCache(folder, libc.userId()).place(library);
                symbols = open(file, libc, "set -D" + LoadSettings.CACHE_PROPERTY
                    + "=DIR to a folder of your own on a file system that is not mounted noexec");
            } catch (LoadException e) {
                attempts.add(e.getMessage());
                cures.add(e.cure());
                continue;
            }
            return handshake(file, symbols, "rebuild filigree-bindings from clean sources");
        }
        return missing(attempts, cures);
    }

    private static SymbolLookup open(Path file, LibC libc, String noExecCure) throws LoadException {
        try {
            // Global: memory and functions of the library are used until the process ends. And unlike
            // System.load, this lets several class loaders open one file.
            return SymbolLookup.libraryLookup(file, Arena.global());
        } catch (IllegalArgumentException e) {
            throw openFailure(file, libc.openError(file), MountTable.isNoExec(file), noExecCure);
        }
    }

    /** Puts the dynamic linker's words into a message. Where it cannot map code, the mount is noexec. */
    static LoadException openFailure(Path file, String linkerText, boolean mountedNoExec, String noExecCure) {
        if (mountedNoExec || linkerText.contains("failed to map segment")) {
            return new LoadException(
                file + " lies on a file system that forbids execution (noexec): " + linkerText, noExecCure);
        }
        String text = linkerText.contains(file.toString()) ? linkerText : file + ": " + linkerText;
        return new LoadException("the dynamic linker refused " + text,
            "replace the library by one that was built for this system");
    }

    private NativeLibrary handshake(Path file, SymbolLookup symbols, String cure) throws LoadException {
        String versionFunction = name + "_abi_version";
        MemorySegment function = symbols.find(versionFunction).orElseThrow(() -> new LoadException(
            file + " is not lib" + name + ".so: it lacks " + versionFunction, cure));
        MethodHandle handle = Linker.nativeLinker().downcallHandle(function, FunctionDescriptor.of(JAVA_INT));
        int found;
        try {
            found = (int) handle.invokeExact();
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
        if (found != abi.getAsInt()) {
            throw abiMismatch(file, found, abi.getAsInt(), cure);
        }
        return new NativeLibrary.Loaded(file, symbols);
    }

    static LoadException abiMismatch(Path file, int library, int bindings, String cure) {
        boolean older = library < bindings;
        return new LoadException(file + " is " + (older ? "older" : "newer") + " (ABI " + library
            + ") than these bindings (ABI " + bindings + ")",
            older ? cure : cure + "; or update filigree-bindings");
    }

    private NativeLibrary.Missing missing(List<String> attempts, Set<String> cures) {
        return new NativeLibrary.Missing(
            fileName() + " cannot be loaded: " + String.join("; ", attempts), String.join("; or ", cures));
    }

    private String fileName() {
        return "lib" + name + ".so";
    }
}
