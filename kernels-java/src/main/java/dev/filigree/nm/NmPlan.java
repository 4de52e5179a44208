package dev.filigree.nm;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Layout;
import dev.filigree.Memory;
import dev.filigree.PlanExplanation;
import dev.filigree.format.NmMatrix;
import dev.filigree.format.NmPattern;
import dev.filigree.internal.Gate;
import dev.filigree.internal.HostRuns;
import dev.filigree.internal.LeakReport;
import dev.filigree.internal.Operands;
import dev.filigree.internal.Telemetry;
import dev.filigree.spi.Backends;
import dev.filigree.spi.KernelProvider;
import dev.filigree.spi.NmFormat;
import dev.filigree.spi.NmKernel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Locale;
import java.util.Objects;

/**
 * An N:M sparse matrix A (M x K, f32 or bf16), packed for one kernel, ready to be multiplied with many dense operands:
 *
 * <p>{@link Layout#FEATURE_MAJOR}: {@code C = act(alpha * A * B + beta * C + bias)}, B is K x N, C is M x N, the
 * bias has one value a row.
 *
 * <p>{@link Layout#TOKEN_MAJOR}: {@code Y = act(alpha * X * A^T + beta * Y + bias)}, X is N x K, Y is N x M.
 *
 * <p>N may differ from run to run. A stored entry meets its operand whatever its value; an element that is not stored
 * never does, so it cannot turn an infinity into a NaN. With {@code beta = 0} the output is not read. Each element is
 * one chain of fused multiply-adds in ascending columns: the result of a run has the same bits on every host backend
 * and for every team size, and with N = M those of a dense product in that order.
 *
 * <p>In bf16, sums are f32: of each two stored entries the later is added first, as the instruction {@code vdpbf16ps}
 * does, and denormals may count as zeros. Backends agree bit for bit as long as no element and no sum is denormal.
 * With N = M it is a dense bf16 product. The kernel {@code nm_packed_bf16_amx}, which {@link #explain()} names where
 * the processor has AMX and 16 rows or more share their positions or N = M, adds in another order: its bits differ
 * from those of other kernels, within the same bound, and depend on N, but not on the team.
 *
 * <p>Immutable and thread-safe: runs may overlap, and share the worker team as {@link dev.filigree.Workers} says.
 * Warm runs allocate nothing. {@link #close()} gives the packed matrix back.
 */
public final class NmPlan implements AutoCloseable {

    private static final String OPERATION = "nm";

    private final int rows;
    private final int cols;
    private final NmPattern pattern;
    private final Layout layout;
    private final DType dtype;
    private final Runs runs;
    private final PlanExplanation explanation;
    private final Gate gate;
    private final LeakReport leakReport;

    private NmPlan(NmMatrix a, NmOptions options, Runs runs, PlanExplanation explanation) {
        rows = a.rows();
        cols = a.cols();
        pattern = a.pattern();
        layout = options.layout();
        dtype = options.dtype();
        this.runs = runs;
        this.explanation = explanation;
        gate = new Gate("the N:M plan of " + a);
        leakReport = LeakReport.watch(this, "NmPlan of " + a);
    }

    static NmPlan create(NmMatrix a, NmOptions options) {
        Objects.requireNonNull(a, "a");
        Objects.requireNonNull(options, "options");
        return create(a, options, Backends.select(options.backend(), OPERATION + " in " + options.dtype().id(),
            provider -> provider.nm(options.dtype(), a.pattern())));
    }

    /** With a provider that nobody looked up, for tests. */
    static NmPlan create(NmMatrix a, NmOptions options, KernelProvider provider) {
        return create(a, options, new Backends.Selection<>(provider,
            provider.nm(options.dtype(), a.pattern()).orElseThrow(), List.of()));
    }

    private static NmPlan create(NmMatrix a, NmOptions options, Backends.Selection<NmKernel> selection) {
        float[] bias = options.bias().orElse(null);
        if (bias != null && bias.length != a.rows()) {
            throw new IllegalArgumentException(
                "bias has " + bias.length + " values, " + a + " needs one for each of its " + a.rows() + " rows");
        }
        Object event = Telemetry.beginPlan();
        // Shared: every worker reads it, and close() may come from any thread.
        Arena arena = Arena.ofShared();
        try {
            MemorySegment packed = NmPacker.pack(a, options.dtype(), options.layout().code(),
                options.activation().code(), bias, selection.provider().memory(arena));
            PlanExplanation explanation = explain(a, options, packed, selection);
            Telemetry.endPlan(event, OPERATION, explanation.kernel(), a.toString(), explanation.packedBytes());
            return new NmPlan(a, options, new Runs(selection.kernel(), packed, arena, options), explanation);
        } catch (Throwable t) {
            arena.close();
            throw t;
        }
    }

