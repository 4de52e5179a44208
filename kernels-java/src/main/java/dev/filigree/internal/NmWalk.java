package dev.filigree.internal;

import static dev.filigree.spi.NmFormat.FINISH_ROWS;
import static dev.filigree.spi.NmFormat.PANEL;
import static dev.filigree.spi.NmFormat.TOKEN_GAP;
import static dev.filigree.spi.NmFormat.field;
import static dev.filigree.spi.NmFormat.intField;

import dev.filigree.DType;
import dev.filigree.spi.NmFormat;
import dev.filigree.spi.NmKernel;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * N:M sparse GEMM in Java: {@code C = act(alpha * A * B + beta * C + bias)}. This class walks panels, passes, blocks
 * and groups of 16 rows as {@code filigree.h} prescribes; a subclass supplies the sums, with vectors or without.
 *
 * <p>A block of a panel of B waits in the first-level cache while the values of A, packed in the order of their use,
 * stream by. Where B has few columns, a subclass may put rows of A into its lanes instead: then B's block lies token by
 * token, and so do the sums.
 */
public abstract class NmWalk extends PanelWalk implements NmKernel {

    /**
     * For subclasses.
     *
     * @param dtype of all operands
     */
    protected NmWalk(DType dtype) {
        super(dtype);
    }

    /**
     * Writes a group's values in bf16 to scratch, at {@link NmFormat#WORK}, as f32 in the order of slots.
     *
     * @param pairs the offset of {@code bf16[slots / 2][16][2]} in the packed matrix
     */
    protected void widenValues(MemorySegment packed, long pairs, int slots, MemorySegment scratch) {
        long to = field(packed, NmFormat.WORK);
        for (int slot = 0; slot < slots; slot += 2) {
            for (int lane = 0; lane < NmFormat.LANES; lane++) {
                int pair = packed.get(ValueLayout.JAVA_INT, pairs + 2L * slot * NmFormat.LANES + 4L * lane);
                long at = to + Float.BYTES * ((long) slot * NmFormat.LANES + lane);
                scratch.set(ValueLayout.JAVA_FLOAT, at, Bf16Pairs.odd(pair));
                scratch.set(ValueLayout.JAVA_FLOAT, at + (long) Float.BYTES * NmFormat.LANES, Bf16Pairs.even(pair));
            }
        }
    }

    /**
     * sums[row][0, padded) += value * block[column][0, padded) over the {@code slots} of a group of 16 rows, in order;
     * from +0 when fresh. Rows of sums and of the block are {@code padded} floats.
     */
    protected abstract void multiply(MemorySegment packed, long block, long group, int slots, MemorySegment scratch,
        int padded, long sumsAt, boolean fresh);

    /**
     * Whether rows of A go into lanes for so many columns of B, at most {@link NmFormat#FEW}. Then
     * {@link #multiplyFew} computes the sums and {@link #finishFew} finishes them.
     */
    protected boolean hasRowsInLanes(MemorySegment packed, int width) {
        return false;
    }

    /**
     * sums[token][row] += value * block[token][column] over the slots of {@code groups} groups of 16 rows, in order;
     * from +0 when fresh. Tokens are {@code tokenBytes} apart in the block, which begins with the scratch, and
     * {@code sumBytes} in the sums; there are one, four or eight.
     */
    protected void multiplyFew(MemorySegment packed, long block, long group, int groups, int slots,
            MemorySegment scratch, int tokens, long tokenBytes, long sumsAt, long sumBytes, boolean fresh) {
        throw new UnsupportedOperationException(id() + " has no rows of A in its lanes");
    }

    /** {@link #finish} for sums of consecutive rows of A, each with a bias of its own; {@code biasAt} 0 is none. */
    protected void finishFew(MemorySegment scratch, long sumsAt, long oldAt, int rows, float alpha, float beta,
            MemorySegment packed, long biasAt, int activation) {
        throw new UnsupportedOperationException(id() + " has no rows of A in its lanes");
    }

    @Override
    public final void run(MemorySegment packed, MemorySegment b, long bStride, MemorySegment c, long cStride, int n,
            float alpha, float beta, long begin, long end, MemorySegment scratch) {
        long chunks = field(packed, NmFormat.CHUNK_COUNT);
        long chunkGroups = field(packed, NmFormat.CHUNK_GROUPS);
        long groups = field(packed, NmFormat.GROUP_COUNT);
        for (long item = begin; item < end; ) {
            long chunk = item % chunks;
            long chunkEnd = Math.min(chunks, chunk + (end - item));
            long first = item / chunks * PANEL;
            int width = (int) Math.min(PANEL, n - first);
            long groupEnd = Math.min(groups, chunkEnd * chunkGroups);
            if (width <= NmFormat.FEW && hasRowsInLanes(packed, width)) {
                panelOfFew(packed, b, bStride, c, cStride, alpha, beta, first, width, chunk * chunkGroups, groupEnd,
                    scratch);
            } else {
                panel(packed, b, bStride, c, cStride, alpha, beta, first, width, chunk * chunkGroups, groupEnd,
                    scratch);
            }
            item += chunkEnd - chunk;
        }
    }

