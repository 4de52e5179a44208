package dev.filigree.suite;

import dev.filigree.Activation;

/** Activations in double, straight from their definitions. */
public final class ReferenceMath {

    private ReferenceMath() {}

    /** The activation of x. */
    public static double activate(Activation activation, double x) {
        return switch (activation) {
            case NONE -> x;
            case RELU -> Math.max(x, 0);
            case RELU_SQUARED -> Math.max(x, 0) * Math.max(x, 0);
            case GELU_TANH -> 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));
            case GELU_ERF -> 0.5 * x * (1 + erf(x / Math.sqrt(2)));
            case SILU -> x / (1 + Math.exp(-x));
        };
    }

    /** The largest absolute slope of the activation on [x - distance, x + distance], rounded up. */
    public static double slope(Activation activation, double x, double distance) {
        return switch (activation) {
            case NONE, RELU -> 1;
            case RELU_SQUARED -> 2 * Math.max(0, x + distance);
            // The slopes' maxima: 1.129 (erf), 1.130 (tanh), 1.0999.
            case GELU_TANH, GELU_ERF, SILU -> 1.14;
        };
    }

    /** The error function, to about 1e-15. */
    public static double erf(double x) {
        double a = Math.abs(x);
        if (Double.isNaN(x)) {
            return x;
        }
        if (a > 6) {
            return Math.signum(x);
        }
        // erf(a) = 2/sqrt(pi) e^(-a^2) sum 2^n a^(2n+1) / (2n+1)!!, all terms positive.
        double term = a;
        double sum = a;
        for (int n = 1; term > sum * 1e-17; n++) {
            term *= 2 * a * a / (2 * n + 1);
            sum += term;
        }
        return Math.signum(x) * 2 / Math.sqrt(Math.PI) * Math.exp(-a * a) * sum;
    }
}
