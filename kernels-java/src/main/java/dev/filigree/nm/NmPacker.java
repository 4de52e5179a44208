package dev.filigree.nm;

import static dev.filigree.spi.NmFormat.ALIGNMENT;
import static dev.filigree.spi.NmFormat.LANES;
import static dev.filigree.spi.NmFormat.PANEL;

import dev.filigree.Bf16;
import dev.filigree.DType;
import dev.filigree.format.NmMatrix;
import dev.filigree.format.NmPattern;
import dev.filigree.spi.NmFormat;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/** Packs an N:M matrix for the kernels of every backend: writes the block that {@link NmFormat} describes. */
final class NmPacker {

    /** No work item may hold more than this share of the work, so that a team of any sensible size is even. */
    private static final int MAX_SHARE = 64;
    /** Rows of a block of B: 32 KiB, a first-level cache, where every row of A reads what it alone needs. */
    private static final int DEPTH = 128;
    /**
     * Where rows share positions, what they read is small: 64 KiB, in the second-level cache. Tokens of bf16 take half
     * as much, and what is unpacked of a group's indices stays in the first-level cache beside a few of them.
     */
    private static final int SHARED_DEPTH = 256;
    /** 1,024 rows, whose sums take 256 KiB. */
    private static final long PASS_GROUPS = 64;
    /** Rows of a block in scratch are a multiple of it: whole vectors of a token's. */
    private static final long SCRATCH_ROWS = LANES;
    /** The least of bf16, where tokens of a block are followed by 64 bytes. */
    private static final long LEAST_ROWS_BF16 = 32;
    /** Compressed tokens of a block, with as much after each, or a group's values, widened. */
    private static final long WORK_GAP = 32;

    private final NmMatrix a;
    private final NmPattern pattern;
    private final DType dtype;
    /** Whether the entries of a row are pairs: two slots in descending order, one word of values. */
    private final boolean pairs;
    private final int unit;
    private final int streams;
    private final int bits;
    private final long depth;
    private final long blocks;
    private final long groups;
    private final int slots;
    private final int allSlots;

    private NmPacker(NmMatrix a, DType dtype) {
        this.a = a;
        this.dtype = dtype;
        pairs = dtype == DType.BF16;
        pattern = a.pattern();
        unit = NmFormat.unit(dtype, pattern.n(), pattern.m());
        streams = NmFormat.streams(pattern.vector());
        bits = pattern.n() == pattern.m() ? 0 : pattern.indexBits();
        int most = Math.max(1, (pattern.vector() == 1 && !pairs ? DEPTH : SHARED_DEPTH) / unit);
        int perRow = Math.ceilDiv(a.cols(), unit);
        blocks = Math.ceilDiv(perRow, most);
        int perBlock = blocks == 0 ? 1 : (int) Math.ceilDiv(perRow, blocks);
        int ofUnit = unit / pattern.m() * pattern.n();
        depth = (long) perBlock * unit;
        slots = perBlock * ofUnit;
        allSlots = Math.multiplyExact(perRow, ofUnit);
        groups = Math.ceilDiv(a.rows(), LANES);
    }

    /**
     * Packs a matrix.
     *
     * @param dtype that its values are rounded to
     * @param bias one value a row, or null
     * @param memory gives zeroed memory, which its arena owns
     */
    static MemorySegment pack(NmMatrix a, DType dtype, int layout, int activation, float[] bias,
            SegmentAllocator memory) {
        return new NmPacker(a, dtype).write(layout, activation, bias, memory);
    }