    /** Groups [groupBegin, groupEnd) of the panel of B that begins with column {@code first}. */
    private void panel(MemorySegment packed, MemorySegment b, long bStride, MemorySegment c, long cStride, float alpha,
            float beta, long first, int width, long groupBegin, long groupEnd, MemorySegment scratch) {
        long blocks = field(packed, NmFormat.BLOCK_COUNT);
        long passGroups = field(packed, NmFormat.PASS_GROUPS);
        long sumsAt = field(packed, NmFormat.SUMS);
        boolean tokens = intField(packed, NmFormat.LAYOUT) == TOKEN_MAJOR;
        int padded = padded(width);
        long groupBytes = (long) Float.BYTES * NmFormat.LANES * padded;
        for (long pass = groupBegin; pass < groupEnd; pass += passGroups) {
            long passEnd = Math.min(groupEnd, pass + passGroups);
            // Without a block, one of no depth: sums that are empty.
            for (long block = 0; block < Math.max(1, blocks); block++) {
                int slots = NmFormat.slots(packed, block);
                // An only block outlasts the pass.
                if (blocks > 1 || blocks == 1 && pass == groupBegin) {
                    copyBlock(packed, b, bStride, tokens, first, block, width, scratch);
                }
                for (long group = pass; group < passEnd; group++) {
                    multiply(packed, block, group, slots, scratch, padded, sumsAt + (group - pass) * groupBytes,
                        block == 0);
                }
            }
            long rowBegin = pass * NmFormat.LANES;
            long rowEnd = Math.min(field(packed, NmFormat.ROWS), passEnd * NmFormat.LANES);
            for (long row = rowBegin; row < rowEnd; row += FINISH_ROWS) {
                finishRows(packed, field(packed, NmFormat.BIAS), intField(packed, NmFormat.ACTIVATION), (int) row,
                    (int) Math.min(FINISH_ROWS, rowEnd - row), scratch,
                    sumsAt + (row - rowBegin) * Float.BYTES * padded, padded, field(packed, NmFormat.OLD_VALUES),
                    field(packed, NmFormat.STAGE), c, cStride, tokens, alpha, beta, first, width);
            }
        }
    }

    private void copyBlock(MemorySegment packed, MemorySegment b, long bStride, boolean tokens, long first, long block,
            int width, MemorySegment scratch) {
        int depth = depth(packed, block);
        copyBlock(b, bStride, tokens, first, block * field(packed, NmFormat.BLOCK_DEPTH), depth, width, padded(width),
            scratch, field(packed, NmFormat.STAGE));
        long rowBytes = (long) Float.BYTES * padded(width);
        int unit = intField(packed, NmFormat.UNIT);
        int unitEnd = Math.ceilDiv(depth, unit) * unit;
        if (depth < unitEnd) {
            clear(scratch, depth * rowBytes, (unitEnd - depth) * rowBytes);
        }
    }

    /** The columns of a block, without those that pad its last group. */
    private static int depth(MemorySegment packed, long block) {
        long depth = field(packed, NmFormat.BLOCK_DEPTH);
        return (int) Math.max(0, Math.min(depth, field(packed, NmFormat.COLS) - block * depth));
    }

    /** {@link #panel} with rows of A in the lanes. */
    private void panelOfFew(MemorySegment packed, MemorySegment b, long bStride, MemorySegment c, long cStride,
            float alpha, float beta, long first, int width, long groupBegin, long groupEnd, MemorySegment scratch) {
        long blocks = field(packed, NmFormat.BLOCK_COUNT);
        long storedGroups = field(packed, NmFormat.PASS_GROUPS);
        long sumsAt = field(packed, NmFormat.SUMS);
        boolean tokens = intField(packed, NmFormat.LAYOUT) == TOKEN_MAJOR;
        long tokenBytes = Float.BYTES * (field(packed, NmFormat.BLOCK_DEPTH) + TOKEN_GAP);
        int count = width == 1 ? 1 : width <= NmFormat.FEW / 2 ? NmFormat.FEW / 2 : NmFormat.FEW;
        // Where a whole panel's sums of a pass fit, those of few tokens do for many more groups, and the longer the
        // runs of memory that a pass reads, the faster. The room of one group keeps the sums of tokens from the same
        // sets of a cache.
        long passGroups = storedGroups * PANEL / count - 1;
        for (long pass = groupBegin; pass < groupEnd; pass += passGroups) {
            int groups = (int) Math.min(passGroups, groupEnd - pass);
            long sumBytes = (long) Float.BYTES * NmFormat.LANES * (groups + 1L);
            for (long block = 0; block < Math.max(1, blocks); block++) {
                if (blocks > 1 || blocks == 1 && pass == groupBegin) {
                    copyTokens(packed, b, bStride, tokens, first, block, width, count, tokenBytes, scratch);
                }
                multiplyFew(packed, block, pass, groups, NmFormat.slots(packed, block), scratch, count, tokenBytes,
                    sumsAt, sumBytes, block == 0);
            }
            for (long done = 0; done < groups; done += storedGroups) {
                storeFew(packed, c, cStride, tokens, alpha, beta, first, width, pass + done,
                    (int) Math.min(storedGroups, groups - done), sumsAt + Float.BYTES * NmFormat.LANES * done,
                    sumBytes, scratch);
            }
        }
    }

