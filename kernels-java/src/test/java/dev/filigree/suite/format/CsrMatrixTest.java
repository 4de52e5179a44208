package dev.filigree.suite.format;

import static dev.filigree.suite.format.Fixtures.columns;
import static dev.filigree.suite.format.Fixtures.rowOffsets;
import static dev.filigree.suite.format.Fixtures.values;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.filigree.DenseMatrix;
import dev.filigree.format.CsrMatrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class CsrMatrixTest {

    /** {@code [[1, 0, 2, 0], [0, 0, 0, 0], [0, 3, 4, 5]]}. */
    private static final long[] OFFSETS = {0, 2, 2, 5};
    private static final int[] COLUMNS = {0, 2, 1, 2, 3};
    private static final float[] VALUES = {1, 2, 3, 4, 5};

    private static CsrMatrix example() {
        return CsrMatrix.fromArrays(3, 4, OFFSETS, COLUMNS, VALUES);
    }

    @Test
    void hasWhatItWasMadeFrom() {
        CsrMatrix matrix = example();
        assertThat(matrix.rows()).isEqualTo(3);
        assertThat(matrix.cols()).isEqualTo(4);
        assertThat(matrix.nnz()).isEqualTo(5);
        assertThat(matrix.density()).isEqualTo(5 / 12.0);
        assertThat(matrix.sparsity()).isEqualTo(1 - 5 / 12.0);
        assertThat(matrix.rowLength(0)).isEqualTo(2);
        assertThat(matrix.rowLength(1)).isZero();
        assertThat(matrix.rowLength(2)).isEqualTo(3);
        assertThat(rowOffsets(matrix)).containsExactly(OFFSETS);
        assertThat(columns(matrix)).containsExactly(COLUMNS);
        assertThat(values(matrix)).containsExactly(VALUES);
        assertThatThrownBy(() -> matrix.rowLength(3)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> matrix.rowLength(-1)).isInstanceOf(IndexOutOfBoundsException.class);
    }

    @Test
    void everyFactoryGivesTheSameMatrix() {
        assertThat(CsrMatrix.fromArrays(3, 4, new int[] {0, 2, 2, 5}, COLUMNS, VALUES)).isEqualTo(example());
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment offsets = arena.allocateFrom(ValueLayout.JAVA_LONG, OFFSETS);
            MemorySegment columns = arena.allocateFrom(ValueLayout.JAVA_INT, COLUMNS);
            MemorySegment values = arena.allocateFrom(ValueLayout.JAVA_FLOAT, VALUES);
            assertThat(CsrMatrix.fromSegments(3, 4, offsets.asReadOnly(), columns, values))
                .isEqualTo(example());
            // A byte array has no alignment, and one byte in, a native segment has none either.
            assertThat(CsrMatrix.fromSegments(3, 4, shifted(arena, offsets),
                MemorySegment.ofArray(columns.toArray(ValueLayout.JAVA_BYTE)), shifted(arena, values)))
                .isEqualTo(example());
        }
    }

    private static MemorySegment shifted(Arena arena, MemorySegment source) {
        return arena.allocate(source.byteSize() + 1, 8).asSlice(1).copyFrom(source);
    }

    @Test
    void storageIsNativeAlignedReadOnlyAndExact() throws InterruptedException {
        CsrMatrix matrix = example();
        assertThat(matrix.rowOffsets().byteSize()).isEqualTo(4 * 8);
        assertThat(matrix.columns().byteSize()).isEqualTo(5 * 4);
        assertThat(matrix.values().byteSize()).isEqualTo(5 * 4);
        boolean[] seen = new boolean[1];
        Thread other = new Thread(() -> seen[0] = matrix.values().get(ValueLayout.JAVA_FLOAT, 16) == 5);
        other.start();
        other.join();
        assertThat(seen[0]).isTrue();
        for (MemorySegment segment : new MemorySegment[] {
            matrix.rowOffsets(), matrix.columns(), matrix.values(), matrix.transpose().values(),
            matrix.transpose().rowOffsets()}) {
            assertThat(segment.isNative()).isTrue();
            assertThat(Fixtures.isAligned(segment)).isTrue();
            assertThatThrownBy(() -> segment.set(ValueLayout.JAVA_INT, 0, 1))
                .isInstanceOf(IllegalArgumentException.class);
        }
    }

    @Test
    void copiesItsInputs() {
        long[] offsets = OFFSETS.clone();
        int[] columns = COLUMNS.clone();
        float[] values = VALUES.clone();
        CsrMatrix matrix = CsrMatrix.fromArrays(3, 4, offsets, columns, values);
        offsets[1] = 100;
        columns[0] = -7;
        values[0] = 9;
        assertThat(matrix).isEqualTo(example());
    }

    @Test
    void ignoresElementsPastTheLastEntry() {
        assertThat(CsrMatrix.fromArrays(3, 4, new long[] {0, 2, 2, 5, -1}, new int[] {0, 2, 1, 2, 3, 99, -1},
            new float[] {1, 2, 3, 4, 5, 6})).isEqualTo(example());
    }

    static Stream<Arguments> violations() {
        return Stream.of(
            Arguments.of(-1, 4, OFFSETS, COLUMNS, "rows = -1 is negative"),
            Arguments.of(3, -4, OFFSETS, COLUMNS, "cols = -4 is negative"),
            Arguments.of(4, 4, OFFSETS, COLUMNS, "rowOffsets has 4 elements, 4 rows need 5"),
            Arguments.of(Integer.MAX_VALUE, 4, OFFSETS, COLUMNS,
                "rowOffsets has 4 elements, 2147483647 rows need 2147483648"),
            Arguments.of(0, 4, new long[0], COLUMNS, "rowOffsets has 0 elements, 0 rows need 1"),
            Arguments.of(3, 4, new long[] {1, 2, 2, 5}, COLUMNS, "rowOffsets[0] = 1 is not 0"),
            Arguments.of(3, 4, new long[] {-1, 2, 2, 5}, COLUMNS, "rowOffsets[0] = -1 is not 0"),
            Arguments.of(3, 4, new long[] {0, 3, 2, 5}, COLUMNS,
                "rowOffsets[2] = 2 is below rowOffsets[1] = 3"),
            Arguments.of(3, 4, new long[] {0, 2, 2, -5}, COLUMNS,
                "rowOffsets[3] = -5 is below rowOffsets[2] = 2"),
            Arguments.of(3, 4, new long[] {0, 2, 2, 6}, COLUMNS,
                "columns has 5 elements, rowOffsets[3] needs 6"),
            Arguments.of(3, 4, new long[] {0, 2, 2, Long.MAX_VALUE}, COLUMNS,
                "columns has 5 elements, rowOffsets[3] needs 9223372036854775807"),
            Arguments.of(3, 4, new long[] {0, 2, 2, 6}, new int[6],
                "values has 5 elements, rowOffsets[3] needs 6"),
            Arguments.of(3, 4, OFFSETS, new int[] {0, 2, 1, 2, 4},
                "column 4 at row 2, entry 2 is not below 4 columns"),
            Arguments.of(3, 4, OFFSETS, new int[] {0, 2, 1, 17, 3},
                "column 17 at row 2, entry 1 is not below 4 columns"),
            Arguments.of(3, 4, OFFSETS, new int[] {-1, 2, 1, 2, 3},
                "column -1 at row 0, entry 0 is negative"),
            Arguments.of(3, 4, OFFSETS, new int[] {0, 0, 1, 2, 3},
                "column 0 at row 0, entry 1 does not exceed column 0 before it"),
            Arguments.of(3, 4, OFFSETS, new int[] {0, 2, 2, 1, 3},
                "column 1 at row 2, entry 1 does not exceed column 2 before it"),
            Arguments.of(3, 0, OFFSETS, COLUMNS, "column 0 at row 0, entry 0 is not below 0 columns"));
    }

    @ParameterizedTest(name = "{4}")
    @MethodSource("violations")
    void refusesWhatIsNotCsr(int rows, int cols, long[] offsets, int[] columns, String message) {
        assertThatThrownBy(() -> CsrMatrix.fromArrays(rows, cols, offsets, columns, VALUES))
            .isExactlyInstanceOf(IllegalArgumentException.class).hasMessage(message);
        assertThatThrownBy(() -> CsrMatrix.fromSegments(rows, cols, MemorySegment.ofArray(offsets),
            MemorySegment.ofArray(columns), MemorySegment.ofArray(VALUES))).hasMessage(message);
    }

    @Test
    void refusesTheFaultsOfIntOffsetsToo() {
        assertThatThrownBy(() -> CsrMatrix.fromArrays(3, 4, new int[] {0, 3, 2, 5}, COLUMNS, VALUES))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessage("rowOffsets[2] = 2 is below rowOffsets[1] = 3");
    }

    @Test
    void keepsEveryValue() {
        float quietNan = Float.intBitsToFloat(0x7fc01234);
        float[] odd = {0, -0f, quietNan, Float.NEGATIVE_INFINITY, Float.MIN_VALUE};
        CsrMatrix matrix = CsrMatrix.fromArrays(3, 4, OFFSETS, COLUMNS, odd);
        assertThat(matrix.nnz()).isEqualTo(5);
        for (int i = 0; i < odd.length; i++) {
            assertThat(matrix.values().getAtIndex(ValueLayout.JAVA_INT, i))
                .isEqualTo(Float.floatToRawIntBits(odd[i]));
        }
        assertThat(matrix).isEqualTo(CsrMatrix.fromArrays(3, 4, OFFSETS, COLUMNS, odd))
            .hasSameHashCodeAs(CsrMatrix.fromArrays(3, 4, OFFSETS, COLUMNS, odd));
    }

    @Test
    void equalityIsThatOfTheContent() {
        assertThat(example()).isEqualTo(example()).hasSameHashCodeAs(example()).isNotEqualTo(null)
            .isNotEqualTo("a matrix");
        assertThat(example())
            .isNotEqualTo(CsrMatrix.fromArrays(3, 5, OFFSETS, COLUMNS, VALUES))
            .isNotEqualTo(CsrMatrix.fromArrays(4, 4, new long[] {0, 2, 2, 5, 5}, COLUMNS, VALUES))
            .isNotEqualTo(CsrMatrix.fromArrays(3, 4, new long[] {0, 2, 3, 5}, COLUMNS, VALUES))
            .isNotEqualTo(CsrMatrix.fromArrays(3, 4, OFFSETS, new int[] {0, 3, 1, 2, 3}, VALUES))
            .isNotEqualTo(CsrMatrix.fromArrays(3, 4, OFFSETS, COLUMNS, new float[] {1, 2, 3, 4, 6}));
        CsrMatrix zero = CsrMatrix.fromArrays(1, 1, new long[] {0, 1}, new int[1], new float[] {0});
        assertThat(zero)
            .isNotEqualTo(CsrMatrix.fromArrays(1, 1, new long[] {0, 1}, new int[1], new float[] {-0f}))
            .isNotEqualTo(CsrMatrix.fromArrays(1, 1, new long[2], new int[0], new float[0]));
    }

    @ParameterizedTest
    @CsvSource({"0, 0", "0, 5", "5, 0", "1, 1", "7, 3", "0, 2147483647", "1, 2147483647"})
    void worksWithoutEntries(int rows, int cols) {
        CsrMatrix matrix = CsrMatrix.fromArrays(rows, cols, new long[rows + 1], new int[0], new float[0]);
        assertThat(matrix.nnz()).isZero();
        assertThat(matrix.density()).isZero();
        assertThat(matrix.sparsity()).isEqualTo(1);
        assertThat(matrix).hasToString("CsrMatrix[" + rows + " x " + cols + ", 0 nonzeros, 100.0 % sparse]");
        assertThat(Fixtures.isAligned(matrix.columns())).isTrue();
        if (cols < 100) {
            assertThat(matrix.transpose().rows()).isEqualTo(cols);
            assertThat(matrix.transpose().transpose()).isEqualTo(matrix);
            try (Arena arena = Arena.ofConfined()) {
                DenseMatrix dense = matrix.toDense(arena);
                assertThat(dense.rows()).isEqualTo(rows);
                assertThat(dense.cols()).isEqualTo(cols);
                assertThat(CsrMatrix.fromDense(dense)).isEqualTo(matrix);
            }
        }
    }

    @Test
    void oneElementAtTheLastColumnThereIs() {
        CsrMatrix matrix =
            CsrMatrix.fromArrays(1, Integer.MAX_VALUE, new long[] {0, 1}, new int[] {Integer.MAX_VALUE - 1},
                VALUES);
        assertThat(columns(matrix)).containsExactly(Integer.MAX_VALUE - 1);
        assertThatThrownBy(() -> CsrMatrix.fromArrays(1, Integer.MAX_VALUE, new long[] {0, 1},
            new int[] {Integer.MAX_VALUE}, VALUES))
            .hasMessage("column 2147483647 at row 0, entry 0 is not below 2147483647 columns");
    }

    @Test
    void saysWhatItIs() {
        assertThat(example()).hasToString("CsrMatrix[3 x 4, 5 nonzeros, 58.3 % sparse]");
        assertThat(CsrMatrix.fromArrays(1, 1, new long[] {0, 1}, new int[1], VALUES))
            .hasToString("CsrMatrix[1 x 1, 1 nonzeros, 0.0 % sparse]");
        // One entry in a million is not "100.0 % sparse".
        assertThat(CsrMatrix.fromArrays(1, 1_000_000, new long[] {0, 1}, new int[1], VALUES))
            .hasToString("CsrMatrix[1 x 1000000, 1 nonzeros, 99.9999 % sparse]");
    }

    @Test
    void transposesAndGoesToDense() {
        assertThat(example().transpose()).isEqualTo(CsrMatrix.fromArrays(4, 3, new long[] {0, 1, 2, 4, 5},
            new int[] {0, 2, 0, 2, 2}, new float[] {1, 3, 2, 4, 5}));
        SplittableRandom random = new SplittableRandom(Fixtures.seed("transposesAndGoesToDense"));
        for (int i = 0; i < 50; i++) {
            CsrMatrix matrix =
                Fixtures.random(random, random.nextInt(1, 40), random.nextInt(1, 40), random.nextDouble());
            try (Arena arena = Arena.ofConfined()) {
                DenseMatrix dense = matrix.toDense(arena);
                DenseMatrix turned = matrix.transpose().toDense(arena);
                assertThat(Fixtures.isAligned(dense.data())).isTrue();
                for (int r = 0; r < matrix.rows(); r++) {
                    for (int c = 0; c < matrix.cols(); c++) {
                        assertThat(turned.get(c, r)).isEqualTo(dense.get(r, c));
                    }
                }
                assertThat(CsrMatrix.fromDense(dense)).isEqualTo(matrix);
            }
            assertThat(matrix.transpose().transpose()).isEqualTo(matrix);
        }
    }
}
