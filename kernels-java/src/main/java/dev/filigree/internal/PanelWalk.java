package dev.filigree.internal;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * How a product's dense operands pass through scratch, in either layout: blocks of a panel of B on the way in, rows of
 * sums on the way out. The caller's operands are touched by bulk copies alone, which watch their arenas; all else
 * happens in scratch. A subclass supplies what takes time, with vectors or without. Lanes beyond a panel's width hold
 * whatever scratch held: they reach no output.
 */
public abstract class PanelWalk {

    /** Layout code of the packed formats. */
    protected static final int TOKEN_MAJOR = 1;
    /** Side of the square blocks that are transposed at a time: 16 KiB, half of a first-level cache. */
    protected static final int STAGE = 64;

    private static final long STAGE_PITCH = (long) Float.BYTES * STAGE;

    /** For subclasses. */
    protected PanelWalk() {}

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

    /**
     * Row k of scratch, {@code padded} floats, becomes B's row {@code firstRow + k} (token-major: column) from column
     * {@code first} (token-major: row) on; k &lt; depth.
     *
     * @param stageAt scratch for STAGE x STAGE floats, used when token-major
     */
    protected final void copyBlock(MemorySegment b, long bStride, boolean tokens, long first, long firstRow, int depth,
            int width, int padded, MemorySegment scratch, long stageAt) {
        long pitch = (long) Float.BYTES * padded;
        if (!tokens) {
            copyRows(b, Float.BYTES * (firstRow * bStride + first), Float.BYTES * bStride, scratch, 0, pitch, depth,
                (long) Float.BYTES * width);
            return;
        }
        long at = Float.BYTES * (first * bStride + firstRow);
        for (int k = 0; k < depth; k += STAGE) {
            int count = Math.min(STAGE, depth - k);
            copyRows(b, at + (long) Float.BYTES * k, Float.BYTES * bStride, scratch, stageAt, STAGE_PITCH, width,
                (long) Float.BYTES * count);
            transpose(scratch, stageAt, STAGE_PITCH, width, count, k * pitch, pitch);
        }
    }

    /**
     * Turns {@code count <= STAGE} rows of sums into elements of the output.
     *
     * @param row of the first
     * @param sumsAt the sums, {@code padded} floats a row
     * @param oldAt scratch for STAGE x STAGE floats
     * @param stageAt as much scratch
     * @param first of the panel's columns, or tokens
     */
    protected final void finishRows(MemorySegment packed, long biasAt, int activation, int row, int count,
            MemorySegment scratch, long sumsAt, int padded, long oldAt, long stageAt, MemorySegment c, long cStride,
            boolean tokens, float alpha, float beta, long first, int width) {
        long cAt = Float.BYTES * (tokens ? first * cStride + row : row * cStride + first);
        long cStep = Float.BYTES * cStride;
        long pitch = (long) Float.BYTES * padded;
        long countBytes = (long) Float.BYTES * count;
        if (beta != 0f && tokens) {
            copyRows(c, cAt, cStep, scratch, stageAt, STAGE_PITCH, width, countBytes);
            transpose(scratch, stageAt, STAGE_PITCH, width, count, oldAt, pitch);
        } else if (beta != 0f) {
            copyRows(c, cAt, cStep, scratch, oldAt, pitch, count, (long) Float.BYTES * width);
        }
        boolean biased = biasAt != 0;
        if (alpha != 1f || beta != 0f || biased || activation != ActivationCodes.NONE) {
            for (int i = 0; i < count; i++) {
                float bias = biased
                    ? packed.get(ValueLayout.JAVA_FLOAT, biasAt + (long) Float.BYTES * (row + i)) : 0f;
                finish(scratch, sumsAt + i * pitch, oldAt + i * pitch, width, alpha, beta, biased, bias, activation);
            }
        }
        if (tokens) {
            transpose(scratch, sumsAt, pitch, count, width, stageAt, STAGE_PITCH);
            copyRows(scratch, stageAt, STAGE_PITCH, c, cAt, cStep, width, countBytes);
        } else {
            copyRows(scratch, sumsAt, pitch, c, cAt, cStep, count, (long) Float.BYTES * width);
        }
    }

    /** Copies {@code count} runs of bytes; as one where they touch. */
    protected static void copyRows(MemorySegment from, long fromAt, long fromStep, MemorySegment to, long toAt,
            long toStep, int count, long bytes) {
        if (fromStep == bytes && toStep == bytes) {
            MemorySegment.copy(from, fromAt, to, toAt, count * bytes);
            return;
        }
        for (int i = 0; i < count; i++) {
            MemorySegment.copy(from, fromAt + i * fromStep, to, toAt + i * toStep, bytes);
        }
    }
}
