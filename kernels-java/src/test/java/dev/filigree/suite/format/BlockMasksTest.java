package dev.filigree.suite.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.filigree.format.BlockGrid;
import dev.filigree.format.BlockMask;
import dev.filigree.format.BlockMasks;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeSet;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every builder against its definition, element by element, on grids with short last blocks. */
class BlockMasksTest {

    /** Whether position p sees key j. */
    private interface Definition {
        boolean test(int p, int j);
    }

    static Stream<BlockGrid> grids() {
        // Square, more keys than queries, fewer; blocks that divide the matrix and that do not; wide and tall blocks.
        return Stream.of(BlockGrid.square(64, 16), BlockGrid.square(100, 16), new BlockGrid(37, 130, 16, 32),
            new BlockGrid(130, 37, 48, 16), new BlockGrid(1, 1, 16, 16), new BlockGrid(90, 90, 80, 32));
    }

    private static void assertIs(BlockMask mask, Definition definition) {
        BlockGrid grid = mask.grid();
        long count = 0;
        for (int i = 0; i < grid.queries(); i++) {
            for (int j = 0; j < grid.keys(); j++) {
                boolean expected = definition.test(i + grid.keys() - grid.queries(), j);
                assertThat(mask.contains(0, i, j)).as(mask + " query " + i + ", key " + j).isEqualTo(expected);
                count += expected ? 1 : 0;
            }
        }
        assertThat(mask.elements()).isEqualTo(count);
        assertThat(mask.density()).isEqualTo(count / ((double) grid.queries() * grid.keys()));
        assertListsAreConsistent(mask);
    }

    /** A full block has no hole, a partial one has a hole and an element, and a block is listed once, in order. */
    private static void assertListsAreConsistent(BlockMask mask) {
        BlockGrid grid = mask.grid();
        for (int row = 0; row < grid.rowBlocks(); row++) {
            int previous = -1;
            for (int n = 0; n < mask.fullCount(0, row); n++) {
                assertThat(mask.fullBlock(0, row, n)).isGreaterThan(previous);
                previous = mask.fullBlock(0, row, n);
            }
            previous = -1;
            for (int n = 0; n < mask.partialCount(0, row); n++) {
                int col = mask.partialBlock(0, row, n);
                assertThat(col).isGreaterThan(previous);
                previous = col;
                int bits = 0;
                for (int r = 0; r < grid.blockRows(); r++) {
                    for (int word = 0; word < grid.blockCols() / 16; word++) {
                        bits += Integer.bitCount(mask.patternWord(mask.partialPattern(0, row, n), r, word));
                    }
                }
                int rows = Math.min(grid.blockRows(), grid.queries() - row * grid.blockRows());
                int cols = Math.min(grid.blockCols(), grid.keys() - col * grid.blockCols());
                assertThat(bits).isStrictlyBetween(0, rows * cols);
            }
        }
    }

    @ParameterizedTest
    @MethodSource("grids")
    void buildersFollowTheirDefinitions(BlockGrid grid) {
        assertIs(BlockMasks.dense(grid), (p, j) -> true);
        assertIs(BlockMasks.causal(grid), (p, j) -> j <= p);
        assertIs(BlockMasks.slidingWindow(grid, 20, 0), (p, j) -> j <= p && j > p - 20);
        assertIs(BlockMasks.slidingWindow(grid, 20, 3), (p, j) -> j <= p && (j > p - 20 || j < 3));
        assertIs(BlockMasks.dilated(grid, 4, 5), (p, j) -> Math.abs(p - j) <= 20 && Math.abs(p - j) % 5 == 0);
        assertIs(BlockMasks.longformer(grid, 9, 2), (p, j) -> Math.abs(p - j) <= 9 || j < 2 || p >= 0 && p < 2);
        int last = grid.keys() - 1;
        Set<Integer> verticals = new TreeSet<>(List.of(0, last));
        Set<Integer> slashes = new TreeSet<>(List.of(0, last / 2, last));
        assertIs(BlockMasks.verticalSlash(grid, ints(verticals), ints(slashes)),
            (p, j) -> j <= p && (verticals.contains(j) || slashes.contains(p - j)));
    }

    private static int[] ints(Set<Integer> set) {
        return set.stream().mapToInt(Integer::intValue).toArray();
    }

    @ParameterizedTest
    @MethodSource("grids")
    void anyBooleanMatrixIsReproduced(BlockGrid grid) {
        SplittableRandom random = new SplittableRandom(5);
        boolean[][][] allowed = new boolean[1][grid.queries()][grid.keys()];
        for (boolean[] row : allowed[0]) {
            for (int j = 0; j < row.length; j++) {
                row[j] = random.nextInt(40) == 0;
            }
        }
        int offset = grid.keys() - grid.queries();
        BlockMask mask = BlockMasks.ofElements(grid, allowed);
        assertIs(mask, (p, j) -> allowed[0][p - offset][j]);
        BlockMask causal = BlockMasks.causal(grid);
        assertIs(mask.union(causal), (p, j) -> allowed[0][p - offset][j] || j <= p);
        assertIs(mask.intersection(causal), (p, j) -> allowed[0][p - offset][j] && j <= p);
        assertThat(mask.union(mask)).isEqualTo(mask).hasSameHashCodeAs(mask);
        assertThat(mask.intersection(BlockMasks.dense(grid))).isEqualTo(mask);
        assertThat(mask.union(BlockMasks.dense(grid))).isEqualTo(BlockMasks.dense(grid));
    }

