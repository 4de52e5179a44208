package dev.filigree.suite.attention;

import static org.assertj.core.api.Assertions.assertThat;

import dev.filigree.Backend;
import dev.filigree.Workers;
import dev.filigree.attention.Attention;
import dev.filigree.attention.AttentionOptions;
import dev.filigree.attention.AttentionPlan;
import dev.filigree.attention.AttentionTensor;
import dev.filigree.format.BlockGrid;
import dev.filigree.format.BlockMask;
import dev.filigree.format.BlockMasks;
import dev.filigree.suite.HostBackends;
import dev.filigree.suite.Seeds;
import java.lang.foreign.Arena;
import java.util.stream.LongStream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Every host backend against the double reference and against the scalar kernel's bits. */
class AttentionCorrectnessTest {

    private static final int[] TEAMS = {1, 2, 3, 7, 64};

    /** 150 draws see every size of AttentionCase's lists a few times. */
    static LongStream seeds() {
        return Seeds.of(150);
    }

    @AfterAll
    static void sayWhatRan() {
        for (Backend backend : HostBackends.available()) {
            try (AttentionPlan plan = Attention.plan(
                    BlockMasks.dense(BlockGrid.square(16, 16)), AttentionOptions.defaults().backend(backend))) {
                System.out.println("AttentionCorrectnessTest ran " + plan.explain().kernel());
            }
        }
    }

    @ParameterizedTest(name = "seed {0}")
    @MethodSource("seeds")
    void equalsTheReferenceAndTheScalarBits(long seed) {
        AttentionCase test = AttentionCase.random(seed);
        Arena arena = Arena.ofAuto();
        AttentionReference reference = AttentionRun.reference(test, arena);
        try (Workers one = Workers.of(1);
                Workers team = Workers.of(TEAMS[Math.floorMod(seed, TEAMS.length)])) {
            AttentionRun scalar = AttentionRun.run(test, Backend.SCALAR, one, arena);
            for (Backend backend : HostBackends.available()) {
                AttentionRun outputs = AttentionRun.run(test, backend, team, arena);
                assertThat(reference.mismatch(outputs.out(), outputs.lse())).as(backend + " on " + team).isEmpty();
                assertThat(scalar.difference("scalar", outputs, backend.id()))
                    .as("bits of " + backend + " on " + team + ", " + test).isEmpty();
            }
        }
    }
}
