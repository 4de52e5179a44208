package dev.filigree.bench.peers;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.filigree.Activation;
import dev.filigree.DType;
import dev.filigree.bench.peer.PeerException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** oneDNN's C interface, as much of it as a matrix product needs. Used by one thread. */
final class OneDnnApi {

    private static final int BF16 = 2;
    private static final int F32 = 3;
    private static final int S32 = 4;
    private static final int CPU = 1;
    private static final int IN_ORDER = 1;
    private static final int ANY = 1;
    private static final int MOST_DIMENSIONS = 12;

    private static final int QUERY_IMPLEMENTATION = 8;
    private static final int QUERY_SOURCE = 129;
    private static final int QUERY_WEIGHTS = 131;

    private static final int SOURCE = 1;
    private static final int DESTINATION = 17;
    private static final int WEIGHTS = 33;

    private static final int RELU = 0x20;
    private static final int SQUARE = 0x23;
    private static final int GELU_TANH = 0x2b;
    private static final int SWISH = 0x2c;
    private static final int GELU_ERF = 0x31;

    /** struct dnnl_exec_arg_t: what an argument is, and its memory object. */
    private static final MemoryLayout ARGUMENT =
        MemoryLayout.structLayout(JAVA_INT, MemoryLayout.paddingLayout(4), ADDRESS);

    private final NativeFunctions library;
    private final Map<String, MethodHandle> functions = new HashMap<>();
    private final MethodHandle execute;
    private final MemorySegment engine;
    private final MemorySegment stream;

