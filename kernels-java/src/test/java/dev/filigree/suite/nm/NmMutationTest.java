package dev.filigree.suite.nm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Refusal;
import dev.filigree.format.NmPattern;
import dev.filigree.internal.scalar.ScalarProvider;
import dev.filigree.nm.NmPlan;
import dev.filigree.nm.NmPlanAccess;
import dev.filigree.spi.KernelInfo;
import dev.filigree.spi.KernelProvider;
import dev.filigree.spi.NmFormat;
import dev.filigree.spi.NmKernel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The suite's own test: kernels with a planted mistake must not pass it. */
class NmMutationTest {


    /** Mistakes that kernels make. */
    enum Mistake {
        /** Indices are off by a bit. */
        WRONG_INDEX,
        /** Every slot meets the columns of the group after its own. */
        WRONG_GROUP,
        /** The last work item of a range is left out. */
        LAST_ITEM_SKIPPED,
        /** beta is ignored. */
        BETA_IGNORED,
        /** The halves of a word of bf16 are taken for each other. */
        HALVES_SWAPPED,
        /** One float after the end of a row is overwritten. */
        WRITES_PAST_THE_ROW
    }

    @ParameterizedTest
    @EnumSource(Mistake.class)
    void isCaughtWithinAHundredCases(Mistake mistake) {
        for (DType dtype : DType.values()) {
            if (mistake != Mistake.HALVES_SWAPPED || dtype == DType.BF16) {
                isCaughtWithinAHundredCases(mistake, dtype);
            }
        }
    }

    private static void isCaughtWithinAHundredCases(Mistake mistake, DType dtype) {
        KernelProvider provider = new Mutant(mistake, new ScalarProvider().nm(dtype, NmPattern.of(2, 4)).orElseThrow());
        for (long seed = 0; seed < 100; seed++) {
            NmCase test = NmCase.random(seed).in(dtype);
            Arena arena = Arena.ofAuto();
            try (NmPlan plan = NmPlanAccess.plan(test.a(), test.options(), provider)) {
                DenseMatrix output = NmRun.run(test, plan, arena);
                if (NmRun.reference(test, arena).mismatch(output).isPresent()) {
                    return;
                }
            }
        }
        assertThat(mistake).as("a mistake that nobody noticed").isNull();
    }

    private record Mutant(Mistake mistake, NmKernel good) implements KernelProvider, NmKernel {

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
        public Optional<NmKernel> nm(DType dtype, NmPattern pattern) {
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
                case WRONG_INDEX -> {
                    MemorySegment wrong = Arena.ofAuto().allocate(packed.byteSize(), 64).copyFrom(packed);
                    long last = NmFormat.field(packed, NmFormat.VALUES);
                    for (long at = NmFormat.field(packed, NmFormat.INDICES); at < last; at++) {
                        wrong.set(ValueLayout.JAVA_BYTE, at,
                            (byte) (packed.get(ValueLayout.JAVA_BYTE, at) ^ 0b01010101));
                    }
                    // An index that is out of its group would be out of the block, too: powers of two alone have none.
                    boolean safe = Integer.bitCount(NmFormat.intField(packed, NmFormat.M)) == 1;
                    good.run(safe ? wrong : packed, b, bStride, c, cStride, n, alpha, beta, begin, end, scratch);
                }
                case WRONG_GROUP -> {
                    MemorySegment wrong = Arena.ofAuto().allocate(packed.byteSize(), 64).copyFrom(packed);
                    long at = NmFormat.field(packed, NmFormat.FIRST_COLUMNS);
                    int m = NmFormat.intField(packed, NmFormat.M);
                    if (NmFormat.slots(packed, 0) > NmFormat.intField(packed, NmFormat.N)) {
                        wrong.set(ValueLayout.JAVA_INT, at, packed.get(ValueLayout.JAVA_INT, at) + m);
                    }
                    good.run(wrong, b, bStride, c, cStride, n, alpha, beta, begin, end, scratch);
                }
                case HALVES_SWAPPED -> {
                    MemorySegment wrong = Arena.ofAuto().allocate(packed.byteSize(), 64).copyFrom(packed);
                    long last = packed.byteSize() - NmFormat.TAIL;
                    for (long at = NmFormat.field(packed, NmFormat.VALUES); at < last; at += Integer.BYTES) {
                        wrong.set(ValueLayout.JAVA_INT, at,
                            Integer.rotateLeft(packed.get(ValueLayout.JAVA_INT, at), Short.SIZE));
                    }
                    good.run(wrong, b, bStride, c, cStride, n, alpha, beta, begin, end, scratch);
                }
                case LAST_ITEM_SKIPPED ->
                    good.run(packed, b, bStride, c, cStride, n, alpha, beta, begin, end - 1, scratch);
                case BETA_IGNORED -> good.run(packed, b, bStride, c, cStride, n, alpha, 0f, begin, end, scratch);
                case WRITES_PAST_THE_ROW -> {
                    good.run(packed, b, bStride, c, cStride, n, alpha, beta, begin, end, scratch);
                    boolean tokens = NmFormat.intField(packed, NmFormat.LAYOUT) == 1;
                    long row = tokens ? NmFormat.field(packed, NmFormat.ROWS) : n;
                    int bytes = NmFormat.dtype(packed).bytes();
                    if (cStride > row && c.byteSize() > bytes * row) {
                        c.asSlice(bytes * row, bytes).fill((byte) 0);
                    }
                }
            }
        }
    }
}
