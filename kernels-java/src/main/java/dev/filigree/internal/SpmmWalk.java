package dev.filigree.internal;

import static dev.filigree.spi.SpmmFormat.LANES;
import static dev.filigree.spi.SpmmFormat.PANEL;
import static dev.filigree.spi.SpmmFormat.field;

import dev.filigree.spi.SpmmFormat;
import dev.filigree.spi.SpmmKernel;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * SpMM over packed CSR in Java: {@code C = act(alpha * A * B + beta * C + bias)}. This class walks panels, passes,
 * blocks and rows as {@code filigree.h} prescribes; a subclass supplies what happens to one row, with vectors or
 * without.
 *
 * <p>Scratch holds the tile ({@code blockDepth} rows of B, as wide as the panel rounded up to 16 floats), then the
 * accumulators of a pass, then one spare row for what the output held before; a plan without tiles has rows to gather
 * B in after that.
 */
public abstract class SpmmWalk implements SpmmKernel {

    /** Layout code of the packed format. */
    private static final int TOKEN_MAJOR = 1;

    /** For subclasses. */
    protected SpmmWalk() {}

    /** acc[0, padded) += sum of value * tile row over {@code count} entries, in order; from +0 when fresh. */
    protected abstract void accumulate(MemorySegment packed, long columnsAt, long valuesAt, int count,
        MemorySegment scratch, int padded, long accAt, boolean fresh);

    /**
     * acc[0, width) += sum of value * row of B over {@code count} entries, in order; from +0 when fresh. B is read
     * in place, or through the {@code GATHER_ROWS} scratch rows at {@code gatherAt}.
     */
    protected abstract void accumulateInPlace(MemorySegment packed, long columnsAt, long valuesAt, int count,
        MemorySegment b, long bAt, long bRowBytes, MemorySegment scratch, int width, long accAt,
        long gatherAt, boolean fresh);

    /**
     * Finishes accumulators in place: {@code acc = act(alpha * acc (+ beta * old) (+ bias))} for {@code width}
     * elements; {@code old} is read when beta is not 0, the bias added when {@code biased}. Both rows are in
     * scratch and padded.
     */
    protected abstract void finish(MemorySegment scratch, long accAt, long oldAt, int width, float alpha,
        float beta, boolean biased, float bias, int activation);

    @Override
    public final void run(MemorySegment packed, MemorySegment b, long bStride, MemorySegment c, long cStride, int n,
            float alpha, float beta, MemorySegment partials, long begin, long end, MemorySegment scratch) {
        long chunks = field(packed, SpmmFormat.CHUNK_COUNT);
        long combineFrom = SpmmFormat.panels(n) * chunks;
        if (begin >= combineFrom) {
            long splits = field(packed, SpmmFormat.SPLIT_COUNT);
            for (long item = begin - combineFrom; item < end - combineFrom; item++) {
                combine(packed, c, cStride, n, alpha, beta, partials, item / splits, item % splits, scratch);
            }
            return;
        }
        long chunkStarts = field(packed, SpmmFormat.CHUNK_STARTS);
        for (long item = begin; item < end; ) {
            long chunk = item % chunks;
            long chunkEnd = Math.min(chunks, chunk + (end - item));
            panel(packed, b, bStride, c, cStride, n, alpha, beta, partials, (int) (item / chunks),
                longAt(packed, chunkStarts, chunk), longAt(packed, chunkStarts, chunkEnd), scratch);
            item += chunkEnd - chunk;
        }
    }

    /** Virtual rows [vBegin, vEnd) of one panel. */
    private void panel(MemorySegment packed, MemorySegment b, long bStride, MemorySegment c, long cStride, int n,
            float alpha, float beta, MemorySegment partials, int panel, long vBegin, long vEnd,
            MemorySegment scratch) {
        boolean tiled = field(packed, SpmmFormat.TILED) == 1;
        long depth = field(packed, SpmmFormat.BLOCK_DEPTH);
        long blocks = field(packed, SpmmFormat.BLOCK_COUNT);
        long passRows = field(packed, SpmmFormat.PASS_ROWS);
        int width = Math.min(PANEL, n - panel * PANEL);
        int padded = padded(width);
        long accAt = accumulatorsAt(packed);
        long rowBytes = (long) Float.BYTES * padded;
        long targets = field(packed, SpmmFormat.TARGETS);
        boolean plain = isPlain(packed, alpha, beta);
        for (long v = vBegin; v < vEnd; v += passRows) {
            long vPass = Math.min(vEnd, v + passRows);
            for (long block = 0; block < blocks; block++) {
                if (tiled && (blocks > 1 || v == vBegin)) {
                    fillTile(packed, b, bStride, panel, block * depth, width, padded, scratch);
                }
                accumulateBlock(
                    packed, tiled, b, bStride, panel, block, v, vPass, width, padded, accAt, scratch);
            }
            for (long row = v; row < vPass; row++) {
                long at = accAt + (row - v) * rowBytes;
                if (blocks == 0) {
                    accumulate(packed, 0, 0, 0, scratch, padded, at, true);
                }
                int target = packed.get(ValueLayout.JAVA_INT, targets + Integer.BYTES * row);
                if (target < 0) {
                    long slotAt = Float.BYTES * (~target * SpmmFormat.partialStride(n) + (long) panel * PANEL);
                    MemorySegment.copy(scratch, at, partials, slotAt, rowBytes);
                } else if (plain) {
                    long cAt = Float.BYTES * (target * cStride + (long) panel * PANEL);
                    MemorySegment.copy(scratch, at, c, cAt, (long) Float.BYTES * width);
                } else {
                    finishRow(packed, target, scratch, at, c, cStride, alpha, beta, panel, width);
                }
            }
        }
    }

