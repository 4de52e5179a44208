package dev.filigree.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.google.gson.JsonObject;
import dev.filigree.Backend;
import dev.filigree.DenseMatrix;
import dev.filigree.Workers;
import dev.filigree.bench.measure.Ceilings;
import dev.filigree.bench.minilm.Projection;
import dev.filigree.bench.minilm.Tokens;
import dev.filigree.bench.onnx.WeightMatrix;
import dev.filigree.bench.report.DataTable;
import dev.filigree.bench.report.HtmlRenderer;
import dev.filigree.bench.report.Plot;
import dev.filigree.bench.report.Prose;
import dev.filigree.bench.report.Report;
import dev.filigree.bench.report.Section;
import dev.filigree.format.CsrMatrix;
import dev.filigree.format.Pruning;
import java.lang.foreign.Arena;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** The section on a model of a few thousand weights. */
class SpmmReportSectionTest {

    private static final int HIDDEN = 24;
    private static final int INTERMEDIATE = 40;
    private static final int TOKENS = 150;

    private static float[] numbers(int count, long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        float[] numbers = new float[count];
        for (int i = 0; i < count; i++) {
            numbers[i] = (float) random.nextDouble(-1, 1);
        }
        return numbers;
    }

    private static SpmmReportInputs small(boolean real) {
        List<Projection> projections = new ArrayList<>();
        Map<String, Tokens> activations = new HashMap<>();
        for (Projection.Role role : Projection.Role.values()) {
            int rows = role == Projection.Role.UP ? INTERMEDIATE : HIDDEN;
            int cols = role == Projection.Role.DOWN ? INTERMEDIATE : HIDDEN;
            String name = "layer 2 " + role.label();
            projections.add(new Projection(2, role, new WeightMatrix(name, rows, cols, numbers(rows * cols, 1)),
                name + " in", name + " out"));
            activations.put(name + " in", new Tokens(TOKENS, cols, numbers(TOKENS * cols, 2)));
        }
        return new SpmmReportInputs(projections, activations, "a small model", real);
    }

    private static Section run(boolean real) {
        return new SpmmReportSection(seed -> small(real)).run(
            new ReportSection.Context(true, false, Optional.of(new Ceilings(2, 100, 50, 10))));
    }

    @Test
    void measuresChecksAndTells() {
        Section section = run(true);
        int cells = 4 * 5;
        int backends = CommonOptions.availableOnHost().size();
        assertThat(section.failures()).isZero();
        // Each backend, the dense path, and the whole layer.
        assertThat(section.checked()).isEqualTo(cells * (backends + 2));
        assertThat(section.cases()).hasSize(cells).allSatisfy(json -> {
            assertThat(json.keySet())
                .containsExactly("op", "case", "results", "bits_equal", "mean_cosine", "least_cosine");
            assertThat(json.get("bits_equal").getAsBoolean()).isTrue();
            assertThat(json.getAsJsonArray("results")).hasSize(backends + 1);
            JsonObject described = json.getAsJsonObject("case");
            assertThat(described.get("n").getAsInt()).isEqualTo(128);
            assertThat(described.get("layout").getAsString()).isEqualTo("token-major");
        });
        List<DataTable> tables = section.blocks().stream().filter(DataTable.class::isInstance)
            .map(DataTable.class::cast).toList();
        // Three shapes at five sparsities; a line for the quality of each sparsity.
        assertThat(tables).extracting(table -> table.rows().size()).containsExactly(15, 5);
        assertThat(tables.getFirst().rows()).allSatisfy(row -> assertThat(row.getLast()).isEqualTo("ok"));
        assertThat(tables.getLast().rows().stream().map(row -> Double.parseDouble(row.get(1))))
            .isSortedAccordingTo((x, y) -> Double.compare(y, x)).allMatch(cosine -> cosine > 0.3 && cosine < 1);
        assertThat(section.blocks().stream().filter(Plot.class::isInstance)).hasSize(3 * 2 + 2);
        assertThat(HtmlRenderer.render(new Report("t", "s", Instant.EPOCH, true, List.of(section))))
            .contains("Roofline");
    }

    @Test
    void saysWhereInputsAreNotReal() {
        Section section = run(false);
        assertThat(section.blocks().getFirst()).isEqualTo(Prose.note("a small model"));
        // Cosines of drawn numbers would say nothing about pruning.
        assertThat(section.blocks().stream().filter(DataTable.class::isInstance)).hasSize(1);
    }

    @Test
    void cosinesOfKnownLayers() {
        // The second weight of each output is the smaller one: half sparsity drops it.
        float[] weights = {4, 3, 3, -4};
        Tokens tokens = new Tokens(2, 2, new float[] {1, 0, 1, 1});
        try (Arena arena = Arena.ofShared(); Workers team = Workers.of(1)) {
            DenseMatrix full = DenseMatrix.of(weights, 2, 2);
            DenseMatrix dense = SpmmLayerCheck.output(CsrMatrix.fromDense(full), tokens, Backend.SCALAR, team, arena);
            SpmmLayerCheck check = SpmmLayerCheck.of(CsrMatrix.fromDense(full, Pruning.rowMagnitude(0.5)), tokens,
                dense, List.of(Backend.SCALAR), team);
            // Token (1, 0): (4, 3) becomes (4, 0). Token (1, 1): (7, -1) becomes (4, -4).
            double first = 0.8;
            double second = 32 / (Math.sqrt(50) * Math.sqrt(32));
            assertThat(check.meanCosine()).isCloseTo((first + second) / 2, within(1e-7));
            assertThat(check.leastCosine()).isCloseTo(Math.min(first, second), within(1e-7));
            assertThat(check.difference()).isEmpty();
        }
    }

    @Test
    void drawnInputsHaveTheShapesOfTheModel() {
        SpmmReportInputs drawn = SpmmReportInputs.drawn(1, "because");
        assertThat(drawn.projections()).hasSize(36).allSatisfy(projection -> {
            Tokens input = drawn.activations().get(projection.input());
            assertThat(input.features()).isEqualTo(projection.weights().cols());
        });
        assertThat(drawn.real()).isFalse();
        assertThat(drawn.provenance()).contains("because").contains("drawn");
    }
}
