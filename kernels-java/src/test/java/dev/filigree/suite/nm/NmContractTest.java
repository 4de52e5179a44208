package dev.filigree.suite.nm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Layout;
import dev.filigree.Workers;
import dev.filigree.format.NmMatrix;
import dev.filigree.format.NmPattern;
import dev.filigree.nm.Nm;
import dev.filigree.nm.NmOptions;
import dev.filigree.nm.NmPlan;
import dev.filigree.nm.NmPlanAccess;
import dev.filigree.spi.NmFormat;
import dev.filigree.suite.Bits;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** What a plan accepts, refuses and says. */
class NmContractTest {

    private final Arena arena = Arena.ofAuto();
    private final NmMatrix a = NmCase.matrix(1, 20, 30, NmPattern.of(2, 4));
    private final NmPlan plan = Nm.plan(a);

    @AfterEach
    void close() {
        plan.close();
    }

    private DenseMatrix dense(int rows, int cols) {
        return DenseMatrix.allocate(arena, DType.F32, rows, cols);
    }

    private void refused(DenseMatrix b, DenseMatrix c, String... message) {
        byte[] before = c.data().toArray(ValueLayout.JAVA_BYTE);
        assertThatThrownBy(() -> plan.run(b, c)).isInstanceOf(IllegalArgumentException.class)
            .hasMessageContainingAll(message);
        assertThat(c.data().toArray(ValueLayout.JAVA_BYTE)).isEqualTo(before);
    }

    @Test
    void operandsOfTheWrongShapeTypeOrPlaceAreRefused() {
        refused(dense(29, 8), dense(20, 8), "b is 29 x 8, expected 30 x 8");
        refused(dense(30, 8), dense(20, 9), "c is 20 x 9, expected 20 x 8");
        refused(dense(30, 8), DenseMatrix.of(dense(20, 8).data().asReadOnly(), DType.F32, 20, 8), "c is read-only");
        refused(DenseMatrix.allocate(arena, DType.BF16, 30, 8), dense(20, 8), "b is bf16", "f32");
        MemorySegment both = arena.allocate(30 * 8 * 4, 64);
        refused(DenseMatrix.of(both, DType.F32, 30, 8), DenseMatrix.of(both, DType.F32, 20, 8), "c overlaps b");
        try (NmPlan tokens = Nm.plan(a, NmOptions.defaults().layout(Layout.TOKEN_MAJOR))) {
            assertThatThrownBy(() -> tokens.run(dense(8, 29), dense(8, 20)))
                .hasMessageContaining("x is 8 x 29, expected 8 x 30");
        }
        assertThatThrownBy(() -> plan.run(null, dense(20, 8))).isInstanceOf(NullPointerException.class).hasMessage("b");
        assertThatThrownBy(() -> Nm.plan(null)).isInstanceOf(NullPointerException.class).hasMessage("a");
    }

    @Test
    void aPlanInBf16TakesBf16Alone() {
        NmOptions options = NmOptions.defaults().dtype(DType.BF16);
        assertThat(options.toString()).contains("bf16");
        assertThat(options.layout(Layout.TOKEN_MAJOR).dtype()).isEqualTo(DType.BF16);
        try (NmPlan inBf16 = Nm.plan(a, options)) {
            assertThat(inBf16.dtype()).isEqualTo(DType.BF16);
            assertThat(inBf16.explain().kernel()).startsWith("nm_packed_bf16_");
            assertThatThrownBy(() -> inBf16.run(dense(30, 8), DenseMatrix.allocate(arena, DType.BF16, 20, 8)))
                .isInstanceOf(IllegalArgumentException.class).hasMessage("b is f32, this plan takes bf16");
            assertThatThrownBy(() -> inBf16.run(DenseMatrix.allocate(arena, DType.BF16, 30, 8), dense(20, 8)))
                .isInstanceOf(IllegalArgumentException.class).hasMessage("c is f32, this plan takes bf16");
        }
        assertThatThrownBy(() -> options.dtype(null)).isInstanceOf(NullPointerException.class).hasMessage("dtype");
    }

    @Test
    void aClosedPlanTeamOrArenaRefuses() {
        Arena shared = Arena.ofShared();
        DenseMatrix b = DenseMatrix.allocate(shared, DType.F32, 30, 8);
        shared.close();
        assertThatThrownBy(() -> plan.run(b, dense(20, 8))).isInstanceOf(IllegalStateException.class)
            .hasMessage("the arena of b is closed");
        Workers team = Workers.of(2);
        try (NmPlan onTeam = Nm.plan(a, NmOptions.defaults().workers(team))) {
            team.close();
            assertThatThrownBy(() -> onTeam.run(dense(30, 8), dense(20, 8))).isInstanceOf(IllegalStateException.class)
                .hasMessage("the worker team is closed");
        }
        plan.close();
        plan.close();
        assertThatThrownBy(() -> plan.run(dense(30, 8), dense(20, 8))).isInstanceOf(IllegalStateException.class)
            .hasMessage("the N:M plan of NmMatrix[20 x 30, 2:4] is closed");
        assertThat(plan.toString()).contains("20 x 30", "2:4", "closed");
    }

