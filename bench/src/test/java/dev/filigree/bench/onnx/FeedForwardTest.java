package dev.filigree.bench.onnx;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class FeedForwardTest {

    @Test
    void findsTheSixLayersOfMiniLm() throws IOException {
        List<FeedForward> layers = FeedForward.ofMiniLm();
        assertThat(layers).hasSize(6);
        for (int i = 0; i < layers.size(); i++) {
            FeedForward layer = layers.get(i);
            assertThat(layer.layer()).isEqualTo(i);
            assertThat(layer.up().name()).isEqualTo("layer " + i + " up");
            assertThat(List.of(layer.up().rows(), layer.up().cols())).containsExactly(1536, 384);
            assertThat(List.of(layer.down().rows(), layer.down().cols())).containsExactly(384, 1536);
            // Trained weights: small, centred, none of them exactly zero in numbers, no two layers alike.
            double squares = 0;
            for (float w : layer.up().data()) {
                assertThat(w).isFinite();
                squares += w * w;
            }
            assertThat(Math.sqrt(squares / layer.up().data().length)).isBetween(0.01, 0.2);
            assertThat(layer.up().data()[0]).isNotEqualTo(layers.get((i + 1) % 6).up().data()[0]);
        }
    }

    private static final WeightMatrix UP = new WeightMatrix("u", 2, 3, new float[] {1, 2, 3, 4, 5, 6});
    private static final WeightMatrix UP_TRANSPOSED = new WeightMatrix("ut", 3, 2, new float[] {1, 4, 2, 5, 3, 6});

    private static OnnxGraph.Node node(String type, String weight, Map<String, Long> ints) {
        return new OnnxGraph.Node("n", type, List.of("x", weight), List.of("y"), ints);
    }

    @Test
    void orientsWeightsHoweverTheyAreExported() {
        // x (2 features) to 3 features and back: a product takes [in, out], Gemm may take [out, in].
        OnnxGraph matMul = new OnnxGraph(
            List.of(node("MatMul", "u", Map.of()), node("MatMul", "ut", Map.of())),
            Map.of("u", UP, "ut", UP_TRANSPOSED));
        OnnxGraph gemm = new OnnxGraph(
            List.of(node("Gemm", "ut", Map.of("transB", 1L)), node("Gemm", "ut", Map.of("transB", 0L))),
            Map.of("ut", UP_TRANSPOSED));
        OnnxGraph transpose = new OnnxGraph(List.of(
            new OnnxGraph.Node("t", "Transpose", List.of("ut"), List.of("ut^T"), Map.of()),
            node("MatMul", "ut^T", Map.of()), node("MatMul", "ut", Map.of())), Map.of("ut", UP_TRANSPOSED));
        for (OnnxGraph graph : List.of(matMul, gemm, transpose)) {
            FeedForward block = FeedForward.of("test", graph, 2, 3).getFirst();
            assertThat(block.up().data()).containsExactly(1, 4, 2, 5, 3, 6);
            assertThat(block.down().data()).containsExactly(1, 2, 3, 4, 5, 6);
        }
    }

    @Test
    void refusesUnpairedProjections() {
        OnnxGraph twoUps = new OnnxGraph(
            List.of(node("MatMul", "u", Map.of()), node("MatMul", "u", Map.of())), Map.of("u", UP));
        assertThatThrownBy(() -> FeedForward.of("test", twoUps, 2, 3))
            .isInstanceOf(OnnxFormatException.class).hasMessageContaining("test: node n");
        OnnxGraph none = new OnnxGraph(List.of(), Map.of());
        assertThatThrownBy(() -> FeedForward.of("test", none, 2, 3))
            .isInstanceOf(OnnxFormatException.class).hasMessageContaining("no complete feed-forward block");
    }
}
