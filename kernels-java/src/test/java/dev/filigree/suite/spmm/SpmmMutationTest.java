package dev.filigree.suite.spmm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.filigree.Backend;
import dev.filigree.DenseMatrix;
import dev.filigree.Refusal;
import dev.filigree.internal.scalar.ScalarProvider;
import dev.filigree.spi.KernelInfo;
import dev.filigree.spi.KernelProvider;
import dev.filigree.spi.SpmmFormat;
import dev.filigree.spi.SpmmKernel;
import dev.filigree.spmm.PlanAccess;
import dev.filigree.spmm.SpmmPlan;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The suite's own test: kernels with a planted mistake must not pass it. */
class SpmmMutationTest {

    private static final SpmmKernel GOOD = new ScalarProvider().spmmF32().orElseThrow();

    /** Mistakes that kernels make. */
    enum Mistake {
        /** The columns after the last whole vector of 16 are not written. */
        TAIL_DROPPED,
        /** Every row uses the next entry's column. */
        INDEX_OFF_BY_ONE,
        /** The last work item of a range is left out. */
        LAST_ITEM_SKIPPED,
        /** beta is ignored. */
        BETA_IGNORED,
        /** One float after the end of a row is overwritten. */
        WRITES_PAST_THE_ROW
    }

    @ParameterizedTest
    @EnumSource(Mistake.class)
    void isCaughtWithinAHundredCases(Mistake mistake) {
        KernelProvider provider = new Mutant(mistake);
        for (long seed = 0; seed < 100; seed++) {
            SpmmCase test = SpmmCase.random(seed);
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

    private record Mutant(Mistake mistake) implements KernelProvider, SpmmKernel {

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
            return Optional.of(this);
        }

        @Override
        public String id() {
            return "mutant";
        }

        @Override
        public void run(MemorySegment packed, MemorySegment b, long bStride, MemorySegment c, long cStride, int n,
                float alpha, float beta, MemorySegment partials, long begin, long end, MemorySegment scratch) {
            switch (mistake) {
                case TAIL_DROPPED -> {
                    boolean tokens = SpmmFormat.intField(packed, SpmmFormat.LAYOUT) == 1;
                    int whole = n / 16 * 16;
                    // Only calls of one panel keep their item numbers when n shrinks.
                    if (n < SpmmFormat.PANEL && whole > 0 && !tokens && begin == 0) {
                        GOOD.run(packed, b, bStride, c, cStride, whole, alpha, beta, partials, begin, end, scratch);
                    } else {
                        GOOD.run(packed, b, bStride, c, cStride, n, alpha, beta, partials, begin, end, scratch);
                    }
                }
                case INDEX_OFF_BY_ONE -> {
                    MemorySegment wrong = Arena.ofAuto().allocate(packed.byteSize(), 64).copyFrom(packed);
                    long nnz = SpmmFormat.field(packed, SpmmFormat.NNZ);
                    long at = SpmmFormat.field(packed, SpmmFormat.COLUMNS);
                    for (long i = 0; i + 1 < nnz; i++, at += Integer.BYTES) {
                        wrong.set(ValueLayout.JAVA_INT, at, packed.get(ValueLayout.JAVA_INT, at + Integer.BYTES));
                    }
                    GOOD.run(wrong, b, bStride, c, cStride, n, alpha, beta, partials, begin, end, scratch);
                }
                case LAST_ITEM_SKIPPED -> GOOD.run(
                    packed, b, bStride, c, cStride, n, alpha, beta, partials, begin, end - 1, scratch);
                case BETA_IGNORED -> GOOD.run(
                    packed, b, bStride, c, cStride, n, alpha, 0f, partials, begin, end, scratch);
                case WRITES_PAST_THE_ROW -> {
                    GOOD.run(packed, b, bStride, c, cStride, n, alpha, beta, partials, begin, end, scratch);
                    boolean tokens = SpmmFormat.intField(packed, SpmmFormat.LAYOUT) == 1;
                    long row = tokens ? SpmmFormat.field(packed, SpmmFormat.ROWS) : n;
                    if (cStride > row && c.byteSize() > 4 * row) {
                        c.set(ValueLayout.JAVA_FLOAT, 4 * row, 0f);
                    }
                }
            }
        }
    }
}
