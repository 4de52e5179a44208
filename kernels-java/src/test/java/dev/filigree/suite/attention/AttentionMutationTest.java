package dev.filigree.suite.attention;

import static org.assertj.core.api.Assertions.assertThat;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.Refusal;
import dev.filigree.attention.AttentionAccess;
import dev.filigree.attention.AttentionPlan;
import dev.filigree.internal.scalar.ScalarProvider;
import dev.filigree.spi.AttentionFormat;
import dev.filigree.spi.AttentionKernel;
import dev.filigree.spi.KernelInfo;
import dev.filigree.spi.KernelProvider;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The suite's own test: kernels with a planted mistake must not pass it. */
class AttentionMutationTest {

    /** Mistakes that kernels make. */
    enum Mistake {
        /** The last unit of the mask's lists is left out. */
        LAST_UNIT_DROPPED,
        /** Element masks are not looked at. */
        PARTIAL_TAKEN_AS_FULL,
        /** Key lengths are not looked at. */
        LENGTHS_IGNORED,
        /** The last work item of a range is left out. */
        LAST_ITEM_SKIPPED,
        /** The scale is off by 1 %. */
        SCALE_OFF,
        /** One float after the end of a row is overwritten. */
        WRITES_PAST_THE_ROW
    }

    @ParameterizedTest
    @EnumSource(Mistake.class)
    void isCaughtWithinAHundredCases(Mistake mistake) {
        for (long seed = 0; seed < 100; seed++) {
            AttentionCase test = AttentionCase.random(seed);
            AttentionKernel good = new ScalarProvider().attention(test.dtype(), 1).orElseThrow();
            KernelProvider provider = new Mutant(mistake, good);
            Arena arena = Arena.ofAuto();
            try (AttentionPlan plan = AttentionAccess.plan(test.mask(), test.options(), provider)) {
                AttentionRun outputs = AttentionRun.run(test, plan, arena);
                if (AttentionRun.reference(test, arena).mismatch(outputs.out(), outputs.lse()).isPresent()) {
                    return;
                }
            }
        }
        assertThat(mistake).as("a mistake that nobody noticed").isNull();
    }

    private record Mutant(Mistake mistake, AttentionKernel good) implements KernelProvider, AttentionKernel {

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
        public Optional<AttentionKernel> attention(DType dtype, int queries) {
            return Optional.of(this);
        }

        @Override
        public String id() {
            return "mutant";
        }

        @Override
        public void run(MemorySegment mask, MemorySegment shape, MemorySegment q, MemorySegment k, MemorySegment v,
                MemorySegment out, MemorySegment lse, MemorySegment state, MemorySegment packed, long begin, long end,
                MemorySegment scratch) {
            MemorySegment wrongMask = Arena.ofAuto().allocate(mask.byteSize(), 64).copyFrom(mask);
            MemorySegment wrongShape = Arena.ofAuto().allocate(shape.byteSize(), 64).copyFrom(shape);
            long wrongEnd = end;
            long lists = AttentionFormat.field(mask, AttentionFormat.MASK_HEADS)
                * AttentionFormat.field(mask, AttentionFormat.TILE_COUNT);
            long lastAt = AttentionFormat.field(mask, AttentionFormat.LIST_STARTS) + 8 * lists;
            long entries = mask.get(ValueLayout.JAVA_LONG, lastAt);
            switch (mistake) {
                case LAST_UNIT_DROPPED -> wrongMask.set(ValueLayout.JAVA_LONG, lastAt, Math.max(
                    mask.get(ValueLayout.JAVA_LONG, lastAt - 8), entries - 1));
                case PARTIAL_TAKEN_AS_FULL -> {
                    for (long i = 0; i < entries; i++) {
                        wrongMask.set(ValueLayout.JAVA_INT,
                            AttentionFormat.field(mask, AttentionFormat.PATTERNS) + 4 * i, -1);
                    }
                }
                case LENGTHS_IGNORED -> wrongShape.set(ValueLayout.JAVA_LONG, AttentionFormat.KEY_LENGTHS, 0);
                case LAST_ITEM_SKIPPED -> wrongEnd--;
                case SCALE_OFF -> wrongShape.set(ValueLayout.JAVA_FLOAT, AttentionFormat.SCALE,
                    shape.get(ValueLayout.JAVA_FLOAT, AttentionFormat.SCALE) * 1.01f);
                case WRITES_PAST_THE_ROW -> {
                    long row = AttentionFormat.field(shape, AttentionFormat.OUT_STRIDES + 16);
                    long dim = AttentionFormat.field(shape, AttentionFormat.DIM);
                    if (row > dim && AttentionFormat.field(shape, AttentionFormat.HEADS) * dim != row
                            && out.byteSize() > 4 * dim) {
                        boolean isBf16 = AttentionFormat.field(shape, AttentionFormat.OUT_DTYPE) == AttentionFormat.BF16;
                        out.set(ValueLayout.JAVA_SHORT, (isBf16 ? 2 : 4) * dim, (short) 0);
                    }
                }
            }
            good.run(wrongMask, wrongShape, q, k, v, out, lse, state, packed, begin, wrongEnd, scratch);
        }
    }
}
