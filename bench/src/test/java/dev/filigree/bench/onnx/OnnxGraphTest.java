package dev.filigree.bench.onnx;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class OnnxGraphTest {

    private static final WeightMatrix W = new WeightMatrix("w", 2, 3, new float[] {1, 2, 3, 4, 5, 6});
    private static final WeightMatrix TRANSPOSED = new WeightMatrix("wt", 3, 2, new float[] {1, 4, 2, 5, 3, 6});

    private static OnnxGraph.Node node(String type, String weight, Map<String, Long> ints) {
        return new OnnxGraph.Node("n", type, List.of("x", weight), List.of("y"), ints);
    }

    private static OnnxGraph graph(OnnxGraph.Node... nodes) {
        return new OnnxGraph(List.of(nodes), Map.of("w", W, "wt", TRANSPOSED));
    }

    @Test
    void orientsWeightsHoweverTheyAreExported() {
        // From 3 features to 2: a product takes [in, out], Gemm may take [out, in].
        for (OnnxGraph graph : List.of(graph(node("MatMul", "wt", Map.of())),
                graph(node("Gemm", "w", Map.of("transB", 1L))), graph(node("Gemm", "wt", Map.of("transB", 0L))),
                graph(new OnnxGraph.Node("t", "Transpose", List.of("w"), List.of("w^T"), Map.of()),
                    node("MatMul", "w^T", Map.of())))) {
            OnnxGraph.Product product = graph.products().getFirst();
            assertThat(List.of(product.weights().rows(), product.weights().cols())).containsExactly(2, 3);
            assertThat(product.weights().data()).containsExactly(1, 2, 3, 4, 5, 6);
            assertThat(product.input()).isEqualTo("x");
            assertThat(product.output()).isEqualTo("y");
        }
    }

    @Test
    void productsOfActivationsAndOtherNodesDoNotCount() {
        assertThat(graph(node("MatMul", "another", Map.of()), node("Add", "w", Map.of())).products()).isEmpty();
    }
}