    /** Whether a finished row is its accumulators, so that the fields of the epilogue need not be read for it. */
    private static boolean isPlain(MemorySegment packed, float alpha, float beta) {
        return alpha == 1f && beta == 0f && field(packed, SpmmFormat.BIAS) == 0
            && SpmmFormat.intField(packed, SpmmFormat.ACTIVATION) == ActivationCodes.NONE
            && SpmmFormat.intField(packed, SpmmFormat.LAYOUT) != TOKEN_MAJOR;
    }

    private void fillTile(MemorySegment packed, MemorySegment b, long bStride, int panel, long firstRow, int width,
            int padded, MemorySegment scratch) {
        int depth = (int) Math.min(field(packed, SpmmFormat.BLOCK_DEPTH),
            field(packed, SpmmFormat.COLS) - firstRow);
        long first = (long) panel * PANEL;
        if (SpmmFormat.intField(packed, SpmmFormat.LAYOUT) == TOKEN_MAJOR) {
            transposeTile(b, first, bStride, firstRow, depth, scratch, width, padded);
        } else {
            copyTile(b, Float.BYTES * (firstRow * bStride + first), Float.BYTES * bStride, depth, scratch, width,
                padded);
        }
    }

    /** Tile row k becomes the panel's part of B's row {@code firstRow + k}. */
    private static void copyTile(
            MemorySegment b, long bAt, long bRowBytes, int depth, MemorySegment scratch, int width, int padded) {
        long rowBytes = (long) Float.BYTES * padded;
        for (int k = 0; k < depth; k++) {
            MemorySegment.copy(b, bAt + k * bRowBytes, scratch, k * rowBytes, (long) Float.BYTES * width);
        }
        clearTails(scratch, depth, width, padded);
    }

    private static void clearTails(MemorySegment scratch, int depth, int width, int padded) {
        for (int k = 0; k < depth && width < padded; k++) {
            for (int j = width; j < padded; j++) {
                scratch.set(ValueLayout.JAVA_FLOAT, (long) Float.BYTES * ((long) k * padded + j), 0f);
            }
        }
    }

    /** Tile row k becomes column {@code firstRow + k} of the panel's tokens. */
    private static void transposeTile(MemorySegment x, long firstToken, long xStride, long firstRow, int depth,
            MemorySegment scratch, int width, int padded) {
        for (int token = 0; token < width; token++) {
            long from = Float.BYTES * ((firstToken + token) * xStride + firstRow);
            for (int k = 0; k < depth; k++) {
                scratch.set(ValueLayout.JAVA_FLOAT, (long) Float.BYTES * ((long) k * padded + token),
                    x.get(ValueLayout.JAVA_FLOAT, from + (long) Float.BYTES * k));
            }
        }
        clearTails(scratch, depth, width, padded);
    }

    private void accumulateBlock(MemorySegment packed, boolean tiled, MemorySegment b, long bStride, int panel,
            long block, long vBegin, long vEnd, int width, int padded, long accAt, MemorySegment scratch) {
        long startsAt = field(packed, SpmmFormat.ROW_STARTS)
            + Long.BYTES * (block * (field(packed, SpmmFormat.VIRTUAL_ROWS) + 1));
        long columnsAt = field(packed, SpmmFormat.COLUMNS);
        long valuesAt = field(packed, SpmmFormat.VALUES);
        long bAt = Float.BYTES * (long) panel * PANEL;
        long rowBytes = (long) Float.BYTES * padded;
        long gatherAt = spareAt(packed) + (long) PANEL * Float.BYTES;
        long from = longAt(packed, startsAt, vBegin);
        for (long v = vBegin; v < vEnd; v++) {
            long to = longAt(packed, startsAt, v + 1);
            int count = (int) (to - from);
            long at = Integer.BYTES * from;
            long acc = accAt + (v - vBegin) * rowBytes;
            if (tiled) {
                accumulate(packed, columnsAt + at, valuesAt + at, count, scratch, padded, acc, block == 0);
            } else {
                accumulateInPlace(packed, columnsAt + at, valuesAt + at, count, b, bAt, Float.BYTES * bStride,
                    scratch, width, acc, gatherAt, block == 0);
            }
            from = to;
        }
    }

