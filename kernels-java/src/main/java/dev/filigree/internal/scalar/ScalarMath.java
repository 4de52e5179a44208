package dev.filigree.internal.scalar;

import static dev.filigree.internal.MathConstants.*;
import static java.lang.Math.fma;

import dev.filigree.Activation;
import dev.filigree.internal.ActivationCodes;

/**
 * The elementwise functions on single floats: the reference that the vector and native versions equal bit for
 * bit.
 *
 * <p>Errors are the largest over all floats, against the exact function. NaN gives NaN; its payload is
 * unspecified. Inputs may be denormal everywhere; results are flushed only where said.
 */
public final class ScalarMath {

    private ScalarMath() {
    }

    /**
     * {@code e^x}, error &lt;= 0.9 ulp. {@code +inf} above 88.72283 (where it overflows), 0 below -87.33654
     * (where it is no longer a normal float); {@code exp(0) = 1}. Between neighbouring floats the result may
     * step back by one ulp.
     */
    public static float exp(float x) {
        float shifted = fma(x, LOG2_E, ROUND_MAGIC);
        float n = shifted - ROUND_MAGIC;
        float r = fma(n, MINUS_LN2_HIGH, x);
        r = fma(n, MINUS_LN2_LOW, r);
        float p = fma(EXP_C6, r, EXP_C5);
        p = fma(p, r, EXP_C4);
        p = fma(p, r, EXP_C3);
        p = fma(p, r, EXP_C2);
        p = fma(p, r, 1f);
        p = fma(p, r, 1f);
        // The shift leaves n alone, where the exponent is: the magic's own bits fall out at the top. n = 128
        // comes with p < 1, so the sum is a float whenever the result is.
        float y = Float.intBitsToFloat(
                Float.floatToRawIntBits(p) + (Float.floatToRawIntBits(shifted) << MANTISSA_BITS));
        // One comparison sorts out overflow and NaN: x + inf is the answer to both.
        y = x <= EXP_OVERFLOW ? y : x + Float.POSITIVE_INFINITY;
        return x < EXP_UNDERFLOW ? 0f : y;
    }

    /**
     * {@code max + log(sum)} for the sum of {@code exp(s - max)}: negative infinity for an empty sum, else
     * error &lt;= 1 ulp of the larger term. In double arithmetic, which every language rounds alike.
     *
     * @param sum at least 0, normal unless it is 0
     */
    public static float logSumExp(float max, float sum) {
        if (sum == 0f) {
            return Float.NEGATIVE_INFINITY;
        }
        if (!(sum < Float.POSITIVE_INFINITY)) {
            return max + sum;
        }
        int bits = Float.floatToRawIntBits(sum);
        // sum = 2^exponent x, sqrt(1/2) < x < sqrt(2)
        int exponent = (bits - SQRT_HALF_BITS) >> MANTISSA_BITS;
        double x = Float.intBitsToFloat(bits - (exponent << MANTISSA_BITS));
        double t = (x - 1) / (x + 1);
        double u = t * t;
        // log(x) = 2 atanh(t): the next term is below 1e-12
        double series = 2 * t * (1 + u * (1.0 / 3 + u * (1.0 / 5 + u * (1.0 / 7 + u * (1.0 / 9 + u * (1.0 / 11))))));
        return (float) (max + (exponent * LN2 + series));
    }

    /** {@code 1 / (1 + exp(-x))}, error &lt;= 2.5 ulp; 0 below -88.73. */
    public static float sigmoid(float x) {
        return 1f / (1f + exp(-x));
    }

    /**
     * {@code tanh(x)}, error &lt;= 1.4 ulp. Odd, monotone, exactly 1 from 9.011 on;
     * {@code tanh(-0.0) = -0.0}.
     */
    public static float tanh(float x) {
        float a = Math.abs(x);
        float t = a * a;
        float p = fma(TANH_C4, t, TANH_C3);
        p = fma(p, t, TANH_C2);
        p = fma(p, t, TANH_C1);
        p = fma(p, t, TANH_C0);
        float small = fma(a * t, p, a);
        float large = 1f - 2f / (1f + exp(2f * a));
        return Math.copySign(a < ODD_LIMIT ? small : large, x);
    }

    /**
     * {@code erf(x)}, error &lt;= 2.2 ulp and &lt;= 2.2 * 2^-24. Odd, exactly 1 from 3.9152 on;
     * {@code erf(-0.0) = -0.0}. Between neighbouring floats the result may step back by one ulp.
     */
    public static float erf(float x) {
        float a = Math.abs(x);
        float t = a * a;
        float p = fma(ERF_C4, t, ERF_C3);
        p = fma(p, t, ERF_C2);
        p = fma(p, t, ERF_C1);
        p = fma(p, t, ERF_C0);
        float small = fma(a, p, a);
        float large = 1f - erfcOverSqrt2(a * SQRT_2);
        return Math.copySign(a < ODD_LIMIT ? small : large, x);
    }

    /** {@code erfc(a / sqrt 2)} for {@code a >= 0}: the scale that GELU needs, with no division. */
    private static float erfcOverSqrt2(float a) {
        float q = fma(ERFC_C7, a, ERFC_C6);
        q = fma(q, a, ERFC_C5);
        q = fma(q, a, ERFC_C4);
        q = fma(q, a, ERFC_C3);
        q = fma(q, a, ERFC_C2);
        q = fma(q, a, ERFC_C1);
        q = fma(q, a, ERFC_C0);
        return exp(a * q);
    }

    /** {@code max(x, +0)}: {@code relu(-0.0) = +0.0}, {@code relu(NaN) = NaN}. */
    public static float relu(float x) {
        return x <= 0f ? 0f : x;
    }

    /** {@code relu(x)^2}. */
    public static float reluSquared(float x) {
        float y = relu(x);
        return y * y;
    }

    /** See {@link Activation#GELU_TANH}. */
    public static float geluTanh(float x) {
        float minusZ = x * fma(x * x, GELU_C1, GELU_C0);
        return x / (1f + exp(minusZ));
    }

    /** See {@link Activation#GELU_ERF}. */
    public static float geluErf(float x) {
        float half = 0.5f * erfcOverSqrt2(Math.abs(x));
        return x * (x < 0f ? half : 1f - half);
    }

    /** See {@link Activation#SILU}. */
    public static float silu(float x) {
        return x / (1f + exp(-x));
    }

    /** Applies an activation. */
    public static float activate(Activation activation, float x) {
        return activate(activation.code(), x);
    }

    /** Applies the activation with the given {@link Activation#code()}. */
    public static float activate(int code, float x) {
        return switch (code) {
            case ActivationCodes.NONE -> x;
            case ActivationCodes.RELU -> relu(x);
            case ActivationCodes.RELU_SQUARED -> reluSquared(x);
            case ActivationCodes.GELU_TANH -> geluTanh(x);
            case ActivationCodes.GELU_ERF -> geluErf(x);
            case ActivationCodes.SILU -> silu(x);
            default -> throw ActivationCodes.unknown(code);
        };
    }
}
