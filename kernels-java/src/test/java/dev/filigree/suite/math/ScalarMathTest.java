package dev.filigree.suite.math;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.filigree.Activation;
import dev.filigree.internal.scalar.ScalarMath;
import java.util.Arrays;
import java.util.function.DoubleBinaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/** The bounds and special values that {@link ScalarMath} and {@link Activation} state. */
class ScalarMathTest {

    private static final long SEED = 20250917;
    private static final double U = 0x1p-24;
    private static final float INFINITY = Float.POSITIVE_INFINITY;

    /** Every exponent, and the range where the functions bend, densely. */
    private static float[] samples() {
        return Samples.concat(Samples.edges(), Samples.everyExponent(Samples.scaled(1 << 12) + 1, SEED),
                Samples.even(-90, 90, Samples.scaled(1 << 20), SEED + 1),
                Samples.even(-6, 6, Samples.scaled(1 << 21), SEED + 2),
                Samples.even(-1, 1, Samples.scaled(1 << 19), SEED + 3));
    }

    private static void checkError(MathFunction function, DoubleBinaryOperator bound) {
        double worst = 0;
        float worstAt = 0;
        for (float x : samples()) {
            double exact = function.exact(x);
            float actual = function.scalar(x);
            if (Float.isInfinite(actual) || Double.isNaN(exact)) {
                continue; // overflow and infinities have tests of their own
            }
            double share = Math.abs(actual - exact) / bound.applyAsDouble(x, exact);
            if (!(share <= worst)) {
                worst = share;
                worstAt = x;
            }
        }
        assertThat(worst).as("%s at %a: error as a share of its bound; seed %d", function.id(), worstAt, SEED)
                .isLessThanOrEqualTo(1);
    }

    /** The spacing of floats at a value that need not be one. */
    private static double ulp(double exact) {
        return Math.scalb(1.0, Math.max(Math.getExponent(exact), Float.MIN_EXPONENT) - 23);
    }

    @ParameterizedTest
    @CsvSource({"EXP, 0.9", "SIGMOID, 2.5", "TANH, 1.4", "ERF, 2.2"})
    void errorInUlp(MathFunction function, double ulps) {
        // What is no normal float is flushed to 0 by exp, and so by sigmoid.
        checkError(function, (x, exact) -> Math.max(Math.abs(exact) < Float.MIN_NORMAL
                ? Float.MIN_NORMAL : 0, ulps * ulp(exact)));
    }

    @Test
    void erfAbsoluteError() {
        checkError(MathFunction.ERF, (x, exact) -> Math.min(1.5e-7, 2.2 * U));
    }

    @ParameterizedTest
    @CsvSource({"GELU_TANH, 2.1", "GELU_ERF, 2", "SILU, 2", "RELU_SQUARED, 0"})
    void errorInProportionToInput(MathFunction function, double units) {
        checkError(function, (x, exact) -> Math.max(units * U * Math.abs(x), 0.5000001 * ulp(exact)));
    }

    @Test
    void expAtTheEndsOfItsRange() {
        assertThat(ScalarMath.exp(0f)).isEqualTo(1f);
        assertThat(ScalarMath.exp(-0f)).isEqualTo(1f);
        assertThat(ScalarMath.exp(0x1.62e42ep6f)).isLessThan(INFINITY).isGreaterThan(0x1.fffp127f);
        assertThat(ScalarMath.exp(Math.nextUp(0x1.62e42ep6f))).isEqualTo(INFINITY);
        assertThat(ScalarMath.exp(-0x1.5d589ep6f)).isGreaterThanOrEqualTo(Float.MIN_NORMAL);
        assertThat(ScalarMath.exp(Math.nextDown(-0x1.5d589ep6f))).isEqualTo(0f);
        assertThat(ScalarMath.exp(INFINITY)).isEqualTo(INFINITY);
        assertThat(bits(ScalarMath.exp(-INFINITY))).isEqualTo(bits(0f));
    }

    @ParameterizedTest
    @EnumSource(MathFunction.class)
    void nanGivesNan(MathFunction function) {
        assertThat(function.scalar(Float.NaN)).isNaN();
        assertThat(function.scalar(Float.intBitsToFloat(0xffc12345))).isNaN();
        assertThat(function.scalar(Float.intBitsToFloat(0x7f800001))).isNaN();
    }

