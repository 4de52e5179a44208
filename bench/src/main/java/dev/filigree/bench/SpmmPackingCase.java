package dev.filigree.bench;

import dev.filigree.Activation;
import dev.filigree.Layout;
import dev.filigree.Workers;
import dev.filigree.bench.measure.Statistics;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;

/**
 * Packing a matrix from a file, on one thread, as the later layers of a model are packed: the packer has run for a
 * while and is compiled.
 *
 * @param file of the matrix
 * @param n columns that it is packed for
 */
record SpmmPackingCase(Path file, int n) implements FloorCase {

    /** What {@link #measure} compares the time with. */
    static final String LIMIT = "limit";
    /** The limit of a nonzero. */
    static final int LIMIT_NANOS = 40;

    private static final long WARM_UP_NANOS = 500_000_000;
    private static final int TIMES = 21;

    @Override
    public String label() {
        return "packing " + file.getFileName() + " N=" + n;
    }

    @Override
    public Times measure(Context context) {
        SpmmProblem problem = new SpmmProblem(MatrixFiles.read(file, SpmmFileCase.SEED), n, Layout.FEATURE_MAJOR,
            Activation.NONE, SpmmFileCase.SEED);
        double[] millis = new double[TIMES];
        try (Workers alone = Workers.of(1)) {
            long start = System.nanoTime();
            while (System.nanoTime() - start < WARM_UP_NANOS) {
                packMillis(problem, context, alone);
            }
            for (int i = 0; i < TIMES; i++) {
                millis[i] = packMillis(problem, context, alone);
            }
        }
        long nnz = problem.a().nnz();
        return new Times(label(), Map.of(Times.OURS, Statistics.median(millis), LIMIT, LIMIT_NANOS * nnz / 1e6),
            problem.a().sparsity(), nnz, Optional.empty(), false);
    }

    private static double packMillis(SpmmProblem problem, Context context, Workers alone) {
        long start = System.nanoTime();
        Planner.Planned plan = Planner.SPMM.plan(problem, context.backend(), alone);
        double millis = (System.nanoTime() - start) / 1e6;
        plan.close();
        return millis;
    }
}
