package dev.filigree.internal.ffi;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.filigree.NativeException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** The few functions of the CUDA driver API that tell which devices there are. */
final class CudaDriver {

    static final String LIBRARY = "libcuda.so.1";

    private static final int SUCCESS = 0;
    private static final int NO_DEVICE = 100;
    private static final int NAME_BYTES = 256;

    private final SymbolLookup symbols;

    private CudaDriver(SymbolLookup symbols) {
        this.symbols = symbols;
    }

    /**
     * Opens the driver's library; {@link #LIBRARY} but in tests.
     *
     * @throws IllegalCallerException if this module may not use native access
     */
    static Optional<CudaDriver> open(String library) {
        try {
            return Optional.of(new CudaDriver(SymbolLookup.libraryLookup(library, Arena.global())));
        } catch (IllegalArgumentException e) {
            return Optional.empty();
        }
    }

    /**
     * The names of the devices in the driver's order; starts the driver, which takes a while.
     *
     * @throws NativeException if the driver fails
     */
    List<String> deviceNames() {
        int status = call("cuInit", FunctionDescriptor.of(JAVA_INT, JAVA_INT), 0);
        if (status == NO_DEVICE) {
            return List.of();
        }
        check("cuInit", status);
        List<String> names = new ArrayList<>();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment number = arena.allocate(JAVA_INT);
            check("cuDeviceGetCount",
                call("cuDeviceGetCount", FunctionDescriptor.of(JAVA_INT, ADDRESS), number));
            int count = number.get(JAVA_INT, 0);
            MemorySegment name = arena.allocate(NAME_BYTES);
            for (int i = 0; i < count; i++) {
                check("cuDeviceGet",
                    call("cuDeviceGet", FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT), number, i));
                check("cuDeviceGetName", call("cuDeviceGetName",
                    FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT), name, NAME_BYTES,
                    number.get(JAVA_INT, 0)));
                names.add(name.getString(0));
            }
        }
        return names;
    }

    /** Called a few times in a process, so the handle is made for the call and need not be fast. */
    private int call(String function, FunctionDescriptor descriptor, Object... arguments) {
        MethodHandle handle = Linker.nativeLinker().downcallHandle(symbols.findOrThrow(function), descriptor);
        try {
            return (int) handle.invokeWithArguments(arguments);
        } catch (RuntimeException | Error e) {
            throw e;
        } catch (Throwable e) {
            throw new IllegalStateException(e);
        }
    }

    private static void check(String function, int status) {
        if (status != SUCCESS) {
            throw new NativeException(function, status, "see CUresult in the CUDA driver's documentation");
        }
    }
}