    private MemorySegment write(
            int layout, int activation, float[] bias, SegmentAllocator memory) {
        long entries = Math.ceilDiv((long) slots * streams, LANES) * LANES;
        long runs = Math.ceilDiv(groups, NmFormat.groupsPerRun(pattern.vector()));
        long lastSlots = allSlots - Math.max(0, blocks - 1) * slots;
        long indexBytes = blocks == 0 ? 0 : runs * ((blocks - 1) * runBytes(slots) + runBytes(lastSlots));
        long biasAt = bias == null ? 0 : align(NmFormat.HEADER_BYTES);
        long firstColumnsAt = align(bias == null ? NmFormat.HEADER_BYTES : biasAt + groups * LANES * Float.BYTES);
        long indicesAt = align(firstColumnsAt + entries * Integer.BYTES);
        long valuesAt = align(Math.addExact(indicesAt, indexBytes));
        long bytes = Math.addExact(valuesAt, groups * LANES * allSlots * dtype.bytes()) + NmFormat.TAIL;

        MemorySegment packed = memory.allocate(bytes, ALIGNMENT);
        set(packed, NmFormat.MAGIC, NmFormat.MAGIC_VALUE);
        set(packed, NmFormat.BYTES, bytes);
        set(packed, NmFormat.ROWS, a.rows());
        set(packed, NmFormat.COLS, a.cols());
        setInt(packed, NmFormat.N, pattern.n());
        setInt(packed, NmFormat.M, pattern.m());
        setInt(packed, NmFormat.VECTOR, pattern.vector());
        setInt(packed, NmFormat.INDEX_BITS, bits);
        set(packed, NmFormat.BLOCK_DEPTH, depth);
        set(packed, NmFormat.BLOCK_COUNT, blocks);
        set(packed, NmFormat.GROUP_COUNT, groups);
        long passGroups = Math.clamp(groups, 1, PASS_GROUPS);
        long chunkGroups = Math.max(1, groups / MAX_SHARE);
        set(packed, NmFormat.PASS_GROUPS, passGroups);
        set(packed, NmFormat.CHUNK_GROUPS, chunkGroups);
        set(packed, NmFormat.CHUNK_COUNT, Math.ceilDiv(groups, chunkGroups));
        setScratch(packed, passGroups, entries);
        setInt(packed, NmFormat.DTYPE, NmFormat.code(dtype));
        setInt(packed, NmFormat.UNIT, unit);
        setInt(packed, NmFormat.LAYOUT, layout);
        setInt(packed, NmFormat.ACTIVATION, activation);
        set(packed, NmFormat.BIAS, biasAt);
        set(packed, NmFormat.FIRST_COLUMNS, firstColumnsAt);
        set(packed, NmFormat.INDICES, indicesAt);
        set(packed, NmFormat.VALUES, valuesAt);
        if (bias != null) {
            MemorySegment.copy(bias, 0, packed, ValueLayout.JAVA_FLOAT, biasAt, bias.length);
        }
        for (int e = 0; e < slots * streams; e++) {
            packed.set(ValueLayout.JAVA_INT, firstColumnsAt + (long) Integer.BYTES * e, firstColumn(e / streams));
        }
        writeGroups(packed);
        return packed;
    }

    private void setScratch(MemorySegment packed, long passGroups, long entries) {
        long blockRows = Math.ceilDiv(depth, SCRATCH_ROWS) * SCRATCH_ROWS;
        long sums = Math.max(pairs ? LEAST_ROWS_BF16 : 0, blockRows) * PANEL * Float.BYTES;
        long columns = sums + passGroups * LANES * PANEL * Float.BYTES;
        long work = columns + (pairs ? (long) slots * LANES : entries) * Integer.BYTES;
        long old = work + (pairs ? (slots + WORK_GAP) * PANEL * Short.BYTES : 0);
        long oldFloats = Math.max((long) NmFormat.FINISH_ROWS * PANEL, passGroups * LANES);
        long stage = old + oldFloats * Float.BYTES;
        // Sixteen tokens of a block; rows that are finished, transposed; a pass of few columns.
        long stageFloats = Math.max(Math.max(LANES * depth, (long) PANEL * PANEL),
            passGroups * LANES * NmFormat.FEW);
        set(packed, NmFormat.SUMS, sums);
        set(packed, NmFormat.COLUMNS, columns);
        set(packed, NmFormat.WORK, work);
        set(packed, NmFormat.OLD_VALUES, old);
        set(packed, NmFormat.STAGE, stage);
        set(packed, NmFormat.SCRATCH_BYTES, align(stage + stageFloats * Float.BYTES));
    }

    private static long align(long position) {
        return Math.ceilDiv(position, ALIGNMENT) * ALIGNMENT;
    }

    private static void set(MemorySegment packed, long field, long value) {
        packed.set(ValueLayout.JAVA_LONG, field, value);
    }

