package dev.filigree.spmm;

import static dev.filigree.spi.SpmmFormat.ALIGNMENT;
import static dev.filigree.spi.SpmmFormat.PANEL;

import dev.filigree.Layout;
import dev.filigree.format.CsrMatrix;
import dev.filigree.spi.SpmmFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.function.Consumer;
import java.util.function.IntConsumer;

/**
 * Packs a CSR matrix for the SpMM kernels of every backend: cuts long rows, chooses the blocks of columns and the
 * work items, and writes the block that {@link SpmmFormat} describes. Time and memory are linear in the nonzeros
 * and rows.
 */
final class SpmmPacker {

    /** No work item may hold more than this share of the work, so that a team of any sensible size is even. */
    private static final int MAX_SHARE = 64;
    /** Shorter segments than this cost more in combining than they win in balance. */
    private static final long MIN_SEGMENT = 64;
    /** A row on a device is one team of threads': so many of them are at work at a time, or a few times as many. */
    private static final int DEVICE_SHARES = 2048;
    private static final long MIN_DEVICE_SEGMENT = 512;
    /** What a virtual row costs beside its nonzeros, in nonzeros: accumulators, epilogue, loop overhead. */
    private static final int ROW_COST = 8;

    /** Blocks are worth their tables when each row of B is used this often. */
    private static final int MIN_BLOCKED_REUSE = 8;
    /** And when a pass uses it this often, to pay for the copy. */
    private static final int MIN_PASS_REUSE = 4;
    /** A panel of B is worth copying, where it cannot be read in place, when each of its rows is used once. */
    private static final int MIN_TILED_REUSE = 1;
    /** Nonzeros that a virtual row should have in a block, to pay for its accumulators' round trip to scratch. */
    private static final int ROW_NONZEROS_IN_BLOCK = 24;
    /** Size of a tile: from three quarters of a first-level cache to half of a second-level one. */
    private static final long MIN_TILE_BYTES = 24 << 10;
    private static final long MAX_TILE_BYTES = 256 << 10;
    /** A narrow product spends more on a block's rows than on reading B from the second level. */
    private static final long MIN_NARROW_TILE_BYTES = 128 << 10;
    /** With fewer than this, the row starts of a block are as large as its nonzeros. */
    private static final long MIN_ROW_NONZEROS_IN_BLOCK = 2;
    /** Products so narrow have too few sums in a row to keep the multiply-add units busy. */
    private static final int NARROW = SpmmFormat.LANES;
    /** Entries a nonzero, padding included, that rows in turns may take: chains side by side win more. */
    private static final double MAX_PADDING = 1.5;
    /** 64 MiB of tile for each worker: the most that a very sparse, very wide matrix may ask for. */
    private static final long MAX_TILE_ROWS = 1 << 18;
    /** Accumulators of a pass: 64 KiB where a pass spans several tiles, 8 KiB (first level) where it does not. */
    private static final long PASS_ROWS_BLOCKED = 256;
    private static final long PASS_ROWS_SINGLE = 32;

    private final CsrMatrix a;
    private final Layout layout;
    private final int typicalN;
    private final int givenDepth;
    private final MemorySegment offsets;
    private final MemorySegment columns;
    private final MemorySegment values;
    private final boolean narrow;
    private final boolean forDevice;
    private final long segmentLimit;
    private long virtualRows;
    private int splitCount;
    private long partialCount;
    private long blockDepth;
    private long blockCount;
    private int tiling;
    private int group = 1;
    private long entryCount;
    private long startsAt;
    private long columnsAt;
    private long valuesAt;

    private SpmmPacker(CsrMatrix a, Layout layout, int typicalN, int givenDepth) {
        this(a, layout, typicalN, givenDepth, false);
    }

    private SpmmPacker(CsrMatrix a, Layout layout, int typicalN, int givenDepth, boolean forDevice) {
        this.a = a;
        this.forDevice = forDevice;
        this.layout = layout;
        this.typicalN = typicalN;
        this.givenDepth = givenDepth;
        offsets = a.rowOffsets();
        columns = a.columns();
        values = a.values();
        narrow = !forDevice && typicalN <= NARROW;
        // A group of rows is a work item at the least.
        long shares = forDevice ? DEVICE_SHARES : narrow ? (long) MAX_SHARE * SpmmFormat.INTERLEAVED : MAX_SHARE;
        segmentLimit = Math.max(forDevice ? MIN_DEVICE_SEGMENT : MIN_SEGMENT, Math.ceilDiv(a.nnz(), shares));
    }

