package dev.filigree.suite.attention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Refusal;
import dev.filigree.Workers;
import dev.filigree.attention.Attention;
import dev.filigree.attention.AttentionAccess;
import dev.filigree.attention.AttentionOptions;
import dev.filigree.attention.AttentionTensor;
import dev.filigree.attention.DecodePlan;
import dev.filigree.attention.KeySelection;
import dev.filigree.attention.PageTable;
import dev.filigree.attention.PagedCache;
import dev.filigree.internal.scalar.ScalarProvider;
import dev.filigree.spi.KernelInfo;
import dev.filigree.spi.KernelProvider;
import dev.filigree.spi.PagedFormat;
import dev.filigree.spi.PagedKernel;
import dev.filigree.suite.Allocations;
import dev.filigree.suite.HostBackends;
import dev.filigree.suite.Seeds;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Decode over a paged cache: results, bits, refusals, garbage, and the suite's own test. */
class DecodeTest {

    private static final int CASES = 150;

    static Stream<Backend> backends() {
        return HostBackends.available().stream();
    }

    private static DecodeCase.Operands run(DecodeCase test, Backend backend, Workers team, Arena arena) {
        DecodeCase.Operands operands = test.operands(arena);
        try (DecodePlan plan = Attention.decode(test.dtype(), test.options().backend(backend).workers(team))) {
            operands.run(plan);
        }
        return operands;
    }

    @Test
    void randomCasesAgreeWithTheReferenceAndBitForBit() {
        try (Workers one = Workers.of(1); Workers three = Workers.of(3)) {
            for (long seed : Seeds.of(CASES).toArray()) {
                DecodeCase test = DecodeCase.random(seed);
                Arena arena = Arena.ofAuto();
                DecodeCase.Operands scalar = run(test, Backend.SCALAR, one, arena);
                assertThat(test.mismatch(scalar)).isEmpty();
                for (Backend backend : HostBackends.available()) {
                    assertThat(scalar.difference("scalar", run(test, backend, three, arena), backend + " on 3 threads"))
                        .as(test.toString()).isEmpty();
                }
            }
        }
    }

