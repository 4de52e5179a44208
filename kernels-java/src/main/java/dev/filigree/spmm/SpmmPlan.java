package dev.filigree.spmm;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Layout;
import dev.filigree.PlanExplanation.Candidate;
import dev.filigree.PlanExplanation;
import dev.filigree.Stream;
import dev.filigree.format.CsrMatrix;
import dev.filigree.internal.Gate;
import dev.filigree.internal.GemmPacker;
import dev.filigree.internal.LeakReport;
import dev.filigree.internal.Telemetry;
import dev.filigree.spi.Backends;
import dev.filigree.spi.GemmKernel;
import dev.filigree.spi.KernelProvider;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;

/**
 * A sparse matrix A (M x K, f32 or bf16), packed for one kernel, ready to be multiplied with many dense operands:
 *
 * <p>{@link Layout#FEATURE_MAJOR}: {@code C = act(alpha * A * B + beta * C + bias)}, B is K x N, C is M x N, the
 * bias has one value a row.
 *
 * <p>{@link Layout#TOKEN_MAJOR}: {@code Y = act(alpha * X * A^T + beta * Y + bias)}, X is N x K, Y is N x M.
 *
 * <p>N may differ from run to run. A stored zero is multiplied like any value; an element that is not stored never
 * meets its operand, so it cannot turn an infinity into a NaN. With {@code beta = 0} the output is not read. The
 * result of a run has the same bits on every host backend and for every team size. With {@link SpmmOptions#dtype
 * DType.BF16} all operands are bf16, sums f32, and the plan runs on a CUDA device.
 *
 * <p>A matrix with few zeros is kept as a dense one too, and runs multiply that wherever it makes no difference:
 * {@link SpmmOptions#fallbackDense} has a say, {@link #explain()} tells.
 *
 * <p>Thread-safe, and immutable but for {@link #update}: runs may overlap, and share the worker team as
 * {@link dev.filigree.Workers} says.
 * Warm runs allocate nothing. {@link #close()} gives the packed matrix back.
 */
public final class SpmmPlan implements AutoCloseable {

    private static final String OPERATION = "spmm";

    private final int rows;
    private final int cols;
    private final long nnz;
    private final Layout layout;
    private final DType dtype;
    private final Executor executor;
    private final PlanExplanation explanation;
    private final Gate gate;
    private final LeakReport leakReport;

    private SpmmPlan(CsrMatrix a, SpmmOptions options, Executor executor, PlanExplanation explanation) {
        rows = a.rows();
        cols = a.cols();
        nnz = a.nnz();
        layout = options.layout();
        dtype = options.dtype();
        this.executor = executor;
        this.explanation = explanation;
        gate = new Gate("the SpMM plan of " + a);
        leakReport = LeakReport.watch(this, "SpmmPlan of " + a);
    }

    static SpmmPlan create(CsrMatrix a, SpmmOptions options) {
        Objects.requireNonNull(a, "a");
        Objects.requireNonNull(options, "options");
        Backends.Selection<Offer> selection = select(options);
        return create(a, options, selection, tuned(a, options, selection.provider().backend()));
    }

    /** Packed by a given choice, on the backend that the options lead to. */
    static SpmmPlan create(CsrMatrix a, SpmmOptions options, SpmmTuning.Choice choice) {
        return create(a, options, select(options), Optional.of(choice));
    }

    private static Backends.Selection<Offer> select(SpmmOptions options) {
        return Backends.select(options.backend(), OPERATION + " in " + options.dtype().id(),
            provider -> Offer.of(provider, options.dtype()));
    }

    private static Optional<SpmmTuning.Choice> tuned(CsrMatrix a, SpmmOptions options, Backend backend) {
        return options.tuning().flatMap(tuning -> tuning.find(SpmmTuner.problem(a, options, backend)));
    }

    /** With a provider that nobody looked up, for tests. */
    static SpmmPlan create(CsrMatrix a, SpmmOptions options, KernelProvider provider) {
        return create(a, options, new Backends.Selection<>(
            provider, Offer.of(provider, options.dtype()).orElseThrow(), List.of()), Optional.empty());
    }

