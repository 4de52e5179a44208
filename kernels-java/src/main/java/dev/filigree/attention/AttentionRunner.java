package dev.filigree.attention;

import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Workers;
import dev.filigree.internal.Operands;
import dev.filigree.internal.Pool;
import dev.filigree.internal.Scratch;
import dev.filigree.spi.AttentionFormat;
import dev.filigree.spi.AttentionKernel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Shares the work items of a packed mask among a worker team; owns the packed mask. */
final class AttentionRunner implements AutoCloseable {

    /** Useful operations below which waking the team costs more than it saves: about 20 microseconds of one core. */
    private static final double MIN_SHARED_FLOPS = 1e6;
    /**
     * Keys and values are packed for as many key heads at a time as this holds, for each thread: what it packs should
     * still be in its cache when it reads it.
     */
    private static final long PACKED_BYTES = 4L << 20;

    private final AttentionKernel kernel;
    private final MemorySegment mask;
    private final Arena arena;
    private final AttentionOptions options;
    private final Workers workers;
    private final long entries;
    private final Pool<Call> calls = new Pool<>();

    AttentionRunner(AttentionKernel kernel, MemorySegment mask, Arena arena, AttentionOptions options) {
        this.kernel = kernel;
        this.mask = mask;
        this.arena = arena;
        this.options = options;
        workers = options.workers();
        long lists = AttentionFormat.field(mask, AttentionFormat.MASK_HEADS)
            * AttentionFormat.field(mask, AttentionFormat.TILE_COUNT);
        entries = mask.get(ValueLayout.JAVA_LONG,
            AttentionFormat.field(mask, AttentionFormat.LIST_STARTS) + Long.BYTES * lists);
    }

    /** Runs checked operands; either out or a state is null, and lse may be. */
    void run(AttentionTensor q, AttentionTensor k, AttentionTensor v, int[] keyLengths, AttentionTensor out,
            DenseMatrix lse, DenseMatrix state, float[] slopes) {
        Call idle = calls.take();
        Call call = idle == null ? new Call() : idle;
        try {
            call.describe(q, k, keyLengths, slopes);
            call.q = call.stagedQ.in(q, call.shape, AttentionFormat.Q_STRIDES);
            call.k = call.stagedK.in(k, call.shape, AttentionFormat.K_STRIDES);
            call.v = call.stagedV.in(v, call.shape, AttentionFormat.V_STRIDES);
            call.out = out == null ? MemorySegment.NULL
                : call.stagedOut.out(out, call.shape, AttentionFormat.OUT_STRIDES);
            call.lse = lse == null ? MemorySegment.NULL
                : lse.data().isNative() ? Operands.shareable(lse) : call.stagedLse.atLeast(lse.data().byteSize());
            call.state = state == null ? MemorySegment.NULL : Operands.shareable(state);
            call.set(AttentionFormat.OUT_DTYPE,
                out == null || out.dtype() == DType.F32 ? AttentionFormat.F32 : AttentionFormat.BF16);
            call.execute(q.batch(), q.heads(), k.heads(), q.dim());
            if (out != null) {
                call.stagedOut.back(out);
            }
            if (lse != null && !lse.data().isNative()) {
                MemorySegment.copy(call.lse, 0, lse.data(), 0, lse.data().byteSize());
            }
        } finally {
            call.release();
            calls.give(call);
        }
    }

    @Override
    public void close() {
        calls.drain();
        arena.close();
    }

    /** The operands of one run; pooled, so that a warm run allocates nothing. */
    private final class Call implements Workers.Task, AutoCloseable {
        private final Scratch shapes = new Scratch();
        private final Scratch packing = new Scratch();
        private final TensorStaging stagedQ = new TensorStaging();
        private final TensorStaging stagedK = new TensorStaging();
        private final TensorStaging stagedV = new TensorStaging();
        private final TensorStaging stagedOut = new TensorStaging();
        private final Scratch stagedLse = new Scratch();
        private MemorySegment shape;
        private MemorySegment q;
        private MemorySegment k;
        private MemorySegment v;
        private MemorySegment out;
        private MemorySegment lse;
        private MemorySegment state;
        private MemorySegment packed;
        private long firstItem;

