package dev.filigree.attention;

import dev.filigree.DenseMatrix;
import dev.filigree.Workers;
import dev.filigree.internal.Operands;
import dev.filigree.internal.Pool;
import dev.filigree.internal.Scratch;
import dev.filigree.spi.AttentionFormat;
import dev.filigree.spi.PagedFormat;
import dev.filigree.spi.PagedKernel;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Splits the selected keys of a run and shares the splits among a worker team. */
final class DecodeRunner implements AutoCloseable {

    /** Selected keys times head dimension below which waking the team costs more than it saves. */
    private static final long MIN_SHARED_ELEMENTS = 1 << 17;

    private final PagedKernel kernel;
    private final AttentionOptions options;
    private final Workers workers;
    private final Pool<Call> calls = new Pool<>();

    DecodeRunner(PagedKernel kernel, AttentionOptions options) {
        this.kernel = kernel;
        this.options = options;
        workers = options.workers();
    }

    /** Runs checked operands. */
    void run(AttentionTensor q, PagedCache cache, PageTable table, KeySelection selection, AttentionTensor out,
            DenseMatrix lse, float[] slopes) {
        Call idle = calls.take();
        Call call = idle == null ? new Call() : idle;
        try {
            call.describe(q, cache, table, selection, slopes);
            call.q = call.stagedQ.in(q, call.shape, PagedFormat.Q_STRIDES);
            call.out = call.stagedOut.out(out, call.shape, PagedFormat.OUT_STRIDES);
            call.keys = Operands.shareable(cache.keys());
            call.values = Operands.shareable(cache.values());
            call.lse = lse == null ? MemorySegment.NULL
                : lse.data().isNative() ? Operands.shareable(lse) : call.stagedLse.atLeast(lse.data().byteSize());
            call.execute(q, cache);
            call.stagedOut.back(out);
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
    }

    /** The operands of one run; pooled, so that a warm run allocates nothing. */
    private final class Call implements Workers.Task, AutoCloseable {
        private final Scratch shapes = new Scratch();
        private final Scratch states = new Scratch();
        private final TensorStaging stagedQ = new TensorStaging();
        private final TensorStaging stagedOut = new TensorStaging();
        private final Scratch stagedLse = new Scratch();
        private MemorySegment shape;
        private MemorySegment q;
        private MemorySegment keys;
        private MemorySegment values;
        private MemorySegment out;
        private MemorySegment lse;
        private MemorySegment partials;
        private long splits;
        private long selectedKeys;
        private long firstItem;
        private long next;

        void describe(AttentionTensor queries, PagedCache cache, PageTable table, KeySelection selection,
                float[] slopes) {
            int sequences = queries.batch();
            int kvHeads = cache.kvHeads();
            int pairs = sequences * kvHeads;
            long tables = PagedFormat.HEADER_BYTES + 4L * table.pages().length + 4L * sequences
                + 8L * selection.starts().length + 4L * selection.lists().length + 16L * pairs + 8
                + 4L * queries.heads() + 64;
            shape = shapes.atLeast(tables);
            set(PagedFormat.SEQUENCES, sequences);
            set(PagedFormat.HEADS, queries.heads());
            set(PagedFormat.KV_HEADS, kvHeads);
            set(PagedFormat.DIM, cache.dim());
            set(PagedFormat.PAGE_ROWS, cache.pageRows());
            set(PagedFormat.PAGE_TABLE_STRIDE, table.pagesPerSequence());
            set(PagedFormat.BLOCK_KEYS, selection.blockKeys());
            set(PagedFormat.LIST_HEADS, selection.listHeads());
            set(PagedFormat.CACHE_STRIDES, (long) kvHeads * cache.pageRows() * cache.dim());
            set(PagedFormat.CACHE_STRIDES + 8, (long) cache.pageRows() * cache.dim());
            set(PagedFormat.CACHE_STRIDES + 16, cache.dim());
            shape.set(ValueLayout.JAVA_FLOAT, PagedFormat.SCALE, options.scaleFor(cache.dim()));
            shape.set(ValueLayout.JAVA_FLOAT, PagedFormat.SOFT_CAP, options.softCapOrZero());
            next = PagedFormat.HEADER_BYTES;
            long starts = place(PagedFormat.LIST_STARTS, 8L * selection.starts().length);
            MemorySegment.copy(selection.starts(), 0, shape, ValueLayout.JAVA_LONG, starts, selection.starts().length);
            long selected = place(PagedFormat.SELECTED, 8L * pairs);
            long splitStarts = place(PagedFormat.SPLIT_STARTS, 8L * (pairs + 1));
            copy(PagedFormat.PAGE_TABLE, table.pages());
            copy(PagedFormat.LISTS, selection.lists());
            long lengths = place(PagedFormat.LENGTHS, 4L * sequences);
            for (int b = 0; b < sequences; b++) {
                shape.set(ValueLayout.JAVA_INT, lengths + 4L * b, table.length(b));
            }
            set(PagedFormat.SLOPES, 0);
            if (slopes != null) {
                long at = place(PagedFormat.SLOPES, 4L * slopes.length);
                MemorySegment.copy(slopes, 0, shape, ValueLayout.JAVA_FLOAT, at, slopes.length);
            }
            split(selection, cache, lengths, selected, splitStarts);
        }

        /** On the copies: what another thread writes to the table cannot slip through. */
        private void split(KeySelection selection, PagedCache cache, long lengths, long selected, long splitStarts) {
            long sequences = field(PagedFormat.SEQUENCES);
            splits = 0;
            selectedKeys = 0;
            shape.set(ValueLayout.JAVA_LONG, splitStarts, 0);
            for (int b = 0; b < sequences; b++) {
                int length = shape.get(ValueLayout.JAVA_INT, lengths + 4L * b);
                checkPages(selection, cache, b, length);
                for (int h = 0; h < cache.kvHeads(); h++) {
                    long pair = (long) b * cache.kvHeads() + h;
                    long count = selection.selected(b, h, length);
                    selectedKeys += count;
                    splits += Math.ceilDiv(count, PagedFormat.SPLIT_KEYS);
                    shape.set(ValueLayout.JAVA_LONG, selected + 8 * pair, count);
                    shape.set(ValueLayout.JAVA_LONG, splitStarts + 8 * (pair + 1), splits);
                }
            }
        }

        /** Every page that a selected token needs must be one of the cache's. */
        private void checkPages(KeySelection selection, PagedCache cache, int sequence, int length) {
            int perSequence = (int) field(PagedFormat.PAGE_TABLE_STRIDE);
            if (selection.listHeads() == 0) {
                checkPages(cache, sequence, 0, length, perSequence);
                return;
            }
            int[] lists = selection.lists();
            for (int list = sequence * selection.listHeads(); list < (sequence + 1) * selection.listHeads(); list++) {
                for (long i = selection.starts()[list]; i < selection.starts()[list + 1]; i++) {
                    long first = (long) lists[(int) i] * selection.blockKeys();
                    checkPages(cache, sequence, first, Math.min(length, first + selection.blockKeys()), perSequence);
                }
            }
        }

        private void checkPages(PagedCache cache, int sequence, long first, long end, int perSequence) {
            for (long page = first / cache.pageRows(); page * cache.pageRows() < end; page++) {
                int found = page >= perSequence ? PageTable.NONE : shape.get(ValueLayout.JAVA_INT,
                    field(PagedFormat.PAGE_TABLE) + 4 * (sequence * (long) perSequence + page));
                if (found < 0 || found >= cache.pages()) {
                    throw new IllegalArgumentException("sequence " + sequence + " has "
                        + (found == PageTable.NONE ? "no page" : "page " + found + " of " + cache.pages()) + " for token "
                        + Math.max(first, page * cache.pageRows()));
                }
            }
        }

        private void copy(long field, int[] from) {
            long at = place(field, 4L * from.length);
            MemorySegment.copy(from, 0, shape, ValueLayout.JAVA_INT, at, from.length);
        }

        /** Longs first, so that all are aligned. */
        private long place(long field, long bytes) {
            long at = next;
            set(field, at);
            next += bytes;
            return at;
        }

        private void set(long field, long value) {
            shape.set(ValueLayout.JAVA_LONG, field, value);
        }

        private long field(long field) {
            return shape.get(ValueLayout.JAVA_LONG, field);
        }

        void execute(AttentionTensor queries, PagedCache cache) {
            int group = queries.heads() / cache.kvHeads();
            int dim = cache.dim();
            partials = states.atLeast(Float.BYTES * splits * group * (dim + AttentionFormat.STATE_EXTRA));
            boolean shared = selectedKeys * dim >= MIN_SHARED_ELEMENTS && !(Operands.isConfined(q)
                || Operands.isConfined(keys) || Operands.isConfined(values) || Operands.isConfined(out)
                || Operands.isConfined(lse));
            long scratch = PagedFormat.scratchBytes(group, dim);
            runItems(0, splits, shared, scratch);
            runItems(splits, field(PagedFormat.SEQUENCES) * cache.kvHeads(), shared && splits > 64, scratch);
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
            kernel.run(shape, q, keys, values, out, lse, partials, firstItem + begin, firstItem + end, scratch);
        }

        /** Lets go of the caller's memory. */
        void release() {
            q = null;
            keys = null;
            values = null;
            out = null;
            lse = null;
        }

        @Override
        public void close() {
            shapes.close();
            states.close();
            stagedQ.close();
            stagedOut.close();
            stagedLse.close();
        }
    }
}
