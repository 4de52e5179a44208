package dev.filigree.mlp;

import dev.filigree.Activation;
import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Memory;
import dev.filigree.Workers;
import dev.filigree.format.RowMatrix;
import dev.filigree.internal.Gate;
import dev.filigree.internal.LeakReport;
import dev.filigree.internal.Operands;
import dev.filigree.internal.Pool;
import dev.filigree.internal.Scratch;
import dev.filigree.mlp.RowProducts.Factor;
import dev.filigree.spi.Backends;
import dev.filigree.spi.MlpKernel;
import dev.filigree.spi.RowFormat;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.ref.Reference;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;

/**
 * A low-rank predictor of the neurons that a token needs: {@code scores = W1 (W0 x)}, with W0 rank x inputs and W1
 * neurons x rank, as in Deja Vu (arXiv 2310.17157). The input may be that of the MLP, or anything known earlier, such as
 * the residual of the block before: then {@link #submit} predicts while other work goes on.
 *
 * <p>Scores have the same bits on every host backend and for every team size. Immutable and thread-safe: predictions may
 * overlap, and share the worker team as {@link Workers} says. Warm predictions allocate nothing, those that are
 * submitted excepted. {@link MlpPredictorTrainer} makes the matrices.
 */
public final class MlpPredictor implements AutoCloseable {

    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;

    /** Which neurons to take by their scores. */
    public sealed interface Choice {

        /**
         * The largest scores of each token.
         *
         * @param count how many; all, if there are fewer
         */
        record Largest(int count) implements Choice {
            /** Checks. */
            public Largest {
                if (count < 0) {
                    throw new IllegalArgumentException("count = " + count + " is negative");
                }
            }
        }

        /**
         * The scores that are not less than a threshold; 0 is even odds to a trained predictor.
         *
         * @param threshold of a score
         */
        record AtLeast(float threshold) implements Choice {}
    }

    private final RowMatrix first;
    private final RowMatrix second;
    private final Backends.Selection<MlpKernel> selection;
    private final Workers workers;
    private final Factor firstFactor;
    private final Factor secondFactor;
    private final Pool<Call> calls = new Pool<>();
    private final Gate gate;
    private final LeakReport leakReport;

    private MlpPredictor(
            RowMatrix first, RowMatrix second, Backends.Selection<MlpKernel> selection, Workers workers) {
        this.first = first;
        this.second = second;
        this.selection = selection;
        this.workers = workers;
        firstFactor = new Factor(first.block(), MemorySegment.NULL, Activation.NONE.code());
        secondFactor = new Factor(second.block(), MemorySegment.NULL, Activation.NONE.code());
        gate = new Gate("the predictor of " + second.rows() + " neurons");
        leakReport = LeakReport.watch(this, "MlpPredictor of " + second.rows() + " neurons");
    }

    static MlpPredictor create(RowMatrix first, RowMatrix second, MlpOptions options) {
        if (second.cols() != first.rows()) {
            throw new IllegalArgumentException("second is " + second.rows() + " x " + second.cols()
                + ", expected as many columns as the " + first.rows() + " rows of the first");
        }
        if (first.dtype() != second.dtype()) {
            throw new IllegalArgumentException(
                "first is " + first.dtype().id() + ", second is " + second.dtype().id());
        }
        Backends.Selection<MlpKernel> selection = MlpPlan.select(first.dtype(), options);
        return new MlpPredictor(first, second, selection, options.workers());
    }

    /**
     * Computes scores.
     *
     * @param x f32 in host memory, tokens x inputs
     * @param scores f32 in host memory, tokens x neurons; must not overlap x
     * @throws IllegalArgumentException if an operand does not fit; nothing is written then
     * @throws IllegalStateException if the predictor, its worker team or an operand's arena is closed
     */
    public void scores(DenseMatrix x, DenseMatrix scores) {
        Gate.Visit visit = gate.enter();
        try {
            MlpPlan.requireOperands(x, first.cols(), scores, second.rows());
            run(x, scores, null, null);
        } finally {
            visit.inside = false;
        }
    }

    /**
     * Predicts which neurons the tokens need.
     *
     * @param x f32 in host memory, tokens x inputs
     * @param choice which scores are large enough
     * @param into is emptied, and filled
     * @throws IllegalArgumentException if the operand or the set does not fit; the set is untouched then
     * @throws IllegalStateException if the predictor, its worker team or the operand's arena is closed
     */
    public void predict(DenseMatrix x, Choice choice, ActiveSet into) {
        Gate.Visit visit = gate.enter();
        try {
            check(x, choice, into);
            run(x, null, choice, into);
        } finally {
            visit.inside = false;
        }
    }

    /**
     * Predicts on an executor, and returns at once. Neither x nor the set may be touched until the future is complete.
     *
     * @param x as for {@link #predict}, in a memory that the executor's threads may use
     * @param choice which scores are large enough
     * @param into is emptied, and filled
     * @param executor runs the prediction, and with it the worker team where that is idle
     * @return completes with the set, or with what {@link #predict} throws
     */
    public CompletableFuture<ActiveSet> submit(DenseMatrix x, Choice choice, ActiveSet into, Executor executor) {
        Objects.requireNonNull(x, "x");
        Objects.requireNonNull(choice, "choice");
        Objects.requireNonNull(into, "into");
        return CompletableFuture.supplyAsync(() -> {
            predict(x, choice, into);
            return into;
        }, executor);
    }

