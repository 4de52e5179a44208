package dev.filigree.suite.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.format.Mask;
import dev.filigree.format.NmMatrix;
import dev.filigree.format.NmPattern;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class NmMatrixTest {

    /** Indices of each width, masks, none; groups that end with a row, and that do not. */
    private static final String[] PATTERNS = {"2:4", "1:4", "4:8", "2:8", "1:8", "1:16", "1:32", "1:1", "4:4", "1:2",
        "3:5", "7:9", "6:8", "1:64", "33:64", "64:64", "8:2:4", "16:1:8", "32:1:16", "64:3:7", "8:5:5"};

    private final Arena arena = Arena.ofAuto();

    private DenseMatrix random(long seed, int rows, int cols, int padding) {
        SplittableRandom random = new SplittableRandom(seed);
        long stride = (long) cols + padding;
        DenseMatrix dense = DenseMatrix.of(arena.allocate(Math.max(1, rows * stride) * 4, 4), DType.F32, rows, cols,
            stride);
        for (int r = 0; r < rows; r++) {
            for (int c = 0; c < cols; c++) {
                // Few distinct magnitudes, so that ties are common, and zeros of both signs.
                dense.set(r, c, random.nextInt(-3, 4) * (random.nextBoolean() ? 0.5f : -0.5f));
            }
        }
        return dense;
    }

    static String[] patterns() {
        return PATTERNS;
    }

    /** What pruning must keep, by sorting: the N largest scores of each group, the lowest column among equals. */
    private static boolean keeps(DenseMatrix dense, NmPattern pattern, int row, int col) {
        int rank = 0;
        int from = col / pattern.m() * pattern.m();
        for (int c = from; c < Math.min(dense.cols(), from + pattern.m()); c++) {
            double mine = score(dense, pattern, row, col);
            double other = score(dense, pattern, row, c);
            if (other > mine || other == mine && c < col) {
                rank++;
            }
        }
        return rank < pattern.n();
    }

    private static double score(DenseMatrix dense, NmPattern pattern, int row, int col) {
        double sum = 0;
        int first = row / pattern.vector() * pattern.vector();
        for (int r = first; r < Math.min(dense.rows(), first + pattern.vector()); r++) {
            sum += dense.get(r, col) * dense.get(r, col);
        }
        return (float) Math.sqrt(sum);
    }

    @ParameterizedTest
    @MethodSource("patterns")
    void prunedKeepsTheLargestAndUnpacksToThem(String text) {
        NmPattern pattern = NmPattern.parse(text);
        for (int cols : new int[] {0, 1, 3, 8, 37, 64, 130}) {
            DenseMatrix dense = random(cols, 35, cols, cols % 5);
            NmMatrix matrix = NmMatrix.pruned(dense, pattern);
            DenseMatrix back = matrix.toDense(arena);
            for (int r = 0; r < 35; r++) {
                for (int c = 0; c < cols; c++) {
                    float expected = keeps(dense, pattern, r, c) ? dense.get(r, c) : 0f;
                    assertThat(back.get(r, c)).as("%s (%d, %d) of %d", pattern, r, c, cols).isEqualTo(expected + 0f);
                }
            }
            // Pack then unpack is the identity, whatever zeros fill a group.
            DenseMatrix again = NmMatrix.fromDense(back, pattern).toDense(arena);
            assertThat(again.data().mismatch(back.data())).isEqualTo(-1);
        }
    }

    @ParameterizedTest
    @MethodSource("patterns")
    void everyRowStoresNAscendingColumnsOfEachGroup(String text) {
        NmPattern pattern = NmPattern.parse(text);
        DenseMatrix sparse = DenseMatrix.allocate(arena, DType.F32, 33, 71);
        sparse.set(32, 70, 1f);
        NmMatrix matrix = NmMatrix.fromDense(sparse, pattern);
        int groups = (71 + pattern.m() - 1) / pattern.m();
        assertThat(matrix.slots()).isEqualTo(groups * pattern.n());
        assertThat(matrix.nnz()).isEqualTo(33L * matrix.slots());
        int[] columns = new int[matrix.slots()];
        for (int r = 0; r < 33; r++) {
            matrix.columns(r, columns);
            for (int i = 0; i < columns.length; i++) {
                assertThat(columns[i] / pattern.m()).isEqualTo(i / pattern.n());
                assertThat(i == 0 || columns[i] > columns[i - 1]).isTrue();
                float value = matrix.values().getAtIndex(ValueLayout.JAVA_FLOAT, (long) r * matrix.slots() + i);
                assertThat(value).isEqualTo(r == 32 && columns[i] == 70 ? 1f : 0f);
            }
        }
    }

    @ParameterizedTest
    @CsvSource({"2:4, 4.25", "1:8, 4.375", "4:8, 4.25", "1:32, 4.625", "1:16, 4.5", "6:8, 4.1666667", "4:4, 4",
        "16:2:4, 4.015625", "8:1:4, 4.03125"})
    void aValueTakesFourBytesAndItsShareOfThePositions(String pattern, double bytes) {
        DenseMatrix dense = random(3, 64, 1536, 0);
        NmMatrix matrix = NmMatrix.pruned(dense, NmPattern.parse(pattern));
        assertThat(matrix.bytes() / (double) matrix.nnz()).isBetween(bytes - 1e-6, bytes + 1e-6);
    }

    @Test
    void aMatrixThatDoesNotConformIsRefusedWithItsPlace() {
        DenseMatrix dense = DenseMatrix.allocate(arena, DType.F32, 20, 10);
        dense.set(5, 8, Float.NaN);
        dense.set(5, 9, 1f);
        assertThat(NmMatrix.fromDense(dense, NmPattern.of(2, 4)).rows()).isEqualTo(20);
        assertThatThrownBy(() -> NmMatrix.fromDense(dense, NmPattern.of(1, 4)))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessage("row 5, group 2 (columns 8 to 9): 2 nonzeros, 1:4 allows 1");
        dense.set(5, 8, -0f);
        assertThat(NmMatrix.fromDense(dense, NmPattern.of(1, 4)).toDense(arena).get(5, 9)).isEqualTo(1f);
        dense.set(6, 8, 2f);
        assertThatThrownBy(() -> NmMatrix.fromDense(dense, new NmPattern(1, 4, 8)))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessage("rows 0 to 7, group 2 (columns 8 to 9): 2 columns that are not all zero, 8:1:4 allows 1");
    }

    @Test
    void aMaskSaysWhatIsStored() {
        DenseMatrix dense = random(8, 16, 12, 0);
        dense.set(3, 4, 7f);
        Mask.Builder builder = new Mask.Builder(16, 12).set(3, 4, true).set(3, 6, true);
        NmMatrix matrix = NmMatrix.fromDense(dense, NmPattern.of(2, 4), builder.build());
        DenseMatrix back = matrix.toDense(arena);
        for (int r = 0; r < 16; r++) {
            for (int c = 0; c < 12; c++) {
                assertThat(back.get(r, c)).isEqualTo(r == 3 && (c == 4 || c == 6) ? dense.get(r, c) + 0f : 0f);
            }
        }
        Mask three = new Mask.Builder(16, 12).set(3, 4, true).set(3, 5, true).set(3, 6, true).build();
        assertThatThrownBy(() -> NmMatrix.fromDense(dense, NmPattern.of(2, 4), three))
            .hasMessage("row 3, group 1 (columns 4 to 7): 3 kept elements, 2:4 allows 2");
        Mask uneven = new Mask.Builder(16, 12).set(9, 4, true).build();
        assertThatThrownBy(() -> NmMatrix.fromDense(dense, new NmPattern(2, 4, 8), uneven))
            .hasMessageStartingWith("row 9, group 1 (columns 4 to 7): the mask keeps other columns than in row 8");
        assertThatThrownBy(() -> NmMatrix.fromDense(dense, NmPattern.of(2, 4), new Mask.Builder(16, 11).build()))
            .hasMessage("dense is 16 x 12, the mask is 16 x 11");
    }

    @Test
    void nanIsNotRanked() {
        DenseMatrix dense = random(9, 20, 12, 3);
        dense.set(17, 11, Float.NaN);
        assertThatThrownBy(() -> NmMatrix.pruned(dense, NmPattern.of(2, 4)))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessage("NaN at row 17, column 11 has no magnitude to rank");
        assertThatThrownBy(() -> NmMatrix.pruned(dense, new NmPattern(2, 4, 8)))
            .hasMessage("NaN at row 17, column 11 has no magnitude to rank");
    }

    @Test
    void infinitiesAreTheLargest() {
        DenseMatrix dense = DenseMatrix.of(new float[] {1, Float.NEGATIVE_INFINITY, 3, 2}, 1, 4);
        DenseMatrix back = NmMatrix.pruned(dense, NmPattern.of(2, 4)).toDense(arena);
        assertThat(back.get(0, 1)).isEqualTo(Float.NEGATIVE_INFINITY);
        assertThat(back.get(0, 2)).isEqualTo(3f);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "2", "4:2", "0:4", "2:65", "2:4:8:1", "3:2:4", "2:2:4", "128:2:4", "-1:4", "a:b"})
    void aBadPatternIsRefused(String text) {
        assertThatThrownBy(() -> NmPattern.parse(text)).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void patternsNameThemselves() {
        for (String text : PATTERNS) {
            assertThat(NmPattern.parse(text).toString()).isEqualTo(text);
        }
        assertThat(NmPattern.of(2, 4).withVector(16)).isEqualTo(NmPattern.parse("16:2:4"));
        assertThat(NmPattern.of(1, 1).indexBits()).isZero();
        assertThat(NmPattern.of(1, 33).indexBits()).isEqualTo(6);
    }

    @Test
    void equalityIsByValue() {
        DenseMatrix dense = random(5, 9, 40, 0);
        NmMatrix matrix = NmMatrix.pruned(dense, NmPattern.of(2, 8));
        NmMatrix same = NmMatrix.pruned(dense, NmPattern.of(2, 8));
        assertThat(matrix).isEqualTo(same).hasSameHashCodeAs(same);
        assertThat(matrix).isNotEqualTo(NmMatrix.pruned(dense, NmPattern.of(1, 8)));
        assertThat(matrix.toString()).isEqualTo("NmMatrix[9 x 40, 2:8]");
    }
}
