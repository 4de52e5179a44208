package dev.filigree.suite.gemm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.filigree.Activation;
import dev.filigree.Backend;
import dev.filigree.DenseMatrix;
import dev.filigree.Workers;
import dev.filigree.format.CsrMatrix;
import dev.filigree.spmm.FallbackDense;
import dev.filigree.spmm.Layout;
import dev.filigree.spmm.Spmm;
import dev.filigree.spmm.SpmmPlan;
import dev.filigree.suite.Bits;
import dev.filigree.suite.HostBackends;
import dev.filigree.suite.Seeds;
import dev.filigree.suite.spmm.SpmmCase;
import dev.filigree.suite.spmm.SpmmReference;
import dev.filigree.suite.spmm.SpmmRun;
import java.lang.foreign.Arena;
import java.util.stream.LongStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** The dense kernel of every host backend, as plans use it: against the double reference and the scalar bits. */
class GemmCorrectnessTest {

    private static final int[] TEAMS = {1, 2, 3, 7, 64};

    /** 80 draws see every size of SpmmCase's lists, beside those of SpmmCorrectnessTest that are dense. */
    static LongStream seeds() {
        return Seeds.of(80);
    }

    @AfterAll
    static void sayWhatRan() {
        for (Backend backend : HostBackends.available()) {
            try (SpmmPlan plan = plan(full(4, 4), Layout.FEATURE_MAJOR, backend)) {
                System.out.println("GemmCorrectnessTest ran " + plan.explain().kernel());
            }
        }
    }

    private static SpmmPlan plan(CsrMatrix a, Layout layout, Backend backend) {
        return Spmm.plan(a, dense(a, 1, layout).options().backend(backend));
    }

    /** Every element is stored. */
    private static CsrMatrix full(int rows, int cols) {
        return withoutColumns(rows, cols, 0);
    }

    private static SpmmCase dense(CsrMatrix a, int n, Layout layout) {
        return SpmmCase.plain(a, n, layout).dense(FallbackDense.ALWAYS);
    }

    @ParameterizedTest(name = "seed {0}")
    @MethodSource("seeds")
    void equalsTheReferenceAndTheScalarBits(long seed) {
        SpmmCase test = SpmmCase.random(seed).dense(FallbackDense.ALWAYS);
        try (Workers team = Workers.of(TEAMS[Math.floorMod(seed, TEAMS.length)])) {
            assertSameBits(test, team);
        }
    }

    @Test
    void everyTailOfRowsAndDepth() {
        // 1..13 passes each tail of six rows; depths 0, 1 and on both sides of one block and two.
        try (Workers one = Workers.of(1)) {
            for (int rows = 1; rows <= 13; rows++) {
                for (int cols : new int[] {0, 1, 2, 255, 256, 257, 513}) {
                    for (Layout layout : Layout.values()) {
                        assertSameBits(dense(full(rows, cols), 19, layout), one);
                    }
                }
            }
        }
    }

    @Test
    void everyTailOfColumnsEqualsTheSparseKernel() {
        // 1..130 passes each tail of 4, 8 and 16 lanes in the first, second and third panel. Rows of 60: unsplit.
        CsrMatrix a = SpmmCase.uniform(3, 14, 60, 0.7);
        Arena arena = Arena.ofAuto();
        try (Workers one = Workers.of(1)) {
            for (Layout layout : Layout.values()) {
                for (int n = 1; n <= 130; n++) {
                    SpmmCase test = dense(a, n, layout);
                    DenseMatrix sparse =
                        SpmmRun.run(test.dense(FallbackDense.NEVER), Backend.SCALAR, one, arena);
                    for (Backend backend : HostBackends.available()) {
                        assertThat(Bits.difference(
                            "sparse", sparse, backend.id(), SpmmRun.run(test, backend, one, arena)))
                            .as("%s %s", backend, test).isEmpty();
                    }
                }
            }
        }
    }

