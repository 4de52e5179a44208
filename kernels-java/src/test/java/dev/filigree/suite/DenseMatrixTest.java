package dev.filigree.suite;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;

class DenseMatrixTest {

    private final Arena arena = Arena.ofAuto();

    @Test
    void theLastRowNeedsNoPadding() {
        MemorySegment data = arena.allocate((2 * 10 + 3) * 4, 4);
        DenseMatrix m = DenseMatrix.of(data, DType.F32, 3, 3, 10);
        m.set(2, 2, 5f);
        assertThat(m.get(2, 2)).isEqualTo(5f);
        assertThat(m.data().byteSize()).isEqualTo((2 * 10 + 3) * 4);
        assertThatThrownBy(() -> DenseMatrix.of(data.asSlice(0, (2 * 10 + 3) * 4 - 1), DType.F32, 3, 3, 10))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessage("a segment of 91 bytes is too short: 3 x 3 f32 with row stride 10 needs 92");
    }

    @Test
    void impossibleShapesAreRefused() {
        MemorySegment data = arena.allocate(400, 4);
        assertThatThrownBy(() -> DenseMatrix.of(data, DType.F32, -1, 3)).hasMessage("rows = -1 is negative");
        assertThatThrownBy(() -> DenseMatrix.of(data, DType.F32, 1, -3)).hasMessage("cols = -3 is negative");
        assertThatThrownBy(() -> DenseMatrix.of(data, DType.F32, 2, 3, 2))
            .hasMessage("row stride 2 is less than the 3 columns");
        assertThatThrownBy(() -> DenseMatrix.of(data, DType.F32, Integer.MAX_VALUE, 3, Long.MAX_VALUE / 4))
            .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("exceed the address space");
        assertThatThrownBy(() -> DenseMatrix.allocate(arena, DType.F32, -1, 1))
            .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void misalignedSegmentsAreRefused() {
        MemorySegment data = arena.allocate(401, 4).asSlice(1);
        assertThatThrownBy(() -> DenseMatrix.of(data, DType.F32, 2, 2)).isInstanceOf(IllegalArgumentException.class)
            .hasMessageContaining("is not aligned to the 4 bytes of f32 elements");
        assertThatThrownBy(() -> DenseMatrix.of(MemorySegment.ofArray(new byte[16]), DType.F32, 2, 2))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessage("a segment at byte 0 of a byte[] is not aligned to the 4 bytes of f32 elements");
    }

    @Test
    void elementAccessIsChecked() {
        DenseMatrix m = DenseMatrix.allocate(arena, DType.F32, 2, 3);
        assertThatThrownBy(() -> m.get(2, 0)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> m.set(0, 3, 1f)).isInstanceOf(IndexOutOfBoundsException.class);
        DenseMatrix half = DenseMatrix.allocate(arena, DType.BF16, 2, 3);
        assertThatThrownBy(() -> half.get(2, 0)).isInstanceOf(IndexOutOfBoundsException.class);
        half.set(1, 2, 1.00390625f + 0x1p-20f);
        assertThat(half.get(1, 2)).isEqualTo(1.0078125f);
        assertThat(half.get(1, 1)).isZero();
    }

    @Test
    void emptyMatricesNeedNoMemory() {
        assertThat(DenseMatrix.of(MemorySegment.NULL, DType.F32, 0, 5).data().byteSize()).isZero();
        assertThat(DenseMatrix.allocate(arena, DType.F32, 5, 0).data().byteSize()).isZero();
    }

    @Test
    void itSaysWhatItIs() {
        assertThat(DenseMatrix.of(new float[6], 2, 3))
            .hasToString("DenseMatrix[2 x 3 f32, row stride 3, host heap]");
    }
}
