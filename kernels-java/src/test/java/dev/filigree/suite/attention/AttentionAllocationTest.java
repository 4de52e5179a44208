package dev.filigree.suite.attention;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Workers;
import dev.filigree.attention.Attention;
import dev.filigree.attention.AttentionOptions;
import dev.filigree.attention.AttentionPlan;
import dev.filigree.attention.AttentionState;
import dev.filigree.attention.AttentionTensor;
import dev.filigree.format.BlockGrid;
import dev.filigree.format.BlockMasks;
import dev.filigree.suite.Allocations;
import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** A warm run allocates nothing on any thread: no garbage, and no vector that the compiler had to box. */
class AttentionAllocationTest {

    static Stream<Arguments> kernels() {
        return Arrays.stream(DType.values()).flatMap(dtype ->
            AttentionRun.backends(dtype).stream().map(backend -> Arguments.of(backend, dtype)));
    }

    @ParameterizedTest
    @MethodSource("kernels")
    void warmRunsAllocateNothing(Backend backend, DType dtype) {
        // Partial blocks, tails, caps and biases, a short key length, a log-sum-exp: all paths of a run.
        AttentionCase test = new AttentionCase(1, BlockMasks.slidingWindow(BlockGrid.square(100, 32), 40, 3), 1, 2, 1,
            24, AttentionOptions.defaults().softCap(5f).linearBias(new float[] {0.1f, 0.2f}), new int[] {90},
            AttentionCase.Axes.ROW_MAJOR, AttentionCase.Place.AUTO).in(dtype);
        Arena arena = Arena.ofAuto();
        try (Workers team = Workers.of(2);
                AttentionPlan plan = Attention.plan(test.mask(), test.options().backend(backend).workers(team))) {
            AttentionTensor q = test.queries(arena);
            AttentionTensor k = test.keys(arena);
            AttentionTensor v = test.values(arena);
            AttentionTensor out = test.output(arena);
            DenseMatrix lse = test.lse(arena);
            AttentionState state = AttentionState.allocate(arena, 1, 2, 100, 24);
            Allocations.assertNone("a run on " + backend + " in " + dtype,
                () -> plan.run(q, k, v, test.keyLengths(), out, lse));
            Allocations.assertNone("a pass on " + backend + " in " + dtype,
                () -> plan.accumulate(q, k, v, test.keyLengths(), state));
        }
    }
}
