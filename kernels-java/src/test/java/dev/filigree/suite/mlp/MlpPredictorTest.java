package dev.filigree.suite.mlp;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.filigree.Activation;
import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Workers;
import dev.filigree.format.RowMatrix;
import dev.filigree.mlp.ActiveSet;
import dev.filigree.mlp.Mlp;
import dev.filigree.mlp.MlpCalibration;
import dev.filigree.mlp.MlpOptions;
import dev.filigree.mlp.MlpPlan;
import dev.filigree.mlp.MlpPredictor;
import dev.filigree.mlp.MlpPredictor.Choice;
import dev.filigree.mlp.MlpPredictorTrainer;
import dev.filigree.mlp.MlpWeights;
import dev.filigree.mlp.MlpWeights.Order;
import dev.filigree.mlp.Skipping;
import dev.filigree.suite.Allocations;
import dev.filigree.suite.Bits;
import dev.filigree.suite.Dense;
import dev.filigree.suite.HostBackends;
import java.time.Duration;
import java.util.Locale;
import java.util.SplittableRandom;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ForkJoinPool;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Predictors, their training, and thresholds found by calibration. */
class MlpPredictorTest {

    private static DenseMatrix tokens(int tokens, int cols, long seed) {
        return DenseMatrix.of(Dense.values(new SplittableRandom(seed), tokens * cols), tokens, cols);
    }

    @ParameterizedTest
    @EnumSource(DType.class)
    void scoresHaveTheScalarBitsAndChooseLikeTheSet(DType dtype) {
        RowMatrix first = MlpCase.rows(new SplittableRandom(1), 20, 70, dtype);
        RowMatrix second = MlpCase.rows(new SplittableRandom(2), 130, 20, dtype);
        for (int tokens : new int[] {1, 5, 19}) {
            DenseMatrix x = tokens(tokens, 70, 3);
            DenseMatrix scalar = null;
            for (Backend backend : HostBackends.available()) {
                try (Workers team = Workers.of(3);
                        MlpPredictor predictor = Mlp.predictor(
                            first, second, MlpOptions.defaults().backend(backend).workers(team))) {
                    DenseMatrix scores = DenseMatrix.of(new float[tokens * 130], tokens, 130);
                    predictor.scores(x, scores);
                    scalar = scalar == null ? scores : scalar;
                    assertThat(Bits.difference("scalar", scalar, backend.id(), scores)).isEmpty();

                    ActiveSet expected = new ActiveSet(130, tokens);
                    expected.addLargest(scores, 13);
                    ActiveSet found = new ActiveSet(130, tokens);
                    found.addEvery(0);
                    predictor.predict(x, new Choice.Largest(13), found);
                    assertSame(expected, found);
                    expected.clear();
                    expected.addAtLeast(scores, 0.5f);
                    predictor.predict(x, new Choice.AtLeast(0.5f), found);
                    assertSame(expected, found);
                    predictor.submit(x, new Choice.Largest(130), found, ForkJoinPool.commonPool()).join();
                    assertThat(found.count(tokens - 1)).isEqualTo(130);
                }
            }
        }
    }

    private static void assertSame(ActiveSet expected, ActiveSet found) {
        for (int t = 0; t < expected.tokens(); t++) {
            for (int i = 0; i < expected.units(); i++) {
                assertThat(found.contains(t, i)).as("%d of token %d", i, t).isEqualTo(expected.contains(t, i));
            }
        }
    }

    @Test
    void warmPredictionsAllocateNothing() {
        DenseMatrix x = tokens(2, 70, 3);
        ActiveSet set = new ActiveSet(130, 2);
        Choice choice = new Choice.Largest(13);
        try (Workers team = Workers.of(2);
                MlpPredictor predictor = Mlp.predictor(MlpCase.rows(new SplittableRandom(1), 20, 70, DType.F32),
                    MlpCase.rows(new SplittableRandom(2), 130, 20, DType.F32),
                    MlpOptions.defaults().workers(team))) {
            Allocations.assertNone("a prediction", () -> predictor.predict(x, choice, set));
        }
    }

    @Test
    void refusesWhatDoesNotFit() {
        RowMatrix first = MlpCase.rows(new SplittableRandom(1), 4, 6, DType.F32);
        assertThatThrownBy(() -> Mlp.predictor(first, first, MlpOptions.defaults()))
            .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("second is 4 x 6");
        assertThatThrownBy(() -> new Choice.Largest(-1)).isInstanceOf(IllegalArgumentException.class);
        MlpPredictor predictor =
            Mlp.predictor(first, MlpCase.rows(new SplittableRandom(1), 9, 4, DType.F32), MlpOptions.defaults());
        ActiveSet set = new ActiveSet(8, 1);
        set.add(0, 3);
        assertThatThrownBy(() -> predictor.predict(tokens(1, 6, 1), new Choice.Largest(1), set))
            .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("of 8 units");
        assertThat(set.count(0)).isEqualTo(1);
        predictor.close();
        assertThatThrownBy(() -> predictor.predict(tokens(1, 6, 1), new Choice.Largest(1), new ActiveSet(9, 1)))
            .isInstanceOf(IllegalStateException.class);
        assertThat(predictor.submit(tokens(1, 6, 1), new Choice.Largest(1), new ActiveSet(9, 1), Runnable::run))
            .failsWithin(Duration.ofSeconds(1)).withThrowableOfType(ExecutionException.class)
            .withCauseInstanceOf(IllegalStateException.class);
    }

