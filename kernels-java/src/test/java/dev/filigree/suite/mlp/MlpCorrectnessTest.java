package dev.filigree.suite.mlp;

import static org.assertj.core.api.Assertions.assertThat;

import dev.filigree.Activation;
import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Workers;
import dev.filigree.format.RowMatrix;
import dev.filigree.mlp.ActiveSet;
import dev.filigree.mlp.MlpPlan;
import dev.filigree.mlp.MlpWeights;
import dev.filigree.mlp.MlpWeights.Order;
import dev.filigree.mlp.Skipping;
import dev.filigree.suite.Bits;
import dev.filigree.suite.Dense;
import dev.filigree.suite.HostBackends;
import dev.filigree.suite.Seeds;
import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.LongStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Every host backend against the double reference and against the scalar kernel's bits; where skipping equals not. */
class MlpCorrectnessTest {

    private static final int[] TEAMS = {1, 2, 3, 7, 64};

    /** 300 draws see every rule with every activation and type a few times. */
    static LongStream seeds() {
        return Seeds.of(300);
    }

    @AfterAll
    static void sayWhatRan() {
        for (DType dtype : DType.values()) {
            MlpCase test = MlpCase.plain(weights(1, 8, 8, true, Activation.SILU, dtype), new Skipping.None(), 1);
            for (Backend backend : HostBackends.available()) {
                try (Workers one = Workers.of(1); MlpPlan plan = MlpRun.plan(test, backend, one)) {
                    System.out.println("MlpCorrectnessTest ran " + plan.explain().kernel());
                }
            }
        }
    }

    private static MlpWeights weights(
            long seed, int hidden, int intermediate, boolean gated, Activation activation, DType dtype) {
        return MlpCase.weights(
            new SplittableRandom(seed), hidden, intermediate, gated, Order.NEURON_MAJOR, activation, dtype);
    }

    @ParameterizedTest(name = "seed {0}")
    @MethodSource("seeds")
    void equalsTheReferenceAndTheScalarBits(long seed) {
        MlpCase test = MlpCase.random(seed);
        try (Workers team = Workers.of(TEAMS[Math.floorMod(seed, TEAMS.length)])) {
            assertSameBits(test, team);
        }
    }

    private static void assertSameBits(MlpCase test, Workers team) {
        Arena arena = test.place().arena();
        try (Workers one = Workers.of(1)) {
            DenseMatrix scalar = MlpRun.run(test, Backend.SCALAR, one, arena);
            MlpReference reference = new MlpReference(test, test.input(arena));
            for (Backend backend : HostBackends.available()) {
                DenseMatrix output = MlpRun.run(test, backend, team, arena);
                assertThat(reference.mismatch(output)).as(backend + " on " + team).isEmpty();
                assertThat(Bits.difference("scalar", scalar, backend.id(), output))
                    .as("bits of %s on %s, %s", backend, team, test).isEmpty();
            }
        } finally {
            if (test.place() == Dense.Place.CONFINED || test.place() == Dense.Place.SHARED) {
                arena.close();
            }
        }
    }

    @ParameterizedTest
    @EnumSource(DType.class)
    void teamSizeDoesNotChangeBits(DType dtype) {
        MlpWeights weights = weights(4, 700, 1500, true, Activation.SILU, dtype);
        Arena arena = Arena.ofAuto();
        for (int tokens : new int[] {1, 5}) {
            MlpCase test = MlpCase.plain(weights, new Skipping.None(), tokens)
                .with(MlpCase.set(new SplittableRandom(1), 1500, tokens, 0.3));
            DenseMatrix first = null;
            for (Backend backend : HostBackends.available()) {
                for (int threads : TEAMS) {
                    try (Workers team = Workers.of(threads)) {
                        DenseMatrix output = MlpRun.run(test, backend, team, arena);
                        first = first == null ? output : first;
                        assertThat(Bits.difference("first", first, backend + " " + threads, output)).isEmpty();
                    }
                }
            }
            assertThat(new MlpReference(test, test.input(arena)).mismatch(first)).isEmpty();
        }
    }

    /** With a gate and without: the list holds every neuron that is not zero, and some more. */
    @ParameterizedTest
    @EnumSource(value = Activation.class, names = {"RELU", "RELU_SQUARED"})
    void aListOfAllThatReluLeavesEqualsDense(Activation activation) {
        for (DType dtype : DType.values()) {
            for (boolean gated : new boolean[] {false, true}) {
                MlpWeights weights = weights(7, 100, 200, gated, activation, dtype);
                MlpCase dense = MlpCase.plain(weights, new Skipping.None(), 9);
                ActiveSet set = MlpCase.set(new SplittableRandom(2), 200, 9, 0.2);
                DenseMatrix x = dense.input(Arena.ofAuto());
                RowMatrix decisive = weights.gate().orElse(weights.up());
                for (int t = 0; t < 9; t++) {
                    for (int i = 0; i < 200; i++) {
                        double sum = 0;
                        for (int k = 0; k < 100; k++) {
                            sum += (double) x.get(t, k) * decisive.get(i, k);
                        }
                        // A sum this near to zero may round to either side.
                        if (sum > -1e-3) {
                            set.add(t, i);
                        }
                    }
                    assertThat(set.count(t)).isLessThan(180);
                }
                assertEqual(dense, dense.with(set));
            }
        }
    }

