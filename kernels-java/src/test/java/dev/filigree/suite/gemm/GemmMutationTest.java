package dev.filigree.suite.gemm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.filigree.Backend;
import dev.filigree.DenseMatrix;
import dev.filigree.Refusal;
import dev.filigree.internal.scalar.ScalarProvider;
import dev.filigree.spi.GemmFormat;
import dev.filigree.spi.GemmKernel;
import dev.filigree.spi.KernelInfo;
import dev.filigree.spi.KernelProvider;
import dev.filigree.spi.SpmmKernel;
import dev.filigree.spmm.FallbackDense;
import dev.filigree.spmm.PlanAccess;
import dev.filigree.spmm.SpmmPlan;
import dev.filigree.suite.spmm.SpmmCase;
import dev.filigree.suite.spmm.SpmmRun;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The suite's own test: dense kernels with a planted mistake must not pass it. */
class GemmMutationTest {

    private static final ScalarProvider SCALAR = new ScalarProvider();
    private static final GemmKernel GOOD = SCALAR.gemmF32().orElseThrow();

    /** Mistakes that kernels make. */
    enum Mistake {
        /** The columns after the last whole vector of 16 are not written. */
        TAIL_DROPPED,
        /** Rows use the values of their neighbour. */
        VALUE_OFF_BY_ONE,
        /** The last column of A is left out. */
        LAST_COLUMN_SKIPPED,
        /** The last work item of a range is left out. */
        LAST_ITEM_SKIPPED,
        /** beta is ignored. */
        BETA_IGNORED
    }

    @ParameterizedTest
    @EnumSource(Mistake.class)
    void isCaughtWithinAHundredCases(Mistake mistake) {
        KernelProvider provider = new Mutant(mistake);
        for (long seed = 0; seed < 100; seed++) {
            SpmmCase test = SpmmCase.random(seed).dense(FallbackDense.ALWAYS);
            Arena arena = Arena.ofAuto();
            try (SpmmPlan plan = PlanAccess.plan(test.a(), test.options(), provider)) {
                DenseMatrix output = SpmmRun.run(test, plan, arena);
                if (SpmmRun.reference(test, arena).mismatch(output).isPresent()) {
                    return;
                }
            }
        }
        assertThat(mistake).as("a mistake that nobody noticed").isNull();
    }

    private record Mutant(Mistake mistake) implements KernelProvider, GemmKernel {

        @Override
        public Backend backend() {
            return Backend.SCALAR;
        }

        @Override
        public Optional<Refusal> refusal() {
            return Optional.empty();
        }

        @Override
        public List<KernelInfo> kernels() {
            return List.of();
        }

        @Override
        public Optional<SpmmKernel> spmmF32() {
            return SCALAR.spmmF32();
        }

        @Override
        public Optional<GemmKernel> gemmF32() {
            return Optional.of(this);
        }

        @Override
        public String id() {
            return "mutant";
        }

        @Override
        public void run(MemorySegment packed, MemorySegment b, long bStride, MemorySegment c, long cStride, int n,
                float alpha, float beta, long begin, long end, MemorySegment scratch) {
            switch (mistake) {
                case TAIL_DROPPED -> {
                    int whole = n / 16 * 16;
                    // Only calls of one panel keep their item numbers when n shrinks.
                    int columns = n < GemmFormat.PANEL && whole > 0 ? whole : n;
                    GOOD.run(packed, b, bStride, c, cStride, columns, alpha, beta, begin, end, scratch);
                }
                case VALUE_OFF_BY_ONE -> {
                    MemorySegment wrong = copy(packed);
                    long values = GemmFormat.field(packed, GemmFormat.VALUES);
                    long bytes = packed.byteSize() - GemmFormat.TAIL - values;
                    if (bytes > Float.BYTES) {
                        MemorySegment.copy(
                            packed, values + Float.BYTES, wrong, values, bytes - Float.BYTES);
                    }
                    GOOD.run(wrong, b, bStride, c, cStride, n, alpha, beta, begin, end, scratch);
                }
                case LAST_COLUMN_SKIPPED -> {
                    MemorySegment wrong = copy(packed);
                    long cols = GemmFormat.field(packed, GemmFormat.COLS);
                    if (GemmFormat.field(packed, GemmFormat.BLOCK_COUNT) == 1 && cols > 1) {
                        // Values of the first rows keep their place, the others are of a shorter depth.
                        wrong.set(ValueLayout.JAVA_LONG, GemmFormat.COLS, cols - 1);
                    }
                    GOOD.run(wrong, b, bStride, c, cStride, n, alpha, beta, begin, end, scratch);
                }
                case LAST_ITEM_SKIPPED -> GOOD.run(
                    packed, b, bStride, c, cStride, n, alpha, beta, begin, end - 1, scratch);
                case BETA_IGNORED -> GOOD.run(
                    packed, b, bStride, c, cStride, n, alpha, 0f, begin, end, scratch);
            }
        }

        private static MemorySegment copy(MemorySegment packed) {
            return Arena.ofAuto().allocate(packed.byteSize(), GemmFormat.ALIGNMENT).copyFrom(packed);
        }
    }
}