    /** Neurons whose needs are a linear function of the input can be predicted, and are. */
    @Test
    void trainingFindsWhatALowRankFunctionDecides() {
        int inputs = 12;
        int neurons = 40;
        int count = 600;
        SplittableRandom random = new SplittableRandom(9);
        float[] left = Dense.values(random, 3 * inputs);
        float[] right = Dense.values(random, neurons * 3);
        DenseMatrix x = tokens(count, inputs, 4);
        ActiveSet needed = new ActiveSet(neurons, count);
        for (int t = 0; t < count; t++) {
            for (int i = 0; i < neurons; i++) {
                double score = 0;
                for (int r = 0; r < 3; r++) {
                    double middle = 0;
                    for (int k = 0; k < inputs; k++) {
                        middle += left[r * inputs + k] * x.get(t, k);
                    }
                    score += right[i * 3 + r] * middle;
                }
                if (score > 0) {
                    needed.add(t, i);
                }
            }
        }
        MlpPredictorTrainer trainer = new MlpPredictorTrainer(6, 60, 50, 1e-2, 1);
        MlpPredictorTrainer.Fitted fitted = trainer.fit(x, needed, DType.F32);
        assertThat(fitted.losses()).hasSize(60);
        assertThat(fitted.losses()[59]).isLessThan(0.5 * fitted.losses()[0]);
        assertThat(trainer.fit(x, needed, DType.F32).losses()).isEqualTo(fitted.losses());
        try (MlpPredictor predictor = Mlp.predictor(fitted.first(), fitted.second(), MlpOptions.defaults())) {
            assertThat(predictor.rank()).isEqualTo(6);
            ActiveSet found = new ActiveSet(neurons, count);
            predictor.predict(x, new Choice.AtLeast(0), found);
            int hits = 0;
            for (int t = 0; t < count; t++) {
                for (int i = 0; i < neurons; i++) {
                    hits += found.contains(t, i) == needed.contains(t, i) ? 1 : 0;
                }
            }
            assertThat((double) hits / count / neurons).isGreaterThan(0.9);
        }
        assertThatThrownBy(() -> trainer.fit(x, new ActiveSet(neurons, 5), DType.F32))
            .isInstanceOf(IllegalArgumentException.class).hasMessage("inputs has 600 tokens, needed 5");
        assertThatThrownBy(() -> new MlpPredictorTrainer(0)).isInstanceOf(IllegalArgumentException.class);
    }

    @ParameterizedTest
    @EnumSource(MlpCalibration.Rule.class)
    void calibrationMeetsItsTargetAndSaysWhatItMeasured(MlpCalibration.Rule rule) {
        Order order = rule == MlpCalibration.Rule.INPUT ? Order.INPUT_MAJOR : Order.NEURON_MAJOR;
        MlpWeights weights = MlpCase.weights(
            new SplittableRandom(3), 60, 150, true, order, Activation.SILU, DType.F32);
        DenseMatrix x = tokens(12, 60, 8);
        MlpOptions options = MlpOptions.defaults();
        double last = 1;
        for (double target : new double[] {0, 0.05, 0.2, 0.5}) {
            MlpCalibration.Calibrated found = MlpCalibration.calibrate(weights, rule, x, target, options);
            assertThat(found.cett()).isLessThanOrEqualTo(target);
            if (target > 0) {
                assertThat(found.cett()).isGreaterThan(0.8 * target);
                assertThat(found.activeShare()).isLessThan(last);
            }
            last = found.activeShare();
            assertThat(found.cett()).isEqualTo(error(weights, found.skipping(), x));
            try (MlpPlan plan = Mlp.plan(weights, found, options)) {
                assertThat(plan.skipping()).isEqualTo(found.skipping());
                assertThat(plan.explain().toString()).contains(String.format(Locale.ROOT,
                    "%s, CETT %.3g with %.3g %% of the neurons", found.skipping(), found.cett(), 100 * found.activeShare()));
            }
        }
        assertThatThrownBy(() -> MlpCalibration.calibrate(weights, rule, x, 1.5, options))
            .isInstanceOf(IllegalArgumentException.class).hasMessage("cett = 1.5 is not in 0..1");
        assertThatThrownBy(() -> MlpCalibration.calibrate(weights, rule, tokens(0, 60, 1), 0.1, options))
            .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("no tokens");
    }

    /** The definition, by hand. */
    private static double error(MlpWeights weights, Skipping skipping, DenseMatrix x) {
        DenseMatrix dense = DenseMatrix.of(new float[x.rows() * 60], x.rows(), 60);
        DenseMatrix sparse = DenseMatrix.of(new float[x.rows() * 60], x.rows(), 60);
        try (MlpPlan all = Mlp.plan(weights, new Skipping.None()); MlpPlan some = Mlp.plan(weights, skipping)) {
            all.run(x, dense);
            some.run(x, sparse);
        }
        double sum = 0;
        for (int t = 0; t < x.rows(); t++) {
            double skipped = 0;
            double norm = 0;
            for (int c = 0; c < 60; c++) {
                skipped += Math.pow((double) sparse.get(t, c) - dense.get(t, c), 2);
                norm += Math.pow(dense.get(t, c), 2);
            }
            sum += Math.sqrt(skipped / norm);
        }
        return sum / x.rows();
    }
}
