package dev.filigree.internal;

import static dev.filigree.spi.GemmFormat.FINISH_ROWS;
import static dev.filigree.spi.GemmFormat.LANES;
import static dev.filigree.spi.GemmFormat.MICRO_ROWS;
import static dev.filigree.spi.GemmFormat.PANEL;
import static dev.filigree.spi.GemmFormat.field;
import static dev.filigree.spi.GemmFormat.intField;

import dev.filigree.spi.GemmFormat;
import dev.filigree.spi.GemmKernel;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * GEMM over a packed matrix in Java: {@code C = act(alpha * A * B + beta * C + bias)}. This class walks panels,
 * passes, blocks and groups of rows as {@code filigree.h} prescribes; a subclass supplies the sums and what else
 * takes time, with vectors or without.
 *
 * <p>The loops are those of Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (ACM TOMS 34,
 * 2008): a block of B waits in the second-level cache while the values of A, packed in the order of their use, stream
 * by.
 *
 * <p>The caller's operands are touched by bulk copies alone, which watch their arenas; all else happens in scratch.
 */
public abstract class GemmWalk implements GemmKernel {

    /** Layout code of the packed format. */
    private static final int TOKEN_MAJOR = 1;

    /** For subclasses. */
    protected GemmWalk() {}

    /**
     * acc[i][0, width) += sum over k of value[k][i] * block[k][0, width), i &lt; 6, k &lt; depth in order; from +0
     * when fresh. Rows of block and accumulators are {@code padded} floats, and whole vectors of them may be
     * computed.
     */
    protected abstract void multiply(MemorySegment packed, long valuesAt, int depth, MemorySegment scratch, int width,
        int padded, long accAt, boolean fresh);

    /** to[j][i] = from[i][j] for i &lt; rows, j &lt; columns, within scratch; strides in bytes. */
    protected abstract void transpose(MemorySegment scratch, long fromAt, long fromStride, int rows, int columns,
        long toAt, long toStride);

    /**
     * Finishes accumulators in place: {@code acc = act(alpha * acc (+ beta * old) (+ bias))} for {@code width}
     * elements; {@code old} is read when beta is not 0, the bias added when {@code biased}. Both rows are in
     * scratch and padded.
     */
    protected abstract void finish(MemorySegment scratch, long accAt, long oldAt, int width, float alpha, float beta,
        boolean biased, float bias, int activation);

    @Override
    public final void run(MemorySegment packed, MemorySegment b, long bStride, MemorySegment c, long cStride, int n,
            float alpha, float beta, long begin, long end, MemorySegment scratch) {
        long chunks = field(packed, GemmFormat.CHUNK_COUNT);
        long chunkRows = field(packed, GemmFormat.CHUNK_ROWS);
        long rows = field(packed, GemmFormat.ROWS);
        for (long item = begin; item < end; ) {
            long chunk = item % chunks;
            long chunkEnd = Math.min(chunks, chunk + (end - item));
            panel(packed, b, bStride, c, cStride, n, alpha, beta, (int) (item / chunks), chunk * chunkRows,
                Math.min(rows, chunkEnd * chunkRows), scratch);
            item += chunkEnd - chunk;
        }
    }

    /** Rows [rowBegin, rowEnd) of one panel. */
    private void panel(MemorySegment packed, MemorySegment b, long bStride, MemorySegment c, long cStride, int n,
            float alpha, float beta, int panel, long rowBegin, long rowEnd, MemorySegment scratch) {
        long blocks = field(packed, GemmFormat.BLOCK_COUNT);
        long blockDepth = field(packed, GemmFormat.BLOCK_DEPTH);
        long passRows = field(packed, GemmFormat.PASS_ROWS);
        long accAt = GemmPacker.accumulatorsAt(blockDepth);
        int width = Math.min(PANEL, n - panel * PANEL);
        int padded = Math.ceilDiv(width, LANES) * LANES;
        for (long row = rowBegin; row < rowEnd; row += passRows) {
            long passEnd = Math.min(rowEnd, row + passRows);
            // Without a block, one of no depth: sums that are empty.
            for (long block = 0; block < Math.max(1, blocks); block++) {
                // An only block outlasts the pass.
                if (blocks > 1 || blocks == 1 && row == rowBegin) {
                    copyBlock(packed, b, bStride, panel, block * blockDepth, width, padded, scratch);
                }
                multiplyBlock(packed, block * blockDepth, row, passEnd, width, padded, accAt, scratch);
            }
            for (long first = row; first < passEnd; first += FINISH_ROWS) {
                finishRows(packed, (int) first, (int) Math.min(FINISH_ROWS, passEnd - first), scratch,
                    accAt + (first - row) * padded * Float.BYTES, c, cStride, alpha, beta, panel, width, padded);
            }
        }
    }

    private void multiplyBlock(MemorySegment packed, long firstColumn, long rowBegin, long rowEnd, int width,
            int padded, long accAt, MemorySegment scratch) {
        int depth = depth(packed, firstColumn);
        long paddedRows = GemmFormat.paddedRows(field(packed, GemmFormat.ROWS));
        long at = field(packed, GemmFormat.VALUES)
            + Float.BYTES * (firstColumn * paddedRows + rowBegin * depth);
        for (long row = rowBegin; row < rowEnd; row += MICRO_ROWS) {
            multiply(packed, at, depth, scratch, width, padded, accAt, firstColumn == 0);
            at += (long) Float.BYTES * MICRO_ROWS * depth;
            accAt += (long) Float.BYTES * MICRO_ROWS * padded;
        }
    }

