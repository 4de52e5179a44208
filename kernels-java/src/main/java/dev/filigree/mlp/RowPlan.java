package dev.filigree.mlp;

import dev.filigree.Activation;
import dev.filigree.Backend;
import dev.filigree.DenseMatrix;
import dev.filigree.Workers;
import dev.filigree.format.RowMatrix;
import dev.filigree.internal.Gate;
import dev.filigree.internal.LeakReport;
import dev.filigree.internal.Pool;
import dev.filigree.internal.Scratch;
import dev.filigree.internal.Telemetry;
import dev.filigree.mlp.RowProducts.Factor;
import dev.filigree.spi.Backends;
import dev.filigree.spi.MlpKernel;
import dev.filigree.spi.RowFormat;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.ref.Reference;

/**
 * Products with a matrix whose rows come in blocks that a token needs or does not: the heads of attention, as Deja Vu
 * (arXiv 2310.17157) skips them. A query, key or value projection has a block of rows for each head, and so has the
 * output projection when it is transposed.
 *
 * <p>x and y are f32, row-major, of any stride, in any arena or on the heap. The result has the same bits on every host
 * backend and for every team size, and those of a block do not depend on which others are there. Immutable and
 * thread-safe: runs may overlap, and share the worker team as {@link Workers} says. Warm runs allocate nothing. The plan
 * uses the matrix' own memory. {@link #close()} gives back what runs have left.
 */
public final class RowPlan implements AutoCloseable {

    private final RowMatrix matrix;
    private final int blockRows;
    private final Backends.Selection<MlpKernel> selection;
    private final Workers workers;
    private final Factor factor;
    private final Pool<Call> calls = new Pool<>();
    private final Gate gate;
    private final LeakReport leakReport;

    private RowPlan(RowMatrix matrix, int blockRows, Backends.Selection<MlpKernel> selection, Workers workers) {
        this.matrix = matrix;
        this.blockRows = blockRows;
        this.selection = selection;
        this.workers = workers;
        factor = new Factor(matrix.block(), MemorySegment.NULL, Activation.NONE.code());
        gate = new Gate("the plan of " + matrix);
        leakReport = LeakReport.watch(this, "RowPlan of " + matrix);
    }

    static RowPlan create(RowMatrix matrix, int blockRows, MlpOptions options) {
        if (blockRows < 1 || matrix.rows() % blockRows != 0) {
            throw new IllegalArgumentException(
                matrix + " does not have whole blocks of " + blockRows + " rows");
        }
        Backends.Selection<MlpKernel> selection = MlpPlan.select(matrix.dtype(), options);
        return new RowPlan(matrix, blockRows, selection, options.workers());
    }

    /**
     * {@code y = x W^T} in the blocks that a token needs, and zeros in the others.
     *
     * @param x f32 in host memory, tokens x columns of the matrix
     * @param active the blocks of each token, or null for all
     * @param y f32 in host memory, tokens x rows of the matrix; must not overlap x
     * @throws IllegalArgumentException if an operand or the set does not fit; nothing is written then
     * @throws IllegalStateException if the plan, its worker team or an operand's arena is closed
     */
    public void project(DenseMatrix x, ActiveSet active, DenseMatrix y) {
        run(x, matrix.cols(), active, y, matrix.rows(), true);
    }

    /**
     * {@code y = x W} over the blocks that a token needs; what x holds in the others is never read.
     *
     * @param x f32 in host memory, tokens x rows of the matrix
     * @param active the blocks of each token, or null for all
     * @param y f32 in host memory, tokens x columns of the matrix; must not overlap x
     * @throws IllegalArgumentException if an operand or the set does not fit; nothing is written then
     * @throws IllegalStateException if the plan, its worker team or an operand's arena is closed
     */
    public void combine(DenseMatrix x, ActiveSet active, DenseMatrix y) {
        run(x, matrix.rows(), active, y, matrix.cols(), false);
    }

    private void run(DenseMatrix x, int inputs, ActiveSet active, DenseMatrix y, int outputs, boolean projects) {
        Gate.Visit visit = gate.enter();
        try {
            int tokens = MlpPlan.requireOperands(x, inputs, y, outputs);
            if (active != null) {
                MlpPlan.requireSet(active, matrix.rows() / blockRows, tokens);
            }
            Object event = Telemetry.beginRun();
            Call idle = calls.take();
            Call call = idle == null ? new Call() : idle;
            try {
                for (int token = 0; token < tokens; token += RowFormat.TOKENS) {
                    int count = Math.min(RowFormat.TOKENS, tokens - token);
                    call.list(active, token, count);
                    if (projects) {
                        call.project(x, token, count, y);
                    } else {
                        call.combine(x, token, count, y);
                    }
                }
            } finally {
                Reference.reachabilityFence(matrix);
                calls.give(call);
            }
            Telemetry.endRun(event, MlpPlan.OPERATION, selection.kernel().ids().get(projects ? 0 : 1), tokens);
        } finally {
            visit.inside = false;
        }
    }