    private static void setInt(MemorySegment packed, long field, int value) {
        packed.set(ValueLayout.JAVA_INT, field, value);
    }

    private long runBytes(long ofSlots) {
        return NmFormat.runBytes(ofSlots, pattern.vector(), bits);
    }

    /** The entry of a slot, counted in ascending columns. */
    private int entry(int slot) {
        return pairs ? slot ^ 1 : slot;
    }

    /** Where the group of a slot's entry begins; its column itself where all are stored. */
    private int firstColumn(int slot) {
        return bits == 0 ? entry(slot) : entry(slot) / pattern.n() * pattern.m();
    }

    private void writeGroups(MemorySegment packed) {
        float[] row = new float[allSlots];
        float[] values = new float[pairs ? 0 : allSlots * LANES];
        short[] words = new short[pairs ? allSlots * LANES : 0];
        int[][] columns = new int[streams][allSlots];
        byte[] run = new byte[(int) runBytes(slots) + 1];
        for (int s = a.slots(); s < allSlots; s++) {
            for (int[] stream : columns) {
                stream[s] = s / pattern.n() * pattern.m() + s % pattern.n();
            }
        }
        for (long group = 0; group < groups; group++) {
            int firstRow = (int) (group * LANES);
            for (int r = 0; r < LANES; r++) {
                readRow(firstRow + r, row);
                if (pairs) {
                    interleavePairs(row, r, words);
                } else {
                    interleave(row, r, values);
                }
            }
            boolean startsRun = group % NmFormat.groupsPerRun(pattern.vector()) == 0 && bits > 0;
            for (int s = 0; s < streams && startsRun; s++) {
                // Rows past the end take the columns of the last: any will do for values of zero.
                a.columns(Math.min(a.rows() - 1, firstRow + s * (LANES / streams)), columns[s]);
            }
            for (long block = 0; block < blocks; block++) {
                int first = (int) block * slots;
                int ofBlock = Math.min(slots, allSlots - first);
                long at = NmFormat.valuesAt(packed, block, group);
                if (pairs) {
                    MemorySegment.copy(words, first * LANES, packed, ValueLayout.JAVA_SHORT, at, ofBlock * LANES);
                } else {
                    MemorySegment.copy(values, first * LANES, packed, ValueLayout.JAVA_FLOAT, at, ofBlock * LANES);
                }
                if (startsRun) {
                    packRun(columns, first, ofBlock, run);
                    MemorySegment.copy(run, 0, packed, ValueLayout.JAVA_BYTE,
                        NmFormat.indicesAt(packed, block, group), (int) runBytes(ofBlock));
                }
            }
        }
    }

    /** A row's values; zeros where there is no such row. What follows the row's entries stays zero. */
    private void readRow(int r, float[] row) {
        if (r < a.rows()) {
            long at = (long) r * a.slots() * Float.BYTES;
            MemorySegment.copy(a.values(), ValueLayout.JAVA_FLOAT, at, row, 0, a.slots());
        } else {
            Arrays.fill(row, 0f);
        }
    }

    private static void interleave(float[] row, int lane, float[] values) {
        for (int s = 0; s < row.length; s++) {
            values[s * LANES + lane] = row[s];
        }
    }

    private static void interleavePairs(float[] row, int lane, short[] words) {
        for (int s = 0; s < row.length; s += 2) {
            words[s * LANES + 2 * lane] = Bf16.fromFloat(row[s]);
            words[s * LANES + 2 * lane + 1] = Bf16.fromFloat(row[s + 1]);
        }
    }

    /** The indices of a block's slots, stream by stream within a slot, the least significant bit first. */
    private void packRun(int[][] columns, int first, int count, byte[] run) {
        long word = 0;
        int filled = 0;
        int at = 0;
        for (int slot = first; slot < first + count; slot++) {
            int entry = entry(slot);
            int base = firstColumn(slot);
            for (int[] stream : columns) {
                word |= (long) (stream[entry] - base) << filled;
                filled += bits;
                while (filled >= Byte.SIZE) {
                    run[at++] = (byte) word;
                    word >>>= Byte.SIZE;
                    filled -= Byte.SIZE;
                }
            }
        }
        run[at] = (byte) word;
    }
}
