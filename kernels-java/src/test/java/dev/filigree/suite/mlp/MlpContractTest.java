package dev.filigree.suite.mlp;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.filigree.Activation;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Workers;
import dev.filigree.format.RowMatrix;
import dev.filigree.mlp.ActiveSet;
import dev.filigree.mlp.Mlp;
import dev.filigree.mlp.MlpOptions;
import dev.filigree.mlp.MlpPlan;
import dev.filigree.mlp.MlpWeights;
import dev.filigree.mlp.MlpWeights.Order;
import dev.filigree.mlp.Skipping;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What plans and weights accept, refuse and say. */
class MlpContractTest {

    private final Arena arena = Arena.ofAuto();
    private final MlpWeights weights = weights(Order.NEURON_MAJOR);
    private final MlpPlan plan = Mlp.plan(weights, new Skipping.None());

    @AfterEach
    void close() {
        plan.close();
    }

    private static MlpWeights weights(Order order) {
        return MlpCase.weights(new SplittableRandom(1), 20, 30, true, order, Activation.SILU, DType.F32);
    }

    private DenseMatrix dense(int rows, int cols) {
        return DenseMatrix.allocate(arena, DType.F32, rows, cols);
    }

    private RowMatrix rows(int rows, int cols, DType dtype) {
        return RowMatrix.of(dense(rows, cols), dtype);
    }

    private void refused(DenseMatrix x, DenseMatrix y, String... message) {
        byte[] before = y.data().toArray(ValueLayout.JAVA_BYTE);
        assertThatThrownBy(() -> plan.run(x, y)).isInstanceOf(IllegalArgumentException.class)
            .hasMessageContainingAll(message);
        assertThat(y.data().toArray(ValueLayout.JAVA_BYTE)).isEqualTo(before);
    }

    @Test
    void operandsOfTheWrongShapeTypeOrPlaceAreRefused() {
        refused(dense(3, 19), dense(3, 20), "x is 3 x 19, expected 3 x 20");
        refused(dense(3, 20), dense(4, 20), "y is 4 x 20, expected 3 x 20");
        refused(dense(3, 20), dense(3, 21), "y is 3 x 21, expected 3 x 20");
        refused(dense(3, 20), DenseMatrix.of(dense(3, 20).data().asReadOnly(), DType.F32, 3, 20), "y is read-only");
        refused(DenseMatrix.allocate(arena, DType.BF16, 3, 20), dense(3, 20), "x is bf16", "f32");
        MemorySegment both = arena.allocate(3 * 20 * 4, 64);
        refused(DenseMatrix.of(both, DType.F32, 3, 20), DenseMatrix.of(both, DType.F32, 3, 20), "y overlaps x");
        assertThatThrownBy(() -> plan.run(null, dense(3, 20))).isInstanceOf(NullPointerException.class).hasMessage("x");
        assertThatThrownBy(() -> plan.run(dense(3, 20), null)).isInstanceOf(NullPointerException.class).hasMessage("y");
    }

    @Test
    void aSetOfOtherUnitsOrTokensIsRefused() {
        DenseMatrix y = dense(3, 20);
        assertThatThrownBy(() -> plan.run(dense(3, 20), new ActiveSet(29, 3), y))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessage("active is of 29 units for 3 tokens, expected 30 for 3");
        assertThatThrownBy(() -> plan.run(dense(3, 20), new ActiveSet(30, 2), y))
            .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("30 units for 2 tokens");
        try (MlpPlan byInput = Mlp.plan(weights(Order.INPUT_MAJOR), new Skipping.Input(0, 0))) {
            assertThatThrownBy(() -> byInput.run(dense(3, 20), new ActiveSet(30, 3), y))
                .isInstanceOf(UnsupportedOperationException.class).hasMessageContaining("input-major");
        }
    }

