package dev.filigree.internal;

import dev.filigree.Bf16;
import dev.filigree.DType;
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

    private final DType dtype;

    /** For subclasses whose operands are f32. */
    protected PanelWalk() {
        this(DType.F32);
    }

    /**
     * For subclasses.
     *
     * @param dtype of the dense operands; in scratch, all is f32
     */
    protected PanelWalk(DType dtype) {
        this.dtype = dtype;
    }

    /** The type of the dense operands. */
    protected final DType dtype() {
        return dtype;
    }

    /** bf16 to f32 within scratch. What is read may end where that which is written does: it goes forward. */
    protected void widen(MemorySegment scratch, long fromAt, long toAt, int count) {
        for (long i = 0; i < count; i++) {
            scratch.set(ValueLayout.JAVA_FLOAT, toAt + Float.BYTES * i,
                Bf16.toFloat(scratch.get(ValueLayout.JAVA_SHORT, fromAt + Short.BYTES * i)));
        }
    }

    /** f32 to bf16, in place: the results follow each other from the first on. */
    protected void round(MemorySegment scratch, long at, int count) {
        for (long i = 0; i < count; i++) {
            scratch.set(ValueLayout.JAVA_SHORT, at + Short.BYTES * i,
                Bf16.fromFloat(scratch.get(ValueLayout.JAVA_FLOAT, at + Float.BYTES * i)));
        }
    }

    /**
     * Copies {@code count} runs of an operand's elements to scratch, where they are f32.
     *
     * @param first element of the first run
     * @param step elements from run to run
     */
    protected final void loadRows(MemorySegment from, long first, long step, MemorySegment scratch, long toAt,
            long toStep, int count, int elements) {
        if (dtype == DType.F32) {
            copyRows(from, Float.BYTES * first, Float.BYTES * step, scratch, toAt, toStep, count,
                (long) Float.BYTES * elements);
            return;
        }
        // They arrive where the second half of the result will be.
        long bytes = (long) Short.BYTES * elements;
        for (int i = 0; i < count; i++) {
            long at = toAt + i * toStep;
            MemorySegment.copy(from, Short.BYTES * (first + i * step), scratch, at + bytes, bytes);
            widen(scratch, at + bytes, at, elements);
        }
    }

    /** Copies {@code count} runs of f32 from scratch, which loses them, to an operand; see {@link #loadRows}. */
    protected final void storeRows(MemorySegment scratch, long fromAt, long fromStep, MemorySegment to, long first,
            long step, int count, int elements) {
        if (dtype == DType.F32) {
            copyRows(scratch, fromAt, fromStep, to, Float.BYTES * first, Float.BYTES * step, count,
                (long) Float.BYTES * elements);
            return;
        }
        for (int i = 0; i < count; i++) {
            round(scratch, fromAt + i * fromStep, elements);
            MemorySegment.copy(scratch, fromAt + i * fromStep, to, Short.BYTES * (first + i * step),
                (long) Short.BYTES * elements);
        }
    }

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
            loadRows(b, firstRow * bStride + first, bStride, scratch, 0, pitch, depth, width);
            return;
        }
        long at = first * bStride + firstRow;
        for (int k = 0; k < depth; k += STAGE) {
            int count = Math.min(STAGE, depth - k);
            loadRows(b, at + k, bStride, scratch, stageAt, STAGE_PITCH, width, count);
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
        long cAt = tokens ? first * cStride + row : row * cStride + first;
        long pitch = (long) Float.BYTES * padded;
        if (beta != 0f && tokens) {
            loadRows(c, cAt, cStride, scratch, stageAt, STAGE_PITCH, width, count);
            transpose(scratch, stageAt, STAGE_PITCH, width, count, oldAt, pitch);
        } else if (beta != 0f) {
            loadRows(c, cAt, cStride, scratch, oldAt, pitch, count, width);
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
            storeRows(scratch, stageAt, STAGE_PITCH, c, cAt, cStride, width, count);
        } else {
            storeRows(scratch, sumsAt, pitch, c, cAt, cStride, count, width);
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