    @Test
    void everyLengthAndHeadDimensionHasTheScalarBits() {
        try (Workers one = Workers.of(1)) {
            for (int i = 1; i <= 32; i++) {
                for (DType dtype : List.of(DType.F32, DType.BF16)) {
                    DecodeCase test = new DecodeCase(i, dtype, new int[] {i, 112 + i, 1008 + i}, 6, 2, 8 * i, 16, 7,
                        null, AttentionOptions.defaults(), false);
                    Arena arena = Arena.ofAuto();
                    DecodeCase.Operands scalar = run(test, Backend.SCALAR, one, arena);
                    assertThat(test.mismatch(scalar)).isEmpty();
                    for (Backend backend : HostBackends.available()) {
                        assertThat(scalar.difference("scalar", run(test, backend, one, arena), backend.id()))
                            .as(test.toString()).isEmpty();
                    }
                }
            }
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void listingEveryBlockGivesTheBitsOfAll(Backend backend) {
        int[][][] every = {{IntStream.range(0, 43).toArray()}};
        DecodeCase all = new DecodeCase(3, DType.BF16, new int[] {300}, 4, 2, 40, 16, 7, null,
            AttentionOptions.defaults(), false);
        DecodeCase listed = new DecodeCase(3, DType.BF16, new int[] {300}, 4, 2, 40, 16, 7, every,
            AttentionOptions.defaults(), false);
        Arena arena = Arena.ofAuto();
        try (Workers one = Workers.of(1)) {
            assertThat(run(all, backend, one, arena).difference("all", run(listed, backend, one, arena), "listed"))
                .isEmpty();
        }
    }

    @ParameterizedTest
    @MethodSource("backends")
    void warmRunsAllocateNothing(Backend backend) {
        DecodeCase test = new DecodeCase(1, DType.BF16, new int[] {1500, 0}, 6, 2, 24, 16, 5,
            new int[][][] {{{0, 3, 200, 299}, {1}}, {{}, {}}},
            AttentionOptions.defaults().softCap(5f).linearBias(new float[] {1, 2, 3, 4, 5, 6}), true);
        DecodeCase.Operands operands = test.operands(Arena.ofAuto());
        try (Workers team = Workers.of(2);
                DecodePlan plan = Attention.decode(test.dtype(), test.options().backend(backend).workers(team))) {
            Allocations.assertNone("a decode on " + backend, () -> operands.run(plan));
        }
    }

    @Test
    void badOperandsAreRefusedAndNothingIsWritten() {
        Arena arena = Arena.ofAuto();
        DecodeCase test = new DecodeCase(1, DType.F32, new int[] {40, 7}, 4, 2, 16, 16, 8, null,
            AttentionOptions.defaults(), false);
        DecodeCase.Operands o = test.operands(arena);
        DecodePlan plan = Attention.decode(DType.F32, AttentionOptions.defaults());
        PageTable short1 = new PageTable(2, 3);
        short1.setLength(0, 40);
        assertThatThrownBy(() -> plan.run(o.q(), o.cache(), short1, o.selection(), o.out(), o.lse()))
            .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("sequence 0 has no page for token 0");
        short1.setPage(0, 0, 6);
        assertThatThrownBy(() -> plan.run(o.q(), o.cache(), short1, o.selection(), o.out(), o.lse()))
            .hasMessageContaining("page 6 of 6");
        assertThatThrownBy(() -> plan.run(o.q(), o.cache(), new PageTable(1, 3), o.selection(), o.out(), o.lse()))
            .hasMessageContaining("the table has sequences 1, expected 2");
        KeySelection three = KeySelection.blocks(8, new int[][][] {{{}, {}, {}}, {{}, {}, {}}});
        assertThatThrownBy(() -> plan.run(o.q(), o.cache(), o.table(), three, o.out(), o.lse()))
            .hasMessageContaining("lists a sequence 3, expected 2");
        PagedCache bf16 = PagedCache.allocate(arena, DType.BF16, 6, 2, 16, 16);
        assertThatThrownBy(() -> plan.run(o.q(), bf16, o.table(), o.selection(), o.out(), o.lse()))
            .hasMessageContaining("the plan is for f32");
        assertThatThrownBy(() -> plan.run(o.q(), o.cache(), o.table(), o.selection(), o.q(), o.lse()))
            .hasMessageContaining("out overlaps q");
        assertThatThrownBy(() -> plan.run(AttentionTensor.allocate(arena, 2, 3, 1, 16), o.cache(), o.table(),
            o.selection(), o.out(), o.lse())).hasMessageContaining("3 heads, not a multiple of the 2");
        assertThat(Float.isNaN(o.out().get(0, 0, 0, 0))).isTrue();
        plan.close();
        assertThatThrownBy(() -> o.run(plan)).isInstanceOf(IllegalStateException.class);
    }

    @Test
    void badSelectionsCachesAndTablesAreRefused() {
        Arena arena = Arena.ofAuto();
        assertThatThrownBy(() -> KeySelection.blocks(0, new int[][][] {{{}}})).hasMessageContaining("blockKeys = 0");
        assertThatThrownBy(() -> KeySelection.tokens(new int[][][] {{{3, 3}}}))
            .hasMessageContaining("blocks[0][0][1] = 3 does not follow 3");
        assertThatThrownBy(() -> KeySelection.tokens(new int[][][] {{{-1}}})).hasMessageContaining("is negative");
        assertThatThrownBy(() -> KeySelection.tokens(new int[][][] {{{}}, {{}, {}}})).hasMessageContaining("blocks[1]");
        assertThatThrownBy(() -> PagedCache.allocate(arena, DType.F32, 1, 1, 1, 12)).hasMessageContaining("12");
        assertThatThrownBy(() -> PagedCache.allocate(arena, DType.F32, 0, 1, 1, 8)).hasMessageContaining("pages 0");
        assertThatThrownBy(() -> PagedCache.of(MemorySegment.ofArray(new float[8]), arena.allocate(32, 4), DType.F32, 1,
            1, 1, 8)).hasMessageContaining("on the heap");
        assertThatThrownBy(() -> PagedCache.of(arena.allocate(28, 4), arena.allocate(32, 4), DType.F32, 1, 1, 1, 8))
            .hasMessageContaining("28 bytes");
        assertThatThrownBy(() -> new PageTable(0, 1)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new PageTable(1, 1).setPage(0, 1, 0)).isInstanceOf(IndexOutOfBoundsException.class);
        PagedCache cache = PagedCache.allocate(arena, DType.F32, 1, 1, 4, 8);
        AttentionTensor five = AttentionTensor.allocate(arena, 1, 1, 5, 8);
        PageTable table = new PageTable(1, 2);
        table.setPage(0, 0, 0);
        assertThatThrownBy(() -> cache.store(table, 0, 0, five, five)).hasMessageContaining("token 4");
        assertThatThrownBy(() -> Attention.decode(null, AttentionOptions.defaults()))
            .isInstanceOf(NullPointerException.class);
    }

    /** Mistakes that kernels make. */
    enum Mistake {
        LAST_KEY_DROPPED, FIRST_PAGE_FOR_ALL, SPLITS_NOT_RESCALED, SCALE_OFF, LISTS_IGNORED
    }

    @ParameterizedTest
    @EnumSource(Mistake.class)
    void aMistakeIsCaughtWithinAHundredCases(Mistake mistake) {
        KeyProvider provider = new KeyProvider(mistake);
        for (long seed = 0; seed < 100; seed++) {
            DecodeCase test = DecodeCase.random(seed);
            DecodeCase.Operands operands = test.operands(Arena.ofAuto());
            try (DecodePlan plan = AttentionAccess.decode(test.dtype(), test.options(), provider)) {
                operands.run(plan);
                if (test.mismatch(operands).isPresent()) {
                    return;
                }
            }
        }
        assertThat(mistake).as("a mistake that nobody noticed").isNull();
    }

    private record KeyProvider(Mistake mistake) implements KernelProvider {
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
        public Optional<PagedKernel> paged(DType dtype) {
            return Optional.of(new Mutant(mistake, new ScalarProvider().paged(dtype).orElseThrow()));
        }
    }

    private record Mutant(Mistake mistake, PagedKernel good) implements PagedKernel {
        @Override
        public String id() {
            return "mutant";
        }

        @Override
        public void run(MemorySegment shape, MemorySegment q, MemorySegment keys, MemorySegment values,
                MemorySegment out, MemorySegment lse, MemorySegment partials, long begin, long end,
                MemorySegment scratch) {
            MemorySegment wrong = Arena.ofAuto().allocate(shape.byteSize(), 64).copyFrom(shape);
            long pairs = shape.get(ValueLayout.JAVA_LONG, PagedFormat.SEQUENCES)
                * shape.get(ValueLayout.JAVA_LONG, PagedFormat.KV_HEADS);
            switch (mistake) {
                case LAST_KEY_DROPPED -> {
                    for (long p = 0; p < pairs; p++) {
                        long at = shape.get(ValueLayout.JAVA_LONG, PagedFormat.SELECTED) + 8 * p;
                        wrong.set(ValueLayout.JAVA_LONG, at, Math.max(1, shape.get(ValueLayout.JAVA_LONG, at) - 1));
                    }
                }
                case FIRST_PAGE_FOR_ALL -> wrong.set(ValueLayout.JAVA_LONG, PagedFormat.PAGE_TABLE_STRIDE, 0);
                case SPLITS_NOT_RESCALED -> {
                    for (long i = 0; i < partials.byteSize() / 4 && end > splits(shape, pairs); i++) {
                        float m = partials.getAtIndex(ValueLayout.JAVA_FLOAT, i);
                        partials.setAtIndex(ValueLayout.JAVA_FLOAT, i, m * 1.01f);
                    }
                }
                case SCALE_OFF -> wrong.set(ValueLayout.JAVA_FLOAT, PagedFormat.SCALE,
                    shape.get(ValueLayout.JAVA_FLOAT, PagedFormat.SCALE) * 1.01f);
                case LISTS_IGNORED -> wrong.set(ValueLayout.JAVA_LONG, PagedFormat.LIST_HEADS, 0);
            }
            good.run(wrong, q, keys, values, out, lse, partials, begin, end, scratch);
        }

        private static long splits(MemorySegment shape, long pairs) {
            return shape.get(ValueLayout.JAVA_LONG, shape.get(ValueLayout.JAVA_LONG, PagedFormat.SPLIT_STARTS) + 8 * pairs);
        }
    }
}
