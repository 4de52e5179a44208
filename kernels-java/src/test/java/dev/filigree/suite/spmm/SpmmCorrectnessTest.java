package dev.filigree.suite.spmm;

import static org.assertj.core.api.Assertions.assertThat;

import dev.filigree.Activation;
import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Layout;
import dev.filigree.Workers;
import dev.filigree.format.CsrMatrix;
import dev.filigree.spmm.Spmm;
import dev.filigree.spmm.SpmmPlan;
import dev.filigree.suite.Bits;
import dev.filigree.suite.Dense;
import dev.filigree.suite.HostBackends;
import dev.filigree.suite.Seeds;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.StandardOpenOption;
import java.util.Optional;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;

/** Every host backend against the double reference and against the scalar kernel's bits. */
class SpmmCorrectnessTest {

    private static final int[] TEAMS = {1, 2, 3, 7, 64};

    /** 150 draws see every size of SpmmCase's lists a few times. */
    static LongStream seeds() {
        return Seeds.of(150);
    }

    @AfterAll
    static void sayWhatRan() {
        for (Backend backend : HostBackends.available()) {
            try (SpmmPlan plan = Spmm.plan(SpmmCase.uniform(1, 4, 4, 0.5),
                    SpmmCase.plain(SpmmCase.uniform(1, 4, 4, 0.5), 1, Layout.FEATURE_MAJOR).options()
                        .backend(backend))) {
                System.out.println("SpmmCorrectnessTest ran " + plan.explain().kernel());
            }
        }
    }

    @ParameterizedTest(name = "seed {0}")
    @MethodSource("seeds")
    void equalsTheReferenceAndTheScalarBits(long seed) {
        SpmmCase test = SpmmCase.random(seed);
        Arena arena = Arena.ofAuto();
        SpmmReference reference = SpmmRun.reference(test, arena);
        DenseMatrix scalar;
        try (Workers one = Workers.of(1)) {
            scalar = SpmmRun.run(test, Backend.SCALAR, one, arena);
        }
        assertThat(reference.mismatch(scalar)).as("scalar").isEmpty();
        try (Workers team = Workers.of(TEAMS[Math.floorMod(seed, TEAMS.length)])) {
            for (Backend backend : HostBackends.available()) {
                DenseMatrix output = SpmmRun.run(test, backend, team, arena);
                assertThat(reference.mismatch(output)).as(backend + " on " + team).isEmpty();
                assertThat(Bits.difference("scalar", scalar, backend.id(), output))
                    .as("bits of " + backend + " on " + team + ", " + test).isEmpty();
            }
        }
    }

    @Test
    void everyTailOfEveryLayoutHasTheScalarBits() {
        // 1..130 passes each tail of 4, 8 and 16 lanes in the first, second and third panel.
        CsrMatrix tiled = SpmmCase.uniform(3, 40, 60, 0.6);
        CsrMatrix inPlace = SpmmCase.uniform(4, 40, 300, 0.02);
        try (Workers team = Workers.of(2)) {
            for (CsrMatrix a : new CsrMatrix[] {tiled, inPlace}) {
                for (Layout layout : Layout.values()) {
                    for (int n = 1; n <= 130; n++) {
                        assertSameBits(SpmmCase.plain(a, n, layout), team);
                    }
                }
            }
        }
    }

    @ParameterizedTest
    @EnumSource(Layout.class)
    void teamSizeDoesNotChangeBits(Layout layout) {
        // Large enough to be shared, with one dense row that is split.
        CsrMatrix a = denseRowAmongSparse(700, 1500);
        SpmmCase test = SpmmCase.plain(a, 100, layout);
        Arena arena = Arena.ofAuto();
        for (Backend backend : HostBackends.available()) {
            DenseMatrix first = null;
            for (int threads : TEAMS) {
                try (Workers team = Workers.of(threads)) {
                    DenseMatrix output = SpmmRun.run(test, backend, team, arena);
                    first = first == null ? output : first;
                    assertThat(Bits.difference("1 thread", first, threads + " threads", output))
                        .as(backend + " " + layout).isEmpty();
                }
            }
            assertThat(SpmmRun.reference(test, arena).mismatch(first)).isEmpty();
        }
    }

