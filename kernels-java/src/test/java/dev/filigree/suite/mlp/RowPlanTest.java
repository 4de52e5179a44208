package dev.filigree.suite.mlp;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Workers;
import dev.filigree.format.RowMatrix;
import dev.filigree.mlp.ActiveSet;
import dev.filigree.mlp.Mlp;
import dev.filigree.mlp.MlpOptions;
import dev.filigree.mlp.RowPlan;
import dev.filigree.suite.Allocations;
import dev.filigree.suite.Bits;
import dev.filigree.suite.Dense;
import dev.filigree.suite.HostBackends;
import java.lang.foreign.Arena;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Heads that a token does not need: blocks of rows of the projections around attention. */
class RowPlanTest {

    private static final int HEADS = 5;
    private static final int DIM = 24;
    private static final int HIDDEN = 70;

    private static DenseMatrix dense(int rows, int cols, int padding, long seed) {
        DenseMatrix matrix = Dense.allocate(Dense.Place.AUTO, Arena.ofAuto(), rows, cols, padding);
        Dense.fillGaps(matrix, Dense.GAP);
        Dense.fill(matrix, new SplittableRandom(seed));
        return matrix;
    }

    @ParameterizedTest
    @EnumSource(DType.class)
    void headsThatAreLeftOutAreZerosAndTheOthersAsIfAllWereThere(DType dtype) {
        RowMatrix w = MlpCase.rows(new SplittableRandom(1), HEADS * DIM, HIDDEN, dtype);
        for (int tokens : new int[] {1, 3, 18}) {
            ActiveSet heads = MlpCase.set(new SplittableRandom(2), HEADS, tokens, 0.5);
            DenseMatrix x = dense(tokens, HIDDEN, 3, 4);
            DenseMatrix scalar = null;
            for (Backend backend : HostBackends.available()) {
                try (Workers team = Workers.of(3);
                        RowPlan plan = Mlp.rows(w, DIM, MlpOptions.defaults().backend(backend).workers(team))) {
                    DenseMatrix all = dense(tokens, HEADS * DIM, 0, 5);
                    plan.project(x, null, all);
                    DenseMatrix some = dense(tokens, HEADS * DIM, 7, 5);
                    plan.project(x, heads, some);
                    assertThat(Dense.gapsIntact(some)).isTrue();
                    for (int t = 0; t < tokens; t++) {
                        for (int r = 0; r < HEADS * DIM; r++) {
                            float expected = heads.contains(t, r / DIM) ? all.get(t, r) : 0f;
                            assertThat(some.get(t, r)).isEqualTo(expected);
                        }
                    }
                    assertNear(w, x, all, true, null);
                    scalar = scalar == null ? some : scalar;
                    assertThat(Bits.difference("scalar", scalar, backend.id(), some)).isEmpty();
                }
            }
        }
    }

    @ParameterizedTest
    @EnumSource(DType.class)
    void whatIsInHeadsThatAreLeftOutIsNeverRead(DType dtype) {
        RowMatrix w = MlpCase.rows(new SplittableRandom(1), HEADS * DIM, HIDDEN, dtype);
        for (int tokens : new int[] {1, 4, 17}) {
            ActiveSet heads = MlpCase.set(new SplittableRandom(3), HEADS, tokens, 0.6);
            DenseMatrix x = dense(tokens, HEADS * DIM, 2, 6);
            for (int t = 0; t < tokens; t++) {
                for (int r = 0; r < HEADS * DIM; r++) {
                    if (!heads.contains(t, r / DIM)) {
                        x.set(t, r, Float.NaN);
                    }
                }
            }
            DenseMatrix scalar = null;
            for (Backend backend : HostBackends.available()) {
                try (Workers one = Workers.of(1);
                        RowPlan plan = Mlp.rows(w, DIM, MlpOptions.defaults().backend(backend).workers(one))) {
                    DenseMatrix y = dense(tokens, HIDDEN, 1, 7);
                    plan.combine(x, heads, y);
                    assertThat(Dense.gapsIntact(y)).isTrue();
                    assertNear(w, x, y, false, heads);
                    scalar = scalar == null ? y : scalar;
                    assertThat(Bits.difference("scalar", scalar, backend.id(), y)).isEmpty();
                }
            }
        }
    }

    /** Against sums in double, with the tolerance of every suite. */
    private static void assertNear(RowMatrix w, DenseMatrix x, DenseMatrix y, boolean projects, ActiveSet heads) {
        for (int t = 0; t < x.rows(); t++) {
            for (int c = 0; c < y.cols(); c++) {
                double sum = 0;
                double magnitude = 0;
                for (int k = 0; k < x.cols(); k++) {
                    if (heads == null || heads.contains(t, k / DIM)) {
                        double term = (double) x.get(t, k) * (projects ? w.get(c, k) : w.get(k, c));
                        sum += term;
                        magnitude += Math.abs(term);
                    }
                }
                double bound = (8 + 2 * Math.sqrt(x.cols())) * 0x1p-24 * magnitude + x.cols() * 0x1p-126;
                assertThat(Math.abs(y.get(t, c) - sum)).isLessThanOrEqualTo(bound);
            }
        }
    }

    @Test
    void refusesWhatDoesNotFit() {
        RowMatrix w = MlpCase.rows(new SplittableRandom(1), HEADS * DIM, HIDDEN, DType.F32);
        assertThatThrownBy(() -> Mlp.rows(w, 7, MlpOptions.defaults())).isInstanceOf(IllegalArgumentException.class)
            .hasMessageContaining("whole blocks of 7 rows");
        RowPlan plan = Mlp.rows(w, DIM, MlpOptions.defaults());
        assertThatThrownBy(() -> plan.project(dense(2, HIDDEN, 0, 1), new ActiveSet(4, 2), dense(2, HEADS * DIM, 0, 1)))
            .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("expected 5 for 2");
        assertThatThrownBy(() -> plan.combine(dense(2, HIDDEN, 0, 1), null, dense(2, HIDDEN, 0, 1)))
            .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("x is 2 x 70, expected 2 x 120");
        plan.close();
        assertThatThrownBy(() -> plan.project(dense(2, HIDDEN, 0, 1), null, dense(2, HEADS * DIM, 0, 1)))
            .isInstanceOf(IllegalStateException.class);
    }

    @Test
    void warmRunsAllocateNothing() {
        RowMatrix w = MlpCase.rows(new SplittableRandom(1), HEADS * DIM, HIDDEN, DType.F32);
        ActiveSet heads = MlpCase.set(new SplittableRandom(2), HEADS, 2, 0.5);
        DenseMatrix x = dense(2, HIDDEN, 0, 1);
        DenseMatrix y = dense(2, HEADS * DIM, 0, 1);
        try (Workers team = Workers.of(2);
                RowPlan plan = Mlp.rows(w, DIM, MlpOptions.defaults().workers(team))) {
            Allocations.assertNone("a projection", () -> plan.project(x, heads, y));
        }
    }
}