    /** The matrix. */
    public RowMatrix matrix() {
        return matrix;
    }

    /** The backend that executes this plan. */
    public Backend backend() {
        return selection.provider().backend();
    }

    /** Waits for the runs in progress, then frees what runs have left. A second call does nothing. */
    @Override
    public void close() {
        if (gate.close()) {
            leakReport.closed();
            calls.drain();
        }
    }

    @Override
    public String toString() {
        return "RowPlan[" + matrix + " in blocks of " + blockRows + (gate.isClosed() ? ", closed]" : "]");
    }

    /** The memory of one run; pooled, so that a warm run allocates nothing. */
    private final class Call implements AutoCloseable {
        private final RowProducts products = new RowProducts(selection.kernel(), workers);
        private final Scratch memory = new Scratch();
        /** Tokens as {@link #project} reads them and {@link #combine} leaves them. */
        private final MemorySegment wide;
        private final long wideStride = RowFormat.field(matrix.block(), RowFormat.STRIDE);
        /** An element for each listed row. */
        private final MemorySegment listed;
        private final long listedStride = RowProducts.padded(matrix.rows());
        private final MemorySegment list;
        private final MemorySegment masks;
        private final MemorySegment zeros;
        private int rows;

        Call() {
            long wideBytes = Float.BYTES * RowFormat.TOKENS * wideStride;
            long listedBytes = Float.BYTES * RowFormat.TOKENS * listedStride;
            long listBytes = Integer.BYTES * listedStride;
            long zeroBytes = Math.ceilDiv((long) Float.BYTES * blockRows, RowFormat.ALIGNMENT) * RowFormat.ALIGNMENT;
            MemorySegment all = memory.atLeast(wideBytes + listedBytes + 2 * listBytes + zeroBytes);
            wide = all.asSlice(0, wideBytes);
            listed = all.asSlice(wideBytes, listedBytes);
            list = all.asSlice(wideBytes + listedBytes, listBytes);
            masks = all.asSlice(wideBytes + listedBytes + listBytes, listBytes);
            zeros = all.asSlice(wideBytes + listedBytes + 2 * listBytes, zeroBytes).fill((byte) 0);
        }

        void list(ActiveSet active, int token, int tokens) {
            rows = 0;
            for (int block = 0; block < matrix.rows() / blockRows; block++) {
                short mask = active == null ? -1 : active.mask(token / RowFormat.TOKENS, block);
                for (int r = 0; r < blockRows && mask != 0; r++) {
                    list.setAtIndex(ValueLayout.JAVA_INT, rows, block * blockRows + r);
                    masks.setAtIndex(ValueLayout.JAVA_SHORT, rows++, mask);
                }
            }
        }

        void project(DenseMatrix x, int token, int tokens, DenseMatrix y) {
            RowProducts.pack(x.data(), token * x.rowStride(), x.rowStride(), tokens, matrix.block(), wide);
            products.dot(factor, null, list, masks, rows, wide, tokens, listed, listedStride);
            long blockBytes = (long) Float.BYTES * blockRows;
            for (int t = 0; t < tokens; t++) {
                int position = 0;
                for (int row = 0; row < matrix.rows(); row += blockRows) {
                    long to = Float.BYTES * ((token + t) * y.rowStride() + row);
                    boolean isListed =
                        position < rows && list.getAtIndex(ValueLayout.JAVA_INT, position) == row;
                    if (isListed && needs(position, t)) {
                        MemorySegment.copy(
                            listed, Float.BYTES * (t * listedStride + position), y.data(), to, blockBytes);
                    } else {
                        MemorySegment.copy(zeros, 0, y.data(), to, blockBytes);
                    }
                    position += isListed ? blockRows : 0;
                }
            }
        }

        private boolean needs(int position, int token) {
            return (masks.getAtIndex(ValueLayout.JAVA_SHORT, position) >> token & 1) != 0;
        }

        void combine(DenseMatrix x, int token, int tokens, DenseMatrix y) {
            long blockBytes = (long) Float.BYTES * blockRows;
            for (int t = 0; t < tokens; t++) {
                for (int position = 0; position < rows; position += blockRows) {
                    int row = list.getAtIndex(ValueLayout.JAVA_INT, position);
                    MemorySegment.copy(x.data(), Float.BYTES * ((token + t) * x.rowStride() + row), listed,
                        Float.BYTES * (t * listedStride + position), blockBytes);
                }
            }
            products.axpy(factor, null, list, masks, rows, listed, listedStride, tokens, wide, wideStride);
            for (int t = 0; t < tokens; t++) {
                MemorySegment.copy(wide, Float.BYTES * t * wideStride, y.data(),
                    Float.BYTES * (token + t) * y.rowStride(), (long) Float.BYTES * y.cols());
            }
        }

        @Override
        public void close() {
            memory.close();
        }
    }
}
