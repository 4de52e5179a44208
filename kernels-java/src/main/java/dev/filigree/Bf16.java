package dev.filigree;

/**
 * Conversions between bfloat16, the upper half of a binary32, and {@code float}. Java holds a bfloat16 in a {@code
 * short}. Pure functions, for any thread.
 */
public final class Bf16 {

    private static final int MAGNITUDE = 0x7fff_ffff;
    private static final int INFINITY = 0x7f80_0000;
    /** The first bit of the fraction, which a quiet NaN has. */
    private static final int QUIET = 0x0040_0000;

    private Bf16() {}

    /**
     * Rounds to nearest, ties to even. What exceeds the largest bfloat16 by half a step becomes an infinity, a
     * denormal stays one, and a NaN stays a NaN, made quiet, with the upper bits of its payload.
     */
    public static short fromFloat(float value) {
        int bits = Float.floatToRawIntBits(value);
        if ((bits & MAGNITUDE) > INFINITY) {
            return (short) ((bits | QUIET) >>> Short.SIZE);
        }
        int odd = bits >>> Short.SIZE & 1;
        return (short) (bits + 0x7fff + odd >>> Short.SIZE);
    }

    /** The value of a bfloat16, exactly. */
    public static float toFloat(short bf16) {
        return Float.intBitsToFloat(bf16 << Short.SIZE);
    }
}
