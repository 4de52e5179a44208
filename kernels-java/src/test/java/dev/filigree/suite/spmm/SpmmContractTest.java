package dev.filigree.suite.spmm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.filigree.Activation;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Workers;
import dev.filigree.format.CsrMatrix;
import dev.filigree.spmm.Layout;
import dev.filigree.spmm.Spmm;
import dev.filigree.spmm.SpmmOptions;
import dev.filigree.spmm.SpmmPlan;
import dev.filigree.suite.Bits;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Function;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** What a plan refuses, and how it behaves when it is shared, closed or raced. */
class SpmmContractTest {

    private final CsrMatrix a = SpmmCase.uniform(1, 20, 30, 0.3);
    private final Arena arena = Arena.ofAuto();
    private final SpmmPlan plan = Spmm.plan(a);

    @AfterEach
    void close() {
        plan.close();
    }

    private DenseMatrix dense(int rows, int cols) {
        return DenseMatrix.allocate(arena, DType.F32, rows, cols);
    }

    private void refused(DenseMatrix b, DenseMatrix c, String message) {
        for (int r = 0; r < Math.min(c.rows(), 2) && c.dtype() == DType.F32 && !c.data().isReadOnly(); r++) {
            c.set(r, 0, 42f);
        }
        assertThatThrownBy(() -> plan.run(b, c)).isInstanceOf(IllegalArgumentException.class)
            .hasMessageContaining(message);
        if (c.dtype() == DType.F32 && c.rows() > 0 && !c.data().isReadOnly()) {
            assertThat(c.get(0, 0)).as("nothing is written").isEqualTo(42f);
        }
    }

    @Test
    void wrongShapesAreNamed() {
        refused(dense(29, 8), dense(20, 8), "b is 29 x 8, expected 30 x 8 (columns of A x N)");
        refused(dense(30, 8), dense(21, 8), "c is 21 x 8, expected 20 x 8 (rows of A x N)");
        refused(dense(30, 8), dense(20, 9), "c is 20 x 9, expected 20 x 8");
        try (SpmmPlan tokens = Spmm.plan(a, SpmmOptions.defaults().layout(Layout.TOKEN_MAJOR))) {
            assertThatThrownBy(() -> tokens.run(dense(8, 20), dense(8, 20)))
                .hasMessage("x is 8 x 20, expected 8 x 30 (tokens x columns of A)");
            assertThatThrownBy(() -> tokens.run(dense(8, 30), dense(7, 20)))
                .hasMessage("y is 7 x 20, expected 8 x 20 (tokens x rows of A)");
        }
    }

    @Test
    void wrongTypesAreNamed() {
        refused(DenseMatrix.allocate(arena, DType.BF16, 30, 8), dense(20, 8), "b is bf16, this plan takes f32");
        assertThatThrownBy(() -> plan.run(dense(30, 8), DenseMatrix.allocate(arena, DType.BF16, 20, 8)))
            .hasMessage("c is bf16, this plan takes f32");
        assertThatThrownBy(() -> plan.run(null, dense(20, 8))).isInstanceOf(NullPointerException.class)
            .hasMessage("b");
    }

    @Test
    void aReadOnlyOutputIsRefused() {
        MemorySegment data = arena.allocate(20 * 8 * 4, 4).asReadOnly();
        refused(dense(30, 8), DenseMatrix.of(data, DType.F32, 20, 8), "c is read-only");
    }

    @Test
    void aReadOnlyInputIsFine() {
        DenseMatrix b = dense(30, 8);
        b.set(3, 3, 1f);
        DenseMatrix c = dense(20, 8);
        DenseMatrix d = dense(20, 8);
        plan.run(b, c);
        plan.run(DenseMatrix.of(b.data().asReadOnly(), DType.F32, 30, 8), d);
        assertThat(Bits.difference("writable", c, "read-only", d)).isEmpty();
    }

    @Test
    void overlappingOperandsAreRefused() {
        MemorySegment block = arena.allocate(60 * 8 * 4, 4);
        DenseMatrix b = DenseMatrix.of(block, DType.F32, 30, 8);
        refused(b, DenseMatrix.of(block.asSlice(29 * 8 * 4), DType.F32, 20, 8), "c overlaps b");
        float[] heap = new float[60 * 8];
        refused(DenseMatrix.of(heap, 30, 8),
            DenseMatrix.of(MemorySegment.ofArray(heap).asSlice(29 * 8 * 4), DType.F32, 20, 8), "c overlaps b");
        refused(DenseMatrix.of(MemorySegment.ofArray(heap).asReadOnly(), DType.F32, 30, 8),
            DenseMatrix.of(MemorySegment.ofArray(heap).asSlice(29 * 8 * 4), DType.F32, 20, 8), "c overlaps b");
    }

