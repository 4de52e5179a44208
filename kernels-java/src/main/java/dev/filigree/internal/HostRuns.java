package dev.filigree.internal;

import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Layout;
import dev.filigree.Workers;
import java.lang.foreign.MemorySegment;

/**
 * Runs of a plan {@code C = A * B} on the host's cores: brings the operands to where kernels and team can reach them,
 * and shares work items among the team. A subclass says which items there are and what computes them.
 */
public abstract class HostRuns implements AutoCloseable {

    /** Useful operations below which waking the team costs more than it saves: about 20 microseconds of one core. */
    private static final double MIN_SHARED_FLOPS = 1e6;
    /** Heap operands go through staging buffers of about this size, so that they stay in the cache. */
    private static final long STAGING_BYTES = 4L << 20;
    /** Groups of staged columns end where panels do, but for wide last ones. */
    private static final int PANEL = 64;

    private final Workers workers;
    private final boolean tokenMajor;
    private final int rows;
    private final int cols;
    private final long elementBytes;
    private final Pool<Call> calls = new Pool<>();

    /**
     * Runs on a team.
     *
     * @param workers the team
     * @param layout of the dense operands
     * @param rows of A
     * @param cols of A
     * @param dtype of the dense operands
     */
    protected HostRuns(Workers workers, Layout layout, int rows, int cols, DType dtype) {
        this.workers = workers;
        tokenMajor = layout == Layout.TOKEN_MAJOR;
        this.rows = rows;
        this.cols = cols;
        elementBytes = dtype.bytes();
    }

    /** A call that no run uses yet. */
    protected abstract Call newCall();

    /** Runs checked operands to the end; n is at least 1. */
    public final void run(float alpha, DenseMatrix b, float beta, DenseMatrix c, int n) {
        Call idle = calls.take();
        Call call = idle == null ? newCall() : idle;
        try {
            call.alpha = alpha;
            call.beta = beta;
            if (b.data().isNative() && c.data().isNative()) {
                call.bind(Operands.shareable(b), b.rowStride(), Operands.shareable(c), c.rowStride(), n);
                call.execute();
            } else {
                runStaged(call, b, c, n);
            }
        } finally {
            call.release();
            calls.give(call);
        }
    }

    /** Kernels see native memory alone: columns (or tokens) of heap operands are copied in and out by groups. */
    private void runStaged(Call call, DenseMatrix b, DenseMatrix c, int n) {
        long columnBytes = elementBytes * Math.max(1, (long) rows + cols);
        long fitting = STAGING_BYTES / columnBytes / PANEL * PANEL;
        int group = Math.clamp(fitting, PANEL, Math.max(PANEL, n));
        int width;
        for (int first = 0; first < n; first += width) {
            width = Math.min(group, n - first);
            long bStride = tokenMajor ? cols : width;
            long cStride = tokenMajor ? rows : width;
            MemorySegment stagedB = call.stagedB.atLeast(elementBytes * width * Math.max(1, cols));
            MemorySegment stagedC = call.stagedC.atLeast(elementBytes * width * Math.max(1, rows));
            copyGroup(b, first, width, stagedB, bStride, true);
            if (call.beta != 0f) {
                copyGroup(c, first, width, stagedC, cStride, true);
            }
            call.bind(stagedB, bStride, stagedC, cStride, width);
            call.execute();
            copyGroup(c, first, width, stagedC, cStride, false);
        }
    }

    private void copyGroup(
            DenseMatrix matrix, int first, int width, MemorySegment staged, long stride, boolean toStaged) {
        int rowBegin = tokenMajor ? first : 0;
        int rowEnd = tokenMajor ? first + width : matrix.rows();
        int colBegin = tokenMajor ? 0 : first;
        long bytes = elementBytes * (tokenMajor ? matrix.cols() : width);
        if (bytes == 0) {
            return;
        }
        for (int row = rowBegin; row < rowEnd; row++) {
            long at = elementBytes * (row * matrix.rowStride() + colBegin);
            long stagedAt = elementBytes * (row - rowBegin) * stride;
            if (toStaged) {
                MemorySegment.copy(matrix.data(), at, staged, stagedAt, bytes);
            } else {
                MemorySegment.copy(staged, stagedAt, matrix.data(), at, bytes);
            }
        }
    }

    /** Frees what runs have left; nobody runs any more. */
    @Override
    public void close() {
        calls.drain();
    }

    /** The operands of one run; pooled, so that a warm run allocates nothing. */
    protected abstract class Call implements Workers.Task, AutoCloseable {
        private final Scratch stagedB = new Scratch();
        private final Scratch stagedC = new Scratch();
        private long firstItem;
        /** The input, native. */
        protected MemorySegment b;
        /** Elements from row to row of b. */
        protected long bStride;
        /** The output, native. */
        protected MemorySegment c;
        /** Elements from row to row of c. */
        protected long cStride;
        /** Columns or tokens. */
        protected int n;
        /** Factor of the product. */
        protected float alpha;
        /** Factor of the output's old content. */
        protected float beta;

        /** For subclasses. */
        protected Call() {}

        private void bind(MemorySegment newB, long newBStride, MemorySegment newC, long newCStride, int newN) {
            b = newB;
            bStride = newBStride;
            c = newC;
            cStride = newCStride;
            n = newN;
        }

        /** Computes the bound operands: calls {@link #runItems} for each set of items that may run together. */
        protected abstract void execute();

        /** Computes work items {@code [begin, end)}. */
        protected abstract void compute(long begin, long end, MemorySegment scratch);

        /** Runs items {@code [first, first + count)} on the team, where that many operations pay for it. */
        protected final void runItems(long first, long count, long scratchBytes, double flops) {
            firstItem = first;
            if (flops >= MIN_SHARED_FLOPS && !Operands.isConfined(b) && !Operands.isConfined(c)) {
                workers.run(count, scratchBytes, this);
            } else {
                workers.runAlone(count, scratchBytes, this);
            }
        }

        @Override
        public final void run(long begin, long end, MemorySegment scratch) {
            compute(firstItem + begin, firstItem + end, scratch);
        }

        /** Lets go of the caller's memory. */
        private void release() {
            b = null;
            c = null;
        }

        @Override
        public void close() {
            stagedB.close();
            stagedC.close();
        }
    }
}
