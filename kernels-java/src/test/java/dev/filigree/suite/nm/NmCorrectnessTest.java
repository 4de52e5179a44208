package dev.filigree.suite.nm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.filigree.Activation;
import dev.filigree.Backend;
import dev.filigree.Bf16;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Layout;
import dev.filigree.Workers;
import dev.filigree.format.NmMatrix;
import dev.filigree.format.NmPattern;
import dev.filigree.nm.Nm;
import dev.filigree.nm.NmPlan;
import dev.filigree.suite.Bits;
import dev.filigree.suite.Dense;
import dev.filigree.suite.Seeds;
import java.lang.foreign.Arena;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeSet;
import java.util.stream.LongStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** Every host backend against the double reference and against the scalar kernel's bits. */
class NmCorrectnessTest {

    private static final int[] TEAMS = {1, 2, 3, 7, 64};

    /** 200 draws see every pattern and size of NmCase's lists a few times. */
    static LongStream seeds() {
        return Seeds.of(200);
    }

    @AfterAll
    static void sayWhatRan() {
        Set<String> kernels = new TreeSet<>();
        for (String pattern : List.of("2:4", "16:2:4")) {
            NmMatrix a = NmCase.matrix(1, 4, 4, NmPattern.parse(pattern));
            for (DType dtype : DType.values()) {
                NmCase test = NmCase.plain(a, 1, Layout.FEATURE_MAJOR).in(dtype);
                for (Backend backend : NmRun.backends(dtype)) {
                    try (NmPlan plan = Nm.plan(a, test.options().backend(backend))) {
                        kernels.add(plan.explain().kernel());
                    }
                }
            }
        }
        kernels.forEach(kernel -> System.out.println("NmCorrectnessTest ran " + kernel));
    }

    @ParameterizedTest(name = "seed {0}")
    @MethodSource("seeds")
    void equalsTheReferenceAndTheScalarBits(long seed) {
        NmCase test = NmCase.random(seed);
        try (Workers team = Workers.of(TEAMS[Math.floorMod(seed, TEAMS.length)])) {
            assertSameBits(test, team);
        }
    }

    /** Permuted and broadcast in lanes, one stream and two, an index of 3 bits, none, and one of 5. */
    @ParameterizedTest
    @ValueSource(strings = {"2:4", "1:8", "4:4", "1:32", "8:2:4", "16:2:4", "8:1:16", "32:3:7"})
    void everyTailOfEveryLayoutHasTheScalarBits(String pattern) {
        NmMatrix a = NmCase.matrix(3, 40, 140, NmPattern.parse(pattern));
        try (Workers team = Workers.of(2)) {
            for (Layout layout : Layout.values()) {
                for (int n = 1; n <= 130; n += n < 70 ? 1 : 7) {
                    assertSameBitsInEveryType(NmCase.plain(a, n, layout), team);
                }
            }
        }
    }

    @ParameterizedTest
    @EnumSource(Layout.class)
    void teamSizeDoesNotChangeBits(Layout layout) {
        NmMatrix a = NmCase.matrix(4, 1500, 700, NmPattern.of(2, 4));
        NmMatrix shared = NmCase.matrix(4, 500, 700, NmPattern.parse("32:2:4"));
        Arena arena = Arena.ofAuto();
        for (NmCase test : List.of(NmCase.plain(a, 3, layout), NmCase.plain(a, 100, layout),
                NmCase.plain(a, 3, layout).in(DType.BF16), NmCase.plain(a, 100, layout).in(DType.BF16),
                NmCase.plain(shared, 100, layout).in(DType.BF16))) {
            for (Backend backend : NmRun.backends(test.dtype())) {
                DenseMatrix first = null;
                for (int threads : TEAMS) {
                    try (Workers team = Workers.of(threads)) {
                        DenseMatrix output = NmRun.run(test, backend, team, arena);
                        first = first == null ? output : first;
                        assertThat(Bits.difference("1 thread", first, threads + " threads", output))
                            .as(backend + " " + layout).isEmpty();
                    }
                }
                assertThat(NmRun.reference(test, arena).mismatch(first)).isEmpty();
            }
        }
    }

