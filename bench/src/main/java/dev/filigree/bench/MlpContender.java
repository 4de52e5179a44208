package dev.filigree.bench;

import dev.filigree.Backend;
import dev.filigree.DenseMatrix;
import dev.filigree.Workers;
import dev.filigree.bench.measure.Contender;
import dev.filigree.mlp.ActiveSet;
import dev.filigree.mlp.Mlp;
import dev.filigree.mlp.MlpOptions;
import dev.filigree.mlp.MlpPlan;
import dev.filigree.mlp.MlpPredictor;
import dev.filigree.mlp.MlpWeights;
import dev.filigree.mlp.Skipping;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;

/** One of Filigree's backends on an MLP that skips, or its dense path. */
final class MlpContender implements Contender {

    static final String DENSE = "filigree/dense";

    private final Arena arena = Arena.ofShared();
    private final String name;
    private final MlpProblem problem;
    private final MlpPlan plan;
    private final MlpPredictor predictor;
    private final List<DenseMatrix> inputs = new ArrayList<>();
    private final List<ActiveSet> lists = new ArrayList<>();
    private final DenseMatrix output;
    private final double packMillis;
    private int next;
    private int last;

    private MlpContender(
            String name, MlpProblem problem, MlpWeights weights, Skipping skipping, boolean lists, MlpOptions options) {
        this.name = name;
        this.problem = problem;
        long start = System.nanoTime();
        plan = Mlp.plan(weights, skipping, options);
        boolean predicts = lists && problem.skip() == MlpProblem.Skip.PREDICTOR;
        predictor = predicts
            ? Mlp.predictor(problem.predictorFirst(), problem.predictorSecond(), options) : null;
        packMillis = (System.nanoTime() - start) / 1e6;
        // Thresholds are of the first tokens: others would pass another share.
        boolean byRule = problem.skip() == MlpProblem.Skip.GATE || problem.skip() == MlpProblem.Skip.INPUT;
        for (int turn = 0; turn < (byRule ? 1 : MlpProblem.TURNS); turn++) {
            inputs.add(problem.input(arena, turn));
            if (lists && !byRule) {
                this.lists.add(predicts ? new ActiveSet(problem.intermediate(), problem.tokens())
                    : problem.list(turn));
            }
        }
        output = problem.output(arena);
    }

    /** A backend that skips. */
    static MlpContender open(
            MlpProblem problem, MlpWeights weights, Skipping skipping, Backend backend, Workers team) {
        return new MlpContender(ContenderResult.OURS + backend.id(), problem, weights, skipping, true,
            options(problem, backend, team));
    }

    /** A backend that skips nothing. */
    static MlpContender dense(MlpProblem problem, MlpWeights weights, Backend backend, Workers team) {
        return new MlpContender(DENSE, problem, weights, new Skipping.None(), false,
            options(problem, backend, team));
    }

    private static MlpOptions options(MlpProblem problem, Backend backend, Workers team) {
        return MlpOptions.defaults().backend(backend).workers(team).typicalTokens(problem.tokens());
    }

    /** How far the last run is off. */
    double relativeError() {
        return MlpDoubles.relativeError(plan.weights(), plan.skipping(), lists.isEmpty() ? null : lists.get(last),
            inputs.get(last), output);
    }

    /** Whether this is the dense path. */
    boolean isDense() {
        return name.equals(DENSE);
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public String kernel() {
        return plan.explain().kernel();
    }

    @Override
    public void run() {
        last = next;
        next = next + 1 == inputs.size() ? 0 : next + 1;
        if (predictor != null) {
            predictor.predict(
                inputs.get(last), new MlpPredictor.Choice.Largest(problem.wanted()), lists.get(last));
        }
        if (lists.isEmpty()) {
            plan.run(inputs.get(last), output);
        } else {
            plan.run(inputs.get(last), lists.get(last), output);
        }
    }

    @Override
    public double packMillis() {
        return packMillis;
    }

    @Override
    public long packedBytes() {
        return plan.explain().packedBytes();
    }

    @Override
    public long residentBytes() {
        return packedBytes() + 2L * Float.BYTES * problem.tokens() * problem.hidden();
    }

    @Override
    public void close() {
        plan.close();
        if (predictor != null) {
            predictor.close();
        }
        arena.close();
    }
}