    @ParameterizedTest
    @EnumSource(Layout.class)
    void teamSizeDoesNotChangeBitsNorDoesSparsity(Layout layout) {
        // Passes and blocks of more than one, chunks of more than one group of rows, no row that is split.
        CsrMatrix a = SpmmCase.uniform(5, 1001, 300, 0.6);
        SpmmCase test = dense(a, 100, layout);
        Arena arena = Arena.ofAuto();
        SpmmReference reference = SpmmRun.reference(test, arena);
        for (Backend backend : HostBackends.available()) {
            DenseMatrix sparse;
            try (Workers one = Workers.of(1)) {
                sparse = SpmmRun.run(test.dense(FallbackDense.NEVER), backend, one, arena);
            }
            for (int threads : TEAMS) {
                try (Workers team = Workers.of(threads)) {
                    DenseMatrix output = SpmmRun.run(test, backend, team, arena);
                    assertThat(reference.mismatch(output)).isEmpty();
                    assertThat(Bits.difference("sparse", sparse, threads + " threads", output))
                        .as(backend + " " + layout).isEmpty();
                }
            }
        }
    }

    @ParameterizedTest
    @EnumSource(Activation.class)
    void epilogueOfEveryActivation(Activation activation) {
        // More rows than are finished at a time.
        CsrMatrix a = SpmmCase.uniform(5, 100, 90, 0.9);
        float[] bias = new float[100];
        for (int i = 0; i < bias.length; i++) {
            bias[i] = (i - 50) / 8f;
        }
        try (Workers team = Workers.of(2)) {
            for (Layout layout : Layout.values()) {
                for (float beta : new float[] {0f, -0.5f}) {
                    assertSameBits(new SpmmCase(77, a, 83, layout, activation, bias, 1.5f, beta,
                        SpmmCase.Place.AUTO, 3, 5, FallbackDense.ALWAYS, false), team);
                }
            }
        }
    }

    /** Wherever it is, one float that is not finite makes a run sparse. */
    @ParameterizedTest
    @EnumSource(Layout.class)
    void aMissingElementNeverMeetsAnInfinityOrNan(Layout layout) {
        int cols = 70;
        CsrMatrix a = withoutColumns(40, cols, 4);
        Arena arena = Arena.ofAuto();
        for (SpmmCase.Place place : SpmmCase.Place.values()) {
            SpmmCase test = new SpmmCase(3, a, 65, layout, Activation.NONE, null, 1f, 0.5f, place, 2, 1,
                FallbackDense.ALWAYS, false);
            for (Backend backend : HostBackends.available()) {
                try (Workers team = Workers.of(3);
                        SpmmPlan plan = Spmm.plan(a, test.options().backend(backend).workers(team))) {
                    DenseMatrix expected = SpmmRun.run(test, plan, arena);
                    for (int k : new int[] {0, cols - 1}) {
                        for (int j = 0; j < 65; j += 16) {
                            for (float poison : new float[] {Float.NaN, Float.NEGATIVE_INFINITY}) {
                                DenseMatrix input = test.input(arena);
                                input.set(layout == Layout.TOKEN_MAJOR ? j : k,
                                    layout == Layout.TOKEN_MAJOR ? k : j, poison);
                                DenseMatrix output = test.output(arena);
                                plan.run(1f, input, 0.5f, output);
                                assertThat(Bits.difference("finite", expected, "poisoned", output))
                                    .as("%s %s, %s at (%d, %d)", backend, test, poison, k, j).isEmpty();
                            }
                        }
                    }
                }
            }
        }
    }

    /** Nothing is stored in so many columns at either end, and everything elsewhere. */
    private static CsrMatrix withoutColumns(int rows, int cols, int margin) {
        float[] dense = new float[rows * cols];
        for (int i = 0; i < dense.length; i++) {
            int column = i % cols;
            dense[i] = column < margin || column >= cols - margin ? 0 : (i * 37L % 101 - 50.5f) / 64;
        }
        return CsrMatrix.fromDense(DenseMatrix.of(dense, rows, cols));
    }

