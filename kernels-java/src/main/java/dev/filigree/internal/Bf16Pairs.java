package dev.filigree.internal;

/**
 * Products of bfloat16 pairs: the arithmetic of every bf16 kernel that does not use tiles. An {@code int} holds two
 * bfloat16, the even element in its lower half and the odd one in its upper.
 *
 * <p>{@link #multiplyAdd} has the bits of the instruction {@code vdpbf16ps} but for the payload of a NaN; {@code
 * cpu/common/bf16.h} is the same in C++.
 */
public final class Bf16Pairs {

    private static final int EXPONENT = 0x7f80_0000;
    private static final int SIGN = 0x8000_0000;
    /** Exact values below it round to something less than the smallest normal in 24 bits of any exponent. */
    private static final double TINY = Float.MIN_NORMAL - 0x1p-151;

    private Bf16Pairs() {}

    /** The even element. */
    public static float even(int pair) {
        return Float.intBitsToFloat(pair << Short.SIZE);
    }

    /** The odd element. */
    public static float odd(int pair) {
        return Float.intBitsToFloat(pair & 0xffff_0000);
    }

    /** Two elements of bfloat16 as a pair. */
    public static int of(short even, short odd) {
        return even & 0xffff | odd << Short.SIZE;
    }

    /**
     * {@code sum + odd(a) * odd(b)}, fused, then plus {@code even(a) * even(b)}, fused. Denormal operands count as
     * zeros of their sign, and so do sums that are denormal when rounded to 24 bits.
     */
    public static float multiplyAdd(int a, int b, float sum) {
        return multiplyAdd(even(a), even(b), multiplyAdd(odd(a), odd(b), sum));
    }

    /** Half of it: {@code sum + a * b} for two bfloat16 as floats. */
    public static float multiplyAdd(float a, float b, float sum) {
        return step(zeroIfDenormal(a), zeroIfDenormal(b), zeroIfDenormal(sum));
    }

    private static float step(float a, float b, float sum) {
        float result = Math.fma(a, b, sum);
        // What a float rounds up to the smallest normal may still be denormal with all 24 bits. The double is exact
        // where it matters: there, both terms are multiples of 2^-166.
        if (Math.abs(result) == Float.MIN_NORMAL && Math.abs((double) a * b + sum) < TINY) {
            return Math.copySign(0f, result);
        }
        return zeroIfDenormal(result);
    }

    private static float zeroIfDenormal(float value) {
        int bits = Float.floatToRawIntBits(value);
        return (bits & EXPONENT) == 0 ? Float.intBitsToFloat(bits & SIGN) : value;
    }
}