    /**
     * Packs a matrix.
     *
     * @param typicalN columns of B, or tokens, for which the blocks are chosen
     * @param givenDepth columns of A in a block, or 0 to estimate what is best
     * @param bias one value a row, or null
     * @param arena owns the result
     * @param beforeFill sees the untouched memory, to advise the operating system on it
     * @throws IllegalArgumentException if the matrix has more virtual rows than an int can count
     */
    static MemorySegment pack(CsrMatrix a, Layout layout, int typicalN, int givenDepth, int activation, float[] bias,
            Arena arena, Consumer<MemorySegment> beforeFill) {
        SpmmPacker packer = new SpmmPacker(a, layout, typicalN, givenDepth);
        packer.countVirtualRows();
        packer.chooseBlocks();
        return packer.write(activation, bias, arena, beforeFill);
    }

    /**
     * Packs a matrix for the threads of a device: one block, row by row, with an order by length; the sums of split rows
     * depend on the matrix alone, not on the device.
     */
    static MemorySegment packForDevice(CsrMatrix a, Layout layout, int activation, float[] bias, Arena arena,
            Consumer<MemorySegment> beforeFill) {
        SpmmPacker packer = new SpmmPacker(a, layout, PANEL, Math.max(1, a.cols()), true);
        packer.countVirtualRows();
        packer.chooseBlocks();
        return packer.write(activation, bias, arena, beforeFill);
    }

