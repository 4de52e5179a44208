package dev.filigree.bench;

import dev.filigree.Activation;
import dev.filigree.Layout;
import dev.filigree.Workers;
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
 * @param others to compare with: peers, and our other backends
 */
record SpmmFileCase(Path file, int n, List<String> others) implements FloorCase {

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
        SpmmEntrants entrants = SpmmEntrants.of(context, others);
        SpmmComparison comparison;
        try (Workers alone = Workers.of(1)) {
            comparison = SpmmComparison.run(problem, entrants, alone, context.settings(), () -> {});
        }
        return times(label(), problem, comparison, others);
    }

    /** The figures of a comparison whose contenders are one of ours and these others. */
    static Times times(String label, SpmmProblem problem, SpmmComparison comparison, List<String> others) {
        Map<String, Double> millis = new HashMap<>();
        Optional<String> error = Optional.empty();
        for (ContenderResult result : comparison.results()) {
            switch (result) {
                case ContenderResult.Figures f when others.contains(f.name()) ->
                    millis.put(f.name(), f.timing().medianMillis());
                case ContenderResult.Figures f -> millis.put(Times.OURS, f.timing().medianMillis());
                case ContenderResult.Failure f -> error = error.or(() -> Optional.of(f.name() + ": " + f.error()));
            }
        }
        return new Times(label, millis, problem.a().sparsity(), problem.a().nnz(), error, comparison.wrong() > 0);
    }
}