        void describe(AttentionTensor queries, AttentionTensor keys, int[] keyLengths, float[] slopes) {
            long lengthsAt = AttentionFormat.SHAPE_HEADER_BYTES;
            long slopesAt = lengthsAt + (keyLengths == null ? 0 : (long) Integer.BYTES * keyLengths.length);
            shape = shapes.atLeast(slopesAt + (slopes == null ? 0 : (long) Float.BYTES * slopes.length));
            set(AttentionFormat.BATCH, queries.batch());
            set(AttentionFormat.HEADS, queries.heads());
            set(AttentionFormat.KV_HEADS, keys.heads());
            set(AttentionFormat.DIM, queries.dim());
            set(AttentionFormat.KEY_LENGTHS, keyLengths == null ? 0 : lengthsAt);
            set(AttentionFormat.SLOPES, slopes == null ? 0 : slopesAt);
            shape.set(ValueLayout.JAVA_FLOAT, AttentionFormat.SCALE, options.scaleFor(queries.dim()));
            shape.set(ValueLayout.JAVA_FLOAT, AttentionFormat.SOFT_CAP, options.softCapOrZero());
            if (keyLengths != null) {
                MemorySegment.copy(keyLengths, 0, shape, ValueLayout.JAVA_INT, lengthsAt, keyLengths.length);
                checkLengths(lengthsAt, keyLengths.length, keys.rows());
            }
            if (slopes != null) {
                MemorySegment.copy(slopes, 0, shape, ValueLayout.JAVA_FLOAT, slopesAt, slopes.length);
            }
        }

        /** On the copy: what another thread writes to the array cannot slip through. */
        private void checkLengths(long at, int count, int keys) {
            for (int i = 0; i < count; i++) {
                int length = shape.get(ValueLayout.JAVA_INT, at + (long) Integer.BYTES * i);
                if (length < 0 || length > keys) {
                    throw new IllegalArgumentException(
                        "keyLengths[" + i + "] = " + length + " is not in 0.." + keys);
                }
            }
        }

        private void set(long field, long value) {
            shape.set(ValueLayout.JAVA_LONG, field, value);
        }

        void execute(int batch, int heads, int kvHeads, int dim) {
            long pairs = (long) batch * kvHeads;
            long pairBytes = options.dtype().bytes() * AttentionFormat.pairElements(mask, dim);
            long round = Math.clamp(workers.threads() * PACKED_BYTES / Math.max(1, pairBytes), 1, pairs);
            packed = packing.atLeast(round * pairBytes);
            long maskHeads = AttentionFormat.field(mask, AttentionFormat.MASK_HEADS);
            double flops = 4.0 * entries * AttentionFormat.MAX_TILE_ROWS
                * AttentionFormat.field(mask, AttentionFormat.UNIT_KEYS) * dim * batch * heads / maskHeads;
            boolean shared = flops >= MIN_SHARED_FLOPS && !(Operands.isConfined(q) || Operands.isConfined(k)
                || Operands.isConfined(v) || Operands.isConfined(out) || Operands.isConfined(lse)
                || Operands.isConfined(state));
            long scratch = AttentionFormat.scratchBytes(mask, dim);
            for (long first = 0; first < pairs; first += round) {
                long count = Math.min(round, pairs - first);
                set(AttentionFormat.FIRST_PAIR, first);
                set(AttentionFormat.PAIR_COUNT, count);
                long packItems = count * AttentionFormat.field(mask, AttentionFormat.USED_COUNT);
                runItems(0, packItems, shared, scratch);
                runItems(packItems, count * (heads / kvHeads)
                    * AttentionFormat.field(mask, AttentionFormat.TILE_COUNT), shared, scratch);
            }
        }

        private void runItems(long first, long count, boolean shared, long scratch) {
            firstItem = first;
            if (shared) {
                workers.run(count, scratch, this);
            } else {
                workers.runAlone(count, scratch, this);
            }
        }

        @Override
        public void run(long begin, long end, MemorySegment scratch) {
            kernel.run(mask, shape, q, k, v, out, lse, state, packed, firstItem + begin, firstItem + end, scratch);
        }

        /** Lets go of the caller's memory. */
        void release() {
            q = null;
            k = null;
            v = null;
            out = null;
            lse = null;
            state = null;
        }

        @Override
        public void close() {
            shapes.close();
            packing.close();
            stagedQ.close();
            stagedK.close();
            stagedV.close();
            stagedOut.close();
            stagedLse.close();
        }
    }
}