    @Test
    void aListOfEveryNeuronEqualsDense() {
        for (Activation activation : Activation.values()) {
            for (int tokens : new int[] {1, 3, 20, 37}) {
                MlpCase dense = MlpCase.plain(
                    weights(8, 65, 77, true, activation, DType.F32), new Skipping.None(), tokens);
                ActiveSet every = MlpCase.set(new SplittableRandom(1), 77, tokens, 1);
                assertEqual(dense, dense.with(every));
                assertEqual(dense.typical(), dense.typical().with(every));
            }
        }
    }

    /** How much the tokens of a group need decides; the bits are those of every backend and team either way. */
    @ParameterizedTest
    @EnumSource(DType.class)
    void manyTokensMultiplyAllRowsWhereTheyNeedMost(DType dtype) {
        int tokens = 40;
        int groups = 3;
        for (boolean gated : new boolean[] {false, true}) {
            MlpCase dense =
                MlpCase.plain(weights(2, 90, 150, gated, Activation.SILU, dtype), new Skipping.None(), tokens).typical();
            assertThat(assertSameBitsAndRows(dense)).isEqualTo(groups * 150);
            // Of 16 tokens, one or another needs 1 - 0.85^16 = 93 %, and 1 - 0.97^16 = 39 %; the last group has 8.
            SplittableRandom random = new SplittableRandom(3);
            assertThat(assertSameBitsAndRows(dense.with(MlpCase.set(random, 150, tokens, 0.15))))
                .isEqualTo(groups * 150);
            assertThat(assertSameBitsAndRows(dense.with(MlpCase.set(random, 150, tokens, 0.03)))).isBetween(90L, 200L);
            for (double share : new double[] {0.3, 0.995}) {
                boolean most = share < 0.5;
                MlpCase byGate = dense.with(new Skipping.Gate(MlpReference.gateThreshold(dense, share)));
                MlpCase byNeuron = dense.with(new Skipping.Neuron(MlpReference.neuronThreshold(dense, share)));
                for (MlpCase test : List.of(byGate, byNeuron)) {
                    long rows = assertSameBitsAndRows(test);
                    assertThat(rows).as(test.toString()).isBetween(most ? groups * 150L : 10, most ? groups * 150L : 200);
                }
            }
            MlpCase byInput = MlpCase.plain(MlpCase.weights(new SplittableRandom(4), 90, 150, gated, Order.INPUT_MAJOR,
                Activation.RELU, dtype), new Skipping.None(), tokens).typical();
            assertThat(assertSameBitsAndRows(byInput)).isEqualTo(groups * 150);
            float most = MlpReference.inputThreshold(byInput, 0.5);
            assertThat(assertSameBitsAndRows(byInput.with(new Skipping.Input(most, 0)))).isEqualTo(groups * 150);
            MlpCase fewNeurons = byInput.with(new Skipping.Input(most, 0));
            assertThat(assertSameBitsAndRows(fewNeurons.with(
                new Skipping.Input(most, MlpReference.hiddenThreshold(fewNeurons, 0.99))))).isLessThan(250);
            float few = MlpReference.inputThreshold(byInput, 0.98);
            assertSameBitsAndRows(byInput.with(new Skipping.Input(few, 0)));
        }
    }

    /** Rows that a run multiplied, after its result was checked on every backend. */
    private static long assertSameBitsAndRows(MlpCase test) {
        try (Workers team = Workers.of(3); MlpPlan plan = MlpRun.plan(test, Backend.SCALAR, team)) {
            assertSameBits(test, team);
            assertThat(plan.explain().kernel()).contains("gemm_packed_f32_scalar");
            assertThat(plan.explain().toString()).contains("runs of 32 tokens or more multiply all rows, packed in f32, where", "55 %");
            assertThat(plan.explain().packedBytes())
                .isGreaterThan(test.weights().bytes() + 4L * 2 * test.weights().hidden() * test.weights().intermediate());
            DenseMatrix x = test.input(Arena.ofAuto());
            DenseMatrix y = test.output(Arena.ofAuto());
            return test.active() == null ? plan.run(x, y) : plan.run(x, test.active(), y);
        }
    }

