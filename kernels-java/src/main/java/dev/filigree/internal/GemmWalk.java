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

/**
 * GEMM over a packed matrix in Java: {@code C = act(alpha * A * B + beta * C + bias)}. This class walks panels,
 * passes, blocks and groups of rows as {@code filigree.h} prescribes; a subclass supplies the sums, with vectors or
 * without.
 *
 * <p>The loops are those of Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (ACM TOMS 34,
 * 2008): a block of B waits in the second-level cache while the values of A, packed in the order of their use, stream
 * by.
 */
public abstract class GemmWalk extends PanelWalk implements GemmKernel {

    /** For subclasses. */
    protected GemmWalk() {}

    /**
     * acc[i][0, width) += sum over k of value[k][i] * block[k][0, width), i &lt; 6, k &lt; depth in order; from +0
     * when fresh. Rows of block and accumulators are {@code padded} floats, and whole vectors of them may be
     * computed.
     */
    protected abstract void multiply(MemorySegment packed, long valuesAt, int depth, MemorySegment scratch, int width,
        int padded, long accAt, boolean fresh);

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
        long stageAt = GemmPacker.stageAt(blockDepth, passRows);
        long oldAt = GemmPacker.oldAt(blockDepth, passRows);
        boolean tokens = intField(packed, GemmFormat.LAYOUT) == TOKEN_MAJOR;
        int activation = intField(packed, GemmFormat.ACTIVATION);
        long biasAt = field(packed, GemmFormat.BIAS);
        long first = (long) panel * PANEL;
        int width = (int) Math.min(PANEL, n - first);
        int padded = Math.ceilDiv(width, LANES) * LANES;
        for (long row = rowBegin; row < rowEnd; row += passRows) {
            long passEnd = Math.min(rowEnd, row + passRows);
            // Without a block, one of no depth: sums that are empty.
            for (long block = 0; block < Math.max(1, blocks); block++) {
                long column = block * blockDepth;
                int depth = (int) Math.min(blockDepth, field(packed, GemmFormat.COLS) - column);
                // An only block outlasts the pass.
                if (blocks > 1 || blocks == 1 && row == rowBegin) {
                    copyBlock(b, bStride, tokens, first, column, depth, width, padded, scratch, stageAt);
                }
                multiplyBlock(packed, column, depth, row, passEnd, width, padded, accAt, scratch);
            }
            for (long done = row; done < passEnd; done += FINISH_ROWS) {
                finishRows(packed, biasAt, activation, (int) done, (int) Math.min(FINISH_ROWS, passEnd - done),
                    scratch, accAt + (done - row) * padded * Float.BYTES, padded, oldAt, stageAt, c, cStride, tokens,
                    alpha, beta, first, width);
            }
        }
    }

    private void multiplyBlock(MemorySegment packed, long firstColumn, int depth, long rowBegin, long rowEnd,
            int width, int padded, long accAt, MemorySegment scratch) {
        long paddedRows = GemmFormat.paddedRows(field(packed, GemmFormat.ROWS));
        long at = field(packed, GemmFormat.VALUES)
            + Float.BYTES * (firstColumn * paddedRows + rowBegin * depth);
        for (long row = rowBegin; row < rowEnd; row += MICRO_ROWS) {
            multiply(packed, at, depth, scratch, width, padded, accAt, firstColumn == 0);
            at += (long) Float.BYTES * MICRO_ROWS * depth;
            accAt += (long) Float.BYTES * MICRO_ROWS * padded;
        }
    }
}
