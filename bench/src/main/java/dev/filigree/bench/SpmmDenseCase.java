package dev.filigree.bench;

import dev.filigree.Activation;
import dev.filigree.Workers;
import dev.filigree.spmm.Layout;
import java.util.List;

/**
 * A matrix without zeros on our own dense path and on a peer's, one thread.
 *
 * @param size rows and columns of both operands
 * @param peer the dense peer
 */
record SpmmDenseCase(int size, String peer) implements FloorCase {

    @Override
    public String label() {
        return size + " cubed";
    }

    @Override
    public Times measure(Context context) {
        SpmmProblem problem = new SpmmProblem(RandomMatrices.uniform(size, size, 0, SpmmFileCase.SEED), size,
            Layout.FEATURE_MAJOR, Activation.NONE, SpmmFileCase.SEED);
        SpmmComparison comparison;
        try (Workers alone = Workers.of(1)) {
            comparison = SpmmComparison.run(problem,
                new SpmmEntrants(List.of(), true, List.of(peer), context.onePool()), alone, context.settings(),
                () -> {});
        }
        return SpmmFileCase.times(label(), problem, comparison, List.of(peer));
    }
}
