package dev.filigree.suite.math;

import dev.filigree.Activation;
import dev.filigree.internal.scalar.ScalarMath;
import java.util.Locale;

/** Each elementwise function: its scalar form, and its exact value to double precision. */
enum MathFunction {
    EXP {
        @Override
        float scalar(float x) {
            return ScalarMath.exp(x);
        }

        @Override
        double exact(double x) {
            return Math.exp(x);
        }
    },
    SIGMOID {
        @Override
        float scalar(float x) {
            return ScalarMath.sigmoid(x);
        }

        @Override
        double exact(double x) {
            return 1 / (1 + Math.exp(-x));
        }
    },
    TANH {
        @Override
        float scalar(float x) {
            return ScalarMath.tanh(x);
        }

        @Override
        double exact(double x) {
            return Math.tanh(x);
        }
    },
    ERF {
        @Override
        float scalar(float x) {
            return ScalarMath.erf(x);
        }

        @Override
        double exact(double x) {
            return ExactErf.erf(x);
        }
    },
    RELU {
        @Override
        float scalar(float x) {
            return ScalarMath.activate(Activation.RELU, x);
        }

        @Override
        double exact(double x) {
            return Math.max(x, 0);
        }
    },
    RELU_SQUARED {
        @Override
        float scalar(float x) {
            return ScalarMath.activate(Activation.RELU_SQUARED, x);
        }

        @Override
        double exact(double x) {
            return Math.max(x, 0) * Math.max(x, 0);
        }
    },
    GELU_TANH {
        @Override
        float scalar(float x) {
            return ScalarMath.activate(Activation.GELU_TANH, x);
        }

        @Override
        double exact(double x) {
            return x / (1 + Math.exp(-2 * Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x)));
        }
    },
    GELU_ERF {
        @Override
        float scalar(float x) {
            return ScalarMath.activate(Activation.GELU_ERF, x);
        }

        @Override
        double exact(double x) {
            return 0.5 * x * ExactErf.erfc(-x / Math.sqrt(2));
        }
    },
    SILU {
        @Override
        float scalar(float x) {
            return ScalarMath.activate(Activation.SILU, x);
        }

        @Override
        double exact(double x) {
            return x / (1 + Math.exp(-x));
        }
    };

    abstract float scalar(float x);

    abstract double exact(double x);

    /** The name in the golden file. */
    String id() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }
}
