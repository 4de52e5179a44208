package dev.filigree.attention;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.PlanExplanation;
import dev.filigree.format.BlockMask;
import dev.filigree.format.BlockMasks;
import dev.filigree.internal.Gate;
import dev.filigree.internal.LeakReport;
import dev.filigree.internal.Operands;
import dev.filigree.internal.Telemetry;
import dev.filigree.spi.AttentionFormat;
import dev.filigree.spi.AttentionKernel;
import dev.filigree.spi.Backends;
import dev.filigree.spi.KernelProvider;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Objects;

/**
 * A mask, packed for one kernel, ready to run attention in f32 or bf16 on many operands:
 *
 * <p>{@code out = softmax(scale * q k^T) v} over the scores that the mask lists, with q, out
 * {@code [batch, heads, queries, dim]} and k, v {@code [batch, kvHeads, keys, dim]}, in any order of axes that
 * {@link AttentionTensor} can view. Query head h uses key head {@code h * kvHeads / heads}: as many key heads as query
 * heads, fewer (grouped-query attention), or one (multi-query). The head dimension is a multiple of 8, 8 to 256.
 *
 * <p>A score is {@code s = scale * q . k}, then capped, then biased, as the options say. What a mask does not list is
 * never computed: an infinity or NaN there stays there. Inside a listed block a masked score counts as negative
 * infinity, but the value of its key is multiplied by a weight of 0, so it must be finite. A query without keys gives
 * zeros, and a log-sum-exp of negative infinity.
 *
 * <p>The result has the same bits on every host backend and for every team size; but the kernel
 * {@code attention_block_bf16_amx}, which {@link #explain()} names where the processor has AMX, adds in another order:
 * its bits differ from those of other kernels, within the same bound, though not with the team.
 *
 * <p>Immutable and thread-safe: runs may overlap, and share the worker team as {@link dev.filigree.Workers} says. Warm
 * runs allocate nothing. {@link #close()} gives the packed mask back. A run packs keys and values into memory that the plan keeps for the next one, up to about
 * 4 MiB a thread, or those of one key head.
 */
public final class AttentionPlan implements AutoCloseable {

    private static final String OPERATION = "attention";
    /** Key positions are f32 in the linear bias: exact below it. */
    private static final int BIASED_KEYS = 1 << 24;

    private final BlockMask mask;
    private final float[] slopes;
    private final AttentionOptions options;
    private final AttentionRunner runner;
    private final PlanExplanation explanation;
    private final Gate gate;
    private final LeakReport leakReport;

    private AttentionPlan(
            BlockMask mask, AttentionOptions options, AttentionRunner runner, PlanExplanation explanation) {
        this.mask = mask;
        this.options = options;
        this.runner = runner;
        this.explanation = explanation;
        slopes = options.linearBias().orElse(null);
        gate = new Gate("the attention plan of " + mask);
        leakReport = LeakReport.watch(this, "AttentionPlan of " + mask);
    }

    static AttentionPlan create(BlockMask mask, AttentionOptions options) {
        Objects.requireNonNull(mask, "mask");
        Objects.requireNonNull(options, "options");
        if (options.linearBias().isPresent() && mask.grid().keys() >= BIASED_KEYS) {
            throw new IllegalArgumentException(
                "a linear bias takes fewer than " + BIASED_KEYS + " keys, the mask has " + mask.grid().keys());
        }
        return create(mask, options,
            Backends.select(options.backend(), OPERATION + " in " + options.dtype().id(),
                provider -> provider.attention(options.dtype(), mask.grid().queries())));
    }

    /** With a provider that nobody looked up, for tests. */
    static AttentionPlan create(BlockMask mask, AttentionOptions options, KernelProvider provider) {
        return create(mask, options,
            new Backends.Selection<>(
            provider, provider.attention(options.dtype(), mask.grid().queries()).orElseThrow(), List.of()));
    }

