package dev.filigree.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.filigree.Activation;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Layout;
import dev.filigree.format.CsrMatrix;
import java.lang.foreign.Arena;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class SpmmProblemTest {

    private static final CsrMatrix A = CsrMatrix.fromDense(DenseMatrix.of(new float[] {1, 0, 2, 3, 4, 0}, 2, 3));

    private static SpmmProblem given(float... input) {
        return new SpmmProblem(A, 2, Layout.TOKEN_MAJOR, Activation.NONE, 1, Optional.of(input), DType.F32);
    }

    @Test
    void takesTheFirstTokensThatAreGiven() {
        try (Arena arena = Arena.ofConfined()) {
            DenseMatrix input = given(1, 2, 3, 4, 5, 6, 7, 8, 9).input(arena);
            assertThat(input.rows()).isEqualTo(2);
            assertThat(input.cols()).isEqualTo(3);
            assertThat(input.get(1, 0)).isEqualTo(4);
            assertThat(input.get(1, 2)).isEqualTo(6);
            assertThatThrownBy(() -> given(1, 2, 3).input(arena)).isInstanceOf(IndexOutOfBoundsException.class);
        }
    }

    @Test
    void drawsTheSameNumbersEveryTime() {
        SpmmProblem drawn = new SpmmProblem(A, 2, Layout.FEATURE_MAJOR, Activation.NONE, 7);
        try (Arena arena = Arena.ofConfined()) {
            assertThat(drawn.input(arena).data().mismatch(drawn.input(arena).data())).isNegative();
        }
    }
}
