package dev.filigree.mlp;

import dev.filigree.Activation;
import dev.filigree.DType;
import dev.filigree.format.RowMatrix;
import java.util.Objects;
import java.util.Optional;

/**
 * The weights of an MLP: {@code y = Wd h + bd} with {@code h = act(Wg x + bg) (Wu x + bu)}, or, without a gate,
 * {@code h = act(Wu x + bu)}. With a gate and {@link Activation#RELU} it is a ReGLU, with {@link Activation#SILU} a
 * SwiGLU, with one of the GELUs a GeGLU.
 *
 * <p>The down projection has a row for each neuron, so it is the transposed matrix of {@code y = Wd h}: what a neuron
 * adds to the output is contiguous. Gate and up have a row for each neuron, too, or one for each input: see
 * {@link Order}. Immutable and thread-safe.
 */
public final class MlpWeights {

    /** What a row of gate and up belongs to. */
    public enum Order {
        /** A neuron: neurons can be skipped. */
        NEURON_MAJOR,
        /** An input: inputs can be skipped. */
        INPUT_MAJOR
    }

    private final RowMatrix gate;
    private final RowMatrix up;
    private final RowMatrix down;
    private final Activation activation;
    private final Order order;
    private final float[] gateBias;
    private final float[] upBias;
    private final float[] downBias;
    /** Made when a rule first needs them: a pass over the matrix. */
    private volatile float[] downNorms;

    private MlpWeights(RowMatrix gate, RowMatrix up, RowMatrix down, Activation activation, Order order,
            float[] gateBias, float[] upBias, float[] downBias) {
        this.gate = gate;
        this.up = up;
        this.down = down;
        this.activation = activation;
        this.order = order;
        this.gateBias = gateBias;
        this.upBias = upBias;
        this.downBias = downBias;
    }

    /**
     * An MLP with a gate, without biases.
     *
     * @param gate intermediate x hidden, or hidden x intermediate when input-major
     * @param up as the gate
     * @param down intermediate x hidden
     * @throws IllegalArgumentException if shapes or types do not match
     */
    public static MlpWeights gated(RowMatrix gate, RowMatrix up, RowMatrix down, Activation activation, Order order) {
        Objects.requireNonNull(gate, "gate");
        return create(gate, up, down, activation, order);
    }

    /**
     * An MLP without a gate, without biases.
     *
     * @param up intermediate x hidden, or hidden x intermediate when input-major
     * @param down intermediate x hidden
     * @throws IllegalArgumentException if shapes or types do not match
     */
    public static MlpWeights plain(RowMatrix up, RowMatrix down, Activation activation, Order order) {
        return create(null, up, down, activation, order);
    }

    private static MlpWeights create(
            RowMatrix gate, RowMatrix up, RowMatrix down, Activation activation, Order order) {
        Objects.requireNonNull(activation, "activation");
        boolean byNeuron = order == Order.NEURON_MAJOR;
        int rows = byNeuron ? down.rows() : down.cols();
        int cols = byNeuron ? down.cols() : down.rows();
        requireMatrix("up", up, rows, cols, down);
        if (gate != null) {
            requireMatrix("gate", gate, rows, cols, down);
        }
        return new MlpWeights(gate, up, down, activation, Objects.requireNonNull(order, "order"), null, null, null);
    }

    private static void requireMatrix(String name, RowMatrix matrix, int rows, int cols, RowMatrix down) {
        if (matrix.rows() != rows || matrix.cols() != cols) {
            throw new IllegalArgumentException(name + " is " + matrix.rows() + " x " + matrix.cols() + ", expected "
                + rows + " x " + cols + " with a down projection of " + down.rows() + " x " + down.cols());
        }
        if (matrix.dtype() != down.dtype()) {
            throw new IllegalArgumentException(
                name + " is " + matrix.dtype().id() + ", down is " + down.dtype().id());
        }
    }

    /**
     * The same weights with biases; null stands for none.
     *
     * @param gate one value a neuron
     * @param up one value a neuron
     * @param down one value an output
     * @throws IllegalArgumentException if a length does not match, or there is a bias for a gate that is not there
     */
    public MlpWeights withBiases(float[] gate, float[] up, float[] down) {
        if (gate != null && this.gate == null) {
            throw new IllegalArgumentException("a gate's bias for an MLP without a gate");
        }
        return new MlpWeights(this.gate, this.up, this.down, activation, order,
            copy("the gate's bias", gate, intermediate()), copy("the up projection's bias", up, intermediate()),
            copy("the down projection's bias", down, hidden()));
    }

    private static float[] copy(String name, float[] bias, int length) {
        if (bias != null && bias.length != length) {
            throw new IllegalArgumentException(name + " has " + bias.length + " values, expected " + length);
        }
        return bias == null ? null : bias.clone();
    }

    /** Inputs, and outputs. */
    public int hidden() {
        return down.cols();
    }

    /** Neurons. */
    public int intermediate() {
        return down.rows();
    }

    /** The gate, if there is one. */
    public Optional<RowMatrix> gate() {
        return Optional.ofNullable(gate);
    }

    /** The up projection. */
    public RowMatrix up() {
        return up;
    }

    /** The down projection, a row for each neuron. */
    public RowMatrix down() {
        return down;
    }

    /** The function of the gate, or of the value of a neuron without one. */
    public Activation activation() {
        return activation;
    }

    /** What a row of gate and up belongs to. */
    public Order order() {
        return order;
    }

    /** The type of the weights. */
    public DType dtype() {
        return down.dtype();
    }

    /** Bytes of all matrices. */
    public long bytes() {
        return (gate == null ? 0 : gate.block().byteSize()) + up.block().byteSize() + down.block().byteSize();
    }

    float[] gateBias() {
        return gateBias;
    }

    float[] upBias() {
        return upBias;
    }

    float[] downBias() {
        return downBias;
    }

    /** The norms of the down projection's rows. */
    float[] downNorms() {
        if (downNorms == null) {
            downNorms = down.rowNorms();
        }
        return downNorms;
    }

    @Override
    public String toString() {
        return "MlpWeights[" + hidden() + " -> " + intermediate() + (gate == null ? ", " : ", gated ") + activation
            + ", " + dtype().id() + ", " + order + "]";
    }
}
