package dev.filigree.spmm;

import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Layout;
import dev.filigree.Memory;
import dev.filigree.Stream;
import dev.filigree.Workers;
import dev.filigree.internal.FiniteScan;
import dev.filigree.internal.HostRuns;
import dev.filigree.internal.Scratch;
import dev.filigree.spi.GemmFormat;
import dev.filigree.spi.SpmmFormat;
import dev.filigree.spi.SpmmKernel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/**
 * Runs on the host's cores: shares the work items of a packed matrix among a worker team.
 *
 * <p>Where the plan has a dense form of its matrix too, runs take that, unless it would show: a zero that is
 * multiplied turns an infinity into a NaN, one that is not stored does not. So unless every element is stored, the
 * input is looked through first, and one that is not finite goes to the sparse form.
 */
final class HostExecutor extends HostRuns implements Executor {

    /** What a float of a scan costs, in operations. */
    private static final double FLOPS_PER_SCANNED_FLOAT = 16;

    private final SpmmKernel kernel;
    private final MemorySegment packed;
    private final DenseForm dense;
    private final Arena arena;
    private final boolean tokenMajor;
    private final int cols;
    private final long nnz;
    private final long chunkCount;
    private final long splitCount;
    private final long partialCount;
    private final long scratchBytes;

    /** Takes ownership of the arena; {@code dense} may be null. */
    HostExecutor(SpmmKernel kernel, MemorySegment packed, DenseForm dense, Arena arena, Layout layout,
            Workers workers) {
        super(workers, layout, (int) SpmmFormat.field(packed, SpmmFormat.ROWS),
            (int) SpmmFormat.field(packed, SpmmFormat.COLS), DType.F32);
        this.kernel = kernel;
        this.packed = packed;
        this.dense = dense;
        this.arena = arena;
        tokenMajor = layout == Layout.TOKEN_MAJOR;
        cols = (int) SpmmFormat.field(packed, SpmmFormat.COLS);
        nnz = SpmmFormat.field(packed, SpmmFormat.NNZ);
        chunkCount = SpmmFormat.field(packed, SpmmFormat.CHUNK_COUNT);
        splitCount = SpmmFormat.field(packed, SpmmFormat.SPLIT_COUNT);
        partialCount = SpmmFormat.field(packed, SpmmFormat.PARTIAL_COUNT);
        scratchBytes = SpmmFormat.field(packed, SpmmFormat.SCRATCH_BYTES);
    }

    @Override
    public int check(SpmmPlan plan, DenseMatrix b, DenseMatrix c) {
        return Executor.checkOperands(plan, Memory.HOST, b, c);
    }

    @Override
    protected Call newCall() {
        return new SpmmCall();
    }

    @Override
    public void runAsync(Stream stream, float alpha, DenseMatrix b, float beta, DenseMatrix c, int n) {
        checkStream(stream);
    }

    @Override
    public void checkStream(Stream stream) {
        throw new UnsupportedOperationException("runAsync needs a plan on a device, this one runs " + kernel.id());
    }

    @Override
    public void update(MemorySegment values) {
        SpmmPacker.update(packed, values);
        if (dense != null) {
            dense.update(values);
        }
    }

    @Override
    public void close() {
        super.close();
        arena.close();
    }

    /** What a team is at. */
    private enum Work { SCAN, DENSE, SPARSE }

    private final class SpmmCall extends Call {
        private final Scratch partialSums = new Scratch();
        private MemorySegment partials;
        private Work work;
        private long scanWidth;
        /** Whether no member has found a float of the input that is not finite. */
        private volatile boolean finite;

        @Override
        protected void execute() {
            if (dense != null && (dense.complete() || inputIsFinite())) {
                work = Work.DENSE;
                runItems(0, GemmFormat.panels(n) * dense.chunkCount(), dense.scratchBytes(), dense.flops(n));
            } else {
                work = Work.SPARSE;
                partials = partialCount == 0 ? MemorySegment.NULL
                    : partialSums.atLeast(Float.BYTES * partialCount * SpmmFormat.partialStride(n));
                long panels = SpmmFormat.panels(n);
                double flops = 2.0 * nnz * n;
                runItems(0, panels * chunkCount, scratchBytes, flops);
                runItems(panels * chunkCount, panels * splitCount, scratchBytes, flops);
            }
        }

        private boolean inputIsFinite() {
            long inputRows = tokenMajor ? n : cols;
            long width = tokenMajor ? cols : n;
            if (bStride == width) {
                // One long row.
                width *= inputRows;
                inputRows = Math.min(1, inputRows);
            }
            scanWidth = width;
            finite = true;
            work = Work.SCAN;
            runItems(0, inputRows * FiniteScan.pieces(width), FiniteScan.SCRATCH_BYTES,
                FLOPS_PER_SCANNED_FLOAT * inputRows * width);
            return finite;
        }

        @Override
        protected void compute(long from, long to, MemorySegment scratch) {
            switch (work) {
                case SPARSE ->
                    kernel.run(packed, b, bStride, c, cStride, n, alpha, beta, partials, from, to, scratch);
                case DENSE -> dense.kernel().run(
                    dense.packed(), b, bStride, c, cStride, n, alpha, beta, from, to, scratch);
                case SCAN -> {
                    for (long item = from; item < to && finite; item++) {
                        if (!FiniteScan.isFinite(b, bStride, scanWidth, item, scratch)) {
                            finite = false;
                        }
                    }
                }
            }
        }

        @Override
        public void close() {
            super.close();
            partialSums.close();
        }
    }
}