    private static AttentionPlan create(
            BlockMask given, AttentionOptions options, Backends.Selection<AttentionKernel> selection) {
        Object event = Telemetry.beginPlan();
        BlockMask mask = options.causal() ? given.intersection(BlockMasks.causal(given.grid())) : given;
        // Shared: every worker reads it, and close() may come from any thread.
        Arena arena = Arena.ofShared();
        try {
            MemorySegment packed = MaskPacker.pack(mask, arena);
            PlanExplanation explanation = explain(mask, options.dtype(), packed, selection);
            Telemetry.endPlan(event, OPERATION, explanation.kernel(), mask.toString(), packed.byteSize());
            return new AttentionPlan(
                mask, options, new AttentionRunner(selection.kernel(), packed, arena, options), explanation);
        } catch (Throwable t) {
            arena.close();
            throw t;
        }
    }

    private static PlanExplanation explain(
            BlockMask mask, DType dtype, MemorySegment packed, Backends.Selection<AttentionKernel> selection) {
        String format = mask + " of " + dtype.id() + ", " + AttentionFormat.field(packed, AttentionFormat.TILE_COUNT) + " tiles of up to "
            + AttentionFormat.field(packed, AttentionFormat.TILE_ROWS) + " queries, units of "
            + AttentionFormat.field(packed, AttentionFormat.UNIT_KEYS) + " keys";
        // A column is one of the head dimension, of the heads of the mask; head dimension 128 for the scratch.
        double heads = mask.heads();
        return new PlanExplanation(OPERATION, selection.provider().backend(), selection.kernel().id(), format,
            packed.byteSize(), AttentionFormat.scratchBytes(packed, 128), 4.0 * mask.elements(),
            2.0 * dtype.bytes() * heads * ((double) mask.grid().queries() + mask.grid().keys()), selection.passedOver());
    }

    /**
     * Runs over all keys, without a log-sum-exp.
     *
     * @param q queries, {@code [batch, heads, queries, dim]}, of the plan's dtype
     * @param k keys, {@code [batch, kvHeads, keys, dim]}, of the plan's dtype
     * @param v values, as k
     * @param out as q, or f32; must not overlap another operand, not even in the gaps between its elements
     * @throws IllegalArgumentException if an operand has the wrong shape or dtype, is confined to another thread, or the output
     *     is read-only, overlaps an input, or has elements that coincide; nothing is written then
     * @throws IllegalStateException if the plan, its worker team or an operand's arena is closed
     */
    public void run(AttentionTensor q, AttentionTensor k, AttentionTensor v, AttentionTensor out) {
        run(q, k, v, null, out, null);
    }

    /**
     * Runs.
     *
     * @param q queries, {@code [batch, heads, queries, dim]}
     * @param k keys, {@code [batch, kvHeads, keys, dim]}
     * @param v values, as k
     * @param keyLengths for each batch entry the number of keys that count, 0 to keys: those behind are never met; or
     *     null for all
     * @param out as q, or f32; must not overlap another operand, not even in the gaps between its elements
     * @param lse {@code batch * heads} rows by queries without gaps: the logarithm of the sum of the exponentials of a
     *     query's scores; or null
     * @throws IllegalArgumentException if an operand has the wrong shape or dtype, is confined to another thread, or an output
     *     is read-only, overlaps another operand, or has elements that coincide; nothing is written then
     * @throws IllegalStateException if the plan, its worker team or an operand's arena is closed
     */
    public void run(AttentionTensor q, AttentionTensor k, AttentionTensor v, int[] keyLengths, AttentionTensor out,
            DenseMatrix lse) {
        Gate.Visit visit = gate.enter();
        try {
            check(q, k, v, keyLengths);
            Objects.requireNonNull(out, "out");
            OperandChecks.require("out", "batch", out.batch(), q.batch());
            OperandChecks.require("out", "heads", out.heads(), q.heads());
            OperandChecks.require("out", "rows", out.rows(), q.rows());
            OperandChecks.require("out", "head dimension", out.dim(), q.dim());
            OperandChecks.outputType(out.dtype(), options.dtype());
            OperandChecks.output("out", out, "q", q.span());
            OperandChecks.output("out", out, "k", k.span());
            OperandChecks.output("out", out, "v", v.span());
            if (lse != null) {
                OperandChecks.lse(lse, q.batch(), q.heads(), q.rows());
                Operands.requireWritable("lse", lse, "q", q.span());
                Operands.requireWritable("lse", lse, "k", k.span());
                Operands.requireWritable("lse", lse, "v", v.span());
                Operands.requireWritable("lse", lse, "out", out.span());
            }
            Object event = Telemetry.beginRun();
            runner.run(q, k, v, keyLengths, out, lse, null, slopes);
            Telemetry.endRun(event, OPERATION, explanation.kernel(), q.rows());
        } finally {
            visit.inside = false;
        }
    }