    /**
     * Overwrites the values of a packed matrix.
     *
     * @param values one for each stored element, in the order of the CSR matrix
     */
    static void update(MemorySegment packed, MemorySegment values) {
        long blocks = SpmmFormat.field(packed, SpmmFormat.BLOCK_COUNT);
        long rows = SpmmFormat.field(packed, SpmmFormat.VIRTUAL_ROWS);
        long startsAt = SpmmFormat.field(packed, SpmmFormat.GROUP_STARTS);
        long valuesAt = SpmmFormat.field(packed, SpmmFormat.VALUES);
        long next = 0;
        long columnsAt = SpmmFormat.field(packed, SpmmFormat.COLUMNS);
        long group = SpmmFormat.field(packed, SpmmFormat.GROUP);
        long groups = Math.ceilDiv(rows, group);
        long depth = SpmmFormat.field(packed, SpmmFormat.BLOCK_DEPTH);
        // A virtual row's entries are in column order in both forms; here they lie block by block.
        for (long v = 0; v < rows; v++) {
            for (long block = 0; block < blocks; block++) {
                long at = startsAt + Long.BYTES * (block * (groups + 1) + v / group);
                long end = packed.get(ValueLayout.JAVA_LONG, at + Long.BYTES);
                for (long p = packed.get(ValueLayout.JAVA_LONG, at) + v % group; p < end; p += group) {
                    if (packed.get(ValueLayout.JAVA_INT, columnsAt + Integer.BYTES * p) == depth) {
                        break;
                    }
                    packed.set(ValueLayout.JAVA_FLOAT, valuesAt + Float.BYTES * p,
                        values.getAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, next++));
                }
            }
        }
    }

    /** The columns of A in a block that {@link #pack} would choose by itself. */
    static int estimatedDepth(CsrMatrix a, Layout layout, int typicalN) {
        SpmmPacker packer = new SpmmPacker(a, layout, typicalN, 0);
        packer.countVirtualRows();
        packer.chooseBlocks();
        return (int) Math.max(1, packer.blockDepth);
    }

    private long rowLength(int row) {
        return offset(row + 1L) - offset(row);
    }

    private long offset(long row) {
        return offsets.getAtIndex(ValueLayout.JAVA_LONG, row);
    }

    private long segments(int row) {
        return Math.max(1, Math.ceilDiv(rowLength(row), segmentLimit));
    }

    private void countVirtualRows() {
        for (int row = 0; row < a.rows(); row++) {
            long segments = segments(row);
            virtualRows += segments;
            if (segments > 1) {
                splitCount++;
                partialCount += segments;
            }
        }
        if (virtualRows > Integer.MAX_VALUE - 8) {
            throw new IllegalArgumentException(
                a + " has " + virtualRows + " work rows, more than " + (Integer.MAX_VALUE - 8));
        }
    }

    private void chooseBlocks() {
        long k = a.cols();
        if (k == 0) {
            return;
        }
        double rowNonzeros = (double) a.nnz() / Math.max(1, virtualRows);
        long depth = givenDepth > 0 ? givenDepth : estimatedDepth(rowNonzeros);
        long blocks = Math.ceilDiv(k, depth);
        // Each block costs every row a start in the table and a pass over its accumulators.
        long worthwhile = Math.max(1, (long) (rowNonzeros / MIN_ROW_NONZEROS_IN_BLOCK));
        double reuse = (double) a.nnz() / k;
        // With several blocks each pass copies all of B.
        if (rowNonzeros * Math.min(virtualRows, PASS_ROWS_BLOCKED) < MIN_PASS_REUSE * k) {
            worthwhile = 1;
        }
        if (layout == Layout.TOKEN_MAJOR) {
            // Tokens can only be read through a tile, which then grows beyond the caches.
            blocks = forDevice ? 1 : Math.min(blocks, Math.max(worthwhile, Math.ceilDiv(k, MAX_TILE_ROWS)));
            tiling = SpmmFormat.TILE;
        } else if (!forDevice && reuse >= MIN_BLOCKED_REUSE && blocks <= worthwhile) {
            tiling = SpmmFormat.TILE;
        } else {
            blocks = 1;
            tiling = reuse >= MIN_TILED_REUSE && k <= MAX_TILE_ROWS
                ? SpmmFormat.TILE_OR_IN_PLACE : SpmmFormat.NO_TILE;
        }
        blockDepth = Math.ceilDiv(k, blocks);
        blockCount = Math.ceilDiv(k, blockDepth);
        entryCount = a.nnz();
        if (narrow && tiling != SpmmFormat.NO_TILE) {
            group = SpmmFormat.INTERLEAVED;
            entryCount = countEntries();
            if (entryCount <= MAX_PADDING * a.nnz()) {
                // The padding reads a row of zeros, which only a tile has.
                tiling = SpmmFormat.TILE;
            } else {
                group = 1;
                entryCount = a.nnz();
            }
        }
    }

    private long estimatedDepth(double rowNonzeros) {
        long tileRowBytes = (long) Float.BYTES * Math.min(PANEL, typicalN);
        double wanted = ROW_NONZEROS_IN_BLOCK / Math.max(1e-9, rowNonzeros) * a.cols();
        return Math.clamp((long) wanted, (narrow ? MIN_NARROW_TILE_BYTES : MIN_TILE_BYTES) / tileRowBytes,
            MAX_TILE_BYTES / tileRowBytes);
    }

    private MemorySegment write(int activation, float[] bias, Arena arena, Consumer<MemorySegment> beforeFill) {
        long[] chunks = chunkStarts();
        Cursor cursor = new Cursor(SpmmFormat.HEADER_BYTES);
        long biasAt = bias == null ? 0 : cursor.table(a.rows(), Float.BYTES);
        long chunksAt = cursor.table(chunks.length, Long.BYTES);
        long targetsAt = cursor.table(virtualRows, Integer.BYTES);
        long splitsAt = cursor.table(2L * splitCount + 2, Integer.BYTES);
        startsAt = cursor.table(blockCount * (groups() + 1), Long.BYTES);
        columnsAt = cursor.table(entryCount, Integer.BYTES);
        valuesAt = cursor.table(entryCount, Float.BYTES);
        long orderAt = forDevice ? cursor.table(virtualRows, Integer.BYTES) : 0;
        long bytes = cursor.position + SpmmFormat.TAIL;

        MemorySegment packed = arena.allocate(bytes, ALIGNMENT);
        beforeFill.accept(packed);
        long passRows = narrow || blockCount > 1 || layout == Layout.TOKEN_MAJOR ? PASS_ROWS_BLOCKED : PASS_ROWS_SINGLE;
        passRows = Math.clamp(groups() * group, 1, passRows);
        long tileRows = tiling == SpmmFormat.NO_TILE ? 0 : group > 1 ? blockDepth + 1 : blockDepth;
        set(packed, SpmmFormat.MAGIC, SpmmFormat.MAGIC_VALUE);
        set(packed, SpmmFormat.BYTES, bytes);
        set(packed, SpmmFormat.ROWS, a.rows());
        set(packed, SpmmFormat.COLS, a.cols());
        set(packed, SpmmFormat.NNZ, a.nnz());
        set(packed, SpmmFormat.VIRTUAL_ROWS, virtualRows);
        set(packed, SpmmFormat.BLOCK_DEPTH, blockDepth);
        set(packed, SpmmFormat.BLOCK_COUNT, blockCount);
        set(packed, SpmmFormat.TILED, tiling);
        set(packed, SpmmFormat.GROUP, group);
        set(packed, SpmmFormat.PASS_ROWS, passRows);
        set(packed, SpmmFormat.CHUNK_COUNT, chunks.length - 1);
        set(packed, SpmmFormat.SPLIT_COUNT, splitCount);
        set(packed, SpmmFormat.PARTIAL_COUNT, partialCount);
        long scratchBytes = (tileRows + passRows) * PANEL * Float.BYTES + 2 * SpmmFormat.STAGE_BYTES;
        if (tiling == SpmmFormat.NO_TILE) {
            scratchBytes += (SpmmFormat.GATHER_ROWS + 2) * PANEL * Float.BYTES;
        }
        set(packed, SpmmFormat.SCRATCH_BYTES, scratchBytes);
        packed.set(ValueLayout.JAVA_INT, SpmmFormat.LAYOUT, layout.code());
        packed.set(ValueLayout.JAVA_INT, SpmmFormat.ACTIVATION, activation);
        set(packed, SpmmFormat.BIAS, biasAt);
        set(packed, SpmmFormat.CHUNK_STARTS, chunksAt);
        set(packed, SpmmFormat.TARGETS, targetsAt);
        set(packed, SpmmFormat.SPLITS, splitsAt);
        set(packed, SpmmFormat.GROUP_STARTS, startsAt);
        set(packed, SpmmFormat.COLUMNS, columnsAt);
        set(packed, SpmmFormat.VALUES, valuesAt);
        set(packed, SpmmFormat.ORDER, orderAt);
        if (bias != null) {
            MemorySegment.copy(bias, 0, packed, ValueLayout.JAVA_FLOAT, biasAt, bias.length);
        }
        MemorySegment.copy(chunks, 0, packed, ValueLayout.JAVA_LONG, chunksAt, chunks.length);
        writeTargets(packed, targetsAt, splitsAt);
        if (forDevice) {
            writeOrder(packed, orderAt);
        }
        if (blockCount > 0) {
            writeEntries(packed);
        }
        return packed;
    }

    private static void set(MemorySegment packed, long field, long value) {
        packed.set(ValueLayout.JAVA_LONG, field, value);
    }

    /** Collects virtual rows so that none but a single group costs more than its share. */
    private long[] chunkStarts() {
        long total = a.nnz() + ROW_COST * virtualRows;
        long limit = Math.max(1, total / MAX_SHARE);
        long[] starts = new long[2 * MAX_SHARE + 2];
        int count = 0;
        long chunkCost = 0;
        long groupCost = 0;
        long groupStart = 0;
        long v = 0;
        for (int row = 0; row < a.rows(); row++) {
            long segments = segments(row);
            for (long s = 0; s < segments; s++) {
                groupCost += segmentEnd(row, s, segments) - segmentBegin(row, s, segments) + ROW_COST;
                v++;
                if (v % group != 0 && v < virtualRows) {
                    continue;
                }
                if (chunkCost > 0 && chunkCost + groupCost > limit) {
                    if (count + 2 > starts.length) {
                        starts = Arrays.copyOf(starts, starts.length * 2);
                    }
                    starts[++count] = groupStart;
                    chunkCost = 0;
                }
                chunkCost += groupCost;
                groupCost = 0;
                groupStart = v;
            }
        }
        if (v > 0) {
            starts = count + 2 > starts.length ? Arrays.copyOf(starts, count + 2) : starts;
            starts[++count] = v;
        }
        return Arrays.copyOf(starts, count + 1);
    }

    private long segmentBegin(int row, long segment, long segments) {
        return offset(row) + rowLength(row) * segment / segments;
    }

    private long segmentEnd(int row, long segment, long segments) {
        return segmentBegin(row, segment + 1, segments);
    }

    private void writeTargets(MemorySegment packed, long targetsAt, long splitsAt) {
        long v = 0;
        int slot = 0;
        long split = splitsAt;
        for (int row = 0; row < a.rows(); row++) {
            long segments = segments(row);
            if (segments == 1) {
                packed.set(ValueLayout.JAVA_INT, targetsAt + Integer.BYTES * v++, row);
                continue;
            }
            packed.set(ValueLayout.JAVA_INT, split, row);
            packed.set(ValueLayout.JAVA_INT, split + Integer.BYTES, slot);
            split += 2 * Integer.BYTES;
            for (long s = 0; s < segments; s++) {
                packed.set(ValueLayout.JAVA_INT, targetsAt + Integer.BYTES * v++, ~slot++);
            }
        }
        packed.set(ValueLayout.JAVA_INT, split, a.rows());
        packed.set(ValueLayout.JAVA_INT, split + Integer.BYTES, slot);
    }

    /** Virtual rows by falling length, and by number where that is equal: counted, in linear time. */
    private void writeOrder(MemorySegment packed, long orderAt) {
        int[] places = new int[(int) Math.min(segmentLimit, a.cols()) + 2];
        forEachLength(length -> places[places.length - 1 - length]++);
        for (int i = 1; i < places.length; i++) {
            places[i] += places[i - 1];
        }
        int[] number = {0};
        forEachLength(length -> packed.set(ValueLayout.JAVA_INT,
            orderAt + (long) Integer.BYTES * places[places.length - 2 - length]++, number[0]++));
    }

    private void forEachLength(IntConsumer action) {
        for (int row = 0; row < a.rows(); row++) {
            long segments = segments(row);
            for (long s = 0; s < segments; s++) {
                action.accept((int) (segmentEnd(row, s, segments) - segmentBegin(row, s, segments)));
            }
        }
    }

    private long groups() {
        return Math.ceilDiv(virtualRows, group);
    }

    /** Entries, padding included, when rows come in groups. */
    private long countEntries() {
        Groups all = new Groups();
        long count = 0;
        while (all.next()) {
            for (int block = 0; block < blockCount; block++) {
                count += group * all.longest(block);
            }
        }
        return count;
    }

    /** Two visits of every group: the lengths of its blocks make the table of starts, which say where entries go. */
    private void writeEntries(MemorySegment packed) {
        long stride = groups() + 1;
        Groups all = new Groups();
        for (long g = 0; all.next(); g++) {
            for (int block = 0; block < blockCount; block++) {
                set(packed, startsAt + Long.BYTES * (block * stride + g), group * all.longest(block));
            }
        }
        long sum = 0;
        for (long at = startsAt; at < startsAt + Long.BYTES * blockCount * stride; at += Long.BYTES) {
            long count = packed.get(ValueLayout.JAVA_LONG, at);
            set(packed, at, sum);
            sum += count;
        }
        all = new Groups();
        for (long g = 0; all.next(); g++) {
            for (int member = 0; member < group; member++) {
                long p = all.begin[member];
                for (int block = 0; block < blockCount; block++) {
                    long at = startsAt + Long.BYTES * (block * stride + g);
                    long end = packed.get(ValueLayout.JAVA_LONG, at + Long.BYTES);
                    long to = packed.get(ValueLayout.JAVA_LONG, at) + member;
                    long limit = p + all.counts[member][block];
                    for (; p < limit; p++, to += group) {
                        setEntry(packed, to, (int) (column(p) - block * blockDepth), value(p));
                    }
                    for (; to < end; to += group) {
                        setEntry(packed, to, (int) blockDepth, 0f);
                    }
                }
            }
        }
    }

    /** The virtual rows, so many at a time, and how their nonzeros fall into blocks. */
    private final class Groups {
        private final long[] begin = new long[group];
        private final int[][] counts = new int[group][(int) blockCount];
        private int row;
        private long segment;

        /** Goes on to the next group; those of its rows that are beyond the last are empty. */
        boolean next() {
            if (row == a.rows()) {
                return false;
            }
            for (int member = 0; member < group; member++) {
                Arrays.fill(counts[member], 0);
                if (row == a.rows()) {
                    continue;
                }
                long segments = segments(row);
                begin[member] = segmentBegin(row, segment, segments);
                long end = segmentEnd(row, segment, segments);
                if (blockCount == 1) {
                    counts[member][0] = (int) (end - begin[member]);
                } else {
                    for (long p = begin[member]; p < end; p++) {
                        counts[member][(int) (column(p) / blockDepth)]++;
                    }
                }
                if (++segment == segments) {
                    row++;
                    segment = 0;
                }
            }
            return true;
        }

        long longest(int block) {
            long longest = 0;
            for (int[] row : counts) {
                longest = Math.max(longest, row[block]);
            }
            return longest;
        }
    }

    private int column(long entry) {
        return columns.getAtIndex(ValueLayout.JAVA_INT, entry);
    }

    private float value(long entry) {
        return values.getAtIndex(ValueLayout.JAVA_FLOAT, entry);
    }

    private void setEntry(MemorySegment packed, long entry, int column, float value) {
        packed.set(ValueLayout.JAVA_INT, columnsAt + Integer.BYTES * entry, column);
        packed.set(ValueLayout.JAVA_FLOAT, valuesAt + Float.BYTES * entry, value);
    }

    /** Places tables one after the other, each at the format's alignment. */
    private static final class Cursor {
        private long position;

        Cursor(long position) {
            this.position = position;
        }

        long table(long elements, long elementBytes) {
            long at = Math.ceilDiv(position, ALIGNMENT) * ALIGNMENT;
            position = Math.addExact(at, Math.multiplyExact(elements, elementBytes));
            return at;
        }
    }
}