    @Test
    void columnWindowsOfOneMatrixDoNotOverlap() {
        MemorySegment block = arena.allocate(30 * 16 * 4, 4);
        DenseMatrix b = DenseMatrix.of(block, DType.F32, 30, 8, 16);
        DenseMatrix c = DenseMatrix.of(block.asSlice(8 * 4), DType.F32, 20, 8, 16);
        b.set(0, 7, 3f);
        plan.run(b, c);
        assertThat(b.get(0, 7)).isEqualTo(3f);
        refused(b, DenseMatrix.of(block.asSlice(7 * 4), DType.F32, 20, 8, 16), "c overlaps b");
    }

    @Test
    void rowsOfAnEndlessStrideOverlapLikeAnyOther() {
        // One row each, so that the stride is a number that nothing is multiplied with.
        MemorySegment block = arena.allocate(23 * 4, 4);
        try (SpmmPlan one = Spmm.plan(CsrMatrix.fromArrays(1, 1, new int[] {0, 1}, new int[] {0},
                new float[] {2}))) {
            for (long stride : new long[] {Long.MAX_VALUE, Long.MAX_VALUE - 3, 1L << 62, 16}) {
                for (int shift = -7; shift <= 7; shift++) {
                    DenseMatrix b = DenseMatrix.of(block.asSlice(8 * 4), DType.F32, 1, 8, stride);
                    DenseMatrix c = DenseMatrix.of(block.asSlice((8 + shift) * 4), DType.F32, 1, 8, stride);
                    assertThatThrownBy(() -> one.run(b, c)).as("stride %d, shift %d", stride, shift)
                        .isInstanceOf(IllegalArgumentException.class).hasMessage("c overlaps b");
                }
                DenseMatrix b = DenseMatrix.of(block, DType.F32, 1, 8, stride);
                DenseMatrix c = DenseMatrix.of(block.asSlice(8 * 4), DType.F32, 1, 8, stride);
                b.set(0, 7, 21f);
                one.run(b, c);
                assertThat(c.get(0, 7)).isEqualTo(42f);
            }
        }
    }

    /** Every kind of segment that holds f32 elements, whatever array or buffer lies behind it. */
    static List<Function<Integer, MemorySegment>> segments() {
        return List.of(
            bytes -> MemorySegment.ofArray(new float[bytes / 4]),
            bytes -> MemorySegment.ofArray(new float[bytes / 4 + 1]).asSlice(4),
            bytes -> MemorySegment.ofArray(new float[bytes / 4 + 7]).asSlice(12, bytes),
            bytes -> MemorySegment.ofArray(new int[bytes / 4]),
            bytes -> MemorySegment.ofArray(new long[bytes / 8 + 1]).asSlice(4),
            bytes -> MemorySegment.ofArray(new double[bytes / 8 + 1]),
            bytes -> MemorySegment.ofBuffer(FloatBuffer.allocate(bytes / 4 + 3).position(3)),
            bytes -> MemorySegment.ofBuffer(ByteBuffer.allocateDirect(bytes + 8).position(4)),
            bytes -> Arena.ofAuto().allocate(bytes + 4, 4).asSlice(4));
    }

    @ParameterizedTest
    @MethodSource("segments")
    void anyAlignedSegmentIsAnOperand(Function<Integer, MemorySegment> segment) {
        SpmmCase test = SpmmCase.plain(a, 70, Layout.FEATURE_MAJOR);
        DenseMatrix expected = SpmmRun.run(test, plan, arena);
        DenseMatrix input = test.input(arena);
        DenseMatrix b = DenseMatrix.of(segment.apply(30 * 70 * 4), DType.F32, 30, 70);
        b.data().copyFrom(input.data());
        DenseMatrix c = DenseMatrix.of(segment.apply(20 * 70 * 4), DType.F32, 20, 70);
        DenseMatrix nativeC = dense(20, 70);
        plan.run(b, c);
        plan.run(b, nativeC);
        assertThat(Bits.difference("native", expected, "both", c)).isEmpty();
        assertThat(Bits.difference("native", expected, "input alone", nativeC)).isEmpty();
        DenseMatrix again = DenseMatrix.of(segment.apply(20 * 70 * 4), DType.F32, 20, 70);
        plan.run(input, again);
        assertThat(Bits.difference("native", expected, "output alone", again)).isEmpty();
        DenseMatrix readOnly = DenseMatrix.of(b.data().asReadOnly(), DType.F32, 30, 70);
        plan.run(readOnly, again);
        assertThat(Bits.difference("native", expected, "read-only input", again)).isEmpty();
    }

