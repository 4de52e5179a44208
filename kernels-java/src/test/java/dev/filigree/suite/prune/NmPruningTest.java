package dev.filigree.suite.prune;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.format.Mask;
import dev.filigree.format.NmMatrix;
import dev.filigree.format.NmPattern;
import dev.filigree.prune.Axis;
import dev.filigree.prune.MaskDecay;
import dev.filigree.prune.NmPruning;
import dev.filigree.prune.PatternSchedule;
import java.lang.foreign.Arena;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class NmPruningTest {

    private final Arena arena = Arena.ofAuto();

    private DenseMatrix random(int rows, int cols) {
        SplittableRandom random = new SplittableRandom(rows * 1000L + cols);
        DenseMatrix dense = DenseMatrix.allocate(arena, DType.F32, rows, cols);
        for (int r = 0; r < rows; r++) {
            for (int c = 0; c < cols; c++) {
                dense.set(r, c, random.nextInt(-9, 10) / 4f);
            }
        }
        return dense;
    }

    private static DenseMatrix transpose(DenseMatrix dense) {
        DenseMatrix result = DenseMatrix.allocate(Arena.ofAuto(), DType.F32, dense.cols(), dense.rows());
        for (int r = 0; r < dense.rows(); r++) {
            for (int c = 0; c < dense.cols(); c++) {
                result.set(c, r, dense.get(r, c));
            }
        }
        return result;
    }

    @ParameterizedTest
    @ValueSource(strings = {"2:4", "1:4", "4:8", "1:16", "3:5", "8:2:4", "32:1:8", "4:4"})
    void maskAndFormatKeepTheSame(String text) {
        NmPattern pattern = NmPattern.parse(text);
        DenseMatrix dense = random(37, 43);
        Mask mask = NmPruning.magnitude(dense, pattern, Axis.ALONG_ROWS);
        NmMatrix pruned = NmMatrix.pruned(dense, pattern);
        assertThat(NmMatrix.fromDense(dense, pattern, mask)).isEqualTo(pruned);
        Mask down = NmPruning.magnitude(transpose(dense), pattern, Axis.ALONG_COLUMNS);
        for (int r = 0; r < 37; r++) {
            for (int c = 0; c < 43; c++) {
                assertThat(down.get(c, r)).isEqualTo(mask.get(r, c));
            }
        }
        // Whole groups keep N, the last one as many as there are.
        int last = 43 % pattern.m();
        int whole = 43 / pattern.m() * pattern.n();
        assertThat(mask.count(11)).isEqualTo(whole + Math.min(last, pattern.n()));
    }

    @Test
    void theLowestOfEqualScoresIsKept() {
        DenseMatrix dense = DenseMatrix.of(new float[] {1, -1, 1, -1, 0, 0, 0, 0}, 1, 8);
        Mask mask = NmPruning.magnitude(dense, NmPattern.of(2, 4), Axis.ALONG_ROWS);
        for (int c = 0; c < 8; c++) {
            assertThat(mask.get(0, c)).isEqualTo(c % 4 < 2);
        }
    }

    @Test
    void nanIsRefusedWithItsPlace() {
        DenseMatrix dense = random(4, 6);
        dense.set(2, 5, Float.NaN);
        assertThatThrownBy(() -> NmPruning.magnitude(dense, NmPattern.of(1, 2), Axis.ALONG_COLUMNS))
            .isInstanceOf(IllegalArgumentException.class).hasMessage("NaN at row 2, column 5 cannot be ranked");
    }

    @Test
    void decayLeadsFromTheDenseWeightsToTheMask() {
        DenseMatrix dense = random(5, 8);
        Mask mask = NmPruning.magnitude(dense, NmPattern.of(2, 4), Axis.ALONG_ROWS);
        DenseMatrix target = DenseMatrix.allocate(arena, DType.F32, 5, 8);
        for (double beta : new double[] {1, 0.75, 0.1, 0}) {
            MaskDecay.apply(dense, mask, beta, target);
            for (int r = 0; r < 5; r++) {
                for (int c = 0; c < 8; c++) {
                    float expected = mask.get(r, c) ? dense.get(r, c) : (float) beta * dense.get(r, c);
                    assertThat(target.get(r, c)).isEqualTo(expected + 0f);
                }
            }
        }
        dense.set(0, 0, Float.NaN);
        Mask none = new Mask.Builder(5, 8).build();
        MaskDecay.apply(dense, none, 0, target);
        assertThat(target.get(0, 0)).isZero();
        assertThatThrownBy(() -> MaskDecay.apply(dense, mask, 1.5, target)).hasMessage("beta = 1.5 is not in [0, 1]");
        assertThatThrownBy(() -> MaskDecay.apply(dense, mask, 0.5, random(5, 7)))
            .hasMessage("target is 5 x 7, the mask is 5 x 8");
    }

    @Test
    void schedulesOfTheFactor() {
        MaskDecay linear = MaskDecay.linear(0.25);
        assertThat(new double[] {linear.beta(0), linear.beta(1), linear.beta(4), linear.beta(1000)})
            .containsExactly(1, 0.75, 0, 0);
        MaskDecay exponential = MaskDecay.exponential(0.5);
        assertThat(exponential.beta(0)).isEqualTo(1);
        assertThat(exponential.beta(3)).isEqualTo(Math.exp(-1.5));
        assertThatThrownBy(() -> MaskDecay.linear(0)).hasMessage("rate = 0.0 is not positive and finite");
        assertThatThrownBy(() -> linear.beta(-1)).hasMessage("step = -1 is negative");
    }

    @Test
    void schedulesOfThePattern() {
        assertThat(PatternSchedule.stepwise(NmPattern.of(1, 16)).patterns())
            .extracting(NmPattern::toString).containsExactly("15:16", "8:16", "4:16", "2:16", "1:16");
        assertThat(PatternSchedule.stepwise(NmPattern.of(2, 4)).patterns())
            .extracting(NmPattern::toString).containsExactly("3:4", "2:4");
        assertThat(PatternSchedule.stepwise(NmPattern.of(4, 4)).patterns()).containsExactly(NmPattern.of(4, 4));
        PatternSchedule geometric = PatternSchedule.geometric(NmPattern.of(1, 8));
        assertThat(geometric.patterns())
            .extracting(NmPattern::toString).containsExactly("8:64", "4:32", "2:16", "1:8");
        assertThat(PatternSchedule.geometric(NmPattern.of(1, 32)).patterns())
            .extracting(NmPattern::toString).containsExactly("2:64", "1:32");
        assertThat(List.of(geometric.at(0), geometric.at(0.49), geometric.at(0.5), geometric.at(1)))
            .extracting(NmPattern::toString).containsExactly("8:64", "4:32", "2:16", "1:8");
        assertThatThrownBy(() -> geometric.at(1.1)).hasMessage("progress = 1.1 is not in [0, 1]");
        assertThatThrownBy(() -> new PatternSchedule(List.of())).hasMessage("a schedule needs a pattern");
    }

    @Test
    void masksAreValues() {
        Mask.Builder builder = new Mask.Builder(3, 70).set(2, 69, true).set(0, 64, true).set(0, 64, false);
        Mask mask = builder.build();
        assertThat(mask.get(2, 69)).isTrue();
        assertThat(mask.count()).isEqualTo(1);
        assertThat(mask).isEqualTo(new Mask.Builder(mask).build()).hasToString("Mask[3 x 70, 1 kept]");
        assertThatThrownBy(() -> builder.set(0, 0, true)).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> mask.get(3, 0)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> mask.get(0, 70)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> new Mask.Builder(-1, 2)).isInstanceOf(IllegalArgumentException.class);
    }
}
