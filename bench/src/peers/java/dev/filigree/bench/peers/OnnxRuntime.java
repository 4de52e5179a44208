package dev.filigree.bench.peers;

import ai.onnxruntime.OnnxTensor;
import ai.onnxruntime.OrtEnvironment;
import ai.onnxruntime.OrtException;
import ai.onnxruntime.OrtLoggingLevel;
import ai.onnxruntime.OrtSession;
import dev.filigree.bench.onnx.OnnxOperator;
import dev.filigree.bench.onnx.OnnxOperator.Value;
import dev.filigree.bench.peer.AttentionPeerProblem;
import dev.filigree.bench.peer.PackedPeer;
import dev.filigree.bench.peer.PeerException;
import dev.filigree.bench.peer.PeerLibrary;
import dev.filigree.bench.peer.PeerProblem;
import dev.filigree.bench.peer.PeerVariant;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/** ONNX Runtime: models of one attention operator each. */
public final class OnnxRuntime implements PeerLibrary {

    private static final String DENSE = "ort-attention";
    private static final String SPARSE = "ort-sparse-attention";
    private static final String CONTRIBUTED = "com.microsoft";

    private OrtEnvironment environment;
    private int threads;

    /** Called by the service loader. */
    public OnnxRuntime() {}

    @Override
    public List<String> names() {
        return List.of(DENSE, SPARSE);
    }

    @Override
    public void load(int threads) {
        environment = OrtEnvironment.getEnvironment(OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR);
        this.threads = threads;
    }

    @Override
    public List<PeerVariant> attention(String name, AttentionPeerProblem problem) {
        AttentionPeerProblem.Shape s = problem.shape();
        if (name.equals(SPARSE)) {
            if (s.block() == 0 || !s.causal()) {
                throw new PeerException("its operator is for causal attention over lists of blocks");
            }
            return List.of(new Variant(problem, sparse(s), true));
        }
        if (s.block() != 0) {
            throw new PeerException("it knows no lists of blocks");
        }
        return List.of(new Variant(problem, multiHead(s), true), new Variant(problem, standard(s), false));
    }

    /** Tokens by tokens, each with the heads' parts side by side. */
    private static long[] tokenMajor(AttentionPeerProblem.Shape s) {
        return new long[] {1, s.rows(), (long) s.heads() * s.dim()};
    }

    private static long[] headMajor(AttentionPeerProblem.Shape s) {
        return new long[] {1, s.heads(), s.rows(), s.dim()};
    }

    private static List<Value> operands(long[] shape) {
        return List.of(new Value("q", OnnxOperator.FLOAT, shape), new Value("k", OnnxOperator.FLOAT, shape),
            new Value("v", OnnxOperator.FLOAT, shape));
    }

    private static OnnxOperator multiHead(AttentionPeerProblem.Shape s) {
        return new OnnxOperator(CONTRIBUTED, 1, "MultiHeadAttention",
            Map.of("num_heads", (long) s.heads(), "unidirectional", s.causal() ? 1L : 0L), operands(tokenMajor(s)),
            List.of(new Value("out", OnnxOperator.FLOAT, tokenMajor(s))));
    }

    private static OnnxOperator standard(AttentionPeerProblem.Shape s) {
        return new OnnxOperator("", 23, "Attention", Map.of("is_causal", s.causal() ? 1L : 0L),
            operands(headMajor(s)), List.of(new Value("out", OnnxOperator.FLOAT, headMajor(s))));
    }

    /** Its cache is empty, and as long as the prompt: the operator writes the prompt's keys and values to it. */
    private static OnnxOperator sparse(AttentionPeerProblem.Shape s) {
        List<Value> inputs = new ArrayList<>(operands(tokenMajor(s)));
        inputs.add(new Value("past_key", OnnxOperator.FLOAT, headMajor(s)));
        inputs.add(new Value("past_value", OnnxOperator.FLOAT, headMajor(s)));
        inputs.add(new Value("block_row_indices", OnnxOperator.INT32, s.lists(), s.blocks() + 1L));
        inputs.add(new Value("block_col_indices", OnnxOperator.INT32, s.lists(), s.listed()));
        inputs.add(new Value("total_sequence_length", OnnxOperator.INT32, 1));
        inputs.add(new Value("key_total_sequence_lengths", OnnxOperator.INT32, 1));
        return new OnnxOperator(CONTRIBUTED, 1, "SparseAttention",
            Map.of("num_heads", (long) s.heads(), "kv_num_heads", (long) s.heads(), "sparse_block_size",
                (long) s.block()),
            inputs, List.of(new Value("out", OnnxOperator.FLOAT, tokenMajor(s)),
                new Value("present_key", OnnxOperator.FLOAT, headMajor(s)),
                new Value("present_value", OnnxOperator.FLOAT, headMajor(s))));
    }

    /** An operator on a problem. */
    private final class Variant implements PeerVariant {

        private final AttentionPeerProblem problem;
        private final OnnxOperator operator;
        private final boolean tokenMajor;

        Variant(AttentionPeerProblem problem, OnnxOperator operator, boolean tokenMajor) {
            this.problem = problem;
            this.operator = operator;
            this.tokenMajor = tokenMajor;
        }