    /** Token t of scratch becomes the block's part of B's column (token-major: row) {@code first + t}, zero-padded. */
    private void copyTokens(MemorySegment packed, MemorySegment b, long bStride, boolean tokens, long first, long block,
            int width, int count, long tokenBytes, MemorySegment scratch) {
        int depth = depth(packed, block);
        long firstRow = block * field(packed, NmFormat.BLOCK_DEPTH);
        long bytes = (long) Float.BYTES * depth;
        if (tokens) {
            loadRows(b, first * bStride + firstRow, bStride, scratch, 0, tokenBytes, width, depth);
        } else if (width == 1 && bStride == 1) {
            loadRows(b, firstRow + first, depth, scratch, 0, tokenBytes, 1, depth);
        } else {
            long stageAt = field(packed, NmFormat.STAGE);
            long rowBytes = (long) Float.BYTES * width;
            loadRows(b, firstRow * bStride + first, bStride, scratch, stageAt, rowBytes, depth, width);
            transpose(scratch, stageAt, rowBytes, depth, width, 0, tokenBytes);
        }
        for (int t = 0; t < count; t++) {
            long from = t < width ? bytes : 0;
            clear(scratch, t * tokenBytes + from, tokenBytes - from);
        }
    }

    /** The sums of some groups, token by token, to the output. */
    private void storeFew(MemorySegment packed, MemorySegment c, long cStride, boolean tokens, float alpha,
            float beta, long first, int width, long group, int groups, long sumsAt, long sumBytes,
            MemorySegment scratch) {
        long oldAt = field(packed, NmFormat.OLD_VALUES);
        long stageAt = field(packed, NmFormat.STAGE);
        long row = group * NmFormat.LANES;
        int rows = (int) Math.min((long) groups * NmFormat.LANES, field(packed, NmFormat.ROWS) - row);
        long oldBytes = (long) Float.BYTES * rows;
        long stagedBytes = (long) Float.BYTES * width;
        long cAt = tokens ? first * cStride + row : row * cStride + first;
        if (beta != 0f && !tokens) {
            loadRows(c, cAt, cStride, scratch, stageAt, stagedBytes, rows, width);
        }
        long biasAt = field(packed, NmFormat.BIAS);
        int activation = intField(packed, NmFormat.ACTIVATION);
        boolean plain = alpha == 1f && beta == 0f && biasAt == 0 && activation == ActivationCodes.NONE;
        for (int t = 0; t < width && !plain; t++) {
            if (beta != 0f && tokens) {
                loadRows(c, cAt + t * cStride, cStride, scratch, oldAt, oldBytes, 1, rows);
            } else if (beta != 0f) {
                transpose(scratch, stageAt + (long) Float.BYTES * t, stagedBytes, rows, 1, oldAt, oldBytes);
            }
            finishFew(scratch, sumsAt + t * sumBytes, oldAt, rows, alpha, beta, packed,
                biasAt == 0 ? 0 : biasAt + Float.BYTES * row, activation);
        }
        if (tokens) {
            storeRows(scratch, sumsAt, sumBytes, c, cAt, cStride, width, rows);
        } else {
            transpose(scratch, sumsAt, sumBytes, width, rows, stageAt, stagedBytes);
            storeRows(scratch, stageAt, stagedBytes, c, cAt, cStride, rows, width);
        }
    }

    /** Writes the columns of a group's entries, counted from the block's, to scratch: {@code [slots][streams]}. */
    protected static void expandColumns(MemorySegment packed, long block, long group, int slots,
            MemorySegment scratch) {
        int bits = intField(packed, NmFormat.INDEX_BITS);
        int entries = slots * NmFormat.streams(intField(packed, NmFormat.VECTOR));
        long indices = NmFormat.indicesAt(packed, block, group);
        long firstColumns = field(packed, NmFormat.FIRST_COLUMNS);
        long columnsAt = field(packed, NmFormat.COLUMNS);
        for (int e = 0; e < entries; e++) {
            long bit = (long) e * bits;
            // A field of up to 6 bits lies within two bytes.
            int word = packed.get(ValueLayout.JAVA_SHORT_UNALIGNED, indices + bit / Byte.SIZE);
            int index = word >>> bit % Byte.SIZE & (1 << bits) - 1;
            int column = packed.get(ValueLayout.JAVA_INT, firstColumns + (long) Integer.BYTES * e) + index;
            scratch.set(ValueLayout.JAVA_INT, columnsAt + (long) Integer.BYTES * e, column);
        }
    }

    private static int padded(int width) {
        return Math.ceilDiv(width, NmFormat.LANES) * NmFormat.LANES;
    }
}