    private void check(DenseMatrix x, Choice choice, ActiveSet into) {
        Objects.requireNonNull(x, "x");
        Objects.requireNonNull(choice, "choice");
        Objects.requireNonNull(into, "into");
        Operands.requireKind("x", x, DType.F32, Memory.HOST);
        Operands.requireShape("x", x, x.rows(), first.cols(), "tokens x inputs");
        Operands.requireUsable("x", x);
        MlpPlan.requireSet(into, second.rows(), x.rows());
    }

    private void run(DenseMatrix x, DenseMatrix scores, Choice choice, ActiveSet into) {
        Call idle = calls.take();
        Call call = idle == null ? new Call() : idle;
        try {
            if (into != null) {
                into.clear();
            }
            for (int token = 0; token < x.rows(); token += RowFormat.TOKENS) {
                int tokens = Math.min(RowFormat.TOKENS, x.rows() - token);
                call.run(x, token, tokens);
                for (int t = 0; t < tokens; t++) {
                    if (scores != null) {
                        call.copy(t, scores, token + t);
                    } else {
                        call.choose(t, choice, into, token + t);
                    }
                }
            }
        } finally {
            Reference.reachabilityFence(this);
            calls.give(call);
        }
    }

    /** Inputs of a token. */
    public int inputs() {
        return first.cols();
    }

    /** What is between the two matrices. */
    public int rank() {
        return first.rows();
    }

    /** Neurons that have a score. */
    public int neurons() {
        return second.rows();
    }

    /** The backend that executes this predictor. */
    public Backend backend() {
        return selection.provider().backend();
    }

    /** Waits for the predictions in progress, then frees what they have left. A second call does nothing. */
    @Override
    public void close() {
        if (gate.close()) {
            leakReport.closed();
            calls.drain();
        }
    }

    @Override
    public String toString() {
        return "MlpPredictor[" + inputs() + " -> " + rank() + " -> " + neurons() + (gate.isClosed() ? ", closed]" : "]");
    }

    /** The memory of one prediction; pooled, so that a warm one allocates nothing. */
    private final class Call implements AutoCloseable {
        private final RowProducts products = new RowProducts(selection.kernel(), workers);
        private final Scratch memory = new Scratch();
        private final TopK topK = new TopK(second.rows());
        private final MemorySegment in;
        private final MemorySegment middle;
        private final long middleStride = RowProducts.padded(first.rows());
        private final MemorySegment packed;
        private final MemorySegment out;
        private final long outStride = RowProducts.padded(second.rows());

        Call() {
            long token = (long) Float.BYTES * RowFormat.TOKENS;
            long inBytes = token * RowFormat.field(first.block(), RowFormat.STRIDE);
            long middleBytes = token * middleStride;
            long packedBytes = token * RowFormat.field(second.block(), RowFormat.STRIDE);
            long outBytes = token * outStride;
            MemorySegment all = memory.atLeast(inBytes + middleBytes + packedBytes + outBytes);
            in = all.asSlice(0, inBytes);
            middle = all.asSlice(inBytes, middleBytes);
            packed = all.asSlice(inBytes + middleBytes, packedBytes);
            out = all.asSlice(inBytes + middleBytes + packedBytes, outBytes);
        }

        void run(DenseMatrix x, int token, int tokens) {
            RowProducts.pack(x.data(), token * x.rowStride(), x.rowStride(), tokens, first.block(), in);
            products.dot(firstFactor, null, MemorySegment.NULL, MemorySegment.NULL, first.rows(), in, tokens, middle,
                middleStride);
            RowProducts.pack(middle, 0, middleStride, tokens, second.block(), packed);
            products.dot(secondFactor, null, MemorySegment.NULL, MemorySegment.NULL, second.rows(), packed, tokens,
                out, outStride);
        }

        void copy(int t, DenseMatrix scores, int row) {
            MemorySegment.copy(out, Float.BYTES * t * outStride, scores.data(),
                Float.BYTES * row * scores.rowStride(), (long) Float.BYTES * second.rows());
        }

        void choose(int t, Choice choice, ActiveSet into, int token) {
            long at = t * outStride;
            switch (choice) {
                case Choice.Largest(int count) -> {
                    for (int i = 0; i < second.rows(); i++) {
                        topK.score(i, out.getAtIndex(F32, at + i));
                    }
                    topK.select(count, into, token);
                }
                case Choice.AtLeast(float threshold) -> {
                    for (int i = 0; i < second.rows(); i++) {
                        if (out.getAtIndex(F32, at + i) >= threshold) {
                            into.add(token, i);
                        }
                    }
                }
            }
        }

        @Override
        public void close() {
            memory.close();
        }
    }
}
