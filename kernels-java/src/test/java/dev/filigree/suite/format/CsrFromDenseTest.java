package dev.filigree.suite.format;

import static dev.filigree.suite.format.Fixtures.columns;
import static dev.filigree.suite.format.Fixtures.rowOffsets;
import static dev.filigree.suite.format.Fixtures.values;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Memory;
import dev.filigree.format.CsrMatrix;
import dev.filigree.format.Pruning;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class CsrFromDenseTest {

    private static final float NAN = Float.NaN;
    private static final float INF = Float.POSITIVE_INFINITY;

    @Test
    void keepsWhatIsNotZero() {
        CsrMatrix matrix = CsrMatrix.fromDense(DenseMatrix.of(
            new float[] {0, -0f, NAN, -INF, Float.MIN_VALUE, 0}, 2, 3));
        assertThat(rowOffsets(matrix)).containsExactly(0, 1, 3);
        assertThat(columns(matrix)).containsExactly(2, 0, 1);
        assertThat(values(matrix)).containsExactly(NAN, -INF, Float.MIN_VALUE);
    }

    @ParameterizedTest
    // Rows go through a buffer of 4096: just below, at, just above, and more than twice its length.
    @ValueSource(ints = {1, 2, 4095, 4096, 4097, 9001})
    void readsEveryStrideOnAndOffTheHeap(int cols) {
        SplittableRandom random = new SplittableRandom(Fixtures.seed("readsEveryStride"));
        int rows = 5;
        float[] packed = new float[rows * cols];
        for (int i = 0; i < packed.length; i++) {
            packed[i] = random.nextInt(4) == 0 ? (float) random.nextGaussian() : 0;
        }
        CsrMatrix expected = CsrMatrix.fromDense(DenseMatrix.of(packed, rows, cols));
        Pruning rule = Pruning.globalMagnitude(0.8);
        CsrMatrix pruned = CsrMatrix.fromDense(DenseMatrix.of(packed, rows, cols), rule);
        for (long stride : new long[] {cols, cols + 1, cols + 37, 1 << 20}) {
            int length = Math.toIntExact((rows - 1) * stride + cols);
            float[] strided = new float[length];
            // What lies between the rows is no element.
            Arrays.fill(strided, NAN);
            for (int r = 0; r < rows; r++) {
                System.arraycopy(packed, r * cols, strided, Math.toIntExact(r * stride), cols);
            }
            DenseMatrix heap = DenseMatrix.of(MemorySegment.ofArray(strided), DType.F32, rows, cols, stride);
            assertThat(CsrMatrix.fromDense(heap)).isEqualTo(expected);
            assertThat(CsrMatrix.fromDense(heap, rule)).isEqualTo(pruned);
            try (Arena arena = Arena.ofConfined()) {
                MemorySegment copy = arena.allocate(4L * length, 4).copyFrom(MemorySegment.ofArray(strided));
                DenseMatrix off = DenseMatrix.of(copy.asReadOnly(), DType.F32, rows, cols, stride);
                assertThat(CsrMatrix.fromDense(off)).isEqualTo(expected);
                assertThat(CsrMatrix.fromDense(off, rule)).isEqualTo(pruned);
            }
        }
    }

    @Test
    void refusesOtherTypesAndMemories() {
        DenseMatrix bf16 = DenseMatrix.of(MemorySegment.ofArray(new short[4]), DType.BF16, 2, 2);
        assertThatThrownBy(() -> CsrMatrix.fromDense(bf16)).isInstanceOf(UnsupportedOperationException.class)
            .hasMessage("a CsrMatrix is made from f32 in host memory, not from "
                + "DenseMatrix[2 x 2 bf16, row stride 2, host heap]");
        Memory device = new Memory() {
            @Override
            public String id() {
                return "fake:0";
            }

            @Override
            public void copyFromHost(MemorySegment source, MemorySegment target) {}

            @Override
            public void copyToHost(MemorySegment source, MemorySegment target) {}
        };
        DenseMatrix far = DenseMatrix.of(device, MemorySegment.ofArray(new float[4]), DType.F32, 2, 2, 2);
        assertThatThrownBy(() -> CsrMatrix.fromDense(far, Pruning.rowMagnitude(0.5)))
            .isInstanceOf(UnsupportedOperationException.class).hasMessageContaining("fake:0");
    }

    @ParameterizedTest
    @ValueSource(doubles = {-0.1, 1.0000001, Double.NaN, Double.POSITIVE_INFINITY, -Double.MIN_VALUE})
    void refusesSparsityOutOfRange(double sparsity) {
        assertThatThrownBy(() -> Pruning.globalMagnitude(sparsity))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessage("sparsity = " + sparsity + " is not in [0, 1]");
        assertThatThrownBy(() -> Pruning.rowMagnitude(sparsity)).hasMessage(
            "sparsity = " + sparsity + " is not in [0, 1]");
    }

    @ParameterizedTest
    @ValueSource(doubles = {0, 0.5, 1})
    void refusesNanWithItsPlace(double sparsity) {
        float[] data = new float[3 * 5000];
        data[5000 + 4321] = NAN;
        DenseMatrix dense = DenseMatrix.of(data, 3, 5000);
        for (Pruning rule : List.of(Pruning.globalMagnitude(sparsity), Pruning.rowMagnitude(sparsity))) {
            assertThatThrownBy(() -> CsrMatrix.fromDense(dense, rule))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("NaN at row 1, column 4321 has no magnitude to rank");
        }
    }

    @Test
    void keepsTheEarlierOfEqualMagnitudes() {
        DenseMatrix dense = DenseMatrix.of(new float[] {1, -2, 2, -1, 2, -2, 1, 1}, 2, 4);
        CsrMatrix global = CsrMatrix.fromDense(dense, Pruning.globalMagnitude(0.625));
        assertThat(rowOffsets(global)).containsExactly(0, 2, 3);
        assertThat(columns(global)).containsExactly(1, 2, 0);
        assertThat(values(global)).containsExactly(-2, 2, 2);
        CsrMatrix byRow = CsrMatrix.fromDense(dense, Pruning.rowMagnitude(0.25));
        assertThat(rowOffsets(byRow)).containsExactly(0, 3, 6);
        assertThat(columns(byRow)).containsExactly(0, 1, 2, 0, 1, 2);
    }

    @Test
    void roundsHalfAnElementUp() {
        DenseMatrix dense = DenseMatrix.of(new float[] {1, 2, 3, 4, 5}, 1, 5);
        assertThat(columns(CsrMatrix.fromDense(dense, Pruning.globalMagnitude(0.5)))).containsExactly(3, 4);
        assertThat(columns(CsrMatrix.fromDense(dense, Pruning.rowMagnitude(0.49)))).containsExactly(2, 3, 4);
    }

    @Test
    void neverStoresAZero() {
        DenseMatrix dense = DenseMatrix.of(new float[] {0, -0f, 7, 0, 0, 0, 0, 0}, 2, 4);
        for (double sparsity : new double[] {0, 0.25, 0.5}) {
            assertThat(values(CsrMatrix.fromDense(dense, Pruning.globalMagnitude(sparsity))))
                .containsExactly(7);
            assertThat(values(CsrMatrix.fromDense(dense, Pruning.rowMagnitude(sparsity)))).containsExactly(7);
        }
    }

    static Stream<float[]> palettes() {
        return Stream.of(
            null,
            new float[] {0, -0f, 1, -1},
            new float[] {INF, -INF, Float.MAX_VALUE, 0},
            new float[] {Float.MIN_VALUE, -Float.MIN_VALUE, 2 * Float.MIN_VALUE, Float.MIN_NORMAL, 0},
            // Neighbours in one radix digit each, from the last to the first.
            new float[] {1, Math.nextUp(1f), Math.nextDown(1f), 1 + 0x1p-15f, 1 + 0x1p-7f, 2, 256});
    }

    @ParameterizedTest
    @MethodSource("palettes")
    void agreesWithASort(float[] palette) {
        SplittableRandom random = new SplittableRandom(Fixtures.seed("agreesWithASort"));
        for (int i = 0; i < 60; i++) {
            int rows = random.nextInt(0, 9);
            int cols = random.nextInt(0, 70);
            float[] data = new float[rows * cols];
            for (int j = 0; j < data.length; j++) {
                data[j] = palette == null ? (float) random.nextGaussian()
                    : palette[random.nextInt(palette.length)];
            }
            double sparsity = switch (i % 4) {
                case 0 -> 0;
                case 1 -> 1;
                case 2 -> random.nextInt(11) / 10.0;
                default -> random.nextDouble();
            };
            DenseMatrix dense = DenseMatrix.of(data, rows, cols);
            assertThat(CsrMatrix.fromDense(dense, Pruning.globalMagnitude(sparsity)))
                .isEqualTo(bySorting(data, rows, cols, sparsity, false));
            assertThat(CsrMatrix.fromDense(dense, Pruning.rowMagnitude(sparsity)))
                .isEqualTo(bySorting(data, rows, cols, sparsity, true));
        }
    }

    /** The rule, read literally: a stable sort by magnitude as double, the first ones kept, zeros dropped. */
    private static CsrMatrix bySorting(float[] data, int rows, int cols, double sparsity, boolean perRow) {
        float[] result = new float[data.length];
        int groupSize = perRow ? cols : rows * cols;
        int groups = groupSize == 0 ? 0 : data.length / groupSize;
        for (int g = 0; g < groups; g++) {
            List<Integer> order = new ArrayList<>();
            for (int j = g * groupSize; j < (g + 1) * groupSize; j++) {
                order.add(j);
            }
            order.sort(Comparator.comparingDouble(j -> -Math.abs((double) data[j])));
            int kept = groupSize - (int) Math.round(sparsity * groupSize);
            order.subList(0, kept).forEach(j -> result[j] = data[j]);
        }
        int nnz = 0;
        long[] offsets = new long[rows + 1];
        int[] columns = new int[data.length];
        float[] values = new float[data.length];
        for (int r = 0; r < rows; r++) {
            for (int c = 0; c < cols; c++) {
                if (result[r * cols + c] != 0) {
                    columns[nnz] = c;
                    values[nnz++] = result[r * cols + c];
                }
            }
            offsets[r + 1] = nnz;
        }
        return CsrMatrix.fromArrays(rows, cols, offsets, columns, values);
    }

    @Test
    void dropsExactlyTheShareOfALargeMatrix() {
        SplittableRandom random = new SplittableRandom(Fixtures.seed("dropsExactlyTheShare"));
        int rows = 700;
        int cols = 5000;
        float[] data = new float[rows * cols];
        for (int i = 0; i < data.length; i++) {
            data[i] = (float) random.nextGaussian() + 0x1p-40f;
        }
        DenseMatrix dense = DenseMatrix.of(data, rows, cols);
        CsrMatrix global = CsrMatrix.fromDense(dense, Pruning.globalMagnitude(0.9));
        assertThat(global.nnz()).isEqualTo(rows * cols / 10);
        float least = INF;
        for (float value : values(global)) {
            least = Math.min(least, Math.abs(value));
        }
        int above = 0;
        for (float value : data) {
            above += Math.abs(value) > least ? 1 : 0;
        }
        assertThat(above).isLessThan(rows * cols / 10);
        CsrMatrix byRow = CsrMatrix.fromDense(dense, Pruning.rowMagnitude(0.9));
        for (int r = 0; r < rows; r++) {
            assertThat(byRow.rowLength(r)).isEqualTo(500);
        }
    }
}