    private void finishRow(MemorySegment packed, int row, MemorySegment scratch, long accAt, MemorySegment c,
            long cStride, float alpha, float beta, int panel, int width) {
        long biasAt = field(packed, SpmmFormat.BIAS);
        boolean biased = biasAt != 0;
        float bias = biased ? packed.get(ValueLayout.JAVA_FLOAT, biasAt + (long) Float.BYTES * row) : 0f;
        int activation = SpmmFormat.intField(packed, SpmmFormat.ACTIVATION);
        long first = (long) panel * PANEL;
        boolean tokens = SpmmFormat.intField(packed, SpmmFormat.LAYOUT) == TOKEN_MAJOR;
        long cAt = Float.BYTES * (tokens ? first * cStride + row : row * cStride + first);
        long cStep = Float.BYTES * (tokens ? cStride : 1);
        long oldAt = spareAt(packed);
        if (beta != 0f) {
            copyFloats(c, cAt, cStep, scratch, oldAt, Float.BYTES, width);
        }
        finish(scratch, accAt, oldAt, width, alpha, beta, biased, bias, activation);
        if (tokens) {
            copyFloats(scratch, accAt, Float.BYTES, c, cAt, cStep, width);
        } else {
            MemorySegment.copy(scratch, accAt, c, cAt, (long) Float.BYTES * width);
        }
    }

    /** Copies {@code width} floats that lie a number of bytes apart. */
    private static void copyFloats(
            MemorySegment from, long fromAt, long fromStep, MemorySegment to, long toAt, long toStep, int width) {
        for (int j = 0; j < width; j++) {
            to.set(ValueLayout.JAVA_FLOAT, toAt + j * toStep,
                from.get(ValueLayout.JAVA_FLOAT, fromAt + j * fromStep));
        }
    }

    /** Adds up the slots of one split row, in order, and finishes the row. */
    private void combine(MemorySegment packed, MemorySegment c, long cStride, int n, float alpha, float beta,
            MemorySegment partials, long panel, long split, MemorySegment scratch) {
        long splitAt = field(packed, SpmmFormat.SPLITS) + 2L * Integer.BYTES * split;
        int row = packed.get(ValueLayout.JAVA_INT, splitAt);
        int slot = packed.get(ValueLayout.JAVA_INT, splitAt + Integer.BYTES);
        int slotEnd = packed.get(ValueLayout.JAVA_INT, splitAt + 3 * Integer.BYTES);
        int width = (int) Math.min(PANEL, n - panel * PANEL);
        int padded = padded(width);
        long accAt = accumulatorsAt(packed);
        long stride = Float.BYTES * SpmmFormat.partialStride(n);
        long at = slot * stride + Float.BYTES * panel * PANEL;
        MemorySegment.copy(partials, at, scratch, accAt, (long) Float.BYTES * padded);
        for (int next = slot + 1; next < slotEnd; next++) {
            at += stride;
            for (int j = 0; j < padded; j++) {
                long sumAt = accAt + (long) Float.BYTES * j;
                scratch.set(ValueLayout.JAVA_FLOAT, sumAt, scratch.get(ValueLayout.JAVA_FLOAT, sumAt)
                    + partials.get(ValueLayout.JAVA_FLOAT, at + (long) Float.BYTES * j));
            }
        }
        finishRow(packed, row, scratch, accAt, c, cStride, alpha, beta, (int) panel, width);
    }

    /** The floats of a tile or accumulator row of a panel. */
    protected static int padded(int width) {
        return Math.ceilDiv(width, LANES) * LANES;
    }

    private static long accumulatorsAt(MemorySegment packed) {
        return field(packed, SpmmFormat.TILED) == 0 ? 0
            : field(packed, SpmmFormat.BLOCK_DEPTH) * PANEL * Float.BYTES;
    }

    private static long spareAt(MemorySegment packed) {
        return accumulatorsAt(packed) + field(packed, SpmmFormat.PASS_ROWS) * PANEL * Float.BYTES;
    }

    private static long longAt(MemorySegment packed, long tableAt, long index) {
        return packed.get(ValueLayout.JAVA_LONG, tableAt + Long.BYTES * index);
    }
}