    /** Few tokens: two blocks, and passes of up to 511 groups for eight tokens, whose outputs are finished in parts. */
    @ParameterizedTest
    @EnumSource(Layout.class)
    void longPassesOfFewTokensHaveTheScalarBits(Layout layout) {
        NmMatrix a = NmCase.matrix(6, 8200, 136, NmPattern.of(1, 8));
        float[] bias = Dense.values(new SplittableRandom(7), a.rows());
        try (Workers one = Workers.of(1)) {
            for (int n : new int[] {1, 3, 8}) {
                assertSameBitsInEveryType(new NmCase(6, a, n, layout, Activation.RELU, bias, 2f, 3f, Dense.Place.HEAP,
                    0, 5, DType.F32), one);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"1:1", "4:4", "5:5", "64:64", "8:4:4", "32:16:16"})
    void allKeptEqualsTheDenseLoopBitForBit(String pattern) {
        NmMatrix a = NmCase.matrix(9, 45, 131, NmPattern.parse(pattern));
        Arena arena = Arena.ofAuto();
        DenseMatrix dense = a.toDense(arena);
        for (DType dtype : DType.values()) {
            for (int n : new int[] {1, 5, 37}) {
                NmCase test = NmCase.plain(a, n, Layout.FEATURE_MAJOR).in(dtype);
                DenseMatrix b = test.input(arena);
                DenseMatrix expected = test.output(arena);
                for (int r = 0; r < a.rows(); r++) {
                    for (int j = 0; j < n; j++) {
                        expected.set(r, j, dtype == DType.F32 ? sum(dense, r, b, j) : sumOfPairs(dense, r, b, j));
                    }
                }
                try (Workers one = Workers.of(1)) {
                    for (Backend backend : NmRun.backends(dtype)) {
                        if (NmRun.sharesBits(test, backend)) {
                            DenseMatrix output = NmRun.run(test, backend, one, arena);
                            assertThat(Bits.difference("dense", expected, backend.id(), output)).isEmpty();
                        }
                    }
                }
            }
        }
    }

    private static float sum(DenseMatrix a, int row, DenseMatrix b, int column) {
        float sum = 0f;
        for (int k = 0; k < a.cols(); k++) {
            sum = Math.fma(a.get(row, k), b.get(k, column), sum);
        }
        return sum;
    }

    /** Of bf16: two columns at a time, the later first. */
    private static float sumOfPairs(DenseMatrix a, int row, DenseMatrix b, int column) {
        float sum = 0f;
        for (int k = 0; k < a.cols(); k += 2) {
            if (k + 1 < a.cols()) {
                sum = Math.fma(rounded(a.get(row, k + 1)), b.get(k + 1, column), sum);
            }
            sum = Math.fma(rounded(a.get(row, k)), b.get(k, column), sum);
        }
        return sum;
    }

    private static float rounded(float x) {
        return Bf16.toFloat(Bf16.fromFloat(x));
    }

    @ParameterizedTest
    @ValueSource(strings = {"2:4", "1:8", "2:16", "8:2:4", "32:1:4"})
    void anElementThatIsNotStoredNeverMeetsANaN(String text) {
        NmPattern pattern = NmPattern.parse(text);
        // Columns 1 and 2 of each group are large in every row, so column 0 is never stored; nor the padding.
        int cols = 11 * pattern.m() + 3;
        float[] dense = new float[40 * cols];
        for (int i = 0; i < dense.length; i++) {
            int place = i % cols % pattern.m();
            dense[i] = place == 1 ? 3 : place == 2 ? 2 : 0.5f;
        }
        NmMatrix a = NmMatrix.pruned(DenseMatrix.of(dense, 40, cols), pattern);
        Arena arena = Arena.ofAuto();
        for (Layout layout : Layout.values()) {
            for (int n : new int[] {1, 3, 20}) {
                for (DType dtype : DType.values()) {
                    NmCase test = NmCase.plain(a, n, layout).in(dtype);
                    DenseMatrix input = poisoned(test);
                    for (Backend backend : NmRun.backends(dtype)) {
                        DenseMatrix output = test.output(arena);
                        try (NmPlan plan = Nm.plan(a, test.options().backend(backend))) {
                            plan.run(input, output);
                        }
                        assertThat(new NmReference(test, input, output).mismatch(output)).as("%s", backend).isEmpty();
                    }
                }
            }
        }
    }

    /** The input of a case with NaN and infinities in the first column of each group. */
    private static DenseMatrix poisoned(NmCase test) {
        boolean tokens = test.layout() == Layout.TOKEN_MAJOR;
        DenseMatrix input = test.input(Arena.ofAuto());
        for (int k = 0; k < test.a().cols(); k += test.a().pattern().m()) {
            for (int j = 0; j < test.n(); j++) {
                input.set(tokens ? j : k, tokens ? k : j, j % 2 == 0 ? Float.NaN : Float.POSITIVE_INFINITY);
            }
        }
        return input;
    }

    @ParameterizedTest
    @EnumSource(Activation.class)
    void epilogueOfEveryActivation(Activation activation) {
        float[] bias = new float[50];
        for (int i = 0; i < 50; i++) {
            bias[i] = (i - 25) / 4f;
        }
        try (Workers team = Workers.of(2)) {
            for (String pattern : new String[] {"2:4", "16:2:4"}) {
                NmMatrix a = NmCase.matrix(5, 50, 90, NmPattern.parse(pattern));
                for (Layout layout : Layout.values()) {
                    for (float beta : new float[] {0f, -0.5f}) {
                        for (int n : new int[] {1, 6, 83}) {
                            assertSameBitsInEveryType(new NmCase(77, a, n, layout, activation, bias, 1.5f, beta,
                                Dense.Place.AUTO, 3, 5, DType.F32), team);
                        }
                    }
                }
            }
        }
    }

    @Test
    void emptyShapes() {
        try (Workers team = Workers.of(2)) {
            for (int[] shape : new int[][] {{0, 0, 0}, {0, 5, 3}, {5, 0, 3}, {5, 3, 0}, {1, 1, 1}}) {
                NmMatrix a = NmCase.matrix(2, shape[0], shape[1], NmPattern.of(2, 4));
                for (Layout layout : Layout.values()) {
                    assertSameBitsInEveryType(NmCase.plain(a, shape[2], layout), team);
                }
            }
        }
    }

    private static void assertSameBitsInEveryType(NmCase test, Workers team) {
        for (DType dtype : DType.values()) {
            assertSameBits(test.in(dtype), team);
        }
    }

    private static void assertSameBits(NmCase test, Workers team) {
        Arena arena = Arena.ofAuto();
        NmReference reference = NmRun.reference(test, arena);
        DenseMatrix scalar = NmRun.run(test, Backend.SCALAR, team, arena);
        assertThat(reference.mismatch(scalar)).as("scalar").isEmpty();
        for (Backend backend : NmRun.backends(test.dtype())) {
            DenseMatrix output = NmRun.run(test, backend, team, arena);
            assertThat(reference.mismatch(output)).as(backend + " on " + team).isEmpty();
            if (NmRun.sharesBits(test, backend)) {
                assertThat(Bits.difference("scalar", scalar, backend.id(), output))
                    .as("bits of %s on %s, %s", backend, team, test).isEmpty();
            }
        }
    }
}
