package dev.filigree.suite.attention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.filigree.attention.AttentionTensor;
import dev.filigree.attention.MInference;
import dev.filigree.format.BlockGrid;
import dev.filigree.format.BlockMask;
import dev.filigree.format.BlockMasks;
import dev.filigree.format.HeadPattern;
import dev.filigree.format.MInferencePatterns;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** The choice of lines and blocks against the definition, in double arithmetic. */
class MInferenceTest {

    private static final int DIM = 24;

    private static AttentionTensor random(SplittableRandom random, int batch, int heads, int rows) {
        float[] data = new float[batch * heads * rows * DIM];
        for (int i = 0; i < data.length; i++) {
            data[i] = (float) random.nextGaussian();
        }
        return AttentionTensor.rowMajor(MemorySegment.ofArray(data), batch, heads, rows, DIM);
    }

    /** The attention of each of the last queries: {@code [query][key]}; none after the query. */
    private static double[][] attention(AttentionTensor q, AttentionTensor k, int batch, int head) {
        int count = Math.min(64, q.rows());
        double[][] attention = new double[count][k.rows()];
        for (int i = 0; i < count; i++) {
            int query = q.rows() - count + i;
            double sum = 0;
            for (int j = 0; j <= Math.min(k.rows() - 1, query + k.rows() - q.rows()); j++) {
                double s = 0;
                for (int d = 0; d < DIM; d++) {
                    s += (double) q.get(batch, head, query, d) * k.get(batch, head * k.heads() / q.heads(), j, d);
                }
                attention[i][j] = Math.exp(s / Math.sqrt(DIM));
                sum += attention[i][j];
            }
            for (int j = 0; j < k.rows() && sum > 0; j++) {
                attention[i][j] /= sum;
            }
        }
        return attention;
    }

    /** The chosen places hold the largest sums, but for what rounding may swap; forced ones come first. */
    private static void assertHoldsTheLargest(int[] chosen, int count, int forced, double[] sums) {
        int n = sums.length;
        assertThat(chosen).hasSize(Math.min(n, count)).isSorted().doesNotHaveDuplicates();
        assertThat(chosen).startsWith(IntStream.range(0, Math.min(Math.min(n, count), forced)).toArray());
        boolean[] in = new boolean[n];
        Arrays.stream(chosen).forEach(i -> in[i] = true);
        double least = IntStream.range(forced, Math.max(forced, n)).filter(i -> in[i]).mapToDouble(i -> sums[i]).min()
            .orElse(Double.POSITIVE_INFINITY);
        double most = IntStream.range(forced, Math.max(forced, n)).filter(i -> !in[i]).mapToDouble(i -> sums[i]).max()
            .orElse(0);
        assertThat(most).isLessThanOrEqualTo(least * (1 + 1e-5));
    }

    // More keys than last queries; fewer queries than 64; a cached prefix; more queries than keys; fewer keys than
    // forced lines.
    @ParameterizedTest
    @CsvSource({"300, 300, 70, 160", "40, 40, 35, 60", "50, 333, 31, 130", "150, 130, 50, 110", "64, 64, 30, 63",
        "90, 20, 10, 10", "1, 1, 5, 5", "200, 200, 1, 1"})
    void linesAreThoseWithTheMostAttention(int queries, int keys, int verticals, int slashes) {
        SplittableRandom random = new SplittableRandom(queries * 1000L + keys);
        AttentionTensor q = random(random, 2, 4, queries);
        AttentionTensor k = random(random, 2, 2, keys);
        MInference.Lines lines = MInference.lines(new HeadPattern.VerticalSlash(verticals, slashes, 0), q, k, 1, 2);
        double[][] attention = attention(q, k, 1, 2);
        double[] columns = new double[keys];
        double[] distances = new double[keys];
        for (int i = 0; i < attention.length; i++) {
            for (int j = 0; j < keys; j++) {
                columns[j] += attention[i][j];
                int distance = keys - attention.length + i - j;
                if (distance >= 0) {
                    distances[distance] += attention[i][j];
                }
            }
        }
        assertHoldsTheLargest(lines.verticals(), Math.max(verticals, 30), 30, columns);
        assertHoldsTheLargest(lines.slashes(), Math.max(slashes, 50), 100, distances);
    }