    OneDnnApi(NativeFunctions library) {
        this.library = library;
        execute = library.find("dnnl_primitive_execute",
            FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS, JAVA_INT, ADDRESS));
        engine = create("dnnl_engine_create", CPU, 0L);
        stream = create("dnnl_stream_create", engine, IN_ORDER);
    }

    /** Calls a function that returns a status; none of these is in a measured run. */
    private void call(String function, Object... arguments) {
        MemoryLayout[] types = List.of(arguments).stream().map(argument -> switch (argument) {
            case Integer i -> JAVA_INT;
            case Long l -> JAVA_LONG;
            case Float f -> JAVA_FLOAT;
            default -> ADDRESS;
        }).toArray(MemoryLayout[]::new);
        int status;
        try {
            // Linking a function takes long, and copies for a decode step call the same ones thousands of times.
            status = (int) functions
                .computeIfAbsent(function, name -> library.find(name, FunctionDescriptor.of(JAVA_INT, types)))
                .invokeWithArguments(arguments);
        } catch (Throwable t) {
            throw NativeFunctions.unexpected(t);
        }
        if (status != 0) {
            throw new PeerException(function + " returned status " + status + (status == 3 ? " (unimplemented)" : ""));
        }
    }

    /** Calls a function whose first argument is where it writes a handle. */
    private MemorySegment create(String function, Object... arguments) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment place = arena.allocate(ADDRESS);
            Object[] all = new Object[arguments.length + 1];
            all[0] = place;
            System.arraycopy(arguments, 0, all, 1, arguments.length);
            call(function, all);
            return place.get(ADDRESS, 0);
        }
    }

    private MemorySegment dimensions(Arena arena, long first, long second) {
        MemorySegment dimensions = arena.allocate(JAVA_LONG, MOST_DIMENSIONS);
        dimensions.setAtIndex(JAVA_LONG, 0, first);
        dimensions.setAtIndex(JAVA_LONG, 1, second);
        return dimensions;
    }

    MemorySegment strided(long rows, long cols, long rowStride, long columnStride, DType dtype) {
        try (Arena arena = Arena.ofConfined()) {
            return create("dnnl_memory_desc_create_with_strides", 2, dimensions(arena, rows, cols), code(dtype),
                dimensions(arena, rowStride, columnStride));
        }
    }

    /** A matrix in whatever form a primitive likes best. */
    MemorySegment any(long rows, long cols, DType dtype) {
        try (Arena arena = Arena.ofConfined()) {
            return create("dnnl_memory_desc_create_with_tag", 2, dimensions(arena, rows, cols), code(dtype), ANY);
        }
    }

    private static int code(DType dtype) {
        return switch (dtype) {
            case F32 -> F32;
            case BF16 -> BF16;
        };
    }

    /** Values in f32. */
    MemorySegment csr(long rows, long cols, long nnz) {
        try (Arena arena = Arena.ofConfined()) {
            return create("dnnl_memory_desc_create_with_csr_encoding", 2, dimensions(arena, rows, cols), F32, nnz, S32,
                S32);
        }
    }

    /** @throws PeerException if there is no such product */
    MemorySegment matmul(MemorySegment source, MemorySegment weights, MemorySegment destination,
            Activation activation) {
        MemorySegment operations = create("dnnl_post_ops_create");
        MemorySegment attributes = create("dnnl_primitive_attr_create");
        try {
            switch (activation) {
                case NONE -> { }
                case RELU -> append(operations, RELU);
                case RELU_SQUARED -> {
                    append(operations, RELU);
                    append(operations, SQUARE);
                }
                case GELU_TANH -> append(operations, GELU_TANH);
                case GELU_ERF -> append(operations, GELU_ERF);
                case SILU -> append(operations, SWISH);
            }
            call("dnnl_primitive_attr_set_post_ops", attributes, operations);
            return create("dnnl_matmul_primitive_desc_create", engine, source, weights, MemorySegment.NULL,
                destination, attributes);
        } finally {
            call("dnnl_primitive_attr_destroy", attributes);
            call("dnnl_post_ops_destroy", operations);
        }
    }

    /** The first parameter is 0 for a ReLU without slope, and 1 for SiLU; the others have none. */
    private void append(MemorySegment operations, int function) {
        call("dnnl_post_ops_append_eltwise", operations, function, function == SWISH ? 1f : 0f, 0f);
    }

    MemorySegment primitive(MemorySegment description) {
        return create("dnnl_primitive_create", description);
    }

    MemorySegment source(MemorySegment primitiveDescription) {
        return query(primitiveDescription, QUERY_SOURCE);
    }

    MemorySegment weights(MemorySegment primitiveDescription) {
        return query(primitiveDescription, QUERY_WEIGHTS);
    }

    private MemorySegment query(MemorySegment description, int what) {
        try {
            return (MemorySegment) library.find("dnnl_primitive_desc_query_md",
                FunctionDescriptor.of(ADDRESS, ADDRESS, JAVA_INT, JAVA_INT)).invokeExact(description, what, 0);
        } catch (Throwable t) {
            throw NativeFunctions.unexpected(t);
        }
    }

    /** The name of the implementation that it has chosen. */
    String implementation(MemorySegment primitiveDescription) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment name = arena.allocate(ADDRESS);
            call("dnnl_primitive_desc_query", primitiveDescription, QUERY_IMPLEMENTATION, 0, name);
            return name.get(ADDRESS, 0).reinterpret(Long.MAX_VALUE).getString(0);
        }
    }

    long size(MemorySegment description) {
        try {
            return (long) library.find("dnnl_memory_desc_get_size", FunctionDescriptor.of(JAVA_LONG, ADDRESS))
                .invokeExact(description);
        } catch (Throwable t) {
            throw NativeFunctions.unexpected(t);
        }
    }

    /** A memory object over buffers: one, or the values, indices and offsets of CSR. */
    MemorySegment memory(MemorySegment description, MemorySegment... buffers) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment handles = arena.allocate(ADDRESS, buffers.length);
            for (int i = 0; i < buffers.length; i++) {
                handles.setAtIndex(ADDRESS, i, buffers[i]);
            }
            return create("dnnl_memory_create_v2", description, engine, buffers.length, handles);
        }
    }

    void reorder(MemorySegment fromDescription, MemorySegment from, MemorySegment toDescription, MemorySegment to) {
        MemorySegment description = create("dnnl_reorder_primitive_desc_create", fromDescription, engine,
            toDescription, engine, MemorySegment.NULL);
        MemorySegment primitive = primitive(description);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment arguments = arena.allocate(ARGUMENT, 2);
            argument(arguments, 0, SOURCE, from);
            argument(arguments, 1, DESTINATION, to);
            execute(primitive, arguments, 2);
        } finally {
            destroyPrimitive(primitive);
            destroyPrimitiveDescription(description);
        }
    }

    /** The arguments of a product. */
    MemorySegment arguments(MemorySegment source, MemorySegment weights, MemorySegment destination, Arena arena) {
        MemorySegment arguments = arena.allocate(ARGUMENT, 3);
        argument(arguments, 0, SOURCE, source);
        argument(arguments, 1, WEIGHTS, weights);
        argument(arguments, 2, DESTINATION, destination);
        return arguments;
    }

    private static void argument(MemorySegment arguments, int index, int kind, MemorySegment memory) {
        long offset = index * ARGUMENT.byteSize();
        arguments.set(JAVA_INT, offset, kind);
        arguments.set(ADDRESS, offset + ADDRESS.byteSize(), memory);
    }

    /** Runs a primitive to its end: the CPU's streams do not return before. */
    void execute(MemorySegment primitive, MemorySegment arguments, int count) {
        try {
            int status = (int) execute.invokeExact(primitive, stream, count, arguments);
            if (status != 0) {
                throw new PeerException("dnnl_primitive_execute returned status " + status);
            }
        } catch (Throwable t) {
            throw NativeFunctions.unexpected(t);
        }
    }

    void destroyPrimitive(MemorySegment primitive) {
        call("dnnl_primitive_destroy", primitive);
    }

    void destroyPrimitiveDescription(MemorySegment description) {
        call("dnnl_primitive_desc_destroy", description);
    }

    void destroyDescription(MemorySegment description) {
        call("dnnl_memory_desc_destroy", description);
    }

    void destroyMemory(MemorySegment memory) {
        call("dnnl_memory_destroy", memory);
    }
}
