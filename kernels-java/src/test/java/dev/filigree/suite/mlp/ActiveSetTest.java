package dev.filigree.suite.mlp;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.filigree.DenseMatrix;
import dev.filigree.mlp.ActiveSet;
import java.util.Comparator;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class ActiveSetTest {

    @Test
    void holdsWhatWasAdded() {
        ActiveSet set = new ActiveSet(10, 20);
        set.add(3, 9);
        set.addAll(17, 0, 9, 9);
        set.addEvery(15);
        assertThat(set.contains(3, 9)).isTrue();
        assertThat(set.contains(19, 9)).isFalse();
        assertThat(set.count(17)).isEqualTo(2);
        assertThat(set.count(15)).isEqualTo(10);
        set.clear(15);
        assertThat(set.count(15)).isZero();
        assertThat(set.count(3)).isEqualTo(1);
        set.clear();
        assertThat(set.count(17)).isZero();
    }

    @Test
    void refusesWhatIsNotThere() {
        ActiveSet set = new ActiveSet(10, 2);
        assertThatThrownBy(() -> set.add(2, 0)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> set.add(0, 10)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> set.addAll(0, 1, -1)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThat(set.count(0)).isZero();
        assertThatThrownBy(() -> new ActiveSet(-1, 2)).isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new ActiveSet(1 << 30, 33)).isInstanceOf(IllegalArgumentException.class)
            .hasMessageContaining("too many");
        assertThatThrownBy(() -> set.addLargest(DenseMatrix.of(new float[10], 1, 10), 3))
            .isInstanceOf(IllegalArgumentException.class)
            .hasMessage("scores is 1 x 10, expected 2 x 10 (tokens x units)");
        assertThatThrownBy(() -> set.addLargest(DenseMatrix.of(new float[20], 2, 10), -1))
            .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void addsTheLargestScoresLikeASort() {
        SplittableRandom random = new SplittableRandom(1);
        for (int round = 0; round < 200; round++) {
            int units = 1 + random.nextInt(300);
            float[] scores = new float[units];
            for (int i = 0; i < units; i++) {
                scores[i] = switch (random.nextInt(8)) {
                    case 0 -> 0f;
                    case 1 -> -0f;
                    case 2 -> Float.NaN;
                    case 3 -> (float) (random.nextDouble(-1, 1) * 1e-40);
                    case 4 -> random.nextBoolean() ? Float.POSITIVE_INFINITY : Float.NEGATIVE_INFINITY;
                    default -> random.nextInt(-50, 50) / 7f;
                };
            }
            int k = random.nextInt(units + 2);
            ActiveSet set = new ActiveSet(units, 1);
            set.addLargest(DenseMatrix.of(scores, 1, units), k);
            int[] expected = IntStream.range(0, units).boxed()
                .sorted(Comparator.comparingDouble((Integer i) -> key(scores[i])).reversed()).limit(k)
                .mapToInt(i -> i).sorted().toArray();
            int[] found = IntStream.range(0, units).filter(i -> set.contains(0, i)).toArray();
            assertThat(found).as("k %d of %d, round %d", k, units, round).isEqualTo(expected);
        }
    }

    private static double key(float score) {
        return Float.isNaN(score) ? -1e300 : Float.isInfinite(score) ? Math.signum(score) * 1e299 : score + 0.0;
    }

    @Test
    void addsScoresFromAThresholdOn() {
        ActiveSet set = new ActiveSet(4, 2);
        set.addAtLeast(DenseMatrix.of(new float[] {1, 2, 3, Float.NaN, 0, -1, 2, 5}, 2, 4), 2);
        assertThat(IntStream.range(0, 4).filter(i -> set.contains(0, i))).containsExactly(1, 2);
        assertThat(IntStream.range(0, 4).filter(i -> set.contains(1, i))).containsExactly(2, 3);
    }
}
