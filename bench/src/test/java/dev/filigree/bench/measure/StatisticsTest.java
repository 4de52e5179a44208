package dev.filigree.bench.measure;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

import org.junit.jupiter.api.Test;

class StatisticsTest {

    @Test
    void medianIsTheMiddleOrTheMeanOfTwo() {
        double[] sample = {3, 1, 2};
        assertThat(Statistics.median(sample)).isEqualTo(2);
        assertThat(sample).containsExactly(3, 1, 2);
        assertThat(Statistics.median(4, 1, 2, 100)).isEqualTo(3);
        assertThat(Statistics.median(7)).isEqualTo(7);
        assertThatIllegalArgumentException().isThrownBy(Statistics::median);
    }

    @Test
    void minimumIsTheLeast() {
        assertThat(Statistics.minimum(3, 1, 2)).isEqualTo(1);
        assertThatIllegalArgumentException().isThrownBy(Statistics::minimum);
    }

    @Test
    void geometricMeanOfARatioAndItsInverseIsOne() {
        assertThat(Statistics.geometricMean(4, 0.25)).isEqualTo(1, within(1e-15));
        assertThatIllegalArgumentException().isThrownBy(() -> Statistics.geometricMean(1, 0));
        assertThatIllegalArgumentException().isThrownBy(() -> Statistics.geometricMean(1, Double.NaN));
    }
}
