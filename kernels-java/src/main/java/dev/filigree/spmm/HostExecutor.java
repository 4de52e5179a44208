package dev.filigree.spmm;

import dev.filigree.DenseMatrix;
import dev.filigree.Memory;
import dev.filigree.Stream;
import dev.filigree.Workers;
import dev.filigree.internal.FiniteScan;
import dev.filigree.internal.Operands;
import dev.filigree.internal.Pool;
import dev.filigree.internal.Scratch;
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
final class HostExecutor implements Executor {

    /** Useful operations below which waking the team costs more than it saves: about 20 microseconds of one core. */
    private static final double MIN_SHARED_FLOPS = 1e6;
    /** What a float of a scan costs, in operations. */
    private static final double FLOPS_PER_SCANNED_FLOAT = 16;
    /** Heap operands go through staging buffers of about this size, so that they stay in the cache. */
    private static final long STAGING_BYTES = 4L << 20;

    private final SpmmKernel kernel;
    private final MemorySegment packed;
    private final DenseForm dense;
    private final Arena arena;
    private final boolean tokenMajor;
    private final Workers workers;
    private final int rows;
    private final int cols;
    private final long nnz;
    private final long chunkCount;
    private final long splitCount;
    private final long partialCount;
    private final long scratchBytes;
    private final Pool<Call> calls = new Pool<>();

    /** Takes ownership of the arena; {@code dense} may be null. */
    HostExecutor(SpmmKernel kernel, MemorySegment packed, DenseForm dense, Arena arena, Layout layout,
            Workers workers) {
        this.kernel = kernel;
        this.packed = packed;
        this.dense = dense;
        this.arena = arena;
        this.workers = workers;
        tokenMajor = layout == Layout.TOKEN_MAJOR;
        rows = (int) SpmmFormat.field(packed, SpmmFormat.ROWS);
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
    public void run(float alpha, DenseMatrix b, float beta, DenseMatrix c, int n) {
        Call idle = calls.take();
        Call call = idle == null ? new Call() : idle;
        try {
            call.alpha = alpha;
            call.beta = beta;
            if (b.data().isNative() && c.data().isNative()) {
                call.bind(Operands.shareable(b), b.rowStride(), Operands.shareable(c), c.rowStride());
                call.execute(n);
            } else {
                runStaged(call, b, c, n);
            }
        } finally {
            call.release();
            calls.give(call);
        }
    }

    @Override
    public void runAsync(Stream stream, float alpha, DenseMatrix b, float beta, DenseMatrix c, int n) {
        checkStream(stream);
    }

    @Override
    public void checkStream(Stream stream) {
        throw new UnsupportedOperationException("runAsync needs a plan on a device, this one runs " + kernel.id());
    }

    /** Kernels see native memory alone: columns (or tokens) of heap operands are copied in and out by groups. */
    private void runStaged(Call call, DenseMatrix b, DenseMatrix c, int n) {
        long columnBytes = Float.BYTES * Math.max(1, (long) rows + cols);
        long fitting = STAGING_BYTES / columnBytes / SpmmFormat.PANEL * SpmmFormat.PANEL;
        int group = Math.clamp(fitting, SpmmFormat.PANEL, Math.max(SpmmFormat.PANEL, n));
        int width;
        for (int first = 0; first < n; first += width) {
            width = Math.min(group, n - first);
            long bStride = tokenMajor ? cols : width;
            long cStride = tokenMajor ? rows : width;
            MemorySegment stagedB = call.stagedB.atLeast((long) Float.BYTES * width * Math.max(1, cols));
            MemorySegment stagedC = call.stagedC.atLeast((long) Float.BYTES * width * Math.max(1, rows));
            copyGroup(b, first, width, stagedB, bStride, true);
            if (call.beta != 0f) {
                copyGroup(c, first, width, stagedC, cStride, true);
            }
            call.bind(stagedB, bStride, stagedC, cStride);
            call.execute(width);
            copyGroup(c, first, width, stagedC, cStride, false);
        }
    }

    private void copyGroup(
            DenseMatrix matrix, int first, int width, MemorySegment staged, long stride, boolean toStaged) {
        int rowBegin = tokenMajor ? first : 0;
        int rowEnd = tokenMajor ? first + width : matrix.rows();
        int colBegin = tokenMajor ? 0 : first;
        long bytes = (long) Float.BYTES * (tokenMajor ? matrix.cols() : width);
        if (bytes == 0) {
            return;
        }
        for (int row = rowBegin; row < rowEnd; row++) {
            long at = Float.BYTES * (row * matrix.rowStride() + colBegin);
            long stagedAt = Float.BYTES * (row - rowBegin) * stride;
            if (toStaged) {
                MemorySegment.copy(matrix.data(), at, staged, stagedAt, bytes);
            } else {
                MemorySegment.copy(staged, stagedAt, matrix.data(), at, bytes);
            }
        }
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
        calls.drain();
        arena.close();
    }

    /** What a team is at. */
    private enum Work { SCAN, DENSE, SPARSE }

    /** The operands of one run; pooled, so that a warm run allocates nothing. */
    private final class Call implements Workers.Task, AutoCloseable {
        private final Scratch partialSums = new Scratch();
        private final Scratch stagedB = new Scratch();
        private final Scratch stagedC = new Scratch();
        private MemorySegment b;
        private long bStride;
        private MemorySegment c;
        private long cStride;
        private int n;
        private float alpha;
        private float beta;
        private MemorySegment partials;
        private Work work;
        private long firstItem;
        private long scanWidth;
        /** Whether no member has found a float of the input that is not finite. */
        private volatile boolean finite;

        void bind(MemorySegment newB, long newBStride, MemorySegment newC, long newCStride) {
            b = newB;
            bStride = newBStride;
            c = newC;
            cStride = newCStride;
        }

        void execute(int columns) {
            n = columns;
            if (dense != null && (dense.complete() || inputIsFinite())) {
                work = Work.DENSE;
                runItems(0, SpmmFormat.panels(n) * dense.chunkCount(), dense.scratchBytes(), isShared(dense.flops(n)));
            } else {
                work = Work.SPARSE;
                partials = partialCount == 0 ? MemorySegment.NULL
                    : partialSums.atLeast(Float.BYTES * partialCount * SpmmFormat.partialStride(n));
                long panels = SpmmFormat.panels(n);
                boolean shared = isShared(2.0 * nnz * n);
                runItems(0, panels * chunkCount, scratchBytes, shared);
                runItems(panels * chunkCount, panels * splitCount, scratchBytes, shared);
            }
        }

        private boolean isShared(double flops) {
            return flops >= MIN_SHARED_FLOPS && !(Operands.isConfined(b) || Operands.isConfined(c));
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
                isShared(FLOPS_PER_SCANNED_FLOAT * inputRows * width));
            return finite;
        }

        private void runItems(long first, long count, long scratch, boolean shared) {
            firstItem = first;
            if (shared) {
                workers.run(count, scratch, this);
            } else {
                workers.runAlone(count, scratch, this);
            }
        }

        @Override
        public void run(long begin, long end, MemorySegment scratch) {
            long from = firstItem + begin;
            long to = firstItem + end;
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

        /** Lets go of the caller's memory. */
        void release() {
            b = null;
            c = null;
        }

        @Override
        public void close() {
            partialSums.close();
            stagedB.close();
            stagedC.close();
        }
    }
}
