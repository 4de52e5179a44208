package dev.filigree.internal;

import static dev.filigree.spi.SpmmFormat.GATHER_ROWS;
import static dev.filigree.spi.SpmmFormat.INTERLEAVED;
import static dev.filigree.spi.SpmmFormat.PANEL;
import static dev.filigree.spi.SpmmFormat.STAGE_BYTES;
import static dev.filigree.spi.SpmmFormat.field;

import dev.filigree.spi.SpmmFormat;
import dev.filigree.spi.SpmmKernel;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * SpMM over packed CSR in Java: {@code C = act(alpha * A * B + beta * C + bias)}. This class walks panels, passes,
 * blocks and rows as {@code filigree.h} prescribes; a subclass supplies the sums, with vectors or without. A panel of
 * more than {@link SpmmFormat#PANEL} columns is taken in two parts.
 *
 * <p>Scratch holds the tile (rows of B, as wide as {@link #padded}), then the accumulators of a pass, two blocks to
 * transpose or finish in, and, without a tile, the rows and entries of a gathered row.
 */
public abstract class SpmmWalk extends PanelWalk implements SpmmKernel {

    private static final long ROW_BYTES = (long) Float.BYTES * PANEL;

    /** For subclasses. */
    protected SpmmWalk() {}

    /** The floats of a tile or accumulator row for {@code width} columns, {@code width <= padded <= PANEL}. */
    protected abstract int padded(int width);

    /**
     * For each of {@code rows} accumulators, acc[0, padded) += sum of value * tile row over the row's entries, in
     * order; from +0 when fresh. Row i has entries starts[i] up to starts[i + 1]; the tables are in {@code packed}.
     */
    protected abstract void accumulate(MemorySegment packed, long columnsAt, long valuesAt, long startsAt, int rows,
        MemorySegment scratch, long tileAt, int padded, long accAt, boolean fresh);

    /**
     * The same for {@code groups} groups of {@link SpmmFormat#INTERLEAVED} rows whose entries lie in turns. Member m of
     * group i is row places[INTERLEAVED * i + m], counted from the matrix's first; so is the accumulator.
     *
     * @param accAt where the accumulator of the matrix's first row would be: as far before scratch as there are rows
     *     before the pass
     */
    protected abstract void accumulateInterleaved(MemorySegment packed, long startsAt, long placesAt, int groups,
        MemorySegment scratch, long tileAt, int padded, long accAt, boolean fresh);

    @Override
    public final void run(MemorySegment packed, MemorySegment b, long bStride, MemorySegment c, long cStride, int n,
            float alpha, float beta, MemorySegment partials, long begin, long end, MemorySegment scratch) {
        long chunks = field(packed, SpmmFormat.CHUNK_COUNT);
        long combineFrom = SpmmFormat.panels(n) * chunks;
        if (begin >= combineFrom) {
            long splits = field(packed, SpmmFormat.SPLIT_COUNT);
            for (long item = begin - combineFrom; item < end - combineFrom; item++) {
                int panel = (int) (item / splits);
                int width = SpmmFormat.width(panel, n);
                for (int part = 0; part < width; part += PANEL) {
                    combine(packed, c, cStride, n, alpha, beta, partials, panel * PANEL + part,
                        Math.min(PANEL, width - part), item % splits, scratch);
                }
            }
            return;
        }
        long chunkStarts = field(packed, SpmmFormat.CHUNK_STARTS);
        for (long item = begin; item < end; ) {
            long chunk = item % chunks;
            long chunkEnd = Math.min(chunks, chunk + (end - item));
            int panel = (int) (item / chunks);
            int width = SpmmFormat.width(panel, n);
            for (int part = 0; part < width; part += PANEL) {
                columns(packed, b, bStride, c, cStride, n, alpha, beta, partials, panel * PANEL + part,
                    Math.min(PANEL, width - part), longAt(packed, chunkStarts, chunk),
                    longAt(packed, chunkStarts, chunkEnd), scratch);
            }
            item += chunkEnd - chunk;
        }
    }

    /** Virtual rows [vBegin, vEnd) of {@code width <= PANEL} columns. */
    private void columns(MemorySegment packed, MemorySegment b, long bStride, MemorySegment c, long cStride, int n,
            float alpha, float beta, MemorySegment partials, int first, int width, long vBegin, long vEnd,
            MemorySegment scratch) {
        boolean tiled = hasTile(packed);
        long depth = field(packed, SpmmFormat.BLOCK_DEPTH);
        long blocks = field(packed, SpmmFormat.BLOCK_COUNT);
        long passRows = field(packed, SpmmFormat.PASS_ROWS);
        int padded = padded(width);
        long accAt = accumulatorsAt(packed);
        long vPass;
        for (long v = vBegin; v < vEnd; v = vPass) {
            vPass = endOfPass(packed, v, vEnd);
            for (long block = 0; block < blocks; block++) {
                if (tiled && (blocks > 1 || v == vBegin)) {
                    long firstRow = block * depth;
                    copyBlock(b, bStride, isTokenMajor(packed), first, firstRow,
                        (int) Math.min(depth, field(packed, SpmmFormat.COLS) - firstRow), width, padded, scratch,
                        stageAt(packed));
                    if (isInterleaved(packed)) {
                        // What padding reads.
                        clear(scratch, depth * Float.BYTES * padded, (long) Float.BYTES * padded);
                    }
                }
                accumulateBlock(packed, tiled, b, bStride, first, block, v, vPass, width, padded, accAt, scratch);
            }
            if (blocks == 0) {
                scratch.asSlice(accAt, Float.BYTES * padded * (vPass - v)).fill((byte) 0);
            }
            long passBegin = v / passRows * passRows;
            if (!isInterleaved(packed)
                    || vPass - v == Math.min(passRows, field(packed, SpmmFormat.VIRTUAL_ROWS) - passBegin)) {
                finishPass(packed, scratch, accAt, v, vPass, c, cStride, n, alpha, beta, partials, first, width,
                    padded);
            } else {
                finishPlaces(packed, scratch, accAt - passBegin * Float.BYTES * padded, v, vPass, c, cStride, n, alpha,
                    beta, partials, first, width, padded);
            }
        }
    }

    /**
     * Of the pass that begins with virtual row {@code v}, in a call that ends before row {@code end}. Rows of a group
     * of one may be in any pass: no sum depends on it.
     */
    private static long endOfPass(MemorySegment packed, long v, long end) {
        long passRows = field(packed, SpmmFormat.PASS_ROWS);
        return isInterleaved(packed) ? Math.min(end, (v / passRows + 1) * passRows)
            : v + Math.ceilDiv(end - v, Math.ceilDiv(end - v, passRows));
    }

    /** Of a pass that other calls have a part in, the rows that are this one's. */
    private void finishPlaces(MemorySegment packed, MemorySegment scratch, long accAt, long begin, long end,
            MemorySegment c, long cStride, int n, float alpha, float beta, MemorySegment partials, int first, int width,
            int padded) {
        long rows = field(packed, SpmmFormat.VIRTUAL_ROWS);
        for (long group = begin / INTERLEAVED; group * INTERLEAVED < end; group++) {
            for (int member = 0; member < INTERLEAVED; member++) {
                long v = SpmmFormat.place(packed, group, member);
                if (v < rows) {
                    finishPass(packed, scratch, accAt + v * Float.BYTES * padded, v, v + 1, c, cStride, n, alpha, beta,
                        partials, first, width, padded);
                }
            }
        }
    }

    private void accumulateBlock(MemorySegment packed, boolean tiled, MemorySegment b, long bStride, int first,
            long block, long vBegin, long vEnd, int width, int padded, long accAt, MemorySegment scratch) {
        long group = field(packed, SpmmFormat.GROUP);
        long groups = Math.ceilDiv(field(packed, SpmmFormat.VIRTUAL_ROWS), group);
        long startsAt = field(packed, SpmmFormat.GROUP_STARTS) + Long.BYTES * block * (groups + 1);
        if (group > 1) {
            long passRows = field(packed, SpmmFormat.PASS_ROWS);
            accumulateInterleaved(packed, startsAt + Long.BYTES * (vBegin / group),
                field(packed, SpmmFormat.PLACES) + Integer.BYTES * vBegin, (int) Math.ceilDiv(vEnd - vBegin, group),
                scratch, 0, padded, accAt - vBegin / passRows * passRows * Float.BYTES * padded, block == 0);
            return;
        }
        if (tiled) {
            accumulate(packed, field(packed, SpmmFormat.COLUMNS), field(packed, SpmmFormat.VALUES),
                startsAt + Long.BYTES * vBegin, (int) (vEnd - vBegin), scratch, 0, padded, accAt, block == 0);
            return;
        }
        long from = longAt(packed, startsAt, vBegin);
        for (long v = vBegin; v < vEnd; v++) {
            long to = longAt(packed, startsAt, v + 1);
            gatherAndAccumulate(packed, from, to, b, (long) Float.BYTES * first, Float.BYTES * bStride, scratch, width,
                padded, accAt + (v - vBegin) * Float.BYTES * padded);
            from = to;
        }
    }

    /** One row whose entries are [begin, end): copies the rows of B that it needs, so many at a time. */
    private void gatherAndAccumulate(MemorySegment packed, long begin, long end, MemorySegment b, long bAt,
            long bRowBytes, MemorySegment scratch, int width, int padded, long accAt) {
        long columnsAt = field(packed, SpmmFormat.COLUMNS);
        long valuesAt = field(packed, SpmmFormat.VALUES);
        long rowsAt = stageAt(packed) + 2 * STAGE_BYTES;
        long indicesAt = rowsAt + GATHER_ROWS * ROW_BYTES;
        long factorsAt = indicesAt + GATHER_ROWS * Integer.BYTES;
        long startsAt = factorsAt + GATHER_ROWS * Float.BYTES;
        long next = begin;
        do {
            int count = (int) Math.min(GATHER_ROWS, end - next);
            for (int i = 0; i < count; i++) {
                long column = packed.get(ValueLayout.JAVA_INT, columnsAt + Integer.BYTES * (next + i));
                MemorySegment.copy(b, bAt + column * bRowBytes, scratch, rowsAt + (long) Float.BYTES * padded * i,
                    (long) Float.BYTES * width);
                scratch.set(ValueLayout.JAVA_INT, indicesAt + (long) Integer.BYTES * i, i);
            }
            MemorySegment.copy(packed, valuesAt + Float.BYTES * next, scratch, factorsAt, (long) Float.BYTES * count);
            scratch.set(ValueLayout.JAVA_LONG, startsAt, 0);
            scratch.set(ValueLayout.JAVA_LONG, startsAt + Long.BYTES, count);
            accumulate(scratch, indicesAt, factorsAt, startsAt, 1, scratch, rowsAt, padded, accAt, next == begin);
            next += count;
        } while (next < end);
    }

    // ---- finished sums

    private void finishPass(MemorySegment packed, MemorySegment scratch, long accAt, long vBegin, long vEnd,
            MemorySegment c, long cStride, int n, float alpha, float beta, MemorySegment partials, int first, int width,
            int padded) {
        long targets = field(packed, SpmmFormat.TARGETS);
        long pitch = (long) Float.BYTES * padded;
        long at = accAt;
        int count;
        for (long v = vBegin; v < vEnd; v += count, at += count * pitch) {
            int target = intAt(packed, targets, v);
            count = 1;
            if (target < 0) {
                long slotAt = Float.BYTES * (~target * SpmmFormat.partialStride(n) + first);
                MemorySegment.copy(scratch, at, partials, slotAt, pitch);
                continue;
            }
            while (v + count < vEnd && count < STAGE && intAt(packed, targets, v + count) == target + count) {
                count++;
            }
            finishRows(packed, target, count, scratch, at, padded, c, cStride, alpha, beta, first, width);
        }
    }

    private void finishRows(MemorySegment packed, int row, int count, MemorySegment scratch, long accAt, int padded,
            MemorySegment c, long cStride, float alpha, float beta, int first, int width) {
        long stageAt = stageAt(packed);
        finishRows(packed, field(packed, SpmmFormat.BIAS), SpmmFormat.intField(packed, SpmmFormat.ACTIVATION), row,
            count, scratch, accAt, padded, stageAt + STAGE_BYTES, stageAt, c, cStride, isTokenMajor(packed), alpha,
            beta, first, width);
    }

    /** Adds up the slots of one split row, in order, and finishes the row. */
    private void combine(MemorySegment packed, MemorySegment c, long cStride, int n, float alpha, float beta,
            MemorySegment partials, int first, int width, long split, MemorySegment scratch) {
        long splitAt = field(packed, SpmmFormat.SPLITS) + 2L * Integer.BYTES * split;
        int row = packed.get(ValueLayout.JAVA_INT, splitAt);
        int slot = packed.get(ValueLayout.JAVA_INT, splitAt + Integer.BYTES);
        int slotEnd = packed.get(ValueLayout.JAVA_INT, splitAt + 3 * Integer.BYTES);
        long accAt = accumulatorsAt(packed);
        long stride = Float.BYTES * SpmmFormat.partialStride(n);
        long at = slot * stride + (long) Float.BYTES * first;
        MemorySegment.copy(partials, at, scratch, accAt, (long) Float.BYTES * width);
        for (int next = slot + 1; next < slotEnd; next++) {
            at += stride;
            for (int j = 0; j < width; j++) {
                long sumAt = accAt + (long) Float.BYTES * j;
                scratch.set(ValueLayout.JAVA_FLOAT, sumAt, scratch.get(ValueLayout.JAVA_FLOAT, sumAt)
                    + partials.get(ValueLayout.JAVA_FLOAT, at + (long) Float.BYTES * j));
            }
        }
        finishRows(packed, row, 1, scratch, accAt, PANEL, c, cStride, alpha, beta, first, width);
    }

    // ---- memory

    private static boolean isTokenMajor(MemorySegment packed) {
        return SpmmFormat.intField(packed, SpmmFormat.LAYOUT) == TOKEN_MAJOR;
    }

    /** B in place is for kernels that may point into the caller's memory; bulk copies serve Java better. */
    private static boolean hasTile(MemorySegment packed) {
        return field(packed, SpmmFormat.TILED) != SpmmFormat.NO_TILE;
    }

    private static boolean isInterleaved(MemorySegment packed) {
        return field(packed, SpmmFormat.GROUP) > 1;
    }

    private static long accumulatorsAt(MemorySegment packed) {
        long rows = field(packed, SpmmFormat.BLOCK_DEPTH) + (isInterleaved(packed) ? 1 : 0);
        return hasTile(packed) ? rows * ROW_BYTES : 0;
    }

    /** Two blocks to transpose or finish in, then what a gathered row takes. */
    private static long stageAt(MemorySegment packed) {
        return accumulatorsAt(packed) + field(packed, SpmmFormat.PASS_ROWS) * ROW_BYTES;
    }

    private static long longAt(MemorySegment packed, long tableAt, long index) {
        return packed.get(ValueLayout.JAVA_LONG, tableAt + Long.BYTES * index);
    }

    private static int intAt(MemorySegment packed, long tableAt, long index) {
        return packed.get(ValueLayout.JAVA_INT, tableAt + Integer.BYTES * index);
    }
}
