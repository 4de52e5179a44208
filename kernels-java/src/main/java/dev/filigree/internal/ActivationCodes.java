package dev.filigree.internal;

/**
 * The numbers of the activations: shared by {@code Activation}, the kernels' switches and the C ABI. Never
 * renumber.
 */
public final class ActivationCodes {
    public static final int NONE = 0;
    public static final int RELU = 1;
    public static final int RELU_SQUARED = 2;
    public static final int GELU_TANH = 3;
    public static final int GELU_ERF = 4;
    public static final int SILU = 5;

    private ActivationCodes() {
    }

    /** The exception for a code that is none of these. */
    public static IllegalArgumentException unknown(int code) {
        return new IllegalArgumentException("activation code " + code + ": must be 0 to 5");
    }
}
