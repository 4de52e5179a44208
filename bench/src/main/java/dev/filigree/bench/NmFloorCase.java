package dev.filigree.bench;

import dev.filigree.Activation;
import dev.filigree.DType;
import dev.filigree.Layout;
import dev.filigree.Workers;
import dev.filigree.format.NmMatrix;
import dev.filigree.format.NmPattern;
import java.lang.foreign.Arena;
import java.util.List;
import java.util.Optional;

/**
 * A random weight, pruned by magnitude, in N:M form on one thread, token-major.
 *
 * @param rows of the weight
 * @param cols of the weight
 * @param pattern that it is pruned to
 * @param tokens of the input
 * @param dtype of all operands
 * @param others to compare with: peers, our dense path, and our other backends
 */
record NmFloorCase(int rows, int cols, NmPattern pattern, int tokens, DType dtype, List<String> others)
        implements FloorCase {

    static final long SEED = 1;

    NmFloorCase {
        others = List.copyOf(others);
    }

    @Override
    public String label() {
        return rows + " x " + cols + " " + pattern + " " + dtype.id() + " T=" + tokens;
    }

    @Override
    public Times measure(Context context) {
        NmMatrix a;
        try (Arena arena = Arena.ofConfined()) {
            a = NmMatrix.pruned(RandomMatrices.dense(arena, rows, cols, SEED), pattern);
        }
        SpmmProblem problem = new SpmmProblem(NmEntries.of(a, dtype), tokens, Layout.TOKEN_MAJOR, Activation.NONE,
            SEED, Optional.empty(), dtype);
        SpmmEntrants entrants = SpmmEntrants.of(context, others);
        SpmmComparison comparison;
        try (Workers alone = Workers.of(1)) {
            comparison = SpmmComparison.run(problem, Planner.nm(a), entrants, alone, context.settings(), () -> {});
        }
        return SpmmFileCase.times(label(), problem, comparison, others);
    }
}
