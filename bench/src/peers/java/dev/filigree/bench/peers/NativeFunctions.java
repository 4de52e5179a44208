package dev.filigree.bench.peers;

import dev.filigree.bench.peer.PeerException;
import dev.filigree.bench.peer.PeerPool;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;

/** The C functions of one library. */
final class NativeFunctions {

    private final String library;
    private final SymbolLookup symbols;

    private NativeFunctions(String library, SymbolLookup symbols) {
        this.library = library;
        this.symbols = symbols;
    }

    /**
     * Loads a library from where the build unpacks them, for the life of the process.
     *
     * @param artifact whose jar it is from
     * @throws PeerException if it is not there, or the system's loader refuses it
     */
    static NativeFunctions load(String artifact, String library) {
        return loadFrom("org/bytedeco/" + artifact + "/" + PeerPool.PLATFORM, library);
    }

    /**
     * The same, of a jar that is laid out otherwise.
     *
     * @param inJar folder of the library in its jar
     */
    static NativeFunctions loadFrom(String inJar, String library) {
        String folder = System.getProperty(PeerPool.NATIVES);
        if (folder == null) {
            throw new PeerException("-D" + PeerPool.NATIVES + " does not say where its library is");
        }
        Path file = Path.of(folder, inJar, library);
        if (!Files.isRegularFile(file)) {
            throw new PeerException("no " + file);
        }
        try {
            return new NativeFunctions(library, SymbolLookup.libraryLookup(file, Arena.global()));
        } catch (IllegalArgumentException e) {
            throw new PeerException(e.getMessage(), e);
        }
    }

    /** @throws PeerException if the library has no such function */
    MethodHandle find(String name, FunctionDescriptor type) {
        return Linker.nativeLinker().downcallHandle(symbols.find(name)
            .orElseThrow(() -> new PeerException(library + " has no " + name)), type);
    }

    /** What to throw for something thrown by a downcall, which declares nothing. */
    static RuntimeException unexpected(Throwable thrown) {
        if (thrown instanceof Error error) {
            throw error;
        }
        return thrown instanceof RuntimeException runtime ? runtime : new PeerException(thrown.toString(), thrown);
    }
}
