package dev.filigree.bench;

import dev.filigree.Backend;
import dev.filigree.DenseMatrix;
import dev.filigree.Workers;
import dev.filigree.bench.measure.CheckedContender;
import dev.filigree.bench.measure.Statistics;
import dev.filigree.bench.measure.WorkingSets;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;

/**
 * One of Filigree's backends on a product with a sparse matrix, or its dense path, which multiplies the zeros too.
 *
 * <p>A decode step finds its weights in memory, not in the cache where the previous repetition left them: such a
 * problem gets as many copies of matrix and operands as fill the last-level cache more than four times, and runs
 * take them in turn. On a device every problem does: products are small beside its cache.
 */
final class SpmmContender implements CheckedContender {

    /** Our own dense path on the best backend. */
    static final String DENSE = "filigree/dense";

    /** The time to pack is the median of the last few times, when the packer is warm. */
    private static final int TIMED_PACKINGS = 3;
    private static final int PACKINGS = 20;
    private static final long PACKING_NANOS = 200_000_000;

    private final Arena arena = Arena.ofShared();
    private final List<Planner.Planned> plans = new ArrayList<>();
    private final List<DenseMatrix> inputs = new ArrayList<>();
    private final List<DenseMatrix> outputs = new ArrayList<>();
    private final DeviceOperands operands;
    private final List<Double> packMillis = new ArrayList<>();
    private final SpmmProblem problem;
    private final Planner planner;
    private final Backend backend;
    private final Workers team;
    private int next;

    private SpmmContender(SpmmProblem problem, Planner planner, Backend backend, Workers team) {
        this.problem = problem;
        this.planner = planner;
        this.backend = backend;
        this.team = team;
        operands = new DeviceOperands(backend);
    }

    /**
     * Packs the problem for a backend's sparse kernel.
     *
     * @throws UnsupportedOperationException if the backend cannot run here
     */
    static SpmmContender open(SpmmProblem problem, Backend backend, Workers team, long lastLevelCache) {
        return open(problem, Planner.SPMM, backend, team, lastLevelCache);
    }

    /** Packs the problem for an operation on a backend. */
    static SpmmContender open(SpmmProblem problem, Planner planner, Backend backend, Workers team,
            long lastLevelCache) {
        return open(new SpmmContender(problem, planner, backend, team), lastLevelCache);
    }

    /** Packs the problem for the dense kernel of the best backend. */
    static SpmmContender openDense(SpmmProblem problem, Workers team, long lastLevelCache) {
        Backend best = CommonOptions.availableOnHost().getLast();
        return open(new SpmmContender(problem, Planner.DENSE, best, team), lastLevelCache);
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
        int sets = operands.cacheBytes().isPresent()
            ? WorkingSets.count(true, residentBytes(), operands.cacheBytes().getAsLong())
            : WorkingSets.count(SpmmProblem.isDecode(problem.n()), residentBytes(), lastLevelCache);
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
            inputs.add(operands.place(i == 0 ? input : copy(input)));
            outputs.add(operands.place(problem.output(arena)));
        }
    }

    private DenseMatrix copy(DenseMatrix matrix) {
        DenseMatrix copy = DenseMatrix.allocate(arena, matrix.dtype(), matrix.rows(), matrix.cols());
        copy.data().copyFrom(matrix.data());
        return copy;
    }

    private Planner.Planned timedPlan() {
        long start = System.nanoTime();
        Planner.Planned plan = planner.plan(problem, backend, team);
        packMillis.add((System.nanoTime() - start) / 1e6);
        return plan;
    }

    static String name(Backend backend) {
        return ContenderResult.OURS + backend.id();
    }

    @Override
    public String name() {
        return planner == Planner.DENSE ? DENSE : name(backend);
    }

    @Override
    public String kernel() {
        return plans.getFirst().explain().kernel();
    }

    @Override
    public void run() {
        plans.get(next).run().run(inputs.get(next), outputs.get(next));
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

    /** The scalar kernels loop over elements: a run or two compile them, and 50 take most of a report's time. */
    @Override
    public int warmRuns() {
        return backend == Backend.SCALAR ? 3 : CheckedContender.super.warmRuns();
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
        return operands.fetch(outputs.getFirst(), arena);
    }

    @Override
    public void close() {
        plans.forEach(Planner.Planned::close);
        operands.close();
        arena.close();
    }
}
