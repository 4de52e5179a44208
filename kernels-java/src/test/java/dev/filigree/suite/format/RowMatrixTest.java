package dev.filigree.suite.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.filigree.Bf16;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.format.MatrixFormatException;
import dev.filigree.format.RowMatrix;
import dev.filigree.spi.RowFormat;
import dev.filigree.suite.Dense;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

class RowMatrixTest {

    private static float[] values(int count) {
        return Dense.values(new SplittableRandom(1), count);
    }

    private static float rounded(float value, DType dtype) {
        return dtype == DType.F32 ? value : Bf16.toFloat(Bf16.fromFloat(value));
    }

    @ParameterizedTest
    @EnumSource(DType.class)
    void holdsTheElementsOfEitherOrientation(DType dtype) {
        for (int[] shape : new int[][] {{3, 5}, {1, 1}, {70, 33}, {64, 64}, {130, 100}, {0, 7}, {7, 0}}) {
            float[] values = values(shape[0] * shape[1]);
            DenseMatrix dense = DenseMatrix.of(values, shape[0], shape[1]);
            RowMatrix rows = RowMatrix.of(dense, dtype);
            RowMatrix columns = RowMatrix.ofTransposed(dense, dtype);
            assertThat(rows.rows()).isEqualTo(shape[0]).isEqualTo(columns.cols());
            assertThat(rows.cols()).isEqualTo(shape[1]).isEqualTo(columns.rows());
            for (int r = 0; r < shape[0]; r++) {
                for (int c = 0; c < shape[1]; c++) {
                    float expected = rounded(values[r * shape[1] + c], dtype);
                    assertThat(rows.get(r, c)).isEqualTo(expected);
                    assertThat(columns.get(c, r)).isEqualTo(expected);
                }
            }
        }
    }

    @Test
    void keepsTheTypeOfTheSourceUnlessAskedForAnother() {
        short[] bits = {0x3f80, 0x4000, (short) 0xbf80, 0x7fc0};
        DenseMatrix dense = DenseMatrix.of(MemorySegment.ofArray(bits), DType.BF16, 2, 2);
        assertThat(RowMatrix.of(dense).dtype()).isEqualTo(DType.BF16);
        RowMatrix wide = RowMatrix.of(dense, DType.F32);
        assertThat(wide.get(1, 0)).isEqualTo(-1f);
        assertThat(wide.get(1, 1)).isNaN();
        assertThat(wide.rowNorms()[0]).isEqualTo((float) Math.sqrt(5));
    }

    @ParameterizedTest
    @EnumSource(DType.class)
    void aFileIsTheSameBytes(DType dtype, @TempDir Path folder) throws IOException {
        RowMatrix matrix = RowMatrix.of(DenseMatrix.of(values(7 * 37), 7, 37), dtype);
        Path file = folder.resolve("rows");
        matrix.write(file);
        RowMatrix mapped = RowMatrix.map(file);
        assertThat(mapped.block().mismatch(matrix.block())).isEqualTo(-1);
        assertThat(mapped.dtype()).isEqualTo(dtype);
        assertThat(mapped.toString()).isEqualTo(matrix.toString());
    }

    @ParameterizedTest
    @CsvSource({"0, 1, magic", "8, 1, bytes", "16, 8, rows", "16, -1, rows",
        "24, 65, stride", "32, 96, stride", "40, 2, dtype", "48, 128, values"})
    void aFileThatIsNoneIsRefused(int field, long value, String message, @TempDir Path folder) throws IOException {
        Path file = folder.resolve("rows");
        RowMatrix.of(DenseMatrix.of(values(7 * 37), 7, 37)).write(file);
        byte[] bytes = Files.readAllBytes(file);
        ByteBuffer.wrap(bytes).order(ByteOrder.nativeOrder()).putLong(field, value);
        Files.write(file, bytes);
        assertThatThrownBy(() -> RowMatrix.map(file)).isInstanceOf(MatrixFormatException.class)
            .hasMessageContaining(message);
    }

    @Test
    void aFileCutShortOrWithPaddingIsRefused(@TempDir Path folder) throws IOException {
        Path file = folder.resolve("rows");
        RowMatrix matrix = RowMatrix.of(DenseMatrix.of(values(7 * 37), 7, 37));
        matrix.write(file);
        byte[] bytes = Files.readAllBytes(file);
        Files.write(file, Arrays.copyOf(bytes, bytes.length - 4));
        assertThatThrownBy(() -> RowMatrix.map(file)).isInstanceOf(MatrixFormatException.class)
            .hasMessageContaining("bytes is");
        Files.write(file, new byte[100]);
        assertThatThrownBy(() -> RowMatrix.map(file)).isInstanceOf(MatrixFormatException.class)
            .hasMessageContaining("too short");
        int padding = (int) RowFormat.rowAt(matrix.block(), 3) + 37 * 4;
        bytes[padding + 2] = 1;
        Files.write(file, bytes);
        assertThatThrownBy(() -> RowMatrix.map(file)).isInstanceOf(MatrixFormatException.class)
            .hasMessageContaining("padding of row 3");
    }

    @Test
    void theBlockIsReadOnly() {
        RowMatrix matrix = RowMatrix.of(DenseMatrix.of(values(6), 2, 3));
        assertThatThrownBy(() -> matrix.block().set(ValueLayout.JAVA_LONG, 0, 1))
            .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> matrix.get(0, 3)).isInstanceOf(IndexOutOfBoundsException.class);
    }
}
