package dev.filigree.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.filigree.bench.measure.WorkingSets;
import dev.filigree.format.CsrMatrix;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RandomMatricesTest {

    @ParameterizedTest
    @ValueSource(doubles = {0, 0.013, 0.5, 0.9, 0.999, 1})
    void hasExactlyTheNonzerosAskedFor(double sparsity) {
        assertThat(RandomMatrices.uniform(37, 53, sparsity, 1).nnz())
            .isEqualTo(37 * 53 - Math.round(sparsity * 37 * 53));
    }

    @Test
    void evenRowsHaveOneNonzeroInEachPart() {
        CsrMatrix matrix = RandomMatrices.even(20, 103, 10, 1);
        assertThat(matrix.nnz()).isEqualTo(200);
        for (int i = 0; i < 200; i++) {
            int part = i % 10;
            assertThat(matrix.columns().getAtIndex(ValueLayout.JAVA_INT, i))
                .isBetween(103 * part / 10, 103 * (part + 1) / 10 - 1);
        }
        assertThat(matrix).isEqualTo(RandomMatrices.even(20, 103, 10, 1))
            .isNotEqualTo(RandomMatrices.even(20, 103, 10, 2));
    }

    @Test
    void dependsOnTheSeedAlone() {
        assertThat(RandomMatrices.uniform(20, 20, 0.5, 1)).isEqualTo(RandomMatrices.uniform(20, 20, 0.5, 1))
            .isNotEqualTo(RandomMatrices.uniform(20, 20, 0.5, 2));
    }

    @Test
    void refusesWhatNoArrayHolds() {
        assertThatThrownBy(() -> RandomMatrices.uniform(100_000, 100_000, 0.5, 1))
            .isInstanceOf(InputException.class).hasMessageContaining("--rows 100000");
    }

    @Test
    void parsesJmhParameters() {
        assertThat(BenchmarkMatrices.parse("30x20@0.9").nnz()).isEqualTo(60);
        assertThatThrownBy(() -> BenchmarkMatrices.parse("none.mtx")).isInstanceOf(InputException.class);
    }

    @Test
    void rotatesMoreThanFourCaches() {
        assertThat(WorkingSets.count(false, 1000, 1_000_000)).isEqualTo(1);
        assertThat(WorkingSets.count(true, 1000, 1_000_000)).isEqualTo(4001);
        assertThat(WorkingSets.count(true, 5_000_000, 1_000_000)).isEqualTo(1);
        assertThat(WorkingSets.count(true, 0, 1_000_000)).isEqualTo(4096);
    }
}
