package dev.filigree.suite.spmm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.filigree.Backend;
import dev.filigree.DenseMatrix;
import dev.filigree.format.CsrMatrix;
import dev.filigree.spmm.FallbackDense;
import dev.filigree.spmm.Layout;
import dev.filigree.spmm.Spmm;
import dev.filigree.spmm.SpmmPlan;
import dev.filigree.suite.Bits;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** {@link SpmmPlan#update}: the pattern stays, the values do not. */
class SpmmUpdateTest {

    private static float[] values(long seed, long count) {
        float[] values = new float[(int) count];
        Random random = new Random(seed);
        for (int i = 0; i < values.length; i++) {
            values[i] = random.nextFloat() - 0.5f;
        }
        return values;
    }

    private static CsrMatrix with(CsrMatrix a, float[] values) {
        return CsrMatrix.fromSegments(a.rows(), a.cols(), a.rowOffsets(), a.columns(), MemorySegment.ofArray(values));
    }

    static List<Backend> backends() {
        return Arrays.stream(Backend.values()).filter(b -> b != Backend.CUDA && b.isAvailable()).toList();
    }

    /** One block, several blocks, split rows, hardly any nonzeros, none; the dense form, too. */
    @ParameterizedTest
    @MethodSource("backends")
    void anUpdatedPlanIsTheOneThatHadThoseValues(Backend backend) {
        for (CsrMatrix a : new CsrMatrix[] {SpmmCase.uniform(1, 40, 50, 0.3), SpmmCase.uniform(2, 300, 700, 0.2),
            SpmmCorrectnessTest.denseRowAmongSparse(60, 900), SpmmCase.uniform(4, 90, 400, 0.002),
            SpmmCase.uniform(5, 6, 7, 0)}) {
            float[] fresh = values(7, a.nnz());
            for (Layout layout : Layout.values()) {
                for (FallbackDense fallback : FallbackDense.values()) {
                    SpmmCase test = SpmmCase.plain(a, 70, layout);
                    try (Arena arena = Arena.ofShared();
                            SpmmPlan plan = Spmm.plan(a, test.options().backend(backend).fallbackDense(fallback));
                            SpmmPlan expected = Spmm.plan(
                                with(a, fresh), test.options().backend(backend).fallbackDense(fallback))) {
                        plan.update(fresh);
                        assertThat(Bits.difference("planned", SpmmRun.run(test, expected, arena), "updated",
                            SpmmRun.run(test, plan, arena))).isEmpty();
                    }
                }
            }
        }
    }

    @Test
    void valuesOfTheWrongNumberChangeNothing() {
        CsrMatrix a = SpmmCase.uniform(1, 20, 30, 0.5);
        SpmmCase test = SpmmCase.plain(a, 9, Layout.FEATURE_MAJOR);
        try (Arena arena = Arena.ofShared(); SpmmPlan plan = Spmm.plan(a)) {
            DenseMatrix before = SpmmRun.run(test, plan, arena);
            assertThatThrownBy(() -> plan.update(new float[(int) a.nnz() + 1]))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("values has")
                .hasMessageContaining(a.nnz() + " stored elements");
            MemorySegment closed;
            try (Arena brief = Arena.ofShared()) {
                closed = brief.allocate(ValueLayout.JAVA_FLOAT, a.nnz());
            }
            assertThatThrownBy(() -> plan.update(closed)).isInstanceOf(IllegalStateException.class);
            assertThat(Bits.difference("before", before, "after", SpmmRun.run(test, plan, arena))).isEmpty();
        }
        SpmmPlan plan = Spmm.plan(a);
        plan.close();
        assertThatThrownBy(() -> plan.update(new float[(int) a.nnz()])).isInstanceOf(IllegalStateException.class)
            .hasMessageContaining("is closed");
    }

    /** Every run sees the values of one update, whole. */
    @Test
    void runsAndUpdatesDoNotMix() throws Exception {
        CsrMatrix a = SpmmCase.uniform(3, 200, 200, 0.3);
        SpmmCase test = SpmmCase.plain(a, 66, Layout.FEATURE_MAJOR);
        float[][] values = {values(1, a.nnz()), values(2, a.nnz())};
        try (Arena arena = Arena.ofShared(); SpmmPlan plan = Spmm.plan(with(a, values[0]));
                SpmmPlan other = Spmm.plan(with(a, values[1]));
                ExecutorService callers = Executors.newFixedThreadPool(2)) {
            DenseMatrix[] expected = {SpmmRun.run(test, plan, arena), SpmmRun.run(test, other, arena)};
            AtomicBoolean done = new AtomicBoolean();
            CountDownLatch running = new CountDownLatch(2);
            List<Future<?>> futures = IntStream.range(0, 2).<Future<?>>mapToObj(i -> callers.submit(() -> {
                DenseMatrix b = test.input(arena);
                DenseMatrix c = test.output(arena);
                while (!done.get()) {
                    plan.run(b, c);
                    running.countDown();
                    assertThat(Bits.difference("first", expected[0], "run", c).isEmpty()
                        || Bits.difference("second", expected[1], "run", c).isEmpty()).isTrue();
                }
            })).toList();
            running.await();
            for (int i = 1; i < 60; i++) {
                plan.update(values[i % 2]);
            }
            done.set(true);
            for (Future<?> future : futures) {
                future.get();
            }
        }
    }
}