    private static int depth(MemorySegment packed, long firstColumn) {
        return (int) Math.min(field(packed, GemmFormat.BLOCK_DEPTH), field(packed, GemmFormat.COLS) - firstColumn);
    }

    /** Row k of scratch becomes the panel's part of row {@code firstRow + k} of B, padded with zeros. */
    private void copyBlock(MemorySegment packed, MemorySegment b, long bStride, int panel, long firstRow, int width,
            int padded, MemorySegment scratch) {
        int depth = depth(packed, firstRow);
        long first = (long) panel * PANEL;
        long rowBytes = (long) Float.BYTES * padded;
        if (intField(packed, GemmFormat.LAYOUT) == TOKEN_MAJOR) {
            transposeTokens(packed, b, bStride, first, firstRow, depth, width, rowBytes, scratch);
        } else {
            for (int k = 0; k < depth; k++) {
                MemorySegment.copy(b, Float.BYTES * ((firstRow + k) * bStride + first), scratch, k * rowBytes,
                    (long) Float.BYTES * width);
            }
        }
        for (int k = 0; k < depth && width < padded; k++) {
            for (int j = width; j < padded; j++) {
                scratch.set(ValueLayout.JAVA_FLOAT, k * rowBytes + (long) Float.BYTES * j, 0f);
            }
        }
    }

    /** As many tokens at a time as fill a line of the block. */
    private void transposeTokens(MemorySegment packed, MemorySegment x, long xStride, long firstToken, long firstRow,
            int depth, int width, long rowBytes, MemorySegment scratch) {
        long stageAt = GemmPacker.stageAt(
            field(packed, GemmFormat.BLOCK_DEPTH), field(packed, GemmFormat.PASS_ROWS));
        long tokenBytes = (long) Float.BYTES * depth;
        for (int token = 0; token < width; token += LANES) {
            int tokens = Math.min(LANES, width - token);
            for (int t = 0; t < tokens; t++) {
                MemorySegment.copy(x, Float.BYTES * ((firstToken + token + t) * xStride + firstRow), scratch,
                    stageAt + t * tokenBytes, tokenBytes);
            }
            transpose(scratch, stageAt, tokenBytes, tokens, depth, (long) Float.BYTES * token, rowBytes);
        }
    }

    /** Turns the accumulators of rows {@code [row, row + count)} into elements of the output. */
    private void finishRows(MemorySegment packed, int row, int count, MemorySegment scratch, long accAt,
            MemorySegment c, long cStride, float alpha, float beta, int panel, int width, int padded) {
        long blockDepth = field(packed, GemmFormat.BLOCK_DEPTH);
        long passRows = field(packed, GemmFormat.PASS_ROWS);
        long oldAt = GemmPacker.oldAt(blockDepth, passRows);
        long stageAt = GemmPacker.stageAt(blockDepth, passRows);
        boolean tokens = intField(packed, GemmFormat.LAYOUT) == TOKEN_MAJOR;
        long first = (long) panel * PANEL;
        long cAt = Float.BYTES * (tokens ? first * cStride + row : row * cStride + first);
        long cStep = Float.BYTES * cStride;
        long rowBytes = (long) Float.BYTES * padded;
        long countBytes = (long) Float.BYTES * count;
        if (beta != 0f && tokens) {
            copyRows(c, cAt, cStep, scratch, stageAt, countBytes, width, countBytes);
            transpose(scratch, stageAt, countBytes, width, count, oldAt, rowBytes);
        } else if (beta != 0f) {
            copyRows(c, cAt, cStep, scratch, oldAt, rowBytes, count, (long) Float.BYTES * width);
        }
        int activation = intField(packed, GemmFormat.ACTIVATION);
        long biasAt = field(packed, GemmFormat.BIAS);
        boolean biased = biasAt != 0;
        if (alpha != 1f || beta != 0f || biased || activation != ActivationCodes.NONE) {
            for (int i = 0; i < count; i++) {
                float bias = biased
                    ? packed.get(ValueLayout.JAVA_FLOAT, biasAt + (long) Float.BYTES * (row + i)) : 0f;
                finish(scratch, accAt + i * rowBytes, oldAt + i * rowBytes, width, alpha, beta, biased, bias,
                    activation);
            }
        }
        if (tokens) {
            transpose(scratch, accAt, rowBytes, count, width, stageAt, countBytes);
            copyRows(scratch, stageAt, countBytes, c, cAt, cStep, width, countBytes);
        } else {
            copyRows(scratch, accAt, rowBytes, c, cAt, cStep, count, (long) Float.BYTES * width);
        }
    }

    /** Copies {@code count} runs of bytes. */
    private static void copyRows(MemorySegment from, long fromAt, long fromStep, MemorySegment to, long toAt,
            long toStep, int count, long bytes) {
        for (int i = 0; i < count; i++) {
            MemorySegment.copy(from, fromAt + i * fromStep, to, toAt + i * toStep, bytes);
        }
    }
}
