package dev.filigree.bench.minilm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.filigree.bench.onnx.OnnxFormatException;
import dev.filigree.bench.onnx.OnnxGraph;
import dev.filigree.bench.onnx.WeightMatrix;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class MiniLmTest {

    private static MiniLm model;

    @BeforeAll
    static void load() throws IOException {
        model = MiniLm.load();
    }

    @AfterAll
    static void drop() {
        model = null; // 180 MB.
    }

    private static List<Projection> layer(int layer) {
        return model.projections().subList(6 * layer, 6 * layer + 6);
    }

    @Test
    void findsTheProjectionsOfSixLayers() {
        assertThat(model.projections()).hasSize(36);
        String[] words = {"query", "key", "value", "attention/output", "intermediate", "output/dense"};
        for (int i = 0; i < 36; i++) {
            Projection projection = model.projections().get(i);
            assertThat(projection.layer()).isEqualTo(i / 6);
            assertThat(projection.role()).isEqualTo(Projection.Role.values()[i % 6]);
            // The exporter's names, which the search does not use, agree.
            assertThat(projection.output()).contains("layer." + i / 6 + "/").contains(words[i % 6]);
            assertThat(projection.weights().rows()).isEqualTo(i % 6 == 4 ? 1536 : 384);
            assertThat(projection.weights().cols()).isEqualTo(i % 6 == 5 ? 1536 : 384);
        }
        assertThat(model.projections().get(4).weights().name()).isEqualTo("layer 0 up");
    }

    @Test
    void weightsAreTrainedOnes() {
        for (Projection projection : model.projections()) {
            double squares = 0;
            for (float w : projection.weights().data()) {
                assertThat(w).isFinite();
                squares += w * w;
            }
            assertThat(Math.sqrt(squares / projection.weights().data().length)).isBetween(0.01, 0.2);
        }
        assertThat(layer(0).get(4).weights().data()[0]).isNotEqualTo(layer(1).get(4).weights().data()[0]);
    }

    @Test
    void thereAreTwentyDifferentSentences() throws IOException {
        assertThat(MiniLm.sentences()).hasSize(20).doesNotHaveDuplicates().allMatch(s -> s.matches("[ -~]+[.?]"));
    }

    /** What the model computes from the inputs that were taken out of it is what their projections make of them. */
    @Test
    void activationsAreTheInputsOfTheirProjections() throws IOException {
        List<Projection> wanted = List.of(layer(0).get(0), layer(2).get(3), layer(3).get(4), layer(5).get(5));
        Map<String, Tokens> inputs = model.inputs(wanted);
        Map<String, Tokens> outputs = model.values(Set.copyOf(wanted.stream().map(Projection::output).toList()));
        for (Projection projection : wanted) {
            Tokens x = inputs.get(projection.input());
            Tokens y = outputs.get(projection.output());
            assertThat(x.features()).isEqualTo(projection.weights().cols());
            assertThat(y.features()).isEqualTo(projection.weights().rows());
            // As many tokens as the reference tokenizer makes of the sentences.
            assertThat(List.of(x.count(), y.count())).containsOnly(423);
            for (int token : new int[] {0, 1, 77, 422}) {
                for (int row : new int[] {0, 5, y.features() - 1}) {
                    double sum = 0;
                    double magnitude = 0;
                    for (int c = 0; c < x.features(); c++) {
                        double product = (double) x.data()[token * x.features() + c]
                            * projection.weights().data()[row * x.features() + c];
                        sum += product;
                        magnitude += Math.abs(product);
                    }
                    assertThat((double) y.data()[token * y.features() + row]).isCloseTo(sum, within(1e-5 * magnitude));
                }
            }
        }
    }

    @Test
    void aValueThatTheModelDoesNotHaveIsNamed() {
        assertThatThrownBy(() -> model.values(Set.of("no such value")))
            .isInstanceOf(MiniLm.ActivationsException.class).hasMessageContaining("no such value");
    }

    private static final int[][] SHAPES = {{2, 2}, {2, 2}, {2, 2}, {2, 2}, {3, 2}, {2, 3}};

    private static OnnxGraph graph(int[][] shapes, String... inputs) {
        List<OnnxGraph.Node> nodes = new ArrayList<>();
        Map<String, WeightMatrix> matrices = new HashMap<>();
        for (int i = 0; i < shapes.length; i++) {
            // MatMul takes [in, out].
            matrices.put("w" + i, new WeightMatrix("w" + i, shapes[i][1], shapes[i][0],
                new float[shapes[i][0] * shapes[i][1]]));
            nodes.add(new OnnxGraph.Node("", "MatMul", List.of(inputs[i], "w" + i), List.of("y" + i), Map.of()));
        }
        return new OnnxGraph(nodes, matrices);
    }

    @Test
    void otherModelsAreRefused() {
        assertThat(MiniLm.projections("test", graph(SHAPES, "x", "x", "x", "a", "b", "c"), 2, 3)).hasSize(6);
        assertThatThrownBy(() -> MiniLm.projections("test", graph(SHAPES, "x", "x", "z", "a", "b", "c"), 2, 3))
            .isInstanceOf(OnnxFormatException.class).hasMessageContaining("test: product y2")
            .hasMessageContaining("value projection");
        assertThatThrownBy(() -> MiniLm.projections("test", graph(SHAPES, "x", "x", "x", "a", "b", "c"), 2, 4))
            .isInstanceOf(OnnxFormatException.class).hasMessageContaining("test: product y4");
        assertThatThrownBy(() -> MiniLm.projections("test", graph(new int[][] {{2, 2}}, "x"), 2, 3))
            .isInstanceOf(OnnxFormatException.class).hasMessageContaining("1 products");
        assertThatThrownBy(() -> MiniLm.projections("test", graph(new int[0][]), 2, 3))
            .isInstanceOf(OnnxFormatException.class).hasMessageContaining("0 products");
    }
}