        @Override
        public String kernel() {
            return operator.type();
        }

        @Override
        public PackedPeer pack(Arena arena) {
            try (OrtSession.SessionOptions options = new OrtSession.SessionOptions()) {
                options.setIntraOpNumThreads(threads);
                options.setInterOpNumThreads(1);
                // Threads that spin on after their work would slow whoever is measured next.
                options.addConfigEntry("session.intra_op.allow_spinning", "0");
                return new Session(this, environment.createSession(operator.model(), options));
            } catch (OrtException e) {
                throw new PeerException(e.getMessage(), e);
            }
        }
    }

    /** A session, and the tensors that were made for it. */
    private final class Session implements PackedPeer {

        private final Variant variant;
        private final OrtSession session;
        private final List<OnnxTensor> tensors = new ArrayList<>();

        Session(Variant variant, OrtSession session) {
            this.variant = variant;
            this.session = session;
        }

        @Override
        public long packedBytes() {
            return 0;
        }

        @Override
        public Bound bind(MemorySegment input, Arena arena) {
            AttentionPeerProblem problem = variant.problem;
            Map<String, OnnxTensor> inputs = new HashMap<>();
            Map<String, OnnxTensor> outputs = new HashMap<>();
            MemorySegment output = problem.newOutput(arena);
            List<Value> wanted = variant.operator.inputs();
            for (int i = 0; i < 3; i++) {
                MemorySegment operand = AttentionPeerProblem.operand(input, i);
                inputs.put(wanted.get(i).name(), tensor(wanted.get(i),
                    variant.tokenMajor ? swapped(operand, problem.shape(), true, arena) : operand));
            }
            outputs.put("out", tensor(variant.operator.outputs().getFirst(), output));
            if (wanted.size() > 3) {
                // What was and what will be are the same memory: the operator insists on it.
                for (String part : List.of("key", "value")) {
                    OnnxTensor cache = tensor(new Value(part, OnnxOperator.FLOAT, headMajor(problem.shape())),
                        arena.allocate(problem.shape().operandBytes(), PeerProblem.ALIGNMENT));
                    inputs.put("past_" + part, cache);
                    outputs.put("present_" + part, cache);
                }
                inputs.put("block_row_indices", tensor(wanted.get(5), PeerProblem.copy(problem.starts(), arena)));
                inputs.put("block_col_indices", tensor(wanted.get(6), PeerProblem.copy(problem.columns(), arena)));
                MemorySegment length = arena.allocateFrom(ValueLayout.JAVA_INT, problem.shape().rows());
                inputs.put("total_sequence_length", tensor(wanted.get(7), length));
                inputs.put("key_total_sequence_lengths", tensor(wanted.get(8), length));
            }
            return new Attention(session, inputs, outputs,
                variant.tokenMajor ? () -> swapped(output, problem.shape(), false, arena) : () -> output);
        }

        private OnnxTensor tensor(Value value, MemorySegment memory) {
            try {
                var buffer = memory.asByteBuffer().order(ByteOrder.nativeOrder());
                OnnxTensor tensor = value.type() == OnnxOperator.INT32
                    ? OnnxTensor.createTensor(environment, buffer.asIntBuffer(), value.shape())
                    : OnnxTensor.createTensor(environment, buffer.asFloatBuffer(), value.shape());
                tensors.add(tensor);
                return tensor;
            } catch (OrtException e) {
                throw new PeerException(e.getMessage(), e);
            }
        }

        @Override
        public void close() {
            tensors.forEach(OnnxTensor::close);
            try {
                session.close();
            } catch (OrtException e) {
                throw new PeerException(e.getMessage(), e);
            }
        }
    }

    /** The operand with heads and rows exchanged. */
    private static MemorySegment swapped(
            MemorySegment operand, AttentionPeerProblem.Shape s, boolean fromHeadMajor, Arena arena) {
        MemorySegment swapped = arena.allocate(operand.byteSize(), PeerProblem.ALIGNMENT);
        long bytes = (long) s.dtype().bytes() * s.dim();
        for (long h = 0; h < s.heads(); h++) {
            for (long r = 0; r < s.rows(); r++) {
                long headMajor = (h * s.rows() + r) * bytes;
                long tokenMajor = (r * s.heads() + h) * bytes;
                MemorySegment.copy(operand, fromHeadMajor ? headMajor : tokenMajor, swapped,
                    fromHeadMajor ? tokenMajor : headMajor, bytes);
            }
        }
        return swapped;
    }

    /**
     * Runs a session.
     *
     * @param session of the operator
     * @param inputs by name
     * @param outputs by name
     * @param result the output, head by head
     */
    private record Attention(OrtSession session, Map<String, OnnxTensor> inputs, Map<String, OnnxTensor> outputs,
            Supplier<MemorySegment> result) implements PackedPeer.Bound {

        @Override
        public void run() {
            try {
                session.run(inputs, outputs).close();
            } catch (OrtException e) {
                throw new PeerException(e.getMessage(), e);
            }
        }

        @Override
        public MemorySegment output() {
            return result.get();
        }
    }
}
