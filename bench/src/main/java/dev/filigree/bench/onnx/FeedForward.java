package dev.filigree.bench.onnx;

import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The feed-forward block of one transformer layer, weights oriented as {@code [out, in]}.
 *
 * @param layer counted from 0
 * @param up from the hidden size to the intermediate one
 * @param down back again
 */
public record FeedForward(int layer, WeightMatrix up, WeightMatrix down) {

    /** The f32 model that the all-minilm-l6-v2 artifact carries: 6 layers, 384 to 1536 and back. */
    private static final String MINILM = "/all-minilm-l6-v2.onnx";
    private static final int MINILM_HIDDEN = 384;
    private static final int MINILM_INTERMEDIATE = 1536;

    /**
     * The feed-forward blocks of MiniLM-L6, from the class path.
     *
     * @throws IOException if the model is not there or cannot be read
     */
    public static List<FeedForward> ofMiniLm() throws IOException {
        try (InputStream in = FeedForward.class.getResourceAsStream(MINILM)) {
            if (in == null) {
                throw new IOException("no resource " + MINILM + " on the class path");
            }
            return of(MINILM, OnnxReader.read(MINILM, in), MINILM_HIDDEN, MINILM_INTERMEDIATE);
        }
    }

    /**
     * Finds the feed-forward blocks of a model: the products of an activation with a constant matrix that lead
     * from one size to the other, in pairs. Names are not used: exporters call the weights by what they were
     * before and after folding a transposition.
     *
     * @throws OnnxFormatException if the products do not come in pairs of one up and one down
     */
    static List<FeedForward> of(String source, OnnxGraph graph, int hidden, int intermediate) {
        Map<String, String> transposed = new HashMap<>();
        for (OnnxGraph.Node node : graph.nodes()) {
            // Of a matrix there is but one transposition, whatever the permutation is written as.
            if (node.type().equals("Transpose") && graph.matrices().containsKey(node.inputs().getFirst())) {
                transposed.put(node.outputs().getFirst(), node.inputs().getFirst());
            }
        }
        List<FeedForward> layers = new ArrayList<>();
        WeightMatrix up = null;
        for (OnnxGraph.Node node : graph.nodes()) {
            Optional<WeightMatrix> weights = weights(node, graph, transposed);
            if (weights.isEmpty()) {
                continue;
            }
            WeightMatrix w = weights.get();
            boolean isUp = w.rows() == intermediate && w.cols() == hidden;
            boolean isDown = w.rows() == hidden && w.cols() == intermediate;
            if (isUp && up != null || isDown && up == null) {
                throw new OnnxFormatException(source, "node " + node.name() + " with " + w
                    + " is not part of a pair of one up and one down projection");
            }
            if (isUp) {
                up = w.named("layer " + layers.size() + " up");
            } else if (isDown) {
                layers.add(new FeedForward(layers.size(), up, w.named("layer " + layers.size() + " down")));
                up = null;
            }
        }
        if (up != null || layers.isEmpty()) {
            throw new OnnxFormatException(source, "no complete feed-forward block between " + hidden + " and "
                + intermediate + " features was found");
        }
        return layers;
    }

    /** The constant matrix that a node multiplies an activation with, as {@code [out, in]}. */
    private static Optional<WeightMatrix> weights(OnnxGraph.Node node, OnnxGraph graph,
            Map<String, String> transposed) {
        boolean gemm = node.type().equals("Gemm");
        if (!gemm && !node.type().equals("MatMul") || node.inputs().size() < 2) {
            return Optional.empty();
        }
        String operand = node.inputs().get(1);
        WeightMatrix matrix = graph.matrices().get(transposed.getOrDefault(operand, operand));
        if (matrix == null) {
            return Optional.empty();
        }
        boolean flipped = transposed.containsKey(operand) != (gemm && node.ints().getOrDefault("transB", 0L) != 0);
        // x * W takes W as [in, out].
        return Optional.of(flipped ? matrix : matrix.transposed());
    }
}
