package dev.filigree.bench.peers;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.filigree.Activation;
import dev.filigree.DType;
import dev.filigree.bench.peer.PackedPeer;
import dev.filigree.bench.peer.PeerException;
import dev.filigree.bench.peer.PeerLibrary;
import dev.filigree.bench.peer.PeerProblem;
import dev.filigree.bench.peer.PeerVariant;
import dev.filigree.bench.peer.SpmmPeerProblem;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.BiFunction;

/** oneDNN: its matmul with a dense or a CSR operand, and its own epilogues. */
public final class OneDnn implements PeerLibrary {

    private OneDnnApi api;

    /** Called by the service loader. */
    public OneDnn() {}

    @Override
    public List<String> names() {
        return List.of("onednn-dense", "onednn-sparse");
    }

    @Override
    public void load(int threads) {
        NativeFunctions library = NativeFunctions.load("dnnl", "libdnnl.so.3");
        // It has no function of its own for this: the number is its OpenMP runtime's.
        NativeFunctions openMp = NativeFunctions.load("dnnl", "libgomp.so.1");
        try {
            int used = (int) openMp.find("omp_get_max_threads", FunctionDescriptor.of(JAVA_INT)).invokeExact();
            PeerException.requireThreads(threads, used);
        } catch (Throwable t) {
            throw NativeFunctions.unexpected(t);
        }
        api = new OneDnnApi(library);
    }

    @Override
    public boolean takesBf16(String name) {
        return name.equals("onednn-dense");
    }

    /** What a way to multiply needs: the operands in the order and shape of matmul, and the packed one among them. */
    private enum Form {
        /** src = A, weights = B. */
        MATRIX_FIRST,
        /** src = B transposed, weights = A transposed, dst = C transposed: weights are what is packed best. */
        MATRIX_SECOND
    }

    @Override
    public List<PeerVariant> spmm(String name, SpmmPeerProblem problem) {
        boolean sparse = name.equals("onednn-sparse");
        List<PeerVariant> variants = new ArrayList<>();
        boolean activates = problem.shape().activation() != Activation.NONE;
        for (Form form : Form.values()) {
            // The pass over an output is f32's.
            if (!activates || problem.shape().dtype() == DType.F32) {
                variants.add(variant(problem, form, sparse, false));
            }
            if (activates) {
                variants.add(variant(problem, form, sparse, true));
            }
        }
        return variants;
    }

    private PeerVariant variant(SpmmPeerProblem problem, Form form, boolean sparse, boolean fused) {
        return new PeerVariant() {
            @Override
            public String kernel() {
                return "dnnl_matmul " + form.name().toLowerCase(Locale.ROOT).replace('_', ' ');
            }

            @Override
            public boolean fusesActivation() {
                return fused;
            }

            @Override
            public PackedPeer pack(Arena arena) {
                return new Packed(problem, form, sparse, fused, arena);
            }
        };
    }

    /** A primitive and the matrix as it wants it. */
    private final class Packed implements PackedPeer {

        private final SpmmPeerProblem problem;
        private final Form form;
        private final MemorySegment operandDescription;
        private final MemorySegment outputDescription;
        private final MemorySegment primitiveDescription;
        private final MemorySegment primitive;
        private final MemorySegment matrix;
        private final long bytes;

        Packed(SpmmPeerProblem problem, Form form, boolean sparse, boolean fused, Arena arena) {
            this.problem = problem;
            this.form = form;
            SpmmPeerProblem.Shape s = problem.shape();
            boolean first = form == Form.MATRIX_FIRST;
            // Where an element (i, j) of B (cols x n) and C (rows x n) lies, or of their transposes.
            operandDescription = first ? strided(s.cols(), s.n(), s) : transposed(s.cols(), s.n(), s);
            outputDescription = first ? strided(s.rows(), s.n(), s) : transposed(s.rows(), s.n(), s);
            MemorySegment any = sparse ? api.csr(first ? s.rows() : s.cols(), first ? s.cols() : s.rows(), s.nnz())
                : api.any(first ? s.rows() : s.cols(), first ? s.cols() : s.rows(), s.dtype());
            try {
                primitiveDescription = api.matmul(first ? any : operandDescription, first ? operandDescription : any,
                    outputDescription, fused ? s.activation() : Activation.NONE);
                primitive = api.primitive(primitiveDescription);
                if (sparse) {
                    BiFunction<SpmmPeerProblem, Arena, MemorySegment[]> arrays = first ? Packed::byRows
                        : Packed::byColumns;
                    MemorySegment[] handles = arrays.apply(problem, arena);
                    matrix = api.memory(any, handles);
                    bytes = handles[0].byteSize() + handles[1].byteSize() + handles[2].byteSize();
                } else {
                    MemorySegment wanted = first ? api.source(primitiveDescription) : api.weights(primitiveDescription);
                    bytes = api.size(wanted);
                    matrix = api.memory(wanted, arena.allocate(bytes, PeerProblem.ALIGNMENT));
                    reorder(first, wanted);
                }
            } finally {
                api.destroyDescription(any);
            }
        }