    @Test
    void aClosedConfinedArenaStaysClosedWhenAnotherOpens() {
        Arena first = Arena.ofConfined();
        DenseMatrix b = DenseMatrix.allocate(first, DType.F32, 30, 8);
        first.close();
        try (Arena second = Arena.ofConfined()) {
            DenseMatrix.allocate(second, DType.F32, 30, 8);
            assertThatThrownBy(() -> plan.run(b, dense(20, 8))).isInstanceOf(IllegalStateException.class)
                .hasMessage("the arena of b is closed");
            DenseMatrix c = dense(20, 8);
            assertThatThrownBy(() -> plan.run(DenseMatrix.of(b.data(), DType.F32, 30, 8), c))
                .isInstanceOf(IllegalStateException.class).hasMessage("the arena of b is closed");
        }
    }

    @Test
    void aMissingBiasIsNamed() {
        assertThatThrownBy(() -> SpmmOptions.defaults().bias(null)).isInstanceOf(NullPointerException.class)
            .hasMessage("bias");
    }

    @Test
    void operandsOfAnotherThreadOrAClosedArenaAreRefused() throws Exception {
        try (ExecutorService other = Executors.newSingleThreadExecutor()) {
            Arena theirs = other.submit(Arena::ofConfined).get();
            DenseMatrix b = other.submit(() -> DenseMatrix.allocate(theirs, DType.F32, 30, 8)).get();
            refused(b, dense(20, 8), "b is confined to another thread");
            other.submit(theirs::close).get();
        }
        Arena shared = Arena.ofShared();
        DenseMatrix b = DenseMatrix.allocate(shared, DType.F32, 30, 8);
        shared.close();
        assertThatThrownBy(() -> plan.run(b, dense(20, 8))).isInstanceOf(IllegalStateException.class)
            .hasMessage("the arena of b is closed");
    }

