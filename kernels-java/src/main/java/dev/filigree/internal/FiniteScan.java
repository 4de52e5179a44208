package dev.filigree.internal;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Looks for infinities and NaNs in a dense operand, a piece of a row at a time. */
public final class FiniteScan {

    /** Floats of a piece: half of a first-level cache. */
    private static final int PIECE = 4096;

    /** Scratch that a call needs. */
    public static final long SCRATCH_BYTES = (long) Float.BYTES * PIECE;

    private static final int EXPONENT = 0x7f800000;
    private static final int EXPONENT_UNIT = 0x00800000;

    private FiniteScan() {}

    /** The pieces of a row. */
    public static long pieces(long width) {
        return Math.ceilDiv(width, PIECE);
    }

    /**
     * Whether all floats of a piece are finite.
     *
     * @param matrix native f32
     * @param stride floats from row to row
     * @param width floats of a row; at least 1
     * @param piece the piece's number: those of row 0, then those of row 1, ...
     * @param scratch at least {@link #SCRATCH_BYTES} of native memory
     */
    public static boolean isFinite(MemorySegment matrix, long stride, long width, long piece, MemorySegment scratch) {
        long first = piece % pieces(width) * PIECE;
        int count = (int) Math.min(PIECE, width - first);
        // A bulk copy: see why caller's memory is touched in no other way in the kernels.
        MemorySegment.copy(matrix, Float.BYTES * (piece / pieces(width) * stride + first), scratch, 0,
            (long) Float.BYTES * count);
        return isFinite(scratch, count);
    }

    /** Only an exponent of all ones carries into the sign. */
    private static boolean isFinite(MemorySegment floats, int count) {
        int carry = 0;
        for (int i = 0; i < count; i++) {
            carry |= (floats.get(ValueLayout.JAVA_INT, (long) Integer.BYTES * i) & EXPONENT) + EXPONENT_UNIT;
        }
        return carry >= 0;
    }
}