    static CsrMatrix denseRowAmongSparse(int rows, int cols) {
        float[] dense = new float[rows * cols];
        for (int i = 0; i < dense.length; i++) {
            boolean stored = i / cols == rows / 2 || i % 13 == 0;
            dense[i] = stored ? (float) Math.sin(i) : 0f;
        }
        return CsrMatrix.fromDense(DenseMatrix.of(dense, rows, cols));
    }

    @Test
    void fullDensityEqualsTheDenseLoopBitForBit() {
        // 48 rows of 60: no row is long enough to be split, so a sum is one chain in column order.
        CsrMatrix a = SpmmCase.uniform(9, 66, 60, 1.1);
        assertThat(a.density()).isGreaterThan(0.85);
        SpmmCase test = SpmmCase.plain(a, 37, Layout.FEATURE_MAJOR);
        Arena arena = Arena.ofAuto();
        DenseMatrix dense = a.toDense(arena);
        DenseMatrix b = test.input(arena);
        DenseMatrix expected = test.output(arena);
        for (int r = 0; r < a.rows(); r++) {
            for (int j = 0; j < 37; j++) {
                float sum = 0f;
                for (int k = 0; k < a.cols(); k++) {
                    sum = Math.fma(dense.get(r, k), b.get(k, j), sum);
                }
                expected.set(r, j, sum);
            }
        }
        try (Workers one = Workers.of(1)) {
            for (Backend backend : HostBackends.available()) {
                assertThat(Bits.difference("dense", expected, backend.id(), SpmmRun.run(test, backend, one, arena)))
                    .isEmpty();
            }
        }
    }

    @Test
    void tokenMajorEqualsFeatureMajorTransposed() {
        CsrMatrix a = SpmmCase.uniform(11, 130, 520, 0.2);
        SpmmCase features = SpmmCase.plain(a, 70, Layout.FEATURE_MAJOR);
        Arena arena = Arena.ofAuto();
        DenseMatrix b = features.input(arena);
        DenseMatrix x = SpmmCase.plain(a, 70, Layout.TOKEN_MAJOR).input(arena);
        for (int k = 0; k < 520; k++) {
            for (int j = 0; j < 70; j++) {
                x.set(j, k, b.get(k, j));
            }
        }
        for (Backend backend : HostBackends.available()) {
            DenseMatrix c = features.output(arena);
            DenseMatrix y = SpmmCase.plain(a, 70, Layout.TOKEN_MAJOR).output(arena);
            try (SpmmPlan plan = Spmm.plan(a, features.options().backend(backend));
                    SpmmPlan tokens =
                        Spmm.plan(a, features.options().backend(backend).layout(Layout.TOKEN_MAJOR))) {
                plan.run(b, c);
                tokens.run(x, y);
            }
            for (int i = 0; i < 130; i++) {
                for (int j = 0; j < 70; j++) {
                    assertThat(Float.floatToRawIntBits(y.get(j, i)))
                        .isEqualTo(Float.floatToRawIntBits(c.get(i, j)));
                }
            }
        }
    }

    @ParameterizedTest
    @EnumSource(Layout.class)
    void aSkippedZeroNeverMeetsANaN(Layout layout) {
        CsrMatrix identity = CsrMatrix.fromArrays(3, 4, new int[] {0, 1, 2, 3}, new int[] {0, 2, 3},
            new float[] {2, 3, 4});
        Arena arena = Arena.ofAuto();
        SpmmCase test = SpmmCase.plain(identity, 5, layout);
        DenseMatrix input = test.input(arena);
        for (int j = 0; j < 5; j++) {
            if (layout == Layout.TOKEN_MAJOR) {
                input.set(j, 1, j % 2 == 0 ? Float.NaN : Float.POSITIVE_INFINITY);
            } else {
                input.set(1, j, j % 2 == 0 ? Float.NaN : Float.POSITIVE_INFINITY);
            }
        }
        for (Backend backend : HostBackends.available()) {
            DenseMatrix output = test.output(arena);
            try (SpmmPlan plan = Spmm.plan(identity, test.options().backend(backend))) {
                plan.run(input, output);
            }
            assertThat(new SpmmReference(test, input, output).mismatch(output)).isEmpty();
        }
    }

