package dev.filigree.bench;

import dev.filigree.Activation;
import dev.filigree.Workers;
import dev.filigree.bench.measure.Outcome;
import dev.filigree.bench.measure.SideBySide;
import dev.filigree.bench.measure.Timing;
import dev.filigree.spmm.Layout;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Our own kernel against itself: on two threads, and on more and more nonzeros. */
final class SpmmScalingCases {

    /** The contender that two threads are compared with. */
    static final String ONE_THREAD = "one thread";

    private static final long SEED = 1;
    private static final int N = 128;
    /** Columns enough that B, 2 MiB of it, is in no first-level cache. */
    private static final int COLUMNS = 4096;
    private static final double SPARSITY = 0.9;
    /** The largest matrix: arrays, their checked copy, the packed form, and the operands. */
    private static final long BYTES_PER_NONZERO = 40;

    private SpmmScalingCases() {}

    /** Plans of 27 to 215 MFLOP, all above the 20 from which a second thread has to pay. */
    static List<FloorCase> twoThreads() {
        return List.of(new TwoThreads(1024, 0.9), new TwoThreads(2048, 0.8), new TwoThreads(2048, 0.9),
            new TwoThreads(4096, 0.95));
    }

    static List<FloorCase> growing() {
        return List.of(new Growing(100_000), new Growing(1_000_000), new Growing(10_000_000),
            new Growing(100_000_000));
    }

    /**
     * A random square matrix, on two threads and on one.
     *
     * @param size its rows and columns
     * @param sparsity of it
     */
    private record TwoThreads(int size, double sparsity) implements FloorCase {

        @Override
        public String label() {
            return size + " x " + size + ", " + Math.round(100 * sparsity) + " %, two threads";
        }

        @Override
        public Times measure(Context context) {
            SpmmProblem problem = new SpmmProblem(RandomMatrices.uniform(size, size, sparsity, SEED), N,
                Layout.FEATURE_MAJOR, Activation.NONE, SEED);
            try (Workers two = Workers.of(2); Workers one = Workers.of(1);
                    SpmmContender onTwo = SpmmContender.open(problem, context.backend(), two, 0);
                    SpmmContender onOne = SpmmContender.open(problem, context.backend(), one, 0)) {
                return times(label(), problem, context, List.of(onTwo, onOne), List.of(Times.OURS, ONE_THREAD));
            }
        }
    }

    /**
     * A matrix of rows that are alike.
     *
     * @param nnz about so many nonzeros
     */
    private record Growing(long nnz) implements FloorCase {

        @Override
        public String label() {
            return nnz + " nonzeros";
        }

        @Override
        public Times measure(Context context) {
            long memory = Machine.here().memoryBytes();
            if (nnz * BYTES_PER_NONZERO > memory / 2) {
                return Times.failed(label(), "needs " + InfoCommand.bytes(2 * nnz * BYTES_PER_NONZERO)
                    + " of memory, here are " + InfoCommand.bytes(memory));
            }
            int perRow = (int) Math.round(COLUMNS * (1 - SPARSITY));
            SpmmProblem problem = new SpmmProblem(
                RandomMatrices.even(Math.toIntExact(nnz / perRow), COLUMNS, perRow, SEED), N, Layout.FEATURE_MAJOR,
                Activation.NONE, SEED);
            try (Workers one = Workers.of(1);
                    SpmmContender contender = SpmmContender.open(problem, context.backend(), one, 0)) {
                return times(label(), problem, context, List.of(contender), List.of(Times.OURS));
            }
        }
    }

    private static FloorCase.Times times(String label, SpmmProblem problem, FloorCase.Context context,
            List<SpmmContender> contenders, List<String> names) {
        List<Outcome> outcomes = new SideBySide(context.settings()).measure(contenders, () -> {});
        Map<String, Double> millis = new HashMap<>();
        List<String> errors = new ArrayList<>();
        for (int i = 0; i < names.size(); i++) {
            switch (outcomes.get(i)) {
                case Outcome.Timed(Timing timing) -> millis.put(names.get(i), timing.medianMillis());
                case Outcome.Failed(String error) -> errors.add(error);
            }
        }
        return new FloorCase.Times(label, millis, problem.a().sparsity(), problem.a().nnz(),
            errors.stream().findFirst(), !errors.isEmpty());
    }
}
