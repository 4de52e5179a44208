package dev.filigree.mlp;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Memory;
import dev.filigree.PlanExplanation;
import dev.filigree.internal.Gate;
import dev.filigree.internal.LeakReport;
import dev.filigree.internal.Operands;
import dev.filigree.internal.Telemetry;
import dev.filigree.spi.Backends;
import dev.filigree.spi.KernelProvider;
import dev.filigree.spi.MlpKernel;
import dev.filigree.spi.RowFormat;
import java.util.List;
import java.util.Objects;

/**
 * An MLP that skips neurons, ready to run on many tokens: {@code y = Wd h + bd} over the neurons that a token needs.
 * Which these are is said by the plan's {@link Skipping} rule or, run by run, by a list. A neuron that is skipped adds
 * nothing, whatever its weights are; one whose value is an exact zero is skipped in every case.
 *
 * <p>x and y are f32, tokens x hidden, row-major, of any stride, in any arena or on the heap. Weights in bf16 are
 * widened, and all sums are f32. Tokens run in groups of 16, which read the rows that any of them needs once. A list of
 * all neurons is the dense product, by the same kernels and with the same bits; so are thresholds of 0.
 *
 * <p>A plan for {@linkplain MlpOptions#typicalTokens 32 tokens or more} holds its matrices as dense ones, too, in f32
 * and 4 bytes an element, unless one has an infinity or a NaN. A run of 32 tokens or more then multiplies all rows of
 * a matrix where the groups need most of them. What a token skips still adds nothing to it; but a product with all rows
 * adds up in the order of its columns, so that its bits are not those of a run of fewer tokens.
 *
 * <p>The result has the same bits on every host backend and for every team size. Immutable and thread-safe: runs may
 * overlap, and share the worker team as {@link dev.filigree.Workers} says. Warm runs allocate nothing. The plan uses
 * the weights' own memory and, but for the dense ones, keeps no copy. {@link #close()} gives back what runs have left.
 */
public final class MlpPlan implements AutoCloseable {

    static final String OPERATION = "mlp";

    private final MlpWeights weights;
    private final Skipping skipping;
    private final MlpRunner runner;
    private final PlanExplanation explanation;
    private final Gate gate;
    private final LeakReport leakReport;

    private MlpPlan(MlpWeights weights, Skipping skipping, MlpRunner runner, PlanExplanation explanation) {
        this.weights = weights;
        this.skipping = skipping;
        this.runner = runner;
        this.explanation = explanation;
        gate = new Gate("the MLP plan of " + weights);
        leakReport = LeakReport.watch(this, "MlpPlan of " + weights);
    }

    static MlpPlan create(MlpWeights weights, Skipping skipping, MlpOptions options) {
        Objects.requireNonNull(weights, "weights");
        Objects.requireNonNull(options, "options");
        return create(weights, skipping, "", options, select(weights.dtype(), options));
    }

    static MlpPlan create(MlpWeights weights, MlpCalibration.Calibrated found, MlpOptions options) {
        Objects.requireNonNull(weights, "weights");
        Objects.requireNonNull(options, "options");
        return create(weights, found.skipping(), ", " + found.describe(), options, select(weights.dtype(), options));
    }

    /** With a provider that nobody looked up, for tests. */
    static MlpPlan create(MlpWeights weights, Skipping skipping, MlpOptions options, KernelProvider provider) {
        return create(weights, skipping, "", options,
            new Backends.Selection<>(provider, provider.mlp(weights.dtype()).orElseThrow(), List.of()));
    }

    static Backends.Selection<MlpKernel> select(DType dtype, MlpOptions options) {
        return Backends.select(
            options.backend(), OPERATION + " in " + dtype.id(), provider -> provider.mlp(dtype));
    }

    private static MlpPlan create(MlpWeights weights, Skipping skipping, String remark, MlpOptions options,
            Backends.Selection<MlpKernel> selection) {
        boolean byInput = Objects.requireNonNull(skipping, "skipping") instanceof Skipping.Input;
        boolean inputMajor = weights.order() == MlpWeights.Order.INPUT_MAJOR;
        if (byInput != inputMajor && !(skipping instanceof Skipping.None)) {
            throw new IllegalArgumentException(skipping + " does not fit " + weights.order() + " weights");
        }
        Object event = Telemetry.beginPlan();
        DenseMlp dense = dense(weights, options, selection.provider());
        PlanExplanation explanation = explain(weights, skipping + remark, dense, selection);
        Telemetry.endPlan(event, OPERATION, explanation.kernel(), weights.toString(), explanation.packedBytes());
        return new MlpPlan(weights, skipping,
            new MlpRunner(selection.kernel(), weights, skipping, options.workers(), dense), explanation);
    }

    /** Null where nobody asks for it, nothing multiplies it, or it would not give the same result. */
    private static DenseMlp dense(MlpWeights weights, MlpOptions options, KernelProvider provider) {
        if (options.typicalTokens() < DenseMlp.LEAST_TOKENS || provider.gemmF32().isEmpty()
                || !DenseMlp.isFinite(weights)) {
            return null;
        }
        return DenseMlp.pack(weights, provider, options.workers());
    }

