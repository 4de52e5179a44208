package dev.filigree.bench;

import dev.filigree.Activation;
import dev.filigree.Workers;
import dev.filigree.spmm.Layout;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A matrix from a file, ours and peers side by side on one thread.
 *
 * @param file of the matrix
 * @param n columns of the dense operand
 * @param peers to compare with
 */
record SpmmFileCase(Path file, int n, List<String> peers) implements FloorCase {

    static final long SEED = 1;

    @Override
    public String label() {
        return file.getFileName() + " N=" + n;
    }

    double sparsity() {
        return MatrixFiles.read(file, SEED).sparsity();
    }

    @Override
    public Times measure(Context context) {
        SpmmProblem problem = new SpmmProblem(MatrixFiles.read(file, SEED), n, Layout.FEATURE_MAJOR,
            Activation.NONE, SEED);
        SpmmComparison comparison;
        try (Workers alone = Workers.of(1)) {
            comparison = SpmmComparison.run(problem,
                new SpmmEntrants(List.of(context.backend()), false, peers, context.onePool()), alone,
                context.settings(), () -> {});
        }
        return times(label(), problem, comparison, peers);
    }

    /** The figures of a comparison whose contenders are one of ours and these peers. */
    static Times times(String label, SpmmProblem problem, SpmmComparison comparison, List<String> peers) {
        Map<String, Double> millis = new HashMap<>();
        Optional<String> error = Optional.empty();
        for (ContenderResult result : comparison.results()) {
            switch (result) {
                case ContenderResult.Figures f -> millis.put(peers.contains(f.name()) ? f.name() : Times.OURS,
                    f.timing().medianMillis());
                case ContenderResult.Failure f -> error = error.or(() -> Optional.of(f.name() + ": " + f.error()));
            }
        }
        return new Times(label, millis, problem.a().sparsity(), problem.a().nnz(), error, comparison.wrong() > 0);
    }
}
