package dev.filigree.attention;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Memory;
import dev.filigree.Refusal;
import dev.filigree.internal.Gate;
import dev.filigree.internal.LeakReport;
import dev.filigree.internal.Operands;
import dev.filigree.internal.Telemetry;
import dev.filigree.spi.Backends;
import dev.filigree.spi.KernelProvider;
import dev.filigree.spi.PagedKernel;
import java.util.List;
import java.util.Objects;

/**
 * Attention of the last token of each of some sequences over selected keys of a {@link PagedCache}:
 *
 * <p>{@code out = softmax(scale * q k^T) v}, with q, out {@code [sequences, heads, 1, dim]} in f32. Query head h uses
 * key head {@code h * kvHeads / heads}; the query heads that share a key head are worked on together, so that its keys
 * and values are read once. A score is scaled, capped and biased as the options say. A query without selected keys
 * gives zeros, and a log-sum-exp of negative infinity.
 *
 * <p>The selected keys are split among the worker team in parts of 1024, which are combined in their order (after
 * Flash-Decoding): the result has the same bits on every host backend and for every team size. Elements of a bf16 cache
 * are widened; sums are f32. Immutable and thread-safe: runs may overlap. Warm runs allocate nothing.
 */
public final class DecodePlan implements AutoCloseable {

    private static final String OPERATION = "attention";

    private final DType dtype;
    private final AttentionOptions options;
    private final Backend backend;
    private final PagedKernel kernel;
    private final List<Refusal> passedOver;
    private final DecodeRunner runner;
    private final float[] slopes;
    private final Gate gate;
    private final LeakReport leakReport;

    private DecodePlan(DType dtype, AttentionOptions options, Backends.Selection<PagedKernel> selection) {
        this.dtype = dtype;
        this.options = options;
        backend = selection.provider().backend();
        kernel = selection.kernel();
        passedOver = selection.passedOver();
        runner = new DecodeRunner(kernel, options);
        slopes = options.linearBias().orElse(null);
        gate = new Gate("the decode plan for " + dtype.id());
        leakReport = LeakReport.watch(this, "DecodePlan for " + dtype.id());
    }

    static DecodePlan create(DType dtype, AttentionOptions options) {
        Objects.requireNonNull(dtype, "cache");
        Objects.requireNonNull(options, "options");
        return new DecodePlan(dtype, options, Backends.select(options.backend(),
            OPERATION + " over pages in " + dtype.id(),
            provider -> provider.paged(dtype)));
    }

    /** With a provider that nobody looked up, for tests. */
    static DecodePlan create(DType dtype, AttentionOptions options, KernelProvider provider) {
        return new DecodePlan(
            dtype, options, new Backends.Selection<>(provider, provider.paged(dtype).orElseThrow(), List.of()));
    }

    /**
     * Runs.
     *
     * @param q queries, {@code [sequences, heads, 1, dim]}, f32
     * @param cache keys and values, of this plan's dtype
     * @param table pages and lengths of as many sequences
     * @param selection of keys, for as many sequences, and one or {@code kvHeads} lists each
     * @param out as q; must not overlap another operand, not even in the gaps between its elements
     * @param lse {@code sequences * heads} rows by one column without gaps: the logarithm of the sum of the
     *     exponentials of a query's scores; or null
     * @throws IllegalArgumentException if an operand has the wrong shape or dtype, a selected token has no page of the
     *     cache, an operand is confined to another thread, or an output is read-only, overlaps another operand, or has
     *     elements that coincide; nothing is written then
     * @throws IllegalStateException if the plan, its worker team or an operand's arena is closed
     */
    public void run(AttentionTensor q, PagedCache cache, PageTable table, KeySelection selection, AttentionTensor out,
            DenseMatrix lse) {
        Gate.Visit visit = gate.enter();
        try {
            check(q, cache, table, selection);
            Objects.requireNonNull(out, "out");
            Operands.requireKind("out", out.span(), DType.F32, Memory.HOST);
            OperandChecks.require("out", "batch", out.batch(), q.batch());
            OperandChecks.require("out", "heads", out.heads(), q.heads());
            OperandChecks.require("out", "rows", out.rows(), 1);
            OperandChecks.require("out", "head dimension", out.dim(), q.dim());
            OperandChecks.output("out", out, "q", q.span());
            OperandChecks.output("out", out, "the cache's keys", cache.keys());
            OperandChecks.output("out", out, "the cache's values", cache.values());
            if (lse != null) {
                OperandChecks.lse(lse, q.batch(), q.heads(), 1);
                Operands.requireWritable("lse", lse, "q", q.span());
                Operands.requireWritable("lse", lse, "the cache's keys", cache.keys());
                Operands.requireWritable("lse", lse, "the cache's values", cache.values());
                Operands.requireWritable("lse", lse, "out", out.span());
            }
            Object event = Telemetry.beginRun();
            runner.run(q, cache, table, selection, out, lse, slopes);
            Telemetry.endRun(event, OPERATION, kernel.id(), q.batch());
        } finally {
            visit.inside = false;
        }
    }

    private void check(AttentionTensor q, PagedCache cache, PageTable table, KeySelection selection) {
        Objects.requireNonNull(q, "q");
        Objects.requireNonNull(table, "table");
        Objects.requireNonNull(selection, "selection");
        if (cache.dtype() != dtype) {
            throw new IllegalArgumentException("the cache has dtype " + cache.dtype().id() + ", the plan is for " + dtype.id());
        }
        Operands.requireKind("q", q.span(), DType.F32, Memory.HOST);
        OperandChecks.require("q", "rows", q.rows(), 1);
        OperandChecks.require("q", "head dimension", q.dim(), cache.dim());
        OperandChecks.require("the table", "sequences", table.sequences(), q.batch());
        if (q.heads() % cache.kvHeads() != 0) {
            throw new IllegalArgumentException(
                "q has " + q.heads() + " heads, not a multiple of the " + cache.kvHeads() + " heads of the cache");
        }
        if (selection.listHeads() != 0) {
            OperandChecks.require("the selection", "sequences", selection.sequences(), q.batch());
            if (selection.listHeads() != 1) {
                OperandChecks.require("the selection", "lists a sequence", selection.listHeads(), cache.kvHeads());
            }
        }
        if (slopes != null) {
            OperandChecks.require("q", "heads", q.heads(), slopes.length);
        }
        Operands.requireUsable("q", q.span());
        Operands.requireUsable("the cache's keys", cache.keys());
        Operands.requireUsable("the cache's values", cache.values());
    }

    /** The dtype of the caches that it reads. */
    public DType dtype() {
        return dtype;
    }

    /** What the plan was asked for. */
    public AttentionOptions options() {
        return options;
    }

    /** The backend that executes this plan. */
    public Backend backend() {
        return backend;
    }

    /** The id of the kernel. */
    public String kernel() {
        return kernel.id();
    }

    /** Backends that would have come first, and why they did not. */
    public List<Refusal> passedOver() {
        return passedOver;
    }

    /** Waits for the runs in progress, then frees what they have left. A second call does nothing. */
    @Override
    public void close() {
        if (gate.close()) {
            leakReport.closed();
            runner.close();
        }
    }

    @Override
    public String toString() {
        return "DecodePlan[" + kernel.id() + (gate.isClosed() ? ", closed]" : "]");
    }
}
