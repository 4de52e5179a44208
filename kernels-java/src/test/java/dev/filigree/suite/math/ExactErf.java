package dev.filigree.suite.math;

/** erf and erfc to double precision: a series of positive terms below 2.5, a continued fraction above. */
final class ExactErf {

    private static final double SPLIT = 2.5;

    private ExactErf() {
    }

    static double erf(double x) {
        if (Double.isNaN(x)) {
            return x;
        }
        double a = Math.abs(x);
        return Math.copySign(a < SPLIT ? series(a) : 1 - fraction(a), x);
    }

    static double erfc(double x) {
        if (Double.isNaN(x)) {
            return x;
        }
        if (x < 0) {
            return 1 + erf(-x);
        }
        return x < SPLIT ? 1 - series(x) : fraction(x);
    }

    /** {@code 2/sqrt(pi) e^(-x^2) sum 2^n x^(2n+1) / (1 3 5 ... (2n+1))}. */
    private static double series(double x) {
        double term = x;
        double sum = x;
        for (int n = 1; term > sum * 1e-17; n++) {
            term *= 2 * x * x / (2 * n + 1);
            sum += term;
        }
        return 2 / Math.sqrt(Math.PI) * Math.exp(-x * x) * sum;
    }

    /** {@code e^(-x^2)/sqrt(pi) / (x + (1/2)/(x + (2/2)/(x + (3/2)/(x + ...))))}, inside out. */
    private static double fraction(double x) {
        if (x > 28) {
            return 0;
        }
        double tail = x;
        for (int k = 120; k >= 1; k--) {
            tail = x + k / 2.0 / tail;
        }
        return Math.exp(-x * x) / (Math.sqrt(Math.PI) * tail);
    }
}