    @Test
    void weightsThatDoNotFitAreRefused() {
        RowMatrix down = rows(30, 20, DType.F32);
        assertThatThrownBy(() -> MlpWeights.plain(rows(20, 30, DType.F32), down, Activation.RELU, Order.NEURON_MAJOR))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessage("up is 20 x 30, expected 30 x 20 with a down projection of 30 x 20");
        assertThatThrownBy(() -> MlpWeights.plain(rows(30, 20, DType.BF16), down, Activation.RELU, Order.NEURON_MAJOR))
            .isInstanceOf(IllegalArgumentException.class).hasMessage("up is bf16, down is f32");
        assertThatThrownBy(() -> weights.withBiases(null, new float[29], null))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessage("the up projection's bias has 29 values, expected 30");
        assertThatThrownBy(() -> MlpWeights.plain(down, down, Activation.RELU, Order.NEURON_MAJOR)
            .withBiases(new float[30], null, null)).isInstanceOf(IllegalArgumentException.class)
            .hasMessage("a gate's bias for an MLP without a gate");
    }

    @ParameterizedTest
    @ValueSource(floats = {-1, Float.NaN})
    void thresholdsAreNotNegative(float threshold) {
        assertThatThrownBy(() -> new Skipping.Gate(threshold)).isInstanceOf(IllegalArgumentException.class)
            .hasMessage("threshold = " + threshold + " is not at least 0");
        assertThatThrownBy(() -> new Skipping.Neuron(threshold)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new Skipping.Input(0, threshold)).isInstanceOf(IllegalArgumentException.class)
            .hasMessageStartingWith("hidden");
    }

    @Test
    void rulesThatDoNotFitTheOrderAreRefused() {
        assertThatThrownBy(() -> Mlp.plan(weights, new Skipping.Input(0, 0)))
            .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("NEURON_MAJOR");
        assertThatThrownBy(() -> Mlp.plan(weights(Order.INPUT_MAJOR), new Skipping.Gate(0)))
            .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("INPUT_MAJOR");
    }

    @Test
    void aClosedPlanTeamOrArenaRefuses() {
        Arena shared = Arena.ofShared();
        DenseMatrix x = DenseMatrix.allocate(shared, DType.F32, 3, 20);
        shared.close();
        assertThatThrownBy(() -> plan.run(x, dense(3, 20))).isInstanceOf(IllegalStateException.class)
            .hasMessage("the arena of x is closed");
        Workers team = Workers.of(2);
        try (MlpPlan onTeam = Mlp.plan(weights, new Skipping.None(), MlpOptions.defaults().workers(team))) {
            team.close();
            assertThatThrownBy(() -> onTeam.run(dense(3, 20), dense(3, 20))).isInstanceOf(IllegalStateException.class)
                .hasMessage("the worker team is closed");
        }
        plan.close();
        plan.close();
        assertThatThrownBy(() -> plan.run(dense(3, 20), dense(3, 20))).isInstanceOf(IllegalStateException.class)
            .hasMessageContaining("is closed");
        assertThat(plan.toString()).endsWith("closed]");
    }

    @Test
    void typicalTokensAreAtLeastOne() {
        assertThatThrownBy(() -> MlpOptions.defaults().typicalTokens(0)).isInstanceOf(IllegalArgumentException.class)
            .hasMessage("typicalTokens = 0 is less than 1");
        assertThat(MlpOptions.defaults().typicalTokens(128).toString()).contains("about 128 tokens");
    }

    @Test
    void aPlanSaysWhatItDoes() {
        assertThat(plan.explain().operation()).isEqualTo("mlp");
        assertThat(plan.explain().kernel()).contains("mlp_dot_f32_").contains("mlp_axpy_f32_");
        assertThat(plan.explain().flopsPerColumn()).isEqualTo(2 * 3 * 20 * 30);
        assertThat(plan.explain().packedBytes()).isEqualTo(weights.bytes());
        assertThat(plan.explain().toString()).contains("20 -> 30, gated SILU, f32, NEURON_MAJOR");
        assertThat(plan.backend()).isEqualTo(plan.explain().backend());
    }
}