    @Test
    void anArenaClosedDuringARunEndsInAnExceptionOrAResult() throws Exception {
        NmMatrix big = NmCase.matrix(2, 500, 512, NmPattern.of(2, 4));
        try (NmPlan bigPlan = Nm.plan(big); ExecutorService closer = Executors.newSingleThreadExecutor()) {
            for (int i = 0; i < 20; i++) {
                Arena shared = Arena.ofShared();
                DenseMatrix b = DenseMatrix.allocate(shared, DType.F32, 512, 256);
                DenseMatrix c = DenseMatrix.allocate(shared, DType.F32, 500, 256);
                long until = System.nanoTime() + i * 20_000L;
                Future<?> closing = closer.submit(() -> {
                    while (System.nanoTime() < until) {
                        Thread.onSpinWait();
                    }
                    try {
                        shared.close();
                    } catch (IllegalStateException e) {
                        // A native kernel holds the arena open: that is the other allowed outcome.
                        return;
                    }
                });
                try {
                    bigPlan.run(b, c);
                } catch (IllegalStateException expected) {
                    assertThat(expected).hasMessageContaining("losed");
                }
                // The JVM interrupts a thread when it stops its access to memory that is being closed.
                Thread.interrupted();
                closing.get();
            }
            bigPlan.run(dense(512, 4), dense(500, 4));
        }
    }

    @Test
    void aBiasOfTheWrongLengthIsRefused() {
        assertThatThrownBy(() -> Nm.plan(a, NmOptions.defaults().bias(new float[19])))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessage("bias has 19 values, NmMatrix[20 x 30, 2:4] needs one for each of its 20 rows");
    }

    @Test
    void virtualThreadsMayRunPlans() throws Exception {
        NmCase test = NmCase.plain(a, 40, Layout.FEATURE_MAJOR);
        DenseMatrix expected = NmRun.run(test, plan, arena);
        try (ExecutorService virtual = Executors.newVirtualThreadPerTaskExecutor()) {
            for (int i = 0; i < 20; i++) {
                DenseMatrix c = virtual.submit(() -> NmRun.run(test, plan, arena)).get();
                assertThat(Bits.difference("platform", expected, "virtual", c)).isEmpty();
            }
        }
    }

    @Test
    void explainTellsWhatWasChosen() {
        assertThat(plan.explain().kernel()).startsWith("nm_packed_f32_");
        assertThat(plan.explain().flopsPerColumn()).isEqualTo(2.0 * a.nnz());
        assertThat(plan.explain().toString()).contains("nm on " + plan.backend().id(), "2:4", "rows interleaved");
        assertThat(plan.pattern()).isEqualTo(NmPattern.of(2, 4));
    }

    /** Values, and indices of ceil(log2 M) bits, less those that rows share: within 2 %. */
    @ParameterizedTest
    @CsvSource({"2:4, 4.25", "1:4, 4.25", "1:8, 4.375", "2:8, 4.375", "1:16, 4.5", "1:32, 4.625", "1:64, 4.75",
        "4:4, 4", "8:2:4, 4.03125", "16:2:4, 4.015625", "32:1:8, 4.01171875"})
    void packedBytesAreThoseOfTheFormat(String pattern, double bytes) {
        NmMatrix large = NmCase.matrix(3, 256, 2048, NmPattern.parse(pattern));
        for (DType dtype : DType.values()) {
            MemorySegment packed = NmPlanAccess.pack(large, dtype, arena);
            double arithmetic = (bytes - Float.BYTES + dtype.bytes()) * large.nnz();
            assertThat(packed.byteSize() / arithmetic).isBetween(1.0, 1.02 + 8192.0 / packed.byteSize());
            assertThat(NmFormat.field(packed, NmFormat.BYTES)).isEqualTo(packed.byteSize());
        }
    }

    @Test
    void noWorkItemHoldsMoreThanASixtyFourth() {
        for (int rows : new int[] {1, 16, 1000, 1024, 1040, 5000}) {
            MemorySegment packed = NmPlanAccess.pack(
                NmCase.matrix(4, rows, 8, NmPattern.of(2, 4)), DType.F32, arena);
            long groups = NmFormat.field(packed, NmFormat.GROUP_COUNT);
            assertThat(NmFormat.field(packed, NmFormat.CHUNK_GROUPS)).isLessThanOrEqualTo(Math.max(1, groups / 64));
        }
    }
}