    @Test
    void bigBirdHasItsWindowGlobalsAndRandomBlocks() {
        BlockGrid grid = BlockGrid.square(320, 16);
        BlockMask mask = BlockMasks.bigBird(grid, 1, 2, 3, 7);
        assertThat(mask).isEqualTo(BlockMasks.bigBird(grid, 1, 2, 3, 7))
            .isNotEqualTo(BlockMasks.bigBird(grid, 1, 2, 3, 8));
        assertThat(mask.partialBlocks()).isZero();
        for (int row = 0; row < 20; row++) {
            List<Integer> blocks = fullBlocks(mask, row);
            assertThat(blocks).contains(0, 1, row, Math.max(0, row - 1), Math.min(19, row + 1));
            int fixed = row < 2 ? 20 : row == 2 ? 4 : row == 19 ? 4 : 5;
            assertThat(blocks).hasSize(row < 2 ? 20 : fixed + 3);
        }
    }

    private static List<Integer> fullBlocks(BlockMask mask, int row) {
        return IntStream.range(0, mask.fullCount(0, row)).mapToObj(n -> mask.fullBlock(0, row, n))
            .toList();
    }

    @Test
    void topKTakesTheHighestAndTheFirstAmongEquals() {
        BlockGrid grid = BlockGrid.square(64, 16);
        float[][][] scores = {{{1, 3, 2, 3}, {0, -0f, 0, 0}, {Float.NEGATIVE_INFINITY, 5, Float.NEGATIVE_INFINITY,
            Float.NEGATIVE_INFINITY}, {4, 3, 2, 1}}};
        BlockMask mask = BlockMasks.topK(grid, scores, 2);
        assertThat(fullBlocks(mask, 0)).containsExactly(1, 3);
        assertThat(fullBlocks(mask, 1)).containsExactly(0, 1);
        assertThat(fullBlocks(mask, 2)).containsExactly(1);
        assertThat(fullBlocks(mask, 3)).containsExactly(0, 1);
        scores[0][1][2] = Float.NaN;
        assertThatThrownBy(() -> BlockMasks.topK(grid, scores, 2)).hasMessage("scores[0][1][2] is NaN");
    }

    @Test
    void headsCanHaveListsOfTheirOwn() {
        BlockGrid grid = BlockGrid.square(50, 16);
        BlockMask both = BlockMasks.perHead(BlockMasks.causal(grid), BlockMasks.slidingWindow(grid, 5, 0));
        assertThat(both.heads()).isEqualTo(2);
        assertThat(both.contains(0, 40, 1)).isTrue();
        assertThat(both.contains(1, 40, 1)).isFalse();
        assertThat(both.contains(1, 40, 38)).isTrue();
        assertThat(both.intersection(BlockMasks.causal(grid))).isEqualTo(both);
        assertThat(both.toString()).contains("50 x 50 in blocks of 16 x 16", "2 heads", "density");
    }

    @Test
    void equalElementMasksAreStoredOnce() {
        assertThat(BlockMasks.causal(BlockGrid.square(1024, 64)).patterns()).isEqualTo(1);
        assertThat(BlockMasks.causal(BlockGrid.square(1024, 64)).partialBlocks()).isEqualTo(16);
    }

    @Test
    void badArgumentsAreNamed() {
        assertThatThrownBy(() -> BlockGrid.square(10, 24)).hasMessage(
            "blockRows = 24 is not a multiple of 16 from 16 to 4096");
        assertThatThrownBy(() -> new BlockGrid(0, 5, 16, 16)).hasMessage("queries = 0 is less than 1");
        BlockGrid grid = BlockGrid.square(32, 16);
        assertThatThrownBy(() -> BlockMasks.slidingWindow(grid, 0, 1)).hasMessage("window = 0 is less than 1");
        assertThatThrownBy(() -> BlockMasks.verticalSlash(grid, new int[] {3, 32}, new int[0]))
            .hasMessage("verticals[1] = 32 is not in 0..31");
        assertThatThrownBy(() -> BlockMasks.ofBlocks(grid, new boolean[1][2][3]))
            .hasMessage("listed[0][0] has 3 elements, the grid has 2 block columns");
        assertThatThrownBy(() -> BlockMasks.causal(grid).union(BlockMasks.causal(BlockGrid.square(33, 16))))
            .hasMessageContaining("differ in their grids");
        assertThatThrownBy(() -> BlockMasks.ofBlocks(grid, new boolean[0][][])).hasMessageContaining("heads = 0");
        assertThatThrownBy(() -> BlockMasks.dense(grid).contains(1, 0, 0))
            .isInstanceOf(IndexOutOfBoundsException.class);
    }
}