    @Test
    void aKeyAndADistanceThatStandOutAreFound() {
        int n = 256;
        AttentionTensor q = AttentionTensor.headMajor(MemorySegment.ofArray(new float[n * 8]), 1, 1, n, 8);
        AttentionTensor k = AttentionTensor.headMajor(MemorySegment.ofArray(new float[n * 8]), 1, 1, n, 8);
        for (int i = 0; i < n; i++) {
            q.set(0, 0, i, 0, 6);
            // Only the query at 250 looks for the key at 97; of all distances, 153.
            q.set(0, 0, i, 1, i == 250 ? 40 : 0);
        }
        k.set(0, 0, 77, 0, 6);
        k.set(0, 0, 97, 1, 40);
        MInference.Lines lines = MInference.lines(new HeadPattern.VerticalSlash(32, 101, 0), q, k, 0, 0);
        assertThat(lines.verticals()).hasSize(32).contains(77, 97);
        assertThat(lines.slashes()).hasSize(101).contains(153);
        BlockMask mask = lines.mask(BlockGrid.square(n, 16));
        assertThat(mask).isEqualTo(BlockMasks.verticalSlash(BlockGrid.square(n, 16), lines.verticals(),
            lines.slashes()));
        assertThat(mask.contains(0, 200, 77)).isTrue();
        assertThat(mask.contains(0, 200, 47)).isTrue();
        assertThat(mask.contains(0, 200, 60)).isFalse();
        assertThat(mask.contains(0, 76, 77)).isFalse();
    }

    @Test
    void aLayerOfAFileBecomesAMask() throws IOException {
        List<HeadPattern> heads;
        try (InputStream in = MInferenceTest.class.getResourceAsStream(
            "/dev/filigree/suite/format/minference-patterns.json")) {
            heads = MInferencePatterns.read(in, "patterns").layer(0);
        }
        SplittableRandom random = new SplittableRandom(3);
        AttentionTensor q = random(random, 1, 4, 200);
        AttentionTensor k = random(random, 1, 2, 210);
        BlockGrid grid = new BlockGrid(200, 210, 16, 32);
        BlockMask mask = MInference.mask(grid, heads, q, k, 0);
        assertThat(mask.heads()).isEqualTo(4);
        BlockMask[] expected = {
            MInference.lines((HeadPattern.VerticalSlash) heads.get(0), q, k, 0, 0).mask(grid),
            BlockMasks.slidingWindow(grid, 64, 8),
            // There are fewer than 100 blocks in a row.
            BlockMasks.causal(grid),
            MInference.lines((HeadPattern.VerticalSlash) heads.get(3), q, k, 0, 3).mask(grid)};
        assertThat(mask).isEqualTo(BlockMasks.perHead(expected));
    }

    @Test
    void blocksAreThoseWhoseMeansScoreBest() {
        // 130 block columns of 16 keys, of which 100 are taken.
        int keys = 130 * 16 - 5;
        SplittableRandom random = new SplittableRandom(4);
        AttentionTensor q = random(random, 1, 1, 40);
        AttentionTensor k = random(random, 1, 1, keys);
        BlockGrid grid = new BlockGrid(40, keys, 16, 16);
        BlockMask mask = MInference.mask(grid, List.of(new HeadPattern.BlockSparse(8, 1, 0)), q, k, 0);
        double[] scores = new double[130];
        for (int col = 0; col < 130; col++) {
            int end = Math.min(keys, col * 16 + 16);
            for (int i = 0; i < 16; i++) {
                for (int j = col * 16; j < end; j++) {
                    for (int d = 0; d < DIM; d++) {
                        scores[col] += (double) q.get(0, 0, i, d) * k.get(0, 0, j, d) / (end - col * 16);
                    }
                }
            }
        }
        // The first block row ends at position keys - 25: it sees no key of the last block.
        int[] best = IntStream.range(0, 129).boxed().sorted((a, b) -> Double.compare(scores[b], scores[a])).limit(100)
            .mapToInt(Integer::intValue).sorted().toArray();
        int[] taken = IntStream.range(0, 130).filter(col -> mask.contains(0, 15, col * 16))
            .toArray();
        assertThat(taken).isEqualTo(best);
    }

    @Test
    void badOperandsAreNamed() {
        SplittableRandom random = new SplittableRandom(5);
        AttentionTensor q = random(random, 1, 4, 40);
        AttentionTensor k = random(random, 1, 2, 40);
        HeadPattern.VerticalSlash pattern = new HeadPattern.VerticalSlash(1, 1, 0);
        BlockGrid grid = BlockGrid.square(40, 16);
        assertThatThrownBy(() -> MInference.mask(grid, List.of(pattern), q, k, 0))
            .hasMessage("patterns has length 1, expected 4");
        assertThatThrownBy(() -> MInference.mask(BlockGrid.square(41, 16), List.of(pattern), q, k, 0))
            .hasMessage("q has rows 40, expected 41");
        assertThatThrownBy(() -> MInference.lines(pattern, q, k, 1, 0)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> MInference.lines(pattern, q, k, 0, 4)).isInstanceOf(IndexOutOfBoundsException.class);
        assertThatThrownBy(() -> MInference.lines(pattern, q, random(random, 1, 3, 40), 0, 0))
            .hasMessageContaining("not a multiple of the 3 heads");
        k.set(0, 0, 3, 2, Float.NaN);
        assertThatThrownBy(() -> MInference.lines(pattern, q, k, 0, 0))
            .hasMessage("the score of key 3 and query 3 is NaN");
        assertThatThrownBy(() -> new HeadPattern.Streaming(1, 0, 0)).hasMessage("window = 0 is less than 1");
    }
}