        private MemorySegment strided(int rows, int cols, SpmmPeerProblem.Shape s) {
            return s.tokenMajor() ? api.strided(rows, cols, 1, rows, s.dtype())
                : api.strided(rows, cols, cols, 1, s.dtype());
        }

        private MemorySegment transposed(int rows, int cols, SpmmPeerProblem.Shape s) {
            return s.tokenMajor() ? api.strided(cols, rows, rows, 1, s.dtype())
                : api.strided(cols, rows, 1, cols, s.dtype());
        }

        private void reorder(boolean first, MemorySegment wanted) {
            SpmmPeerProblem.Shape s = problem.shape();
            try (Arena unpacked = Arena.ofConfined()) {
                MemorySegment plain = first ? api.strided(s.rows(), s.cols(), s.cols(), 1, DType.F32)
                    : api.strided(s.cols(), s.rows(), 1, s.cols(), DType.F32);
                MemorySegment dense = api.memory(plain, problem.dense(unpacked));
                api.reorder(plain, dense, wanted, matrix);
                api.destroyMemory(dense);
                api.destroyDescription(plain);
            }
        }

        private static MemorySegment[] byRows(SpmmPeerProblem problem, Arena arena) {
            return new MemorySegment[] {PeerProblem.copy(problem.values(), arena),
                PeerProblem.copy(problem.columns(), arena), problem.intOffsets(arena)};
        }

        /** CSR of the transpose. */
        private static MemorySegment[] byColumns(SpmmPeerProblem problem, Arena arena) {
            SpmmPeerProblem.Shape s = problem.shape();
            MemorySegment offsets = arena.allocate(Integer.BYTES * (s.cols() + 1L), PeerProblem.ALIGNMENT);
            MemorySegment rows = arena.allocate(Math.max(4, Integer.BYTES * s.nnz()), PeerProblem.ALIGNMENT);
            MemorySegment values = arena.allocate(Math.max(4, Float.BYTES * s.nnz()), PeerProblem.ALIGNMENT);
            int[] next = new int[s.cols() + 1];
            for (long p = 0; p < s.nnz(); p++) {
                next[problem.columns().getAtIndex(ValueLayout.JAVA_INT, p) + 1]++;
            }
            for (int c = 0; c < s.cols(); c++) {
                next[c + 1] += next[c];
            }
            MemorySegment.copy(next, 0, offsets, ValueLayout.JAVA_INT, 0, next.length);
            MemorySegment from = problem.offsets();
            for (int r = 0; r < s.rows(); r++) {
                long end = from.getAtIndex(ValueLayout.JAVA_LONG, r + 1L);
                for (long p = from.getAtIndex(ValueLayout.JAVA_LONG, r); p < end; p++) {
                    int to = next[problem.columns().getAtIndex(ValueLayout.JAVA_INT, p)]++;
                    rows.setAtIndex(ValueLayout.JAVA_INT, to, r);
                    values.setAtIndex(ValueLayout.JAVA_FLOAT, to,
                        problem.values().getAtIndex(ValueLayout.JAVA_FLOAT, p));
                }
            }
            return new MemorySegment[] {values, rows, offsets};
        }

        @Override
        public String detail() {
            return api.implementation(primitiveDescription);
        }

        @Override
        public long packedBytes() {
            return bytes;
        }

        @Override
        public Bound bind(MemorySegment input, Arena arena) {
            MemorySegment output = problem.newOutput(arena);
            MemorySegment operand = api.memory(operandDescription, input);
            MemorySegment result = api.memory(outputDescription, output);
            boolean first = form == Form.MATRIX_FIRST;
            MemorySegment arguments = api.arguments(first ? matrix : operand, first ? operand : matrix, result, arena);
            return new Bound() {
                @Override
                public void run() {
                    api.execute(primitive, arguments, 3);
                }

                @Override
                public MemorySegment output() {
                    return output;
                }
            };
        }

        /** The small memory objects of bindings go with the process. */
        @Override
        public void close() {
            api.destroyMemory(matrix);
            api.destroyPrimitive(primitive);
            api.destroyPrimitiveDescription(primitiveDescription);
            api.destroyDescription(operandDescription);
            api.destroyDescription(outputDescription);
        }
    }
}
