package dev.filigree.internal.ffi;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.nio.file.Path;

/** The few functions of the C library that tell the loader what the JDK keeps to itself. */
final class LibC {

    private static final int RTLD_LAZY = 1;
    /** The longest text that is read from the C library; a real one is a few hundred bytes. */
    private static final long TEXT_LIMIT = 8192;

    private final MethodHandle dlopen;
    private final MethodHandle dlerror;
    private final MethodHandle geteuid;

    /**
     * Finds the functions.
     *
     * @throws IllegalCallerException if this module may not use native access
     */
    LibC() {
        var text = ADDRESS.withTargetLayout(MemoryLayout.sequenceLayout(TEXT_LIMIT, JAVA_BYTE));
        dlopen = handle("dlopen", FunctionDescriptor.of(ADDRESS, ADDRESS, JAVA_INT));
        dlerror = handle("dlerror", FunctionDescriptor.of(text));
        geteuid = handle("geteuid", FunctionDescriptor.of(JAVA_INT));
    }

    private static MethodHandle handle(String name, FunctionDescriptor descriptor) {
        Linker linker = Linker.nativeLinker();
        return linker.downcallHandle(linker.defaultLookup().findOrThrow(name), descriptor);
    }

    /** The user that this process acts as. */
    int userId() {
        try {
            return (int) geteuid.invokeExact();
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** Why the dynamic linker does not open a file, in its own words. */
    String openError(Path file) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment name = arena.allocateFrom(file.toString());
            // The text belongs to the thread and lasts until the dynamic linker is next used. The first round
            // makes the JVM link these calls, which may use it; so the text is taken from the second.
            openAndExplain(name);
            return openAndExplain(name);
        }
    }

    private String openAndExplain(MemorySegment name) {
        try {
            MemorySegment ignored = (MemorySegment) dlopen.invokeExact(name, RTLD_LAZY);
            MemorySegment text = (MemorySegment) dlerror.invokeExact();
            return text.address() == 0 ? "the dynamic linker gives no reason" : text.getString(0);
        } catch (Throwable e) {
            throw unexpected(e);
        }
    }

    /** {@code invokeExact} declares everything, and these functions throw nothing of their own. */
    private static RuntimeException unexpected(Throwable e) {
        if (e instanceof Error error) {
            throw error;
        }
        return e instanceof RuntimeException runtime ? runtime : new IllegalStateException(e);
    }
}