    @Test
    void specialValuesFollowIeee() {
        // Row 0: inf + -inf; row 1: 0 * inf (a stored zero); row 2: denormal; row 3: -0 alone gives +0; row 4: too big.
        CsrMatrix a = CsrMatrix.fromArrays(5, 2, new int[] {0, 2, 3, 4, 5, 7}, new int[] {0, 1, 0, 1, 1, 0, 1},
            new float[] {1, -1, 0, 0x1p-20f, -0f, 0x1p100f, 1});
        float inf = Float.POSITIVE_INFINITY;
        Arena arena = Arena.ofAuto();
        for (Backend backend : HostBackends.available()) {
            try (SpmmPlan plan = Spmm.plan(a, SpmmCase.plain(a, 1, Layout.FEATURE_MAJOR).options()
                    .backend(backend))) {
                for (int n : new int[] {1, 16, 64, 67}) {
                    DenseMatrix b = DenseMatrix.allocate(arena, DType.F32, 2, n);
                    DenseMatrix c = DenseMatrix.allocate(arena, DType.F32, 5, n);
                    fillRow(b, 0, inf);
                    fillRow(b, 1, inf);
                    plan.run(b, c);
                    assertThat(c.get(0, n - 1)).isNaN();
                    assertThat(c.get(1, n - 1)).isNaN();
                    fillRow(b, 0, 0x1p100f);
                    fillRow(b, 1, 0x1p-110f);
                    plan.run(b, c);
                    assertThat(c.get(2, n - 1)).isEqualTo(0x1p-130f);
                    assertThat(Float.floatToRawIntBits(c.get(3, n - 1))).isZero();
                    assertThat(c.get(4, n - 1)).isEqualTo(inf);
                }
            }
        }
    }

    private static void fillRow(DenseMatrix m, int row, float value) {
        for (int j = 0; j < m.cols(); j++) {
            m.set(row, j, value);
        }
    }

    @ParameterizedTest
    @EnumSource(Activation.class)
    void epilogueOfEveryActivation(Activation activation) {
        CsrMatrix a = SpmmCase.uniform(5, 50, 90, 0.3);
        float[] bias = new float[50];
        for (int i = 0; i < 50; i++) {
            bias[i] = (i - 25) / 4f;
        }
        try (Workers team = Workers.of(2)) {
            for (Layout layout : Layout.values()) {
                for (float beta : new float[] {0f, -0.5f}) {
                    assertSameBits(new SpmmCase(77, a, 83, layout, activation, bias, 1.5f, beta,
                        Dense.Place.AUTO, 3, 5), team);
                }
            }
        }
    }

    @Test
    void emptyShapes() {
        try (Workers team = Workers.of(2)) {
            for (int[] shape : new int[][] {{0, 0, 0}, {0, 5, 3}, {5, 0, 3}, {5, 3, 0}, {1, 1, 1}}) {
                CsrMatrix a = SpmmCase.uniform(2, shape[0], shape[1], 0.5);
                for (Layout layout : Layout.values()) {
                    assertSameBits(SpmmCase.plain(a, shape[2], layout), team);
                }
            }
        }
    }

    @Test
    void anEmptyRowStillGetsItsEpilogue() {
        CsrMatrix a = CsrMatrix.fromArrays(2, 3, new int[] {0, 0, 1}, new int[] {1}, new float[] {2});
        try (Workers one = Workers.of(1)) {
            assertSameBits(new SpmmCase(5, a, 20, Layout.FEATURE_MAJOR, Activation.SILU, new float[] {1, -1}, 1f,
                0.5f, Dense.Place.AUTO, 0, 0), one);
        }
    }

