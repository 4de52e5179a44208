package dev.filigree.suite.attention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.Workers;
import dev.filigree.attention.Attention;
import dev.filigree.attention.AttentionOptions;
import dev.filigree.attention.AttentionPlan;
import dev.filigree.attention.AttentionState;
import dev.filigree.attention.AttentionTensor;
import dev.filigree.format.BlockGrid;
import dev.filigree.format.BlockMask;
import dev.filigree.format.BlockMasks;
import dev.filigree.suite.Seeds;
import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.LongStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Every host backend against the double reference and against the scalar kernel's bits. */
class AttentionCorrectnessTest {

    private static final int[] TEAMS = {1, 2, 3, 7, 64};

    /** 150 draws see every size of AttentionCase's lists a few times. */
    static LongStream seeds() {
        return Seeds.of(150);
    }

    @AfterAll
    static void sayWhatRan() {
        Set<String> kernels = new TreeSet<>();
        for (DType dtype : DType.values()) {
            for (Backend backend : AttentionRun.backends(dtype)) {
                for (int queries : new int[] {1, 16}) {
                    try (AttentionPlan plan = Attention.plan(BlockMasks.dense(BlockGrid.square(queries, 16)),
                            AttentionOptions.defaults().dtype(dtype).backend(backend))) {
                        kernels.add(plan.explain().kernel());
                    }
                }
            }
        }
        kernels.forEach(kernel -> System.out.println("AttentionCorrectnessTest ran " + kernel));
    }

    @ParameterizedTest(name = "seed {0}")
    @MethodSource("seeds")
    void equalsTheReferenceAndTheScalarBits(long seed) {
        AttentionCase test = AttentionCase.random(seed);
        Arena arena = Arena.ofAuto();
        AttentionReference reference = AttentionRun.reference(test, arena);
        try (Workers one = Workers.of(1);
                Workers team = Workers.of(TEAMS[Math.floorMod(seed, TEAMS.length)])) {
            AttentionRun scalar = AttentionRun.run(test, Backend.SCALAR, one, arena);
            for (Backend backend : AttentionRun.backends(test.dtype())) {
                AttentionRun outputs = AttentionRun.run(test, backend, team, arena);
                assertThat(reference.mismatch(outputs.out(), outputs.lse())).as(backend + " on " + team).isEmpty();
                if (AttentionRun.sharesBits(test, backend)) {
                    assertThat(scalar.difference("scalar", outputs, backend.id()))
                        .as("bits of " + backend + " on " + team + ", " + test).isEmpty();
                }
            }
        }
    }

    @Test
    void everyTailHasTheScalarBits() {
        // 1..70 queries and keys pass each tail of a row group, a panel, a tile and a unit; then each head dimension.
        try (Workers one = Workers.of(1)) {
            for (int n = 1; n <= 70; n++) {
                AttentionCase test = AttentionCase.plain(BlockMasks.causal(new BlockGrid(n, 71 - n, 16, 32)), 1, 24);
                assertSameBits(test, one);
                assertSameBits(test.in(DType.BF16), one);
            }
            for (int dim = 8; dim <= 256; dim += 8) {
                AttentionCase test = AttentionCase.plain(BlockMasks.causal(BlockGrid.square(37, 16)), 2, dim);
                assertSameBits(test, one);
                assertSameBits(test.in(DType.BF16), one);
            }
        }
    }

    /** Of a kernel in another order, a result within the tolerance. */
    private static void assertSameBits(AttentionCase test, Workers team) {
        Arena arena = Arena.ofAuto();
        AttentionRun scalar = AttentionRun.run(test, Backend.SCALAR, team, arena);
        for (Backend backend : AttentionRun.backends(test.dtype())) {
            AttentionRun outputs = AttentionRun.run(test, backend, team, arena);
            assertThat(AttentionRun.sharesBits(test, backend)
                ? scalar.difference("scalar", outputs, backend.id())
                : AttentionRun.reference(test, arena).mismatch(outputs.out(), outputs.lse()))
                .as(backend + ", " + test).isEmpty();
        }
    }

