package dev.filigree.bench.llama;

import dev.filigree.Activation;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.format.RowMatrix;
import dev.filigree.mlp.MlpWeights;
import java.util.List;

/**
 * A Llama decoder's weights as the library takes them, shared by all that decode with them.
 *
 * @param shape the sizes
 * @param embedding vocabulary x dim
 * @param layers in their order
 * @param norm of the last layer's output
 * @param classifier a row for each token
 */
public record LlamaModel(
        LlamaCheckpoint.Shape shape, DenseMatrix embedding, List<Layer> layers, float[] norm, RowMatrix classifier) {

    /**
     * One layer.
     *
     * @param attentionNorm of the attention's input
     * @param query a row for each output, as all projections
     * @param key of the attention
     * @param value of the attention
     * @param output of the attention
     * @param mlpNorm of the MLP's input
     * @param mlp a SwiGLU
     */
    public record Layer(float[] attentionNorm, RowMatrix query, RowMatrix key, RowMatrix value, RowMatrix output,
            float[] mlpNorm, MlpWeights mlp) {}

    /** Copies the list. */
    public LlamaModel {
        layers = List.copyOf(layers);
    }

    /** Bytes of all matrices. */
    public long bytes() {
        return embedding.data().byteSize() + classifier.block().byteSize()
            + layers.stream().mapToLong(layer -> layer.query.block().byteSize() + layer.key.block().byteSize()
                + layer.value.block().byteSize() + layer.output.block().byteSize() + layer.mlp.bytes()).sum();
    }

    /** Copies the weights. */
    public static LlamaModel of(LlamaCheckpoint from) {
        List<Layer> layers = from.layers().stream().map(layer -> new Layer(layer.attentionNorm(),
            RowMatrix.of(layer.query()), RowMatrix.of(layer.key()), RowMatrix.of(layer.value()),
            RowMatrix.of(layer.output()), layer.mlpNorm(), MlpWeights.gated(RowMatrix.of(layer.gate()),
                RowMatrix.of(layer.up()), RowMatrix.ofTransposed(layer.down(), DType.F32), Activation.SILU,
                MlpWeights.Order.NEURON_MAJOR))).toList();
        return new LlamaModel(
            from.shape(), from.embedding(), layers, from.norm(), RowMatrix.of(from.classifier()));
    }
}
