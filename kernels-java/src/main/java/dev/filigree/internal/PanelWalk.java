package dev.filigree.internal;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * How a product's dense operands pass through scratch, in either layout: blocks of a panel of B on the way in, rows of
 * sums on the way out. The caller's operands are touched by bulk copies alone, which watch their arenas; all else
 * happens in scratch. A subclass supplies what takes time, with vectors or without.
 */
public abstract class PanelWalk {

    /** Layout code of the packed formats. */
    protected static final int TOKEN_MAJOR = 1;
    /** Tokens that are transposed at a time, as many as fill a line. */
    protected static final int LANES = 16;

    /** For subclasses. */
    protected PanelWalk() {}

    /** to[j][i] = from[i][j] for i &lt; rows, j &lt; columns, within scratch; strides in bytes. */
    protected abstract void transpose(MemorySegment scratch, long fromAt, long fromStride, int rows, int columns,
        long toAt, long toStride);

    /**
     * Finishes accumulators in place: {@code acc = act(alpha * acc (+ beta * old) (+ bias))} for {@code width}
     * elements; {@code old} is read when beta is not 0, the bias added when {@code biased}. Both rows are in
     * scratch and padded to 16 floats.
     */
    protected abstract void finish(MemorySegment scratch, long accAt, long oldAt, int width, float alpha, float beta,
        boolean biased, float bias, int activation);

    /** The floats of a row of scratch. */
    protected static int padded(int width) {
        return Math.ceilDiv(width, LANES) * LANES;
    }

    /**
     * Row k of scratch, {@code padded(width)} floats, becomes B's row {@code firstRow + k} (token-major: column) from
     * column {@code first} (token-major: row) on, padded with zeros; k &lt; depth.
     *
     * @param stageAt scratch for 16 times {@code depth} floats
     */
    protected final void copyBlock(MemorySegment b, long bStride, boolean tokens, long first, long firstRow, int depth,
            int width, MemorySegment scratch, long stageAt) {
        int padded = padded(width);
        long rowBytes = (long) Float.BYTES * padded;
        if (tokens) {
            long tokenBytes = (long) Float.BYTES * depth;
            for (int token = 0; token < width; token += LANES) {
                int count = Math.min(LANES, width - token);
                copyRows(b, Float.BYTES * ((first + token) * bStride + firstRow), Float.BYTES * bStride, scratch,
                    stageAt, tokenBytes, count, tokenBytes);
                transpose(scratch, stageAt, tokenBytes, count, depth, (long) Float.BYTES * token, rowBytes);
            }
        } else {
            copyRows(b, Float.BYTES * (firstRow * bStride + first), Float.BYTES * bStride, scratch, 0, rowBytes, depth,
                (long) Float.BYTES * width);
        }
        for (int k = 0; k < depth && width < padded; k++) {
            clear(scratch, k * rowBytes + (long) Float.BYTES * width, (long) Float.BYTES * (padded - width));
        }
    }

    /**
     * Turns {@code count} rows of sums into elements of the output.
     *
     * @param sumsAt the sums, {@code count x padded(width)} floats
     * @param oldAt scratch as large
     * @param stageAt scratch as large
     * @param first of the panel's columns, or tokens
     */
    protected final void finishRows(MemorySegment packed, long biasAt, int activation, int row, int count,
            MemorySegment scratch, long sumsAt, long oldAt, long stageAt, MemorySegment c, long cStride,
            boolean tokens, float alpha, float beta, long first, int width) {
        long cAt = Float.BYTES * (tokens ? first * cStride + row : row * cStride + first);
        long cStep = Float.BYTES * cStride;
        long rowBytes = (long) Float.BYTES * padded(width);
        long countBytes = (long) Float.BYTES * count;
        if (beta != 0f && tokens) {
            copyRows(c, cAt, cStep, scratch, stageAt, countBytes, width, countBytes);
            transpose(scratch, stageAt, countBytes, width, count, oldAt, rowBytes);
        } else if (beta != 0f) {
            copyRows(c, cAt, cStep, scratch, oldAt, rowBytes, count, (long) Float.BYTES * width);
        }
        boolean biased = biasAt != 0;
        if (alpha != 1f || beta != 0f || biased || activation != ActivationCodes.NONE) {
            for (int i = 0; i < count; i++) {
                float bias = biased
                    ? packed.get(ValueLayout.JAVA_FLOAT, biasAt + (long) Float.BYTES * (row + i)) : 0f;
                finish(scratch, sumsAt + i * rowBytes, oldAt + i * rowBytes, width, alpha, beta, biased, bias,
                    activation);
            }
        }
        if (tokens) {
            transpose(scratch, sumsAt, rowBytes, count, width, stageAt, countBytes);
            copyRows(scratch, stageAt, countBytes, c, cAt, cStep, width, countBytes);
        } else {
            copyRows(scratch, sumsAt, rowBytes, c, cAt, cStep, count, (long) Float.BYTES * width);
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

    /** Writes zeros. */
    protected static void clear(MemorySegment scratch, long from, long bytes) {
        for (long at = from; at < from + bytes; at += Float.BYTES) {
            scratch.set(ValueLayout.JAVA_FLOAT, at, 0f);
        }
    }
}
