package dev.filigree.suite.prune;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.format.Mask;
import dev.filigree.format.NmMatrix;
import dev.filigree.format.NmPattern;
import dev.filigree.prune.ActivationStatistics;
import dev.filigree.prune.Dsnot;
import dev.filigree.prune.Wanda;
import java.lang.foreign.Arena;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class DsnotTest {

    private static final int ROWS = 24;
    private static final int COLS = 64;

    private final SplittableRandom random = new SplittableRandom(7);
    private final DenseMatrix weights = draw(ROWS, COLS, 0);
    private final ActivationStatistics statistics = new ActivationStatistics.Builder(COLS)
        .add(draw(30, COLS, 0.4)).add(draw(11, COLS, -0.1)).build();

    private DenseMatrix draw(int rows, int cols, double shift) {
        DenseMatrix matrix = DenseMatrix.allocate(Arena.ofAuto(), DType.F32, rows, cols);
        for (int r = 0; r < rows; r++) {
            for (int c = 0; c < cols; c++) {
                matrix.set(r, c, (float) (random.nextGaussian() + shift * (c % 5)));
            }
        }
        return matrix;
    }

    private double error(Mask mask, int row) {
        double error = 0;
        for (int c = 0; c < COLS; c++) {
            error += mask.get(row, c) ? 0 : weights.get(row, c) * statistics.mean()[c];
        }
        return error;
    }

    @Test
    void statisticsAreThoseOfTheSamples() {
        DenseMatrix one = DenseMatrix.of(new float[] {1, 5, 3, 5}, 2, 2);
        DenseMatrix two = DenseMatrix.of(new float[] {7, 2}, 1, 2);
        ActivationStatistics both = new ActivationStatistics.Builder(2).add(one).add(two).build();
        assertThat(both.meanSquare()).containsExactly((1 + 9 + 49) / 2.0, (25 + 25 + 4) / 2.0);
        assertThat(both.mean()).containsExactly(5.5, 6);
        // Of the first feature: variance 1 over two tokens, 0 over one.
        assertThat(both.variance()).containsExactly(2 / 3.0, 0);
        assertThatThrownBy(() -> new ActivationStatistics.Builder(3).add(one))
            .hasMessage("x is 2 x 2, expected at least one token of 3 features");
        assertThatThrownBy(() -> new ActivationStatistics.Builder(3).build())
            .isInstanceOf(IllegalStateException.class);
    }

    @Test
    void wandaKeepsWhatItsMetricRanksFirst() {
        Mask mask = Wanda.unstructured(weights, statistics, 0.7);
        for (int r = 0; r < ROWS; r++) {
            assertThat(mask.count(r)).isEqualTo(COLS - 45);
            double leastKept = Double.MAX_VALUE;
            double mostDropped = 0;
            for (int c = 0; c < COLS; c++) {
                double score = Math.abs(weights.get(r, c)) * Math.sqrt(statistics.meanSquare()[c]);
                if (mask.get(r, c)) {
                    leastKept = Math.min(leastKept, score);
                } else {
                    mostDropped = Math.max(mostDropped, score);
                }
            }
            assertThat(leastKept).isGreaterThanOrEqualTo(mostDropped);
        }
        assertThatThrownBy(() -> Wanda.unstructured(weights, statistics, 2))
            .hasMessage("sparsity = 2.0 is not in [0, 1]");
    }

    @Test
    void anUnstructuredSwapReducesTheErrorAndKeepsTheCount() {
        Mask before = Wanda.unstructured(weights, statistics, 0.6);
        int changed = 0;
        Mask previous = before;
        for (int cycles = 0; cycles <= 50; cycles++) {
            Mask after = new Dsnot(cycles, 0.1, 1).refine(weights, statistics, before);
            for (int r = 0; r < ROWS; r++) {
                assertThat(after.count(r)).isEqualTo(before.count(r));
                // One more cycle never makes it worse, nor changes the sign.
                assertThat(Math.abs(error(after, r))).isLessThanOrEqualTo(Math.abs(error(previous, r)) + 1e-12);
                assertThat(error(after, r) * error(before, r)).isGreaterThanOrEqualTo(0);
            }
            changed += after.equals(previous) ? 0 : 1;
            previous = after;
        }
        assertThat(changed).as("cycles that swapped").isGreaterThan(1);
        assertThat(new Dsnot(0, 0.1, 1).refine(weights, statistics, before)).isEqualTo(before);
        assertThat(new Dsnot(50, 1e9, 1).refine(weights, statistics, before)).isEqualTo(before);
    }

    @ParameterizedTest
    @ValueSource(strings = {"2:4", "4:8"})
    void aPatternIsKept(String text) {
        NmPattern pattern = NmPattern.parse(text);
        Mask before = Wanda.nm(weights, statistics, pattern);
        Mask after = Dsnot.DEFAULT.refine(weights, statistics, before, pattern);
        assertThat(after).isNotEqualTo(before);
        for (int r = 0; r < ROWS; r++) {
            for (int g = 0; g < COLS; g += pattern.m()) {
                int kept = 0;
                for (int c = g; c < g + pattern.m(); c++) {
                    kept += after.get(r, c) ? 1 : 0;
                }
                assertThat(kept).isEqualTo(pattern.n());
            }
            assertThat(error(after, r) * error(before, r)).isGreaterThanOrEqualTo(0);
        }
        assertThat(NmMatrix.fromDense(weights, pattern, after).rows()).isEqualTo(ROWS);
        assertThatThrownBy(() -> Dsnot.DEFAULT.refine(weights, statistics, before, pattern.withVector(8)))
            .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void swapsByHand() {
        // E is the weight: means are 1. Metric |W|. Kept: 4, -3, 5, -6; dropped: 1, -2, 2.5, -0.5, error 1.
        DenseMatrix row = DenseMatrix.of(new float[] {4, 1, -3, -2, 5, 2.5f, -6, -0.5f}, 1, 8);
        double[] ones = {1, 1, 1, 1, 1, 1, 1, 1};
        ActivationStatistics flat = new ActivationStatistics(ones, ones, ones);
        Mask mask = new Mask.Builder(1, 8).set(0, 0, true).set(0, 2, true).set(0, 4, true).set(0, 6, true).build();
        // 2.5 is farthest in the error's direction, -3 the least kept weight against it: 1 - 3 - 2.5 changes the sign.
        assertThat(Dsnot.DEFAULT.refine(row, flat, mask)).isEqualTo(mask);
        // A mean of 9 makes column 1 contribute 9, and the error 9; its variance of 100 puts column 5 (E = 2.5) before
        // it: 9 - 3 - 2.5.
        double[] mean = {1, 9, 1, 1, 1, 1, 1, 1};
        double[] variance = {1, 100, 1, 1, 1, 1, 1, 1};
        Mask swapped = new Dsnot(1, 0.1, 1).refine(row, new ActivationStatistics(ones, mean, variance), mask);
        assertThat(swapped).isEqualTo(new Mask.Builder(mask).set(0, 5, true).set(0, 2, false).build());
        // In groups of 4, column 5 grows against the least metric of its own group, 5 before -6: 9 + 5 - 2.5.
        Mask grouped = new Dsnot(1, 0.1, 1)
            .refine(row, new ActivationStatistics(ones, mean, variance), mask, NmPattern.of(2, 4));
        assertThat(grouped).isEqualTo(new Mask.Builder(mask).set(0, 5, true).set(0, 4, false).build());
    }

    @Test
    void badNumbersAreRefused() {
        assertThatThrownBy(() -> new Dsnot(-1, 0.1, 1)).hasMessage("maxCycles = -1 is negative");
        assertThatThrownBy(() -> new Dsnot(1, Double.NaN, 1)).hasMessage("threshold = NaN is negative");
        assertThatThrownBy(() -> new Dsnot(1, 0.1, -1)).hasMessage("power = -1.0 is negative");
        assertThatThrownBy(() -> Wanda.scores(DenseMatrix.of(new float[4], 2, 2), statistics))
            .hasMessage("statistics of 64 inputs do not fit weights 2 x 2");
    }
}