    @Test
    void anArenaClosedDuringARunEndsInAnExceptionOrAResult() throws Exception {
        CsrMatrix big = SpmmCase.uniform(2, 500, 500, 0.3);
        try (SpmmPlan bigPlan = Spmm.plan(big); ExecutorService closer = Executors.newSingleThreadExecutor()) {
            for (int i = 0; i < 30; i++) {
                Arena shared = Arena.ofShared();
                DenseMatrix b = DenseMatrix.allocate(shared, DType.F32, 500, 256);
                DenseMatrix c = DenseMatrix.allocate(shared, DType.F32, 500, 256);
                int delayMicros = i * 20;
                Future<?> closing = closer.submit(() -> {
                    long until = System.nanoTime() + delayMicros * 1_000L;
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
            DenseMatrix b = dense(500, 4);
            bigPlan.run(b, dense(500, 4));
        }
    }

    @Test
    void aClosedPlanRefusesAndClosingTwiceIsNothing() {
        plan.close();
        plan.close();
        assertThatThrownBy(() -> plan.run(dense(30, 8), dense(20, 8))).isInstanceOf(IllegalStateException.class)
            .hasMessageContaining("the SpMM plan of CsrMatrix").hasMessageContaining("is closed");
        assertThat(plan.toString()).contains("closed");
    }

    @Test
    void aClosedTeamRefuses() {
        Workers team = Workers.of(2);
        try (SpmmPlan teamPlan = Spmm.plan(a, SpmmOptions.defaults().workers(team))) {
            team.close();
            assertThatThrownBy(() -> teamPlan.run(dense(30, 8), dense(20, 8)))
                .isInstanceOf(IllegalStateException.class).hasMessage("the worker team is closed");
        }
    }

    @Test
    void aBiasOfTheWrongLengthIsRefused() {
        assertThatThrownBy(() -> Spmm.plan(a, SpmmOptions.defaults().bias(new float[19])))
            .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("bias has 19 values")
            .hasMessageContaining("20 rows");
    }

    @Test
    void optionsAreImmutableAndCopyTheBias() {
        float[] bias = {1, 2};
        SpmmOptions options = SpmmOptions.defaults().bias(bias).activation(Activation.SILU);
        bias[0] = 9;
        options.bias().orElseThrow()[1] = 9;
        assertThat(options.bias().orElseThrow()).containsExactly(1f, 2f);
        assertThat(SpmmOptions.defaults().bias()).isEmpty();
        assertThat(SpmmOptions.defaults().activation()).isEqualTo(Activation.NONE);
        assertThat(options.typicalN(7).typicalN()).isEqualTo(7);
        assertThat(options.typicalN()).isEqualTo(128);
        assertThatThrownBy(() -> options.typicalN(0)).isInstanceOf(IllegalArgumentException.class)
            .hasMessage("typicalN = 0 is less than 1");
    }

    @Test
    void closeWaitsForRunsAndConcurrentRunsAgree() throws Exception {
        CsrMatrix big = SpmmCase.uniform(3, 300, 300, 0.2);
        SpmmCase test = SpmmCase.plain(big, 130, Layout.FEATURE_MAJOR);
        DenseMatrix expected;
        try (SpmmPlan reference = Spmm.plan(big)) {
            expected = SpmmRun.run(test, reference, arena);
        }
        SpmmPlan shared = Spmm.plan(big);
        AtomicBoolean closed = new AtomicBoolean();
        int count = 4;
        CountDownLatch running = new CountDownLatch(count);
        List<Future<?>> futures = new ArrayList<>();
        try (ExecutorService callers = Executors.newFixedThreadPool(count)) {
            for (int i = 0; i < count; i++) {
                futures.add(callers.submit(() -> {
                    DenseMatrix b = test.input(arena);
                    DenseMatrix c = test.output(arena);
                    while (true) {
                        try {
                            shared.run(b, c);
                        } catch (IllegalStateException e) {
                            assertThat(closed).isTrue();
                            return null;
                        } finally {
                            running.countDown();
                        }
                        assertThat(Bits.difference("alone", expected, "concurrent", c)).isEmpty();
                    }
                }));
            }
            // Only a caller that has come back from a run once is sure to be in the next one, however busy the machine.
            running.await();
            closed.set(true);
            shared.close();
            for (Future<?> future : futures) {
                future.get();
            }
        }
    }

    @Test
    void aRunWithoutStackLeavesAPlanThatRunsAndCloses() throws Exception {
        SpmmCase test = SpmmCase.plain(SpmmCase.uniform(4, 128, 256, 0.3), 100, Layout.FEATURE_MAJOR);
        DenseMatrix b = test.input(arena);
        DenseMatrix c = test.output(arena);
        SpmmPlan deep = Spmm.plan(test.a(), test.options());
        AtomicReference<Throwable> failure = new AtomicReference<>();
        // Interpreted at first, compiled later: frames differ, and so does the place where the stack ends.
        Thread small = new Thread(null, () -> {
            for (int round = 0; round < 10; round++) {
                runAtTheEndOfTheStack(deep, b, c, failure);
            }
        }, "small-stack", 256 << 10);
        small.start();
        small.join();
        assertThat(failure).hasNullValue();
        DenseMatrix expected = SpmmRun.run(test, deep, arena);
        deep.run(b, c);
        assertThat(Bits.difference("expected", expected, "afterwards", c)).isEmpty();
        Thread closer = Thread.ofPlatform().daemon().start(deep::close);
        assertThat(closer.join(Duration.ofSeconds(20))).as("close returns").isTrue();
    }

    /** Runs at each depth from the last frame upwards until a run succeeds. */
    private static void runAtTheEndOfTheStack(
            SpmmPlan plan, DenseMatrix b, DenseMatrix c, AtomicReference<Throwable> failure) {
        try {
            runAtTheEndOfTheStack(plan, b, c, failure);
        } catch (StackOverflowError e) {
            try {
                plan.run(b, c);
            } catch (StackOverflowError overflow) {
                throw overflow;
            } catch (Throwable t) {
                failure.set(t);
            }
        }
    }

    @Test
    void virtualThreadsMayRunPlans() throws Exception {
        SpmmCase test = SpmmCase.plain(a, 40, Layout.FEATURE_MAJOR);
        DenseMatrix expected = SpmmRun.run(test, plan, arena);
        try (ExecutorService virtual = Executors.newVirtualThreadPerTaskExecutor()) {
            for (int i = 0; i < 20; i++) {
                DenseMatrix c = virtual.submit(() -> SpmmRun.run(test, plan, arena)).get();
                assertThat(Bits.difference("platform", expected, "virtual", c)).isEmpty();
            }
        }
    }

    @Test
    void explainTellsWhatWasChosen() {
        assertThat(plan.explain().kernel()).startsWith("spmm_csr_f32_");
        assertThat(plan.explain().flopsPerColumn()).isEqualTo(2.0 * a.nnz());
        assertThat(plan.explain().packedBytes()).isGreaterThan(8 * a.nnz());
        assertThat(plan.explain().toString()).contains("spmm on " + plan.backend().id(), "packed", "scratch");
    }
}
