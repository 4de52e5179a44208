package dev.filigree.nm;

import static dev.filigree.spi.NmFormat.ALIGNMENT;
import static dev.filigree.spi.NmFormat.LANES;
import static dev.filigree.spi.NmFormat.PANEL;

import dev.filigree.format.NmMatrix;
import dev.filigree.format.NmPattern;
import dev.filigree.spi.NmFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.Consumer;

/** Packs an N:M matrix for the kernels of every backend: writes the block that {@link NmFormat} describes. */
final class NmPacker {

    /** No work item may hold more than this share of the work, so that a team of any sensible size is even. */
    private static final int MAX_SHARE = 64;
    /** Rows of a block of B: 16 KiB, half of a first-level cache, where every row of A reads what it alone needs. */
    private static final int DEPTH = 64;
    /** Where rows share positions, what they read is small: 64 KiB, in the second-level cache. */
    private static final int SHARED_DEPTH = 256;
    /** 1,024 rows, whose sums take 256 KiB. */
    private static final long PASS_GROUPS = 64;
    /** The least rows of a block in scratch: {@link NmFormat#FEW} tokens of any depth, with their gaps, fit as well. */
    private static final long LEAST_ROWS = 8;

    private final NmMatrix a;
    private final NmPattern pattern;
    private final int streams;
    private final int bits;
    private final long depth;
    private final long blocks;
    private final long groups;
    private final int slots;

    private NmPacker(NmMatrix a) {
        this.a = a;
        pattern = a.pattern();
        streams = NmFormat.streams(pattern.vector());
        bits = pattern.n() == pattern.m() ? 0 : pattern.indexBits();
        int m = pattern.m();
        int most = Math.max(1, (pattern.vector() == 1 ? DEPTH : SHARED_DEPTH) / m);
        int perRow = pattern.groups(a.cols());
        blocks = Math.ceilDiv(perRow, most);
        int perBlock = blocks == 0 ? 1 : (int) Math.ceilDiv(perRow, blocks);
        depth = (long) perBlock * m;
        slots = perBlock * pattern.n();
        groups = Math.ceilDiv(a.rows(), LANES);
    }

    /**
     * Packs a matrix.
     *
     * @param bias one value a row, or null
     * @param arena owns the result
     * @param beforeFill sees the untouched memory, to advise the operating system on it
     */
    static MemorySegment pack(NmMatrix a, int layout, int activation, float[] bias, Arena arena,
            Consumer<MemorySegment> beforeFill) {
        return new NmPacker(a).write(layout, activation, bias, arena, beforeFill);
    }

    private MemorySegment write(
            int layout, int activation, float[] bias, Arena arena, Consumer<MemorySegment> beforeFill) {
        long entries = Math.ceilDiv((long) slots * streams, LANES) * LANES;
        long runs = Math.ceilDiv(groups, NmFormat.groupsPerRun(pattern.vector()));
        long lastSlots = a.slots() - Math.max(0, blocks - 1) * slots;
        long indexBytes = blocks == 0 ? 0 : runs * ((blocks - 1) * runBytes(slots) + runBytes(lastSlots));
        long biasAt = bias == null ? 0 : align(NmFormat.HEADER_BYTES);
        long firstColumnsAt = align(bias == null ? NmFormat.HEADER_BYTES : biasAt + groups * LANES * Float.BYTES);
        long indicesAt = align(firstColumnsAt + entries * Integer.BYTES);
        long valuesAt = align(Math.addExact(indicesAt, indexBytes));
        long bytes = Math.addExact(valuesAt, groups * LANES * a.slots() * Float.BYTES) + NmFormat.TAIL;

        MemorySegment packed = arena.allocate(bytes, ALIGNMENT);
        beforeFill.accept(packed);
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
        long sums = Math.max(LEAST_ROWS, depth) * PANEL * Float.BYTES;
        long columns = sums + passGroups * LANES * PANEL * Float.BYTES;
        long old = columns + entries * Integer.BYTES;
        long oldFloats = Math.max((long) NmFormat.FINISH_ROWS * PANEL, passGroups * LANES);
        long stage = old + oldFloats * Float.BYTES;
        // Sixteen tokens of a block; rows that are finished, transposed; a pass of few columns.
        long stageFloats = Math.max(Math.max(LANES * depth, (long) PANEL * PANEL),
            passGroups * LANES * NmFormat.FEW);
        set(packed, NmFormat.SUMS, sums);
        set(packed, NmFormat.COLUMNS, columns);
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

    /** Where a slot's group begins; its column itself where all are stored. */
    private int firstColumn(int slot) {
        return bits == 0 ? slot : slot / pattern.n() * pattern.m();
    }

    private void writeGroups(MemorySegment packed) {
        float[] row = new float[a.slots()];
        float[] values = new float[a.slots() * LANES];
        int[][] columns = new int[streams][a.slots()];
        byte[] run = new byte[(int) runBytes(slots) + 1];
        MemorySegment stored = a.values();
        for (long group = 0; group < groups; group++) {
            int firstRow = (int) (group * LANES);
            int count = Math.min(LANES, a.rows() - firstRow);
            for (int r = 0; r < LANES; r++) {
                if (r < count) {
                    MemorySegment.copy(stored, ValueLayout.JAVA_FLOAT,
                        (long) (firstRow + r) * row.length * Float.BYTES, row, 0, row.length);
                }
                for (int s = 0; s < row.length; s++) {
                    values[s * LANES + r] = r < count ? row[s] : 0f;
                }
            }
            boolean startsRun = group % NmFormat.groupsPerRun(pattern.vector()) == 0 && bits > 0;
            for (int s = 0; s < streams && startsRun; s++) {
                // Rows past the end take the columns of the last: any will do for values of zero.
                a.columns(Math.min(a.rows() - 1, firstRow + s * (LANES / streams)), columns[s]);
            }
            for (long block = 0; block < blocks; block++) {
                int first = (int) block * slots;
                int ofBlock = Math.min(slots, a.slots() - first);
                MemorySegment.copy(values, first * LANES, packed, ValueLayout.JAVA_FLOAT,
                    NmFormat.valuesAt(packed, block, group), ofBlock * LANES);
                if (startsRun) {
                    packRun(columns, first, ofBlock, run);
                    MemorySegment.copy(run, 0, packed, ValueLayout.JAVA_BYTE,
                        NmFormat.indicesAt(packed, block, group), (int) runBytes(ofBlock));
                }
            }
        }
    }

    /** The indices of a block's slots, stream by stream within a slot, the least significant bit first. */
    private void packRun(int[][] columns, int first, int count, byte[] run) {
        int m = pattern.m();
        long word = 0;
        int filled = 0;
        int at = 0;
        int firstColumn = first / pattern.n() * m;
        for (int slot = 0; slot < count; slot++) {
            int base = firstColumn + slot / pattern.n() * m;
            for (int[] stream : columns) {
                word |= (long) (stream[first + slot] - base) << filled;
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
