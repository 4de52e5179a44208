package dev.filigree.suite.mlp;

import static org.assertj.core.api.Assertions.assertThat;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Refusal;
import dev.filigree.internal.scalar.ScalarProvider;
import dev.filigree.mlp.MlpAccess;
import dev.filigree.mlp.MlpOptions;
import dev.filigree.mlp.MlpPlan;
import dev.filigree.spi.KernelInfo;
import dev.filigree.spi.KernelProvider;
import dev.filigree.spi.MlpKernel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The suite's own test: kernels with a planted mistake must not pass it. */
class MlpMutationTest {

    /** Mistakes that kernels make. */
    enum Mistake {
        /** A list is ignored: position p is taken for row p. */
        LIST_IGNORED,
        /** Rows that count for one token are added for all. */
        MASKS_IGNORED,
        /** The last row of the list is left out. */
        LAST_ROW_SKIPPED,
        /** The last work item of a range is left out. */
        LAST_ITEM_SKIPPED,
        /** What the gate says is not multiplied in. */
        FACTORS_IGNORED,
        /** The bias is left out. */
        BIAS_IGNORED,
        /** Every token is the first. */
        FIRST_TOKEN_AGAIN
    }

    @ParameterizedTest
    @EnumSource(Mistake.class)
    void isCaughtWithinAHundredCases(Mistake mistake) {
        for (long seed = 0; seed < 100; seed++) {
            MlpCase test = MlpCase.random(seed);
            Arena arena = Arena.ofAuto();
            MlpKernel good = new ScalarProvider().mlp(test.weights().dtype()).orElseThrow();
            try (MlpPlan plan = MlpAccess.plan(test.weights(), test.skipping(), MlpOptions.defaults(),
                    new Mutant(mistake, good))) {
                DenseMatrix output = MlpRun.run(test, plan, arena);
                if (new MlpReference(test, test.input(arena)).mismatch(output).isPresent()) {
                    return;
                }
            }
        }
        assertThat(mistake).as("a mistake that nobody noticed").isNull();
    }

    private record Mutant(Mistake mistake, MlpKernel good) implements KernelProvider, MlpKernel {

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
        public Optional<MlpKernel> mlp(DType dtype) {
            return Optional.of(this);
        }

        @Override
        public List<String> ids() {
            return List.of("mutant");
        }

        private MemorySegment unless(Mistake made, MemorySegment operand) {
            return mistake == made ? MemorySegment.NULL : operand;
        }

        private MemorySegment sameTokens(MemorySegment from, long stride, int tokens) {
            if (mistake != Mistake.FIRST_TOKEN_AGAIN || stride == 0) {
                return from;
            }
            MemorySegment same = Arena.ofAuto().allocate(from.byteSize(), 64).copyFrom(from);
            for (int t = 1; t < tokens; t++) {
                MemorySegment.copy(from, 0, same, 4 * t * stride, 4 * stride);
            }
            return same;
        }

        private long end(long begin, long end) {
            return mistake == Mistake.LAST_ITEM_SKIPPED && end > begin ? end - 1 : end;
        }

        private int count(int count) {
            return mistake == Mistake.LAST_ROW_SKIPPED && count > 0 ? count - 1 : count;
        }

        @Override
        public void dot(MemorySegment w, MemorySegment list, MemorySegment masks, int count, MemorySegment x,
                int tokens, MemorySegment bias, MemorySegment factors, long factorStride, int activation,
                MemorySegment out, long outStride, long begin, long end, MemorySegment scratch) {
            good.dot(w, unless(Mistake.LIST_IGNORED, list), unless(Mistake.MASKS_IGNORED, masks), count,
                sameTokens(x, w.get(ValueLayout.JAVA_LONG, 32), tokens), tokens, unless(Mistake.BIAS_IGNORED, bias),
                unless(Mistake.FACTORS_IGNORED, factors), factorStride, activation, out, outStride, begin,
                end(begin, end), scratch);
        }

        @Override
        public void axpy(MemorySegment w, MemorySegment list, MemorySegment masks, int count,
                MemorySegment coefficients, long coefficientStride, int tokens, MemorySegment bias,
                MemorySegment factors, long factorStride, int activation, MemorySegment out, long outStride,
                long begin, long end, MemorySegment scratch) {
            good.axpy(w, unless(Mistake.LIST_IGNORED, list), unless(Mistake.MASKS_IGNORED, masks), count(count),
                sameTokens(coefficients, coefficientStride, tokens), coefficientStride, tokens,
                unless(Mistake.BIAS_IGNORED, bias), unless(Mistake.FACTORS_IGNORED, factors), factorStride, activation,
                out, outStride, begin, end(begin, end), scratch);
        }
    }
}