    @ParameterizedTest
    @EnumSource(DType.class)
    void neighbouringHeadsAreLeftAlone(DType dtype) {
        // Two heads of 8 are as wide as the padded row of one: what is padding in scratch must not reach the other.
        AttentionCase test = new AttentionCase(1, BlockMasks.causal(BlockGrid.square(40, 16)), 1, 2, 2, 8,
            AttentionOptions.defaults().dtype(dtype), null,
            AttentionCase.Axes.ROW_MAJOR, AttentionCase.Place.AUTO);
        Arena arena = Arena.ofAuto();
        try (Workers one = Workers.of(1)) {
            for (Backend backend : AttentionRun.backends(dtype)) {
                AttentionRun outputs = AttentionRun.run(test, backend, one, arena);
                assertThat(AttentionRun.reference(test, arena).mismatch(outputs.out(), outputs.lse()))
                    .as("" + backend).isEmpty();
            }
        }
    }

    @ParameterizedTest
    @EnumSource(DType.class)
    void teamSizeDoesNotChangeBits(DType dtype) {
        AttentionCase test = AttentionCase.plain(
            BlockMasks.slidingWindow(BlockGrid.square(500, 32), 100, 10), 3, 40).in(dtype);
        Arena arena = Arena.ofAuto();
        for (Backend backend : AttentionRun.backends(dtype)) {
            AttentionRun first = null;
            for (int threads : TEAMS) {
                try (Workers team = Workers.of(threads)) {
                    AttentionRun outputs = AttentionRun.run(test, backend, team, arena);
                    first = first == null ? outputs : first;
                    assertThat(first.difference("1 thread", outputs, threads + " threads")).as("" + backend).isEmpty();
                }
            }
            assertThat(AttentionRun.reference(test, arena).mismatch(first.out(), first.lse())).isEmpty();
        }
    }

    @ParameterizedTest
    @EnumSource(DType.class)
    void blocksThatAreNotListedAreNeverMet(DType dtype) {
        // Queries of every block row see one block column each; all other keys and values are NaN or infinite.
        BlockGrid grid = BlockGrid.square(96, 32);
        boolean[][][] listed = new boolean[1][3][3];
        listed[0][0][1] = true;
        listed[0][1][1] = true;
        BlockMask mask = BlockMasks.ofBlocks(grid, listed);
        AttentionCase test = AttentionCase.plain(mask, 1, 16).in(dtype);
        Arena arena = Arena.ofAuto();
        AttentionTensor k = test.keys(arena);
        AttentionTensor v = test.values(arena);
        for (int j = 0; j < 96; j++) {
            for (int d = 0; d < 16 && (j < 32 || j >= 64); d++) {
                k.set(0, 0, j, d, d % 2 == 0 ? Float.NaN : Float.POSITIVE_INFINITY);
                v.set(0, 0, j, d, d % 2 == 0 ? Float.NaN : Float.NEGATIVE_INFINITY);
            }
        }
        for (Backend backend : AttentionRun.backends(dtype)) {
            try (AttentionPlan plan = Attention.plan(mask, test.options().backend(backend))) {
                AttentionRun got = new AttentionRun(test.output(arena), test.lse(arena));
                plan.run(test.queries(arena), k, v, null, got.out(), got.lse());
                AttentionRun clean = AttentionRun.run(test, plan, arena);
                assertThat(clean.difference("clean", got, "beside NaN")).as("" + backend).isEmpty();
                assertThat(got.out().get(0, 0, 95, 3)).as("a row without blocks").isZero();
                assertThat(got.lse().get(0, 95)).isEqualTo(Float.NEGATIVE_INFINITY);
            }
        }
    }

    @ParameterizedTest
    @EnumSource(DType.class)
    void everyBlockListedEqualsOneDenseBlock(DType dtype) {
        // A mask of whole blocks that lists all is the dense mask, whatever its block size divides into.
        BlockGrid grid = BlockGrid.square(256, 64);
        boolean[][][] all = new boolean[1][4][4];
        for (boolean[] row : all[0]) {
            Arrays.fill(row, true);
        }
        Arena arena = Arena.ofAuto();
        try (Workers one = Workers.of(1)) {
            for (Backend backend : AttentionRun.backends(dtype)) {
                AttentionRun blocks = AttentionRun.run(
                    AttentionCase.plain(BlockMasks.ofBlocks(grid, all), 2, 64).in(dtype), backend, one, arena);
                AttentionRun dense = AttentionRun.run(
                    AttentionCase.plain(BlockMasks.dense(BlockGrid.square(256, 128)), 2, 64).in(dtype), backend, one,
                    arena);
                assertThat(dense.difference("dense", blocks, "blocks")).as("" + backend).isEmpty();
            }
        }
    }

