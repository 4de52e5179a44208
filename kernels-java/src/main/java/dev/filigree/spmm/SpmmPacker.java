package dev.filigree.spmm;

import static dev.filigree.spi.SpmmFormat.ALIGNMENT;
import static dev.filigree.spi.SpmmFormat.PANEL;

import dev.filigree.Layout;
import dev.filigree.format.CsrMatrix;
import dev.filigree.spi.SpmmFormat;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

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
    /**
     * Some hundreds of rows that are alike are not many more than groups of narrow products have shares: where more
     * than every eighth would be cut, a group may be a few shares, which costs less than a second item for each.
     */
    private static final int MIN_EVEN_ROWS = 256;
    private static final int MAX_CUT_SHARE = 8;
    /**
     * A row on a device is one team of threads', some 2000 of which are at work at a time: a row that takes longer than
     * the others together keeps a few waiting for memory while the rest are idle. Measured on an H200 over DLMC's and
     * Matrix Market's matrices.
     */
    private static final int DEVICE_SHARES = 1365;
    /** The second kernel that adds up segments takes as long as so many nonzeros of a row. */
    private static final long WHOLE_DEVICE_ROW = 160;
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
    /** Entries of a pass of interleaved rows, which are packed together. */
    private static final long MAX_PASS_ENTRIES = 1 << 22;
    /** The table of starts is made in an array. */
    private static final long MAX_STARTS = Integer.MAX_VALUE - 8L;
    /** 112 MiB of tile for each worker: the most that a very sparse, very wide matrix may ask for. */
    private static final long MAX_TILE_ROWS = 1 << 18;
    /**
     * Accumulators of a pass, of 64 columns: 80 KiB where a pass spans several tiles, 8 KiB (first level) where not.
     */
    private static final long PASS_ROWS_BLOCKED = 320;
    private static final long PASS_ROWS_SINGLE = 32;

    private final CsrMatrix a;
    private final Layout layout;
    private final int typicalN;
    private final int givenDepth;
    /** First nonzero of each row, and where the last one ends. */
    private final long[] offsets;
    private final boolean narrow;
    private final boolean forDevice;
    private final long segmentLimit;
    /** First entry of each virtual row; a row's segments follow each other, so it ends where the next begins. */
    private long[] begins;
    /** What each virtual row computes, as the format has it. */
    private int[] targets;
    private int virtualRows;
    /** Entries of the longest virtual row. */
    private long longest;
    private int splitCount;
    private int partialCount;
    private long blockDepth;
    private long blockCount;
    private int tiling;
    private int group = 1;
    private int passRows;
    /** Where each chunk of virtual rows begins, and where the last one ends. */
    private int[] chunks;
    /** The virtual row that is each member of each group; past the last there are numbers without a row. */
    private int[] places;
    /** Null when the matrix has no columns. */
    private EntryPacker entries;

    private SpmmPacker(CsrMatrix a, Layout layout, int typicalN, int givenDepth) {
        this(a, layout, typicalN, givenDepth, false);
    }

    private SpmmPacker(CsrMatrix a, Layout layout, int typicalN, int givenDepth, boolean forDevice) {
        this.a = a;
        this.forDevice = forDevice;
        this.layout = layout;
        this.typicalN = typicalN;
        this.givenDepth = givenDepth;
        offsets = a.rowOffsets().toArray(ValueLayout.JAVA_LONG);
        narrow = !forDevice && typicalN <= NARROW;
        segmentLimit = segmentLimit();
        cutRows();
        chooseBlocks();
    }

    /**
     * Packs a matrix.
     *
     * @param typicalN columns of B, or tokens, for which the blocks are chosen
     * @param givenDepth columns of A in a block, or 0 to estimate what is best
     * @param bias one value a row, or null
     * @param memory gives zeroed memory, which its arena owns
     * @throws IllegalArgumentException if the matrix has more virtual rows than an int can count
     */
    static MemorySegment pack(CsrMatrix a, Layout layout, int typicalN, int givenDepth, int activation, float[] bias,
            SegmentAllocator memory) {
        return new SpmmPacker(a, layout, typicalN, givenDepth, false).write(activation, bias, memory);
    }

    /**
     * Packs a matrix for the threads of a device: one block, row by row, with an order by length; the sums of split
     * rows depend on the matrix alone, not on the device.
     */
    static MemorySegment packForDevice(CsrMatrix a, Layout layout, int activation, float[] bias, SegmentAllocator memory) {
        return new SpmmPacker(a, layout, PANEL, Math.max(1, a.cols()), true).write(activation, bias, memory);
    }

    /**
     * Overwrites the values of a packed matrix.
     *
     * @param values one for each stored element, in the order of the CSR matrix
     */
    static void update(MemorySegment packed, MemorySegment values) {
        int rows = (int) SpmmFormat.field(packed, SpmmFormat.VIRTUAL_ROWS);
        long blocks = SpmmFormat.field(packed, SpmmFormat.BLOCK_COUNT);
        long valuesAt = SpmmFormat.field(packed, SpmmFormat.VALUES);
        long depth = SpmmFormat.field(packed, SpmmFormat.BLOCK_DEPTH);
        int group = (int) SpmmFormat.field(packed, SpmmFormat.GROUP);
        int groups = Math.ceilDiv(rows, group);
        // An entry's place in the CSR matrix follows from the entries of all virtual rows before its own.
        long[] next = new long[groups * group + 1];
        long startsAt = SpmmFormat.field(packed, SpmmFormat.GROUP_STARTS);
        for (boolean counts : new boolean[] {true, false}) {
            for (int member = 0; member < groups * group; member++) {
                int v = group == 1 ? member : SpmmFormat.place(packed, member / group, member % group);
                for (long block = 0; block < blocks; block++) {
                    long at = startsAt + Long.BYTES * (block * (groups + 1) + member / group);
                    long end = packed.get(ValueLayout.JAVA_LONG, at + Long.BYTES);
                    for (long p = packed.get(ValueLayout.JAVA_LONG, at) + member % group; p < end; p += group) {
                        if (SpmmFormat.column(packed, group > 1, p) == depth) {
                            break;
                        }
                        if (counts) {
                            next[v + 1]++;
                        } else {
                            packed.set(ValueLayout.JAVA_FLOAT, valuesAt + Float.BYTES * p,
                                values.getAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, next[v]++));
                        }
                    }
                }
            }
            for (int v = 0; v < rows && counts; v++) {
                next[v + 1] += next[v];
            }
        }
    }

    /** What a packed form is, in words. */
    static String describe(MemorySegment packed) {
        long blocks = SpmmFormat.field(packed, SpmmFormat.BLOCK_COUNT);
        return "CSR in " + blocks + (blocks == 1 ? " block of " : " blocks of ")
            + SpmmFormat.field(packed, SpmmFormat.BLOCK_DEPTH) + " columns, "
            + SpmmFormat.field(packed, SpmmFormat.CHUNK_COUNT) + " work items a panel, "
            + (SpmmFormat.field(packed, SpmmFormat.GROUP) > 1 ? "rows in turns, " : "")
            + SpmmFormat.field(packed, SpmmFormat.SPLIT_COUNT) + " long rows split, B "
            + switch ((int) SpmmFormat.field(packed, SpmmFormat.TILED)) {
                case SpmmFormat.TILE -> "copied to tiles";
                case SpmmFormat.TILE_OR_IN_PLACE -> "copied whole or read in place";
                default -> "read in place or row by row";
            };
    }

    /** The columns of A in a block that {@link #pack} would choose by itself. */
    static int estimatedDepth(CsrMatrix a, Layout layout, int typicalN) {
        return (int) Math.max(1, new SpmmPacker(a, layout, typicalN, 0, false).blockDepth);
    }

    private long segmentLimit() {
        if (forDevice) {
            return rowsLongerThan(WHOLE_DEVICE_ROW) == 0 ? WHOLE_DEVICE_ROW
                : Math.max(MIN_SEGMENT, a.nnz() / DEVICE_SHARES);
        }
        if (!narrow) {
            return Math.max(MIN_SEGMENT, a.nnz() / MAX_SHARE);
        }
        // A group of rows is a work item at the least.
        long limit = Math.max(MIN_SEGMENT, a.nnz() / ((long) MAX_SHARE * SpmmFormat.INTERLEAVED));
        return a.rows() >= MIN_EVEN_ROWS && rowsLongerThan(limit) > a.rows() / MAX_CUT_SHARE
            ? Math.max(limit, a.nnz() / (2L * MAX_SHARE)) : limit;
    }

    private int rowsLongerThan(long length) {
        int longer = 0;
        for (int row = 0; row < a.rows(); row++) {
            longer += rowLength(row) > length ? 1 : 0;
        }
        return longer;
    }

    private long rowLength(int row) {
        return offsets[row + 1] - offsets[row];
    }

    private long segments(int row) {
        return Math.max(1, Math.ceilDiv(rowLength(row), segmentLimit));
    }

    private void cutRows() {
        long count = 0;
        for (int row = 0; row < a.rows(); row++) {
            count += segments(row);
        }
        if (count > Integer.MAX_VALUE - 2 * SpmmFormat.INTERLEAVED) {
            throw new IllegalArgumentException(a + " has " + count + " work rows, more than "
                + (Integer.MAX_VALUE - 2 * SpmmFormat.INTERLEAVED));
        }
        virtualRows = (int) count;
        begins = new long[virtualRows + 1];
        targets = new int[virtualRows];
        int v = 0;
        for (int row = 0; row < a.rows(); row++) {
            long segments = segments(row);
            splitCount += segments > 1 ? 1 : 0;
            for (long segment = 0; segment < segments; segment++) {
                begins[v] = offsets[row] + rowLength(row) * segment / segments;
                targets[v++] = segments > 1 ? ~partialCount++ : row;
            }
        }
        begins[v] = a.nnz();
        for (int i = 0; i < virtualRows; i++) {
            longest = Math.max(longest, length(i));
        }
    }

    /** Rows that are not there have none. */
    private long length(int v) {
        return v < virtualRows ? begins[v + 1] - begins[v] : 0;
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
        blocks = Math.min(blocks, Math.max(1, MAX_STARTS / (virtualRows + 1L)));
        blockDepth = Math.ceilDiv(k, blocks);
        blockCount = Math.ceilDiv(k, blockDepth);
    }

    /** Whether rows are interleaved, and in what order; the passes and work items that this must not cross. */
    private void chooseOrder() {
        if (narrow && blockCount > 0 && tiling != SpmmFormat.NO_TILE
                && blockDepth <= SpmmFormat.MAX_INTERLEAVED_DEPTH) {
            group = SpmmFormat.INTERLEAVED;
            choosePasses();
            sortRows();
            chunks = chunkStarts();
            entries = layOut();
            if (entries.count() <= MAX_PADDING * a.nnz()) {
                // The padding reads a row of zeros, which only a tile has.
                tiling = SpmmFormat.TILE;
                return;
            }
            group = 1;
            places = null;
        }
        choosePasses();
        chunks = chunkStarts();
        entries = blockCount == 0 ? null : layOut();
    }

    private EntryPacker layOut() {
        return new EntryPacker(a, begins, group, places, group == 1 ? chunks : passStarts(), blockDepth, blockCount);
    }

    private void choosePasses() {
        long rows = group > 1 || blockCount > 1 || layout == Layout.TOKEN_MAJOR ? PASS_ROWS_BLOCKED : PASS_ROWS_SINGLE;
        if (group > 1) {
            rows = Math.clamp(MAX_PASS_ENTRIES / Math.max(1, longest) / group * group, group, rows);
        }
        passRows = (int) Math.clamp((long) groups() * group, 1, rows);
    }

    private int[] passStarts() {
        int[] starts = new int[Math.ceilDiv(virtualRows, passRows) + 1];
        for (int pass = 0; pass < starts.length; pass++) {
            starts[pass] = (int) Math.min(virtualRows, (long) pass * passRows);
        }
        return starts;
    }

    /** Rows of a group take as long as its longest: those of a pass are grouped by length. */
    private void sortRows() {
        places = new int[groups() * group];
        // Negative lengths, and below them the place in the pass: what sorts first is longest.
        long[] pass = new long[passRows];
        for (int begin = 0; begin < places.length; begin += passRows) {
            int count = Math.min(passRows, places.length - begin);
            for (int i = 0; i < count; i++) {
                pass[i] = -length(begin + i) * passRows + i;
            }
            Arrays.sort(pass, 0, count);
            for (int i = 0; i < count; i++) {
                places[begin + i] = begin + Math.floorMod(pass[i], passRows);
            }
        }
    }

    private long estimatedDepth(double rowNonzeros) {
        long tileRowBytes = (long) Float.BYTES * Math.min(PANEL, typicalN);
        double wanted = ROW_NONZEROS_IN_BLOCK / Math.max(1e-9, rowNonzeros) * a.cols();
        return Math.clamp((long) wanted, (narrow ? MIN_NARROW_TILE_BYTES : MIN_TILE_BYTES) / tileRowBytes,
            MAX_TILE_BYTES / tileRowBytes);
    }

    private MemorySegment write(int activation, float[] bias, SegmentAllocator memory) {
        chooseOrder();
        Cursor cursor = new Cursor(SpmmFormat.HEADER_BYTES);
        long biasAt = bias == null ? 0 : cursor.table(a.rows(), Float.BYTES);
        long chunksAt = cursor.table(chunks.length, Long.BYTES);
        long targetsAt = cursor.table(virtualRows, Integer.BYTES);
        long splitsAt = cursor.table(2L * splitCount + 2, Integer.BYTES);
        long startsAt = cursor.table(blockCount * (groups() + 1), Long.BYTES);
        long placesAt = group == 1 ? 0 : cursor.table(places.length, Integer.BYTES);
        long entryCount = entries == null ? 0 : entries.count();
        long columnsAt = cursor.table(entryCount, group == 1 ? Integer.BYTES : Short.BYTES);
        long valuesAt = cursor.table(entryCount, Float.BYTES);
        long orderAt = forDevice ? cursor.table(virtualRows, Integer.BYTES) : 0;
        long bytes = cursor.position + SpmmFormat.TAIL;

        MemorySegment packed = memory.allocate(bytes, ALIGNMENT);
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
        long scratchBytes = (tileRows + passRows) * SpmmFormat.WIDEST_PANEL * Float.BYTES + 2 * SpmmFormat.STAGE_BYTES;
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
        set(packed, SpmmFormat.PLACES, placesAt);
        set(packed, SpmmFormat.COLUMNS, columnsAt);
        set(packed, SpmmFormat.VALUES, valuesAt);
        set(packed, SpmmFormat.ORDER, orderAt);
        if (bias != null) {
            MemorySegment.copy(bias, 0, packed, ValueLayout.JAVA_FLOAT, biasAt, bias.length);
        }
        for (int chunk = 0; chunk < chunks.length; chunk++) {
            set(packed, chunksAt + (long) Long.BYTES * chunk, chunks[chunk]);
        }
        MemorySegment.copy(targets, 0, packed, ValueLayout.JAVA_INT, targetsAt, virtualRows);
        if (group > 1) {
            MemorySegment.copy(places, 0, packed, ValueLayout.JAVA_INT, placesAt, places.length);
        }
        writeSplits(packed, splitsAt);
        if (forDevice) {
            writeOrder(packed, orderAt);
        }
        if (entries != null) {
            long[] starts = entries.starts();
            MemorySegment.copy(starts, 0, packed, ValueLayout.JAVA_LONG, startsAt, starts.length);
            entries.write(packed, columnsAt, valuesAt);
        }
        return packed;
    }

    private static void set(MemorySegment packed, long field, long value) {
        packed.set(ValueLayout.JAVA_LONG, field, value);
    }

    /** Collects virtual rows so that none but a single group costs more than its share. */
    private int[] chunkStarts() {
        long limit = Math.max(1, (a.nnz() + (long) ROW_COST * virtualRows) / MAX_SHARE);
        int[] starts = new int[2 * MAX_SHARE + 2];
        int count = 0;
        long chunkCost = 0;
        for (int v = 0; v < virtualRows; v += group) {
            int end = Math.min(virtualRows, v + group);
            long groupCost = (group == 1 ? length(v) : group * length(places[v])) + (long) ROW_COST * (end - v);
            if (chunkCost > 0 && chunkCost + groupCost > limit) {
                if (count + 2 > starts.length) {
                    starts = Arrays.copyOf(starts, starts.length * 2);
                }
                starts[++count] = v;
                chunkCost = 0;
            }
            chunkCost += groupCost;
        }
        if (virtualRows > 0) {
            starts = count + 2 > starts.length ? Arrays.copyOf(starts, count + 2) : starts;
            starts[++count] = virtualRows;
        }
        return Arrays.copyOf(starts, count + 1);
    }

    private void writeSplits(MemorySegment packed, long splitsAt) {
        int slot = 0;
        long at = splitsAt;
        for (int row = 0; slot < partialCount; row++) {
            long segments = segments(row);
            if (segments > 1) {
                packed.set(ValueLayout.JAVA_INT, at, row);
                packed.set(ValueLayout.JAVA_INT, at + Integer.BYTES, slot);
                at += 2 * Integer.BYTES;
                slot += (int) segments;
            }
        }
        packed.set(ValueLayout.JAVA_INT, at, a.rows());
        packed.set(ValueLayout.JAVA_INT, at + Integer.BYTES, slot);
    }

    /** Virtual rows by falling length, and by number where that is equal: counted, in linear time. */
    private void writeOrder(MemorySegment packed, long orderAt) {
        int[] next = new int[(int) Math.min(segmentLimit, a.cols()) + 2];
        for (int v = 0; v < virtualRows; v++) {
            next[next.length - 1 - (int) length(v)]++;
        }
        for (int i = 1; i < next.length; i++) {
            next[i] += next[i - 1];
        }
        for (int v = 0; v < virtualRows; v++) {
            int place = next[next.length - 2 - (int) length(v)]++;
            packed.set(ValueLayout.JAVA_INT, orderAt + (long) Integer.BYTES * place, v);
        }
    }

    private int groups() {
        return Math.ceilDiv(virtualRows, group);
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