    private static SpmmPlan create(CsrMatrix a, SpmmOptions options, Backends.Selection<Offer> selection,
            Optional<SpmmTuning.Choice> choice) {
        float[] bias = options.bias().orElse(null);
        if (bias != null && bias.length != a.rows()) {
            throw new IllegalArgumentException(
                "bias has " + bias.length + " values, " + a + " needs one for each of its " + a.rows() + " rows");
        }
        Object event = Telemetry.beginPlan();
        // Shared: every worker reads it, and close() may come from any thread.
        Arena arena = Arena.ofShared();
        Executor executor = null;
        try {
            SegmentAllocator memory = selection.provider().memory(arena);
            MemorySegment packed = selection.kernel().pack(a, options,
                choice.map(SpmmTuning.Choice::tileRows).orElse(0), bias, memory);
            DenseForm dense = wantsDense(a, options.fallbackDense(), choice)
                ? denseForm(a, options, bias, selection.kernel().gemm(), memory) : null;
            PlanExplanation explanation = explain(a, options, packed, dense, selection);
            executor = selection.kernel().executor(packed, dense, arena, options);
            Telemetry.endPlan(event, OPERATION, explanation.kernel(), a.toString(), explanation.packedBytes());
            return new SpmmPlan(a, options, executor, explanation);
        } catch (Throwable t) {
            if (executor != null) {
                executor.close();
            } else if (arena.scope().isAlive()) {
                arena.close();
            }
            throw t;
        }
    }

    private static boolean wantsDense(CsrMatrix a, FallbackDense fallback, Optional<SpmmTuning.Choice> choice) {
        return switch (fallback) {
            case NEVER -> false;
            case WHEN_FASTER -> choice.map(SpmmTuning.Choice::dense)
                .orElseGet(() -> DenseEstimate.of(a).denseIsFaster());
            case ALWAYS -> true;
        };
    }

    /** Null where the backend has no dense kernel. */
    private static DenseForm denseForm(CsrMatrix a, SpmmOptions options, float[] bias, Optional<GemmKernel> kernel,
            SegmentAllocator memory) {
        if (kernel.isEmpty()) {
            return null;
        }
        MemorySegment packed = GemmPacker.pack(
            a, options.layout().code(), options.activation().code(), bias, memory);
        return new DenseForm(a, kernel.get(), packed);
    }

    private static PlanExplanation explain(CsrMatrix a, SpmmOptions options, MemorySegment packed, DenseForm dense,
            Backends.Selection<Offer> selection) {
        Offer offer = selection.kernel();
        String format = offer.describe(packed) + ", "
            + options.layout().name().toLowerCase(Locale.ROOT).replace('_', '-');
        String kernel = offer.id();
        long packedBytes = packed.byteSize();
        long scratchBytes = offer.scratchBytes(packed);
        if (dense != null) {
            kernel = dense.kernel().id();
            packedBytes += dense.packed().byteSize();
            scratchBytes = Math.max(scratchBytes, dense.scratchBytes());
            format = dense.describe() + (dense.complete() ? "; unused: " : "; for inputs that are not finite: ")
                + format;
        }
        DenseEstimate estimate = DenseEstimate.of(a);
        List<Candidate> candidates = offer.gemm().map(gemm -> List.of(
            new Candidate(offer.id(), estimate.sparseNanos()),
            new Candidate(gemm.id(), estimate.denseNanos()))).orElse(List.of());
        return new PlanExplanation(OPERATION, selection.provider().backend(), kernel, format, packedBytes,
            scratchBytes, 2.0 * a.nnz(), options.dtype().bytes() * ((double) a.rows() + a.cols()), candidates,
            selection.passedOver());
    }

    /**
     * Runs with {@code alpha = 1} and {@code beta = 0}.
     *
     * @param b the dense input, in the plan's type: K x N, or N x K when token-major
     * @param c the output, in the plan's type: M x N, or N x M when token-major; must not overlap b
     * @throws IllegalArgumentException if an operand has the wrong shape, type or memory, is confined to another
     *     thread, or the output is read-only or overlaps the input; nothing is written then
     * @throws IllegalStateException if the plan, its worker team or an operand's arena is closed
     */
    public void run(DenseMatrix b, DenseMatrix c) {
        run(1f, b, 0f, c);
    }

    /**
     * Runs with all factors. Operands in host memory, in any arena or on the heap, or both in the memory of the
     * plan's device; the call returns when the output is complete.
     *
     * @param alpha factor of the product
     * @param b the dense input, in the plan's type: K x N, or N x K when token-major
     * @param beta factor of what the output holds; with 0 the output is not read
     * @param c the output, in the plan's type: M x N, or N x M when token-major; must not overlap b
     * @throws IllegalArgumentException if an operand has the wrong shape, type or memory, is confined to another
     *     thread, or the output is read-only or overlaps the input; nothing is written then
     * @throws IllegalStateException if the plan, its worker team or an operand's arena is closed
     */
    public void run(float alpha, DenseMatrix b, float beta, DenseMatrix c) {
        Gate.Visit visit = gate.enter();
        try {
            int n = check(b, c);
            Object event = Telemetry.beginRun();
            if (n > 0 && rows > 0) {
                executor.run(alpha, b, beta, c, n);
            }
            Telemetry.endRun(event, OPERATION, explanation.kernel(), n);
        } finally {
            visit.inside = false;
        }
    }