    @Test
    void thresholdsOfZeroEqualDense() {
        for (Activation activation : Activation.values()) {
            for (DType dtype : DType.values()) {
                for (boolean gated : new boolean[] {false, true}) {
                    MlpCase dense =
                        MlpCase.plain(weights(9, 100, 130, gated, activation, dtype), new Skipping.None(), 3);
                    assertEqual(dense, dense.with(new Skipping.Gate(0)));
                    assertEqual(dense, dense.with(new Skipping.Neuron(0)));
                    MlpCase inputs = MlpCase.plain(MlpCase.weights(new SplittableRandom(3), 100, 130, gated,
                        Order.INPUT_MAJOR, activation, dtype), new Skipping.None(), 3);
                    assertEqual(inputs, inputs.with(new Skipping.Input(0, 0)));
                }
            }
        }
    }

    private static void assertEqual(MlpCase dense, MlpCase skipping) {
        Arena arena = Arena.ofAuto();
        try (Workers one = Workers.of(1)) {
            for (Backend backend : HostBackends.available()) {
                DenseMatrix all = MlpRun.run(dense, backend, one, arena);
                assertThat(Bits.difference("dense", all, "skipping", MlpRun.run(skipping, backend, one, arena)))
                    .as(backend + ", " + skipping).isEmpty();
            }
        }
    }

    @ParameterizedTest
    @EnumSource(DType.class)
    void aNeuronThatIsSkippedNeverMeetsAnything(DType dtype) {
        int hidden = 70;
        int neurons = 50;
        SplittableRandom random = new SplittableRandom(5);
        float[] up = Dense.values(random, neurons * hidden);
        float[] down = Dense.values(random, neurons * hidden);
        for (int i = 0; i < neurons; i += 2) {
            for (int k = 0; k < hidden; k++) {
                up[i * hidden + k] = k % 2 == 0 ? Float.NaN : Float.POSITIVE_INFINITY;
                down[i * hidden + k] = Float.NaN;
            }
        }
        MlpWeights weights = MlpWeights.plain(RowMatrix.of(DenseMatrix.of(up, neurons, hidden), dtype),
            RowMatrix.of(DenseMatrix.of(down, neurons, hidden), dtype), Activation.GELU_TANH, Order.NEURON_MAJOR);
        for (int tokens : new int[] {1, 2, 16, 33}) {
            ActiveSet set = new ActiveSet(neurons, tokens);
            for (int t = 0; t < tokens; t++) {
                for (int i = 1; i < neurons; i += 2 + 2 * (t % 3)) {
                    set.add(t, i);
                }
            }
            try (Workers one = Workers.of(1)) {
                MlpCase test = MlpCase.plain(weights, new Skipping.None(), tokens).with(set).typical();
                for (Backend backend : HostBackends.available()) {
                    DenseMatrix output = MlpRun.run(test, backend, one, Arena.ofAuto());
                    assertThat(new MlpReference(test, test.input(Arena.ofAuto())).mismatch(output)).isEmpty();
                }
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"1, 2", "0, 3", "-0.0, 3"})
    void thresholdsKeepWhatIsNotANumber(float threshold, int kept) {
        DenseMatrix up = DenseMatrix.of(new float[] {Float.NaN, 0, Float.POSITIVE_INFINITY, 0, 1, 0, 0, 0}, 4, 2);
        DenseMatrix down = DenseMatrix.of(new float[] {1, 0, 0, 0, 0.5f, 0, 1, 1}, 4, 2);
        MlpWeights weights = MlpWeights.plain(
            RowMatrix.of(up, DType.F32), RowMatrix.of(down, DType.F32), Activation.NONE, Order.NEURON_MAJOR);
        for (int tokens : new int[] {1, 3}) {
            DenseMatrix x = DenseMatrix.of(Arrays.copyOf(new float[] {1, 0, 1, 0, 1, 0}, 2 * tokens), tokens, 2);
            MlpCase test = MlpCase.plain(weights, new Skipping.Neuron(threshold), tokens);
            try (Workers one = Workers.of(1); MlpPlan plan = MlpRun.plan(test, Backend.SCALAR, one)) {
                assertThat(plan.run(x, test.output(Arena.ofAuto()))).isEqualTo(kept);
            }
        }
    }

    @Test
    void aRunSaysHowManyRowsItRead() {
        MlpCase test = MlpCase.plain(weights(3, 40, 60, true, Activation.NONE, DType.F32), new Skipping.None(), 18);
        ActiveSet set = new ActiveSet(60, 18);
        set.addAll(0, 3, 5, 7);
        set.addAll(1, 5, 9);
        set.addAll(17, 5, 9);
        Arena arena = Arena.ofAuto();
        try (Workers one = Workers.of(1); MlpPlan plan = MlpRun.plan(test, Backend.SCALAR, one)) {
            assertThat(plan.run(test.input(arena), set, test.output(arena))).isEqualTo(4 + 2);
            assertThat(plan.run(test.input(arena), test.output(arena))).isEqualTo(2 * 60);
        }
    }
}
