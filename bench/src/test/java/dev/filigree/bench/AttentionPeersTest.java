package dev.filigree.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.filigree.Backend;
import dev.filigree.Workers;
import dev.filigree.attention.AttentionOptions;
import dev.filigree.bench.measure.SideBySide;
import dev.filigree.bench.peer.PeerPool;
import dev.filigree.format.BlockGrid;
import dev.filigree.format.BlockMask;
import dev.filigree.format.BlockMasks;
import dev.filigree.suite.attention.AttentionCase;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Other libraries' attention beside ours: fakes in every build, the real ones where the build has them in it. */
class AttentionPeersTest {

    private static final BlockGrid GRID = BlockGrid.square(100, 16);

    private static AttentionCase problem(BlockMask mask, int kvHeads, boolean causal) {
        return new AttentionCase(7, mask, 1, 2, kvHeads, 24, AttentionOptions.defaults().causal(causal), null,
            AttentionCase.Axes.HEAD_MAJOR, AttentionCase.Place.SHARED);
    }

    private static List<ContenderResult> compare(AttentionCase problem, String... peers) {
        SideBySide.Settings brief = new SideBySide.Settings(2, Duration.ofMillis(1), Duration.ofMillis(1));
        try (Workers team = Workers.of(1); PeerPool pool = new PeerPool(1)) {
            List<ContenderResult> results = AttentionComparison.run(
                problem, List.of(Backend.SCALAR), List.of(peers), pool, team, brief, () -> {}).results();
            return results.stream().filter(result -> List.of(peers).contains(result.name())).toList();
        }
    }

    private static String error(ContenderResult result) {
        assertThat(result).isInstanceOf(ContenderResult.Failure.class);
        assertThat(((ContenderResult.Failure) result).wrong()).isFalse();
        return ((ContenderResult.Failure) result).error();
    }

    /** The mask of a dense peer is not the problem's: all scores, or all up to the query. */
    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aDensePeerIsHeldAgainstAllScores(boolean causal) {
        List<ContenderResult> results = compare(
            problem(AttentionLayouts.random(GRID, 0.3, causal, 3), 2, causal), "fake-right", "fake-wrong",
            "fake-refusing");
        assertThat(results).hasSize(3);
        assertThat(results).filteredOn(result -> result.name().equals("fake-right")).singleElement()
            .isInstanceOfSatisfying(ContenderResult.Figures.class,
                figures -> assertThat(figures.maxRelErr()).isLessThan(1e-6));
        assertThat(error(named(results, "fake-wrong"))).startsWith("wrong result: relative error");
        assertThat(error(named(results, "fake-refusing"))).isEqualTo("not this mask");
    }

    private static ContenderResult named(List<ContenderResult> results, String name) {
        return results.stream().filter(result -> result.name().equals(name)).findFirst().orElseThrow();
    }

    @Test
    void aSparsePeerGetsTheListsOfEachHead() {
        BlockMask each = BlockMasks.perHead(AttentionLayouts.random(GRID, 0.4, true, 3),
            AttentionLayouts.random(GRID, 0.7, true, 4));
        assertThat(compare(problem(each, 2, true), "fake-sparse")).singleElement()
            .isInstanceOfSatisfying(ContenderResult.Figures.class,
                figures -> assertThat(figures.maxRelErr()).isLessThan(1e-6));
    }

    @Test
    void whatNoPeerTakesIsSaid() {
        assertThat(error(compare(problem(BlockMasks.dense(GRID), 1, false), "fake-right").getFirst()))
            .contains("as many key heads");
        assertThat(error(compare(problem(BlockMasks.slidingWindow(GRID, 20, 0), 2, false), "fake-sparse").getFirst()))
            .contains("whole blocks");
        assertThat(error(compare(problem(BlockMasks.dense(GRID), 2, false), "nobody-attention").getFirst()))
            .contains("not part of this build");
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void realPeersAreRight(boolean causal) {
        assumeTrue(System.getProperty(PeerPool.NATIVES) != null, "a build without peers");
        List<ContenderResult> results = compare(
            problem(AttentionLayouts.random(GRID, 0.4, causal, 5), 2, causal),
            PeerNames.ATTENTION.toArray(String[]::new));
        assertThat(results).hasSize(3);
        for (ContenderResult result : results) {
            if (result.name().equals("ort-sparse-attention") && !causal) {
                assertThat(error(result)).contains("for causal attention");
            } else {
                assertThat(result).isInstanceOf(ContenderResult.Figures.class);
            }
        }
    }
}