    private static PlanExplanation explain(MlpWeights weights, String skipping, DenseMlp dense,
            Backends.Selection<MlpKernel> selection) {
        int matrices = weights.gate().isPresent() ? 3 : 2;
        String kernel = String.join(" + ", selection.kernel().ids());
        String format = weights + ", skipping " + skipping;
        long bytes = weights.bytes();
        if (dense != null) {
            kernel += " + " + dense.kernel().id();
            format += "; " + DenseMlp.describe();
            bytes += dense.bytes();
        }
        return new PlanExplanation(OPERATION, selection.provider().backend(), kernel, format, bytes,
            RowFormat.SCRATCH_BYTES, 2.0 * matrices * weights.hidden() * weights.intermediate(),
            2.0 * Float.BYTES * weights.hidden(), selection.passedOver());
    }

    /**
     * Runs with the neurons that the plan's rule leaves.
     *
     * @param x f32 in host memory, tokens x hidden
     * @param y f32 in host memory, tokens x hidden; must not overlap x
     * @return how many rows of the down projection were multiplied, summed over groups of 16 tokens
     * @throws IllegalArgumentException if an operand has the wrong shape, type or memory, is confined to another
     *     thread, or the output is read-only or overlaps the input; nothing is written then
     * @throws IllegalStateException if the plan, its worker team or an operand's arena is closed
     */
    public long run(DenseMatrix x, DenseMatrix y) {
        Gate.Visit visit = gate.enter();
        try {
            return run(x, null, y, check(x, y));
        } finally {
            visit.inside = false;
        }
    }

    /**
     * Runs with given neurons; the plan's rule has no say.
     *
     * @param x f32 in host memory, tokens x hidden
     * @param active the neurons of each token; nobody may change it meanwhile
     * @param y f32 in host memory, tokens x hidden; must not overlap x
     * @return how many rows of the down projection were multiplied, summed over groups of 16 tokens
     * @throws IllegalArgumentException as for {@link #run(DenseMatrix, DenseMatrix)}, or if the set is of other units or
     *     for another number of tokens
     * @throws UnsupportedOperationException if gate and up have a row for each input
     * @throws IllegalStateException if the plan, its worker team or an operand's arena is closed
     */
    public long run(DenseMatrix x, ActiveSet active, DenseMatrix y) {
        Gate.Visit visit = gate.enter();
        try {
            Objects.requireNonNull(active, "active");
            if (weights.order() == MlpWeights.Order.INPUT_MAJOR) {
                throw new UnsupportedOperationException("neurons cannot be listed where weights are input-major");
            }
            int tokens = check(x, y);
            requireSet(active, weights.intermediate(), tokens);
            return run(x, active, y, tokens);
        } finally {
            visit.inside = false;
        }
    }

    private long run(DenseMatrix x, ActiveSet active, DenseMatrix y, int tokens) {
        Object event = Telemetry.beginRun();
        long rows = runner.run(x, active, y);
        Telemetry.endRun(event, OPERATION, explanation.kernel(), tokens);
        return rows;
    }

    private int check(DenseMatrix x, DenseMatrix y) {
        return requireOperands(x, weights.hidden(), y, weights.hidden());
    }

    static void requireSet(ActiveSet active, int units, int tokens) {
        if (active.units() != units || active.tokens() != tokens) {
            throw new IllegalArgumentException("active is of " + active.units() + " units for " + active.tokens()
                + " tokens, expected " + units + " for " + tokens);
        }
    }

    /** Checks operands of tokens x some columns; returns the tokens. */
    static int requireOperands(DenseMatrix x, int inputs, DenseMatrix y, int outputs) {
        Objects.requireNonNull(x, "x");
        Objects.requireNonNull(y, "y");
        Operands.requireKind("x", x, DType.F32, Memory.HOST);
        Operands.requireKind("y", y, DType.F32, Memory.HOST);
        Operands.requireShape("x", x, x.rows(), inputs, "tokens x inputs");
        Operands.requireShape("y", y, x.rows(), outputs, "tokens x outputs");
        Operands.requireUsable("x", x);
        Operands.requireUsable("y", y);
        Operands.requireWritable("y", y, "x", x);
        return x.rows();
    }

    /** The weights. */
    public MlpWeights weights() {
        return weights;
    }

    /** The rule. */
    public Skipping skipping() {
        return skipping;
    }

    /** The backend that executes this plan. */
    public Backend backend() {
        return explanation.backend();
    }

    /** What was chosen, what bounds it if nothing is skipped, and what was passed over; a column is a token. */
    public PlanExplanation explain() {
        return explanation;
    }

    /** Waits for the runs in progress, then frees what runs have left. A second call does nothing. */
    @Override
    public void close() {
        if (gate.close()) {
            leakReport.closed();
            runner.close();
        }
    }

    @Override
    public String toString() {
        return "MlpPlan[" + weights + ", " + skipping + ", " + explanation.kernel()
            + (gate.isClosed() ? ", closed]" : "]");
    }
}
