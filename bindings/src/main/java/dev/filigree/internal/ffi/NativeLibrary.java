package dev.filigree.internal.ffi;

import dev.filigree.Backend;
import dev.filigree.Refusal;
import java.lang.foreign.SymbolLookup;
import java.nio.file.Path;
import java.util.Optional;
import java.util.function.Supplier;

/** One of Filigree's native libraries: open, or missing with the reason. Looked for once in a process. */
sealed interface NativeLibrary {

    /**
     * The library is open, for as long as the process lives, and speaks the ABI of these bindings.
     *
     * @param file where it was opened
     * @param symbols its functions
     */
    record Loaded(Path file, SymbolLookup symbols) implements NativeLibrary {}

    /**
     * The library cannot be used.
     *
     * @param reason every attempt, in one line
     * @param cure what the user can do
     */
    record Missing(String reason, String cure) implements NativeLibrary {

        Refusal refusal(Backend backend) {
            return new Refusal(backend, reason, cure);
        }
    }

    /** The kernels of the processor. */
    static NativeLibrary cpu() {
        return Cpu.LIBRARY;
    }

    /** The kernels of CUDA devices. */
    static NativeLibrary cuda() {
        return Cuda.LIBRARY;
    }

    /** What a class of jextract's looks its functions up in; the first call loads the library. */
    static SymbolLookup symbols(Supplier<NativeLibrary> library) {
        return name -> library.get() instanceof Loaded loaded
            ? loaded.symbols().find(name) : Optional.empty();
    }

    /** Loads its library when it is first asked for. */
    final class Cpu {
        private static final NativeLibrary LIBRARY = LibraryLoader
            .ofProcess("filigree", Filigree::FILIGREE_ABI_VERSION).load();

        private Cpu() {}
    }

    /** As {@link Cpu}. */
    final class Cuda {
        private static final NativeLibrary LIBRARY = LibraryLoader
            .ofProcess("filigree_cuda", FiligreeCuda::FILIGREE_CUDA_ABI_VERSION).load();

        private Cuda() {}
    }
}