    @ParameterizedTest
    @EnumSource(DType.class)
    void aNanScoreMakesItsRowNanAndNoOther(DType dtype) {
        AttentionCase test = AttentionCase.plain(BlockMasks.dense(BlockGrid.square(40, 16)), 1, 8).in(dtype);
        Arena arena = Arena.ofAuto();
        for (Backend backend : AttentionRun.backends(dtype)) {
            try (AttentionPlan plan = Attention.plan(test.mask(), test.options().backend(backend))) {
                AttentionTensor q = test.queries(arena);
                q.set(0, 0, 7, 2, Float.NaN);
                AttentionTensor out = test.output(arena);
                plan.run(q, test.keys(arena), test.values(arena), out);
                for (int i = 0; i < 40; i++) {
                    assertThat(Float.isNaN(out.get(0, 0, i, 0))).as(backend + ", row " + i).isEqualTo(i == 7);
                }
            }
        }
    }

    @Test
    void bf16WeightsOfOneValueGiveThatValue() {
        // The rounded weights of a row add up to what they are divided by, but for the rounding of sums.
        AttentionCase test = AttentionCase.plain(BlockMasks.dense(BlockGrid.square(200, 64)), 1, 16).in(DType.BF16);
        Arena arena = Arena.ofAuto();
        AttentionTensor v = test.values(arena);
        for (int j = 0; j < 200; j++) {
            for (int d = 0; d < 16; d++) {
                v.set(0, 0, j, d, 1.5f);
            }
        }
        AttentionTensor out = AttentionTensor.allocate(arena, 1, 1, 200, 16);
        for (Backend backend : AttentionRun.backends(DType.BF16)) {
            try (AttentionPlan plan = Attention.plan(test.mask(), test.options().backend(backend))) {
                plan.run(test.queries(arena), test.keys(arena), v, out);
                for (int i = 0; i < 200; i++) {
                    assertThat(out.get(0, 0, i, 3)).as(backend + ", row " + i).isCloseTo(1.5f, within(1e-5f));
                }
            }
        }
    }

    @Test
    void tinyBf16WeightsAreFlushedAlike() {
        // The largest weight meets zeros, the others are so small that their products, or the sums that a larger
        // maximum scales down, are denormal on the way or at the end.
        int keys = 300;
        AttentionCase test = AttentionCase.plain(BlockMasks.dense(new BlockGrid(40, keys, 16, 64)), 1, 16)
            .in(DType.BF16);
        Arena arena = Arena.ofAuto();
        AttentionTensor q = test.queries(arena);
        AttentionTensor k = test.keys(arena);
        AttentionTensor v = test.values(arena);
        for (int i = 0; i < 40; i++) {
            for (int d = 0; d < 16; d++) {
                q.set(0, 0, i, d, d == 0 ? 4 + i / 16f : 0);
            }
        }
        for (int j = 0; j < keys; j++) {
            // Scores climb by 60 to 90 a step of 128 keys, up to where a weight is no longer a normal float.
            k.set(0, 0, j, 0, j == 60 ? 0f : j == 200 ? 75f : j == 290 ? 150f : -85f + j % 7);
            for (int d = 0; d < 16; d++) {
                v.set(0, 0, j, d, j == 60 || j == 200 || j == 290 ? 0f : (j % 5 - 2) * (d + 1) / 16f);
            }
        }
        AttentionRun scalar = null;
        for (Backend backend : AttentionRun.backends(DType.BF16)) {
            if (!AttentionRun.sharesBits(test, backend)) {
                continue;
            }
            try (AttentionPlan plan = Attention.plan(test.mask(), test.options().backend(backend))) {
                AttentionRun outputs = new AttentionRun(test.output(arena), test.lse(arena));
                plan.run(q, k, v, null, outputs.out(), outputs.lse());
                scalar = scalar == null ? outputs : scalar;
                assertThat(scalar.difference("scalar", outputs, backend.id())).isEmpty();
                AttentionState state = AttentionState.allocate(arena, 1, 1, 40, 16);
                plan.accumulate(q, k, v, null, state);
                state.finish(outputs.out(), outputs.lse());
                assertThat(scalar.difference("scalar", outputs, "a state of " + backend.id())).isEmpty();
            }
        }
    }
}