    @ParameterizedTest
    @CsvSource({"EXP, 1, 1", "SIGMOID, 0.5, 0.5", "TANH, 0, -0.0", "ERF, 0, -0.0", "RELU, 0, 0",
        "RELU_SQUARED, 0, 0", "GELU_TANH, 0, -0.0", "GELU_ERF, 0, -0.0", "SILU, 0, -0.0"})
    void zeros(MathFunction function, float atZero, float atMinusZero) {
        assertThat(bits(function.scalar(0f))).isEqualTo(bits(atZero));
        assertThat(bits(function.scalar(-0f))).isEqualTo(bits(atMinusZero));
    }

    @ParameterizedTest
    @CsvSource({"EXP, Infinity, 0", "SIGMOID, 1, 0", "TANH, 1, -1", "ERF, 1, -1", "RELU, Infinity, 0",
        "RELU_SQUARED, Infinity, 0", "GELU_TANH, Infinity, NaN", "GELU_ERF, Infinity, NaN",
        "SILU, Infinity, NaN"})
    void infinities(MathFunction function, float atInfinity, float atMinusInfinity) {
        assertThat(bits(function.scalar(INFINITY))).isEqualTo(bits(atInfinity));
        assertThat(bits(function.scalar(-INFINITY))).isEqualTo(bits(atMinusInfinity));
    }

    @ParameterizedTest
    @CsvSource({"GELU_TANH, -10.1", "GELU_ERF, -10.2", "SILU, -88.73"})
    void farBelowZeroIsMinusZeroAndFarAboveIsTheInput(MathFunction function, float from) {
        for (float x = from; x > -INFINITY; x *= 1.7f) {
            assertThat(bits(function.scalar(x))).as("%a", x).isEqualTo(bits(-0f));
            assertThat(function.scalar(-x)).isEqualTo(-x);
        }
    }

    @ParameterizedTest
    @CsvSource({"TANH, 9.011", "ERF, 3.9152"})
    void oddAndSaturated(MathFunction function, float saturatedFrom) {
        for (float x : samples()) {
            float y = function.scalar(x);
            if (bits(function.scalar(-x)) != bits(-y) || Math.abs(y) > 1
                    || Math.abs(x) >= saturatedFrom && Math.abs(y) != 1) {
                assertThat(y).as("%s at %a", function.id(), x).isNull();
            }
        }
    }

    /** A step back of one ulp is allowed between neighbours, and none over the range. */
    @ParameterizedTest
    @CsvSource({"EXP", "SIGMOID", "TANH", "ERF", "RELU", "RELU_SQUARED"})
    void monotone(MathFunction function) {
        float[] sorted = samples();
        Arrays.sort(sorted);
        float highest = -INFINITY;
        for (float x : sorted) {
            float y = function.scalar(x);
            if (y < Math.nextDown(highest)) {
                assertThat(y).as("%s at %a", function.id(), x).isGreaterThanOrEqualTo(highest);
            }
            highest = Math.max(highest, y);
        }
    }

    @Test
    void noneIsTheIdentity() {
        for (float x : Samples.edges()) {
            assertThat(bits(ScalarMath.activate(Activation.NONE, x))).isEqualTo(bits(x));
        }
    }

    /** The reference itself, against values of erf and erfc known to 16 digits. */
    @Test
    void reference() {
        assertThat(ExactErf.erf(0.5)).isCloseTo(0.5204998778130465, within(1e-15));
        assertThat(ExactErf.erf(1)).isCloseTo(0.8427007929497149, within(1e-15));
        assertThat(ExactErf.erf(2)).isCloseTo(0.9953222650189527, within(1e-15));
        assertThat(ExactErf.erfc(3) / 2.209049699858544e-5).isCloseTo(1, within(1e-13));
        assertThat(ExactErf.erfc(6) / 2.1519736712498913e-17).isCloseTo(1, within(1e-13));
    }

    private static int bits(float x) {
        return Float.floatToIntBits(x);
    }
}
