package dev.filigree.bench.peers;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.filigree.DType;
import dev.filigree.bench.peer.AttentionPeerProblem;
import dev.filigree.bench.peer.PackedPeer;
import dev.filigree.bench.peer.PeerException;
import dev.filigree.bench.peer.PeerLibrary;
import dev.filigree.bench.peer.PeerPool;
import dev.filigree.bench.peer.PeerVariant;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.ArrayList;
import java.util.List;

/**
 * PyTorch: the kernel that its scaled dot product attention takes on a CPU, through the C functions that its compiled
 * models call.
 */
public final class Torch implements PeerLibrary {

    private static final String FOLDER = "pytorch/cpu/" + PeerPool.PLATFORM;
    private static final String KERNEL = "scaled_dot_product_flash_attention_for_cpu";
    private static final int DIMENSIONS = 4;

    private MethodHandle attend;
    private MethodHandle fromBlob;
    private MethodHandle strides;
    private MethodHandle data;
    private MethodHandle delete;
    private int f32;
    private int bf16;
    private int cpu;

    /** Called by the service loader. */
    public Torch() {}

    @Override
    public List<String> names() {
        return List.of("torch-sdpa");
    }

    @Override
    public boolean takesBf16(String name) {
        return true;
    }

    @Override
    public void load(int threads) {
        NativeFunctions torch = NativeFunctions.loadFrom(FOLDER, "libtorch_cpu.so");
        attend = torch.find("aoti_torch_cpu__" + KERNEL, FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS, ADDRESS,
            JAVA_DOUBLE, JAVA_INT, ADDRESS, ADDRESS, ADDRESS, ADDRESS));
        fromBlob = torch.find("aoti_torch_create_tensor_from_blob", FunctionDescriptor.of(JAVA_INT, ADDRESS,
            JAVA_LONG, ADDRESS, ADDRESS, JAVA_LONG, JAVA_INT, JAVA_INT, JAVA_INT, ADDRESS));
        FunctionDescriptor query = FunctionDescriptor.of(JAVA_INT, ADDRESS, ADDRESS);
        strides = torch.find("aoti_torch_get_strides", query);
        data = torch.find("aoti_torch_get_data_ptr", query);
        delete = torch.find("aoti_torch_delete_tensor_object", FunctionDescriptor.of(JAVA_INT, ADDRESS));
        try {
            // Mangled: at::set_num_threads and at::get_num_threads have no names of C.
            torch.find("_ZN2at15set_num_threadsEi", FunctionDescriptor.ofVoid(JAVA_INT)).invokeExact(threads);
            int used = (int) torch.find("_ZN2at15get_num_threadsEv", FunctionDescriptor.of(JAVA_INT)).invokeExact();
            PeerException.requireThreads(threads, used);
            // Recording what a gradient would need is no part of inference.
            torch.find("aoti_torch_grad_mode_set_enabled", FunctionDescriptor.ofVoid(JAVA_INT)).invokeExact(0);
            f32 = constant(torch, "aoti_torch_dtype_float32");
            bf16 = constant(torch, "aoti_torch_dtype_bfloat16");
            cpu = constant(torch, "aoti_torch_device_type_cpu");
        } catch (Throwable t) {
            throw NativeFunctions.unexpected(t);
        }
    }

    private static int constant(NativeFunctions torch, String name) throws Throwable {
        return (int) torch.find(name, FunctionDescriptor.of(JAVA_INT)).invokeExact();
    }

    @Override
    public List<PeerVariant> attention(String name, AttentionPeerProblem problem) {
        if (problem.shape().block() != 0) {
            throw new PeerException("it knows no lists of blocks");
        }
        return List.of(new PeerVariant() {
            @Override
            public String kernel() {
                return KERNEL;
            }

            @Override
            public PackedPeer pack(Arena arena) {
                return new Packed(problem);
            }
        });
    }

    private void delete(MemorySegment tensor) {
        try {
            check("aoti_torch_delete_tensor_object", (int) delete.invokeExact(tensor));
        } catch (Throwable t) {
            throw NativeFunctions.unexpected(t);
        }
    }

    private static void check(String function, int status) {
        if (status != 0) {
            throw new PeerException(function + " returned " + status);
        }
    }

    /** Nothing is packed: the operator reads operands as they are. */
    private final class Packed implements PackedPeer {

        private final AttentionPeerProblem problem;
        private final List<Attention> bound = new ArrayList<>();

        Packed(AttentionPeerProblem problem) {
            this.problem = problem;
        }

        @Override
        public long packedBytes() {
            return 0;
        }

        @Override
        public Bound bind(MemorySegment input, Arena arena) {
            bound.add(new Attention(problem, input, arena));
            return bound.getLast();
        }

        @Override
        public void close() {
            bound.forEach(Attention::delete);
        }
    }

    /** Three tensors over operands. A run makes a tensor of its own, which replaces the last one's. */
    private final class Attention implements PackedPeer.Bound {

        private final AttentionPeerProblem.Shape shape;
        private final MemorySegment[] operands = new MemorySegment[3];
        private final MemorySegment results;
        private final MemorySegment output;
        private boolean hasResults;

        Attention(AttentionPeerProblem problem, MemorySegment input, Arena arena) {
            shape = problem.shape();
            results = arena.allocate(ADDRESS, 2);
            output = problem.newOutput(arena);
            MemorySegment sizes = arena.allocateFrom(JAVA_LONG, 1, shape.heads(), shape.rows(), shape.dim());
            long head = (long) shape.rows() * shape.dim();
            MemorySegment steps = arena.allocateFrom(JAVA_LONG, shape.heads() * head, head, shape.dim(), 1);
            MemorySegment place = arena.allocate(ADDRESS);
            try {
                for (int i = 0; i < operands.length; i++) {
                    check("aoti_torch_create_tensor_from_blob", (int) fromBlob.invokeExact(
                        AttentionPeerProblem.operand(input, i), (long) DIMENSIONS, sizes, steps, 0L,
                        shape.dtype() == DType.BF16 ? bf16 : f32, cpu, 0, place));
                    operands[i] = place.get(ADDRESS, 0);
                }
            } catch (Throwable t) {
                throw NativeFunctions.unexpected(t);
            }
        }

        @Override
        public void run() {
            deleteResults();
            try {
                check(KERNEL, (int) attend.invokeExact(operands[0], operands[1], operands[2], 0.0,
                    shape.causal() ? 1 : 0, MemorySegment.NULL, MemorySegment.NULL, results,
                    results.asSlice(ADDRESS.byteSize())));
                hasResults = true;
            } catch (Throwable t) {
                throw NativeFunctions.unexpected(t);
            }
        }

        private void deleteResults() {
            if (hasResults) {
                hasResults = false;
                Torch.this.delete(results.getAtIndex(ADDRESS, 0));
                Torch.this.delete(results.getAtIndex(ADDRESS, 1));
            }
        }

        void delete() {
            deleteResults();
            for (MemorySegment operand : operands) {
                Torch.this.delete(operand);
            }
        }

        /** The last run's result, head by head. */
        @Override
        public MemorySegment output() {
            MemorySegment result = results.getAtIndex(ADDRESS, 0);
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment place = arena.allocate(ADDRESS);
                check("aoti_torch_get_strides", (int) strides.invokeExact(result, place));
                MemorySegment steps = place.get(ADDRESS, 0).reinterpret((long) DIMENSIONS * Long.BYTES);
                check("aoti_torch_get_data_ptr", (int) data.invokeExact(result, place));
                MemorySegment from = place.get(ADDRESS, 0).reinterpret(output.byteSize());
                long bytes = shape.dtype().bytes();
                for (int h = 0; h < shape.heads(); h++) {
                    for (int r = 0; r < shape.rows(); r++) {
                        MemorySegment.copy(from,
                            bytes * (h * steps.getAtIndex(JAVA_LONG, 1) + r * steps.getAtIndex(JAVA_LONG, 2)), output,
                            bytes * shape.dim() * ((long) h * shape.rows() + r), bytes * shape.dim());
                    }
                }
                return output;
            } catch (Throwable t) {
                throw NativeFunctions.unexpected(t);
            }
        }
    }
}