    @Test
    void hugeStride() {
        // Rows 2^21 floats apart: the offset of row 300 is beyond 2^31 bytes.
        CsrMatrix a = SpmmCase.uniform(6, 2, 301, 0.9);
        SpmmCase packed = SpmmCase.plain(a, 3, Layout.FEATURE_MAJOR);
        Arena auto = Arena.ofAuto();
        DenseMatrix b = packed.input(auto);
        long stride = 1L << 21;
        // Untouched pages of a fresh mapping cost nothing.
        try (Arena arena = Arena.ofShared()) {
            DenseMatrix far = DenseMatrix.of(
                sparseMapping(arena, (300 * stride + 3) * Float.BYTES), DType.F32, 301, 3, stride);
            for (int k = 0; k < 301; k++) {
                for (int j = 0; j < 3; j++) {
                    far.set(k, j, b.get(k, j));
                }
            }
            for (Backend backend : HostBackends.available()) {
                try (SpmmPlan plan = Spmm.plan(a, packed.options().backend(backend))) {
                    DenseMatrix near = packed.output(auto);
                    DenseMatrix strided = packed.output(auto);
                    plan.run(b, near);
                    plan.run(far, strided);
                    assertThat(Bits.difference("packed", near, "strided", strided)).isEmpty();
                }
            }
        }
    }

    private static MemorySegment sparseMapping(Arena arena, long bytes) {
        try (FileChannel channel = FileChannel.open(Files.createTempFile("filigree-stride", ".bin"),
                StandardOpenOption.READ, StandardOpenOption.WRITE, StandardOpenOption.DELETE_ON_CLOSE)) {
            return channel.map(FileChannel.MapMode.READ_WRITE, 0, bytes, arena);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    @Test
    void aStoredEntryIsUsedOnceWhereverBlocksEnd() {
        // A diagonal longer than several blocks: entry (i, i) is in exactly one of them.
        int size = 2500;
        int[] offsets = IntStream.rangeClosed(0, size).toArray();
        float[] values = new float[size];
        for (int i = 0; i < size; i++) {
            values[i] = i + 1;
        }
        CsrMatrix diagonal =
            CsrMatrix.fromArrays(size, size, offsets, IntStream.range(0, size).toArray(), values);
        Arena arena = Arena.ofAuto();
        for (Layout layout : Layout.values()) {
            SpmmCase test = SpmmCase.plain(diagonal, 2, layout);
            for (Backend backend : HostBackends.available()) {
                DenseMatrix input = test.input(arena);
                DenseMatrix output = test.output(arena);
                try (SpmmPlan plan = Spmm.plan(diagonal, test.options().backend(backend))) {
                    plan.run(input, output);
                }
                for (int i = 0; i < size; i++) {
                    float in = layout == Layout.FEATURE_MAJOR ? input.get(i, 1) : input.get(1, i);
                    float out = layout == Layout.FEATURE_MAJOR ? output.get(i, 1) : output.get(1, i);
                    assertThat(out).isEqualTo(in * (i + 1) + 0f);
                }
            }
        }
    }

    private static void assertSameBits(SpmmCase test, Workers team) {
        Arena arena = Arena.ofAuto();
        SpmmReference reference = SpmmRun.reference(test, arena);
        DenseMatrix scalar = SpmmRun.run(test, Backend.SCALAR, team, arena);
        Optional<String> wrong = reference.mismatch(scalar);
        assertThat(wrong).isEmpty();
        for (Backend backend : HostBackends.available()) {
            DenseMatrix output = SpmmRun.run(test, backend, team, arena);
            assertThat(Bits.difference("scalar", scalar, backend.id(), output)).as("%s %s", backend, test)
                .isEmpty();
        }
    }
}
