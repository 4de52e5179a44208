package dev.filigree;

import dev.filigree.internal.ActivationCodes;
import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;

/**
 * An elementwise function applied to f32 values. Every backend on the CPU computes the same bits for finite
 * input; NaN gives NaN (its payload is unspecified).
 *
 * <p>Errors below are measured against the exact function, u = 2<sup>-24</sup>. A value too small to be a
 * normal f32 may be off by one denormal step more.
 */
public enum Activation {
    /** {@code f(x) = x}. */
    NONE(ActivationCodes.NONE),
    /** {@code f(x) = max(x, 0)}, exact; {@code f(-0.0) = +0.0}. */
    RELU(ActivationCodes.RELU),
    /** {@code f(x) = max(x, 0)^2}, correctly rounded; {@code f(-0.0) = +0.0}. */
    RELU_SQUARED(ActivationCodes.RELU_SQUARED),
    /**
     * {@code f(x) = x * sigmoid(2 sqrt(2/pi) (x + 0.044715 x^3))}, which is the tanh form of GELU,
     * {@code x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))}. Absolute error &lt;= 2.1 u |x|;
     * {@code f(-0.0) = -0.0}, {@code f(-inf) = NaN}, and {@code -0.0} for x &lt; -10.1.
     */
    GELU_TANH(ActivationCodes.GELU_TANH),
    /**
     * {@code f(x) = x/2 (1 + erf(x / sqrt 2))}. Absolute error &lt;= 2 u |x|;
     * {@code f(-0.0) = -0.0}, {@code f(-inf) = NaN}, and {@code -0.0} for x &lt; -10.2.
     */
    GELU_ERF(ActivationCodes.GELU_ERF),
    /**
     * {@code f(x) = x * sigmoid(x) = x / (1 + exp(-x))}. Absolute error &lt;= 2 u |x|;
     * {@code f(-0.0) = -0.0}, {@code f(-inf) = NaN}, and {@code -0.0} for x &lt; -88.73.
     */
    SILU(ActivationCodes.SILU);

    private final int code;

    Activation(int code) {
        this.code = code;
    }

    /** The number that stands for this activation in the C ABI; stable across versions. */
    public int code() {
        return code;
    }

    /** The name used on the command line and in reports: {@code relu-squared}, {@code gelu-tanh}. */
    public String id() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }

    /**
     * The activation with the given {@link #id()}.
     *
     * @throws IllegalArgumentException if there is none; the message lists the names
     */
    public static Activation of(String id) {
        for (Activation activation : values()) {
            if (activation.id().equals(id)) {
                return activation;
            }
        }
        throw new IllegalArgumentException("activation '" + id + "': must be one of "
                + Arrays.stream(values()).map(Activation::id).collect(Collectors.joining(", ")));
    }
}
