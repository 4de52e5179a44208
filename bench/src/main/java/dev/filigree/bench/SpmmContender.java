package dev.filigree.bench;

import dev.filigree.Backend;
import dev.filigree.DenseMatrix;
import dev.filigree.Workers;
import dev.filigree.bench.measure.CheckedContender;
import dev.filigree.bench.measure.Statistics;
import dev.filigree.bench.measure.WorkingSets;
import dev.filigree.spmm.FallbackDense;
import dev.filigree.spmm.Spmm;
import dev.filigree.spmm.SpmmOptions;
import dev.filigree.spmm.SpmmPlan;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;

/**
 * One of Filigree's backends on an SpMM, or its dense path, which multiplies the zeros too.
 *
 * <p>A decode step finds its weights in memory, not in the cache where the previous repetition left them: such a
 * problem gets as many copies of matrix and operands as fill the last-level cache more than four times, and runs
 * take them in turn.
 */
final class SpmmContender implements CheckedContender {

    /** Our own dense path on the best backend. */
    static final String DENSE = "filigree/dense";

    /** The time to pack is the median of the last few times, when the packer is warm. */
    private static final int TIMED_PACKINGS = 3;
    private static final int PACKINGS = 20;
    private static final long PACKING_NANOS = 200_000_000;

    private final Arena arena = Arena.ofShared();
    private final List<SpmmPlan> plans = new ArrayList<>();
    private final List<DenseMatrix> inputs = new ArrayList<>();
    private final List<DenseMatrix> outputs = new ArrayList<>();
    private final List<Double> packMillis = new ArrayList<>();
    private final SpmmProblem problem;
    private final SpmmOptions options;
    private int next;

    private SpmmContender(SpmmProblem problem, Backend backend, FallbackDense dense, Workers team) {
        this.problem = problem;
        options = problem.options().backend(backend).fallbackDense(dense).workers(team);
    }

    /**
     * Packs the problem for a backend's sparse kernel.
     *
     * @throws UnsupportedOperationException if the backend cannot run here
     */
    static SpmmContender open(SpmmProblem problem, Backend backend, Workers team, long lastLevelCache) {
        return open(new SpmmContender(problem, backend, FallbackDense.NEVER, team), lastLevelCache);
    }

    /** Packs the problem for the dense kernel of the best backend. */
    static SpmmContender openDense(SpmmProblem problem, Workers team, long lastLevelCache) {
        Backend best = CommonOptions.availableOnHost().getLast();
        return open(new SpmmContender(problem, best, FallbackDense.ALWAYS, team), lastLevelCache);
    }

    private static SpmmContender open(SpmmContender contender, long lastLevelCache) {
        try {
            contender.prepare(lastLevelCache);
            return contender;
        } catch (Throwable t) {
            contender.close();
            throw t;
        }
    }

    private void prepare(long lastLevelCache) {
        plans.add(timedPlan());
        int sets = WorkingSets.count(SpmmProblem.isDecode(problem.n()), residentBytes(), lastLevelCache);
        for (int i = 1; i < sets; i++) {
            plans.add(timedPlan());
        }
        long start = System.nanoTime();
        while (packMillis.size() < TIMED_PACKINGS
                || packMillis.size() < PACKINGS && System.nanoTime() - start < PACKING_NANOS) {
            timedPlan().close();
        }
        DenseMatrix input = problem.input(arena);
        for (int i = 0; i < sets; i++) {
            inputs.add(i == 0 ? input : copy(input));
            outputs.add(problem.output(arena));
        }
    }

    private DenseMatrix copy(DenseMatrix matrix) {
        DenseMatrix copy = DenseMatrix.allocate(arena, matrix.dtype(), matrix.rows(), matrix.cols());
        copy.data().copyFrom(matrix.data());
        return copy;
    }

    private SpmmPlan timedPlan() {
        long start = System.nanoTime();
        SpmmPlan plan = Spmm.plan(problem.a(), options);
        packMillis.add((System.nanoTime() - start) / 1e6);
        return plan;
    }

    static String name(Backend backend) {
        return "filigree/" + backend.id();
    }

    @Override
    public String name() {
        return options.fallbackDense() == FallbackDense.ALWAYS ? DENSE : name(plans.getFirst().backend());
    }

    @Override
    public String kernel() {
        return plans.getFirst().explain().kernel();
    }

    @Override
    public void run() {
        plans.get(next).run(inputs.get(next), outputs.get(next));
        next = next + 1 == plans.size() ? 0 : next + 1;
    }

    @Override
    public double packMillis() {
        int from = packMillis.size() - TIMED_PACKINGS;
        return Statistics.median(packMillis.stream().skip(from).mapToDouble(x -> x).toArray());
    }

    @Override
    public long packedBytes() {
        return plans.getFirst().explain().packedBytes();
    }

    @Override
    public long residentBytes() {
        return packedBytes() + problem.denseBytes();
    }

    @Override
    public int workingSets() {
        return plans.size();
    }

    DenseMatrix input() {
        return inputs.getFirst();
    }

    @Override
    public DenseMatrix output() {
        return outputs.getFirst();
    }

    @Override
    public void close() {
        plans.forEach(SpmmPlan::close);
        arena.close();
    }
}
