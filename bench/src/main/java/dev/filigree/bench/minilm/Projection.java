package dev.filigree.bench.minilm;

import dev.filigree.bench.onnx.OnnxGraph;
import dev.filigree.bench.onnx.WeightMatrix;
import java.util.Locale;

/**
 * A linear map of the model: {@code Y = X * W^T}, before its bias.
 *
 * @param layer counted from 0
 * @param role what it does in its layer
 * @param weights W as {@code [out, in]}
 * @param input the name of X in the graph
 * @param output the name of Y in the graph
 */
public record Projection(int layer, Role role, WeightMatrix weights, String input, String output) {

    /** The six linear maps of an encoder layer, in the order in which they run. */
    public enum Role {
        /** Attention's queries. */
        QUERY,
        /** Attention's keys. */
        KEY,
        /** Attention's values. */
        VALUE,
        /** From attention's heads back to the hidden state. */
        ATTENTION_OUTPUT,
        /** Feed-forward, to the intermediate size. */
        UP,
        /** Feed-forward, back to the hidden size. */
        DOWN;

        /** How tables call it. */
        public String label() {
            return this == ATTENTION_OUTPUT ? "attention output" : name().toLowerCase(Locale.ROOT);
        }
    }

    static Projection of(int layer, Role role, OnnxGraph.Product product) {
        return new Projection(layer, role, product.weights().named("layer " + layer + " " + role.label()),
            product.input(), product.output());
    }
}