    /**
     * Submits a run to a stream and returns at once. The operands must stay as they are until the stream has
     * completed it; {@link #close()} waits for it.
     *
     * @param stream a stream of the plan's device
     * @param alpha factor of the product
     * @param b the dense input in the device's memory
     * @param beta factor of what the output holds
     * @param c the output in the device's memory
     * @throws UnsupportedOperationException if the plan does not run on a device
     * @throws IllegalArgumentException as for {@link #run(float, DenseMatrix, float, DenseMatrix)}, or if stream
     *     and operands belong to different memories
     * @throws IllegalStateException if the plan is closed
     */
    public void runAsync(Stream stream, float alpha, DenseMatrix b, float beta, DenseMatrix c) {
        Objects.requireNonNull(stream, "stream");
        Gate.Visit visit = gate.enter();
        try {
            executor.checkStream(stream);
            int n = check(b, c);
            if (n > 0 && rows > 0) {
                executor.runAsync(stream, alpha, b, beta, c, n);
            }
        } finally {
            visit.inside = false;
        }
    }

    private int check(DenseMatrix b, DenseMatrix c) {
        Objects.requireNonNull(b, "b");
        Objects.requireNonNull(c, "c");
        return executor.check(this, b, c);
    }

    /** M, the rows of A. */
    public int rows() {
        return rows;
    }

    /** K, the columns of A. */
    public int cols() {
        return cols;
    }

    /** The stored elements of A. */
    public long nnz() {
        return nnz;
    }

    /**
     * Overwrites the values of the stored elements; the pattern stays. Waits for the runs in progress, and those that
     * begin meanwhile wait for it.
     *
     * @param values one for each stored element, in the order of the CSR matrix that was planned: row by row, by column
     * @throws IllegalArgumentException if there are not as many as stored elements; nothing is changed then
     * @throws IllegalStateException if the plan is closed
     */
    public void update(float[] values) {
        update(MemorySegment.ofArray(values));
    }

    /**
     * Overwrites the values of the stored elements; the pattern stays. Waits for the runs in progress, and those that
     * begin meanwhile wait for it.
     *
     * @param values f32, whatever the plan's type, one for each stored element, in the order of the CSR matrix that was planned: row by row, by
     *     column; on the heap or native, of any alignment
     * @throws IllegalArgumentException if its size is not that of as many floats as stored elements; nothing is changed
     *     then
     * @throws IllegalStateException if the plan is closed, or the values' arena is
     */
    public void update(MemorySegment values) {
        if (values.byteSize() != Float.BYTES * nnz) {
            throw new IllegalArgumentException("values has " + values.byteSize() + " bytes, the plan's " + nnz
                + " stored elements need " + Float.BYTES * nnz);
        }
        try (Arena arena = Arena.ofConfined()) {
            // Copied first: an arena that is closed on the way leaves the plan as it was.
            MemorySegment copy = arena.allocate(Math.max(1, values.byteSize()), Float.BYTES);
            MemorySegment.copy(values, 0, copy, 0, values.byteSize());
            gate.alone(() -> executor.update(copy));
        }
    }

    /** How the dense operands lie in memory. */
    public Layout layout() {
        return layout;
    }

    /** The type of all operands. */
    public DType dtype() {
        return dtype;
    }

    /** The backend that executes this plan. */
    public Backend backend() {
        return explanation.backend();
    }

    /** What was chosen, what bounds it, and what was passed over. */
    public PlanExplanation explain() {
        return explanation;
    }

    /**
     * Waits for the runs in progress, those submitted to streams included, then frees the packed matrix. A second call
     * does nothing; it may return before the first has.
     *
     * @throws dev.filigree.NativeException if a submitted run failed on the device; all is freed nevertheless
     */
    @Override
    public void close() {
        if (gate.close()) {
            leakReport.closed();
            executor.close();
        }
    }

    @Override
    public String toString() {
        return "SpmmPlan[" + rows + " x " + cols + ", " + nnz + " nonzeros, " + explanation.kernel()
            + (gate.isClosed() ? ", closed]" : "]");
    }
}
