package dev.filigree.suite.attention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.attention.Attention;
import dev.filigree.attention.AttentionPlan;
import dev.filigree.attention.AttentionState;
import dev.filigree.format.BlockGrid;
import dev.filigree.format.BlockMask;
import dev.filigree.format.BlockMasks;
import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** Attention over all keys in several passes. */
class AttentionStateTest {

    private final Arena arena = Arena.ofAuto();
    private final BlockGrid grid = BlockGrid.square(320, 64);
    private final BlockMask causal = BlockMasks.causal(grid);

    static Stream<Arguments> kernels() {
        return Arrays.stream(DType.values()).flatMap(dtype ->
            AttentionRun.backends(dtype).stream().map(backend -> Arguments.of(backend, dtype)));
    }

    /** The mask's block columns in [begin, end). */
    private BlockMask columns(int begin, int end) {
        boolean[][][] listed = new boolean[1][5][5];
        for (boolean[] row : listed[0]) {
            for (int col = begin; col < end; col++) {
                row[col] = true;
            }
        }
        return causal.intersection(BlockMasks.ofBlocks(grid, listed));
    }

    private AttentionState pass(AttentionCase test, BlockMask mask, Backend backend, AttentionState state) {
        try (AttentionPlan plan = Attention.plan(mask, test.options().backend(backend))) {
            plan.accumulate(test.queries(arena), test.keys(arena), test.values(arena), null, state);
        }
        return state;
    }

    private AttentionRun finish(AttentionCase test, AttentionState state) {
        AttentionRun outputs = new AttentionRun(test.output(arena), test.lse(arena));
        state.finish(outputs.out(), outputs.lse());
        return outputs;
    }

    private AttentionState fresh(AttentionCase test) {
        return AttentionState.allocate(arena, 1, test.heads(), 320, test.dim());
    }

    @ParameterizedTest
    @MethodSource("kernels")
    void ascendingPassesThatEndWithAStepGiveTheBitsOfOnePass(Backend backend, DType dtype) {
        AttentionCase test = AttentionCase.plain(causal, 2, 40).in(dtype);
        AttentionRun once;
        try (AttentionPlan plan = Attention.plan(causal, test.options().backend(backend))) {
            once = AttentionRun.run(test, plan, arena);
        }
        // A step is two blocks of 64 keys.
        AttentionState state = fresh(test);
        pass(test, columns(0, 2), backend, state);
        pass(test, columns(2, 4), backend, state);
        pass(test, columns(4, 5), backend, state);
        assertThat(once.difference("one pass", finish(test, state), "three passes")).isEmpty();
    }

    @ParameterizedTest
    @MethodSource("kernels")
    void anyOrderAndAnyMergeStayWithinTheTolerance(Backend backend, DType dtype) {
        AttentionCase test = AttentionCase.plain(causal, 2, 40).in(dtype);
        AttentionReference reference = AttentionRun.reference(test, arena);
        AttentionState state = fresh(test);
        pass(test, columns(3, 5), backend, state);
        pass(test, columns(0, 1), backend, state);
        pass(test, columns(1, 3), backend, state);
        AttentionRun outputs = finish(test, state);
        assertThat(reference.mismatch(outputs.out(), outputs.lse())).isEmpty();

        AttentionState left = pass(test, columns(0, 3), backend, fresh(test));
        left.merge(pass(test, columns(3, 5), backend, fresh(test)));
        // Rows that the second state has not met, and a state that has met nothing.
        left.merge(fresh(test));
        outputs = finish(test, left);
        assertThat(reference.mismatch(outputs.out(), outputs.lse())).isEmpty();
    }

    @Test
    void aStateThatHasSeenNothingFinishesToZeros() {
        AttentionCase test = AttentionCase.plain(causal, 1, 8);
        AttentionState state = pass(test, causal, Backend.SCALAR, fresh(test));
        state.reset();
        state.merge(fresh(test));
        AttentionRun outputs = finish(test, state);
        for (int i = 0; i < 320; i++) {
            assertThat(outputs.out().get(0, 0, i, 5)).isZero();
            assertThat(outputs.lse().get(0, i)).isEqualTo(Float.NEGATIVE_INFINITY);
        }
    }

    @Test
    void badUseIsRefused() {
        AttentionCase test = AttentionCase.plain(causal, 2, 40);
        AttentionState state = fresh(test);
        assertThatThrownBy(() -> state.merge(state)).hasMessageContaining("with itself");
        AttentionState other = AttentionState.allocate(arena, 1, 2, 320, 48);
        assertThatThrownBy(() -> state.merge(other)).isInstanceOf(IllegalArgumentException.class)
            .hasMessageContaining("dim 48");
        assertThatThrownBy(() -> pass(test, causal, Backend.SCALAR, other)).hasMessageContaining("dim 48");
        assertThatThrownBy(() -> AttentionState.allocate(arena, 0, 2, 320, 48)).hasMessageContaining("batch 0");
    }
}