    private static PlanExplanation explain(
            NmMatrix a, NmOptions options, MemorySegment packed, Backends.Selection<NmKernel> selection) {
        long blocks = NmFormat.field(packed, NmFormat.BLOCK_COUNT);
        String format = a.pattern() + " of " + options.dtype().id() + " in " + blocks
            + (blocks == 1 ? " block of " : " blocks of ")
            + NmFormat.field(packed, NmFormat.BLOCK_DEPTH) + " columns, rows interleaved by " + NmFormat.LANES + ", "
            + options.layout().name().toLowerCase(Locale.ROOT).replace('_', '-');
        return new PlanExplanation(OPERATION, selection.provider().backend(), selection.kernel().id(), format,
            packed.byteSize(), NmFormat.field(packed, NmFormat.SCRATCH_BYTES), 2.0 * a.nnz(),
            options.dtype().bytes() * ((double) a.rows() + a.cols()), selection.passedOver());
    }

    /** The plan's runs on the host; owns the packed matrix. */
    private static final class Runs extends HostRuns {
        private final NmKernel kernel;
        private final MemorySegment packed;
        private final Arena arena;
        private final double flops;
        private final long chunkCount;
        private final long scratchBytes;

        Runs(NmKernel kernel, MemorySegment packed, Arena arena, NmOptions options) {
            super(options.workers(), options.layout(), (int) NmFormat.field(packed, NmFormat.ROWS),
                (int) NmFormat.field(packed, NmFormat.COLS), options.dtype());
            this.kernel = kernel;
            this.packed = packed;
            this.arena = arena;
            flops = 2.0 * NmFormat.field(packed, NmFormat.ROWS) * NmFormat.field(packed, NmFormat.COLS)
                * NmFormat.intField(packed, NmFormat.N) / NmFormat.intField(packed, NmFormat.M);
            chunkCount = NmFormat.field(packed, NmFormat.CHUNK_COUNT);
            scratchBytes = NmFormat.field(packed, NmFormat.SCRATCH_BYTES);
        }

        @Override
        protected Call newCall() {
            return new NmCall();
        }

        @Override
        public void close() {
            super.close();
            arena.close();
        }

        private final class NmCall extends Call {
            @Override
            protected void execute() {
                runItems(0, NmFormat.panels(n) * chunkCount, scratchBytes, flops * n);
            }

            @Override
            protected void compute(long begin, long end, MemorySegment scratch) {
                kernel.run(packed, b, bStride, c, cStride, n, alpha, beta, begin, end, scratch);
            }
        }
    }

    /**
     * Runs with {@code alpha = 1} and {@code beta = 0}.
     *
     * @param b the dense input, of the plan's type: K x N, or N x K when token-major
     * @param c the output, of the plan's type: M x N, or N x M when token-major; must not overlap b
     * @throws IllegalArgumentException if an operand has the wrong shape, type or memory, is confined to another
     *     thread, or the output is read-only or overlaps the input; nothing is written then
     * @throws IllegalStateException if the plan, its worker team or an operand's arena is closed
     */
    public void run(DenseMatrix b, DenseMatrix c) {
        run(1f, b, 0f, c);
    }

    /**
     * Runs with all factors; operands in host memory, in any arena or on the heap. The call returns when the output
     * is complete.
     *
     * @param alpha factor of the product
     * @param b the dense input, of the plan's type: K x N, or N x K when token-major
     * @param beta factor of what the output holds; with 0 the output is not read
     * @param c the output, of the plan's type: M x N, or N x M when token-major; must not overlap b
     * @throws IllegalArgumentException if an operand has the wrong shape, type or memory, is confined to another
     *     thread, or the output is read-only or overlaps the input; nothing is written then
     * @throws IllegalStateException if the plan, its worker team or an operand's arena is closed
     */
    public void run(float alpha, DenseMatrix b, float beta, DenseMatrix c) {
        Gate.Visit visit = gate.enter();
        try {
            Objects.requireNonNull(b, "b");
            Objects.requireNonNull(c, "c");
            int n = Operands.requireProduct(layout, rows, cols, dtype, Memory.HOST, b, c);
            Object event = Telemetry.beginRun();
            if (n > 0 && rows > 0) {
                runs.run(alpha, b, beta, c, n);
            }
            Telemetry.endRun(event, OPERATION, explanation.kernel(), n);
        } finally {
            visit.inside = false;
        }
    }

    /** M, the rows of A. */
    public int rows() {
        return rows;
    }

    /** K, the columns of A. */
    public int cols() {
        return cols;
    }

    /** The pattern of A. */
    public NmPattern pattern() {
        return pattern;
    }

    /** The type of all operands. */
    public DType dtype() {
        return dtype;
    }

    /** How the dense operands lie in memory. */
    public Layout layout() {
        return layout;
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
     * Waits for the runs in progress, then frees the packed matrix. A second call does nothing; it may return before
     * the first has.
     */
    @Override
    public void close() {
        if (gate.close()) {
            leakReport.closed();
            runs.close();
        }
    }

    @Override
    public String toString() {
        return "NmPlan[" + rows + " x " + cols + ", " + pattern + ", " + explanation.kernel()
            + (gate.isClosed() ? ", closed]" : "]");
    }
}