    @Test
    void aStoredElementMeetsThemAsEver() {
        CsrMatrix a = full(150, 80);
        for (Backend backend : HostBackends.available()) {
            try (Arena arena = Arena.ofConfined();
                    SpmmPlan plan = Spmm.plan(a, SpmmCase.plain(a, 3, Layout.FEATURE_MAJOR).options()
                        .backend(backend))) {
                assertThat(plan.explain().kernel()).startsWith("gemm_packed_f32_");
                SpmmCase test = SpmmCase.plain(a, 3, Layout.FEATURE_MAJOR);
                DenseMatrix input = test.input(arena);
                input.set(79, 1, Float.NaN);
                DenseMatrix output = test.output(arena);
                plan.run(input, output);
                for (int row = 0; row < a.rows(); row++) {
                    assertThat(output.get(row, 0)).isFinite();
                    assertThat(output.get(row, 1)).isNaN();
                }
            }
        }
    }

    @Test
    void plansTakeTheDenseKernelWhereZerosAreFew() {
        CsrMatrix few = full(200, 300);
        CsrMatrix many = SpmmCase.uniform(1, 200, 300, 0.3);
        for (Backend backend : HostBackends.available()) {
            assertThat(kernel(few, FallbackDense.WHEN_FASTER, backend)).isEqualTo("gemm_packed_f32_" + backend.id());
            assertThat(kernel(few, FallbackDense.NEVER, backend)).isEqualTo("spmm_csr_f32_" + backend.id());
            assertThat(kernel(many, FallbackDense.WHEN_FASTER, backend)).isEqualTo("spmm_csr_f32_" + backend.id());
            assertThat(kernel(many, FallbackDense.ALWAYS, backend)).isEqualTo("gemm_packed_f32_" + backend.id());
        }
    }

    private static String kernel(CsrMatrix a, FallbackDense dense, Backend backend) {
        SpmmCase test = SpmmCase.plain(a, 1, Layout.FEATURE_MAJOR).dense(dense);
        try (SpmmPlan plan = Spmm.plan(a, test.options().backend(backend))) {
            return plan.explain().kernel();
        }
    }

    @Test
    void explainTellsBothFormsAndBothEstimates() {
        CsrMatrix a = SpmmCase.uniform(1, 40, 50, 0.5);
        long sparseBytes;
        try (SpmmPlan sparse = Spmm.plan(
                a, SpmmCase.plain(a, 1, Layout.FEATURE_MAJOR).dense(FallbackDense.NEVER).options())) {
            sparseBytes = sparse.explain().packedBytes();
        }
        try (SpmmPlan plan = Spmm.plan(a, dense(a, 1, Layout.FEATURE_MAJOR).options())) {
            // 42 rows of whole groups.
            assertThat(plan.explain().packedBytes()).isGreaterThan(sparseBytes + 42 * 50 * 4);
            assertThat(plan.explain().candidates()).hasSize(2)
                .allSatisfy(candidate -> assertThat(candidate.nanosPerColumn()).isPositive());
            assertThat(plan.explain().toString()).contains("dense in 1 block", "CSR in 1 block", "taken");
        }
    }

    private static void assertSameBits(SpmmCase test, Workers team) {
        Arena arena = Arena.ofAuto();
        SpmmReference reference = SpmmRun.reference(test, arena);
        DenseMatrix scalar;
        try (Workers one = Workers.of(1)) {
            scalar = SpmmRun.run(test, Backend.SCALAR, one, arena);
        }
        assertThat(reference.mismatch(scalar)).as("scalar").isEmpty();
        for (Backend backend : HostBackends.available()) {
            DenseMatrix output = SpmmRun.run(test, backend, team, arena);
            assertThat(Bits.difference("scalar", scalar, backend.id(), output)).as("%s %s", backend, test)
                .isEmpty();
        }
    }
}