    /**
     * Adds the keys of this plan's mask to a state.
     *
     * @param q queries, the same as in the other passes
     * @param k keys, {@code [batch, kvHeads, keys, dim]}
     * @param v values, as k
     * @param keyLengths as for {@link #run(AttentionTensor, AttentionTensor, AttentionTensor, int[], AttentionTensor,
     *     DenseMatrix)}, or null
     * @param state what the passes before have left; what it holds after an exception is undefined
     * @throws IllegalArgumentException as for a run
     * @throws IllegalStateException if the plan, its worker team or an operand's arena is closed
     */
    public void accumulate(
            AttentionTensor q, AttentionTensor k, AttentionTensor v, int[] keyLengths, AttentionState state) {
        Gate.Visit visit = gate.enter();
        try {
            check(q, k, v, keyLengths);
            Objects.requireNonNull(state, "state");
            if (!state.fits(q.batch(), q.heads(), q.rows(), q.dim())) {
                throw new IllegalArgumentException("the state is " + state + ", q is " + q);
            }
            Operands.requireUsable("state", state.rows());
            Operands.requireWritable("state", state.rows(), "q", q.span());
            Operands.requireWritable("state", state.rows(), "k", k.span());
            Operands.requireWritable("state", state.rows(), "v", v.span());
            Object event = Telemetry.beginRun();
            runner.run(q, k, v, keyLengths, null, null, state.rows(), slopes);
            Telemetry.endRun(event, OPERATION, explanation.kernel(), q.rows());
        } finally {
            visit.inside = false;
        }
    }

    private void check(AttentionTensor q, AttentionTensor k, AttentionTensor v, int[] keyLengths) {
        OperandChecks.inputs(options.dtype(), q, k, v);
        OperandChecks.require("q", "rows", q.rows(), mask.grid().queries());
        OperandChecks.require("k", "rows", k.rows(), mask.grid().keys());
        if (mask.heads() != 1) {
            OperandChecks.require("q", "heads", q.heads(), mask.heads());
        }
        if (slopes != null) {
            OperandChecks.require("q", "heads", q.heads(), slopes.length);
        }
        if (keyLengths != null) {
            OperandChecks.require("keyLengths", "length", keyLengths.length, q.batch());
        }
    }

    /**
     * The scores that are computed: the mask that was planned, without the keys after a query if the plan is causal.
     */
    public BlockMask mask() {
        return mask;
    }

    /** What the plan was asked for. */
    public AttentionOptions options() {
        return options;
    }

    /** The backend that executes this plan. */
    public Backend backend() {
        return explanation.backend();
    }

    /** What was chosen, what bounds it, and what was passed over; a column is one of the head dimension. */
    public PlanExplanation explain() {
        return explanation;
    }

    /** Waits for the runs in progress, then frees the packed mask. A second call does nothing. */
    @Override
    public void close() {
        if (gate.close()) {
            leakReport.closed();
            runner.close();
        }
    }

    @Override
    public String toString() {
        return "AttentionPlan[" + mask + ", " + explanation.kernel() + (gate.isClosed() ? ", closed]" : "]");
    }
}
