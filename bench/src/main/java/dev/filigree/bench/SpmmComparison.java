package dev.filigree.bench;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Refusal;
import dev.filigree.Workers;
import dev.filigree.bench.measure.CheckedContender;
import dev.filigree.bench.measure.Contender;
import dev.filigree.bench.measure.FmaCeiling;
import dev.filigree.bench.measure.Outcome;
import dev.filigree.bench.measure.SideBySide;
import dev.filigree.bench.measure.Timing;
import dev.filigree.bench.peer.PeerException;
import dev.filigree.bench.peer.PeerPool;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Backends side by side on one product with a sparse matrix: timed, and what the last of the timed runs wrote checked.
 *
 * @param results one for each backend that was asked for, in that order, then that of the dense path
 * @param workingSets how many copies of matrix and operands each contender took in turn
 */
record SpmmComparison(List<ContenderResult> results, int workingSets) {

    private static final double PEER_TOLERANCE = 1e-5;
    private static final double PEER_TOLERANCE_BF16 = 0x1p-8;

    SpmmComparison {
        results = List.copyOf(results);
    }

    /** Runs backends alone. */
    static SpmmComparison run(SpmmProblem problem, List<Backend> backends, Workers team,
            SideBySide.Settings settings, Runnable afterRound) {
        return run(problem, SpmmEntrants.of(backends), team, settings, afterRound);
    }

    /** Runs SpMM on backends, the dense path and peers, as far as they were asked for. */
    static SpmmComparison run(SpmmProblem problem, SpmmEntrants entrants, Workers team,
            SideBySide.Settings settings, Runnable afterRound) {
        return run(problem, Planner.SPMM, entrants, team, settings, afterRound);
    }

    /**
     * Runs backends, the dense path and peers, as far as they were asked for.
     *
     * @param planner the operation by which the backends compute the product
     * @param entrants peers run on as many threads as the team has
     */
    static SpmmComparison run(SpmmProblem problem, Planner planner, SpmmEntrants entrants, Workers team,
            SideBySide.Settings settings, Runnable afterRound) {
        List<ContenderResult> results = new ArrayList<>();
        List<CheckedContender> contenders = new ArrayList<>();
        try (FmaCeiling ceiling = new FmaCeiling(team.threads())) {
            long cache = Machine.here().lastLevelCacheBytes();
            for (Backend backend : entrants.backends()) {
                results.add(enter(problem, planner, backend, team, cache, contenders));
            }
            if (entrants.dense()) {
                contenders.add(SpmmContender.openDense(problem, team, cache));
                results.add(null);
            }
            for (String peer : entrants.peers()) {
                results.add(enter(problem, peer, entrants.pool(), cache, contenders));
            }
            List<Contender> measured = new ArrayList<>(contenders);
            if (contenders.stream().anyMatch(contender -> DensePeers.isDense(contender.name()))) {
                measured.add(ceiling);
            }
            List<Outcome> outcomes = new SideBySide(settings).measure(measured, afterRound);
            List<ContenderResult> judged = judge(problem, contenders, outcomes);
            if (measured.size() > contenders.size() && outcomes.getLast() instanceof Outcome.Timed(Timing timing)) {
                judged = DensePeers.flag(judged, problem, ceiling.gflops(timing));
            }
            int entered = 0;
            for (int i = 0; i < results.size(); i++) {
                if (results.get(i) == null) {
                    results.set(i, judged.get(entered++));
                }
            }
            int workingSets = contenders.stream().mapToInt(CheckedContender::workingSets).max().orElse(0);
            return new SpmmComparison(results, workingSets);
        } finally {
            contenders.forEach(Contender::close);
        }
    }

    /** Null when the peer has entered, otherwise why it cannot. */
    private static ContenderResult enter(SpmmProblem problem, String peer, PeerPool pool, long cache,
            List<CheckedContender> contenders) {
        try {
            contenders.add(pool.open(peer, problem.peerShape(), problem::writeTo,
                SpmmProblem.isDecode(problem.n()) ? cache : 0));
            return null;
        } catch (PeerException e) {
            return new ContenderResult.Failure(peer, e.getMessage(), false);
        }
    }

    /** Null when the backend has entered, otherwise why it cannot. */
    private static ContenderResult enter(SpmmProblem problem, Planner planner, Backend backend, Workers team,
            long cache, List<CheckedContender> contenders) {
        String name = SpmmContender.name(backend);
        if (backend.unavailabilityCause().isPresent()) {
            Refusal refusal = backend.unavailabilityCause().get();
            return new ContenderResult.Failure(name, refusal.reason() + " (" + refusal.cure() + ")", false);
        }
        try {
            contenders.add(SpmmContender.open(problem, planner, backend, team, cache));
            return null;
        } catch (UnsupportedOperationException | IllegalArgumentException e) {
            return new ContenderResult.Failure(name, e.getMessage(), false);
        }
    }

    /** What each contender did in the measurement, once its output is compared with the sums in double. */
    static List<ContenderResult> judge(SpmmProblem problem, List<CheckedContender> contenders,
            List<Outcome> outcomes) {
        List<ContenderResult> results = new ArrayList<>();
        List<DenseMatrix> outputs = new ArrayList<>();
        List<Integer> timed = new ArrayList<>();
        for (int i = 0; i < contenders.size(); i++) {
            results.add(null);
            try {
                if (outcomes.get(i) instanceof Outcome.Failed(String error)) {
                    results.set(i, failure(contenders.get(i), error));
                } else {
                    outputs.add(contenders.get(i).output());
                    timed.add(i);
                }
            } catch (PeerException e) {
                results.set(i, failure(contenders.get(i), e.getMessage()));
            }
        }
        if (timed.isEmpty()) {
            return results;
        }
        List<SpmmDoubleReference.Verdict> verdicts;
        try (Arena arena = Arena.ofShared()) {
            // The numbers afresh: a contender that wrote to its input must not spoil its own reference.
            verdicts = new SpmmDoubleReference(problem, problem.input(arena)).check(outputs);
        }
        for (int i = 0; i < timed.size(); i++) {
            int index = timed.get(i);
            Timing timing = ((Outcome.Timed) outcomes.get(index)).timing();
            results.set(index, judge(problem, contenders.get(index), timing, verdicts.get(i)));
        }
        return results;
    }

    /** What a library fails at is no failure of ours. */
    private static ContenderResult failure(CheckedContender contender, String error) {
        String text = error.replace(PeerException.class.getName() + ": ", "");
        return new ContenderResult.Failure(contender.name(), text, contender instanceof SpmmContender);
    }

    private static ContenderResult judge(SpmmProblem problem, CheckedContender contender, Timing timing,
            SpmmDoubleReference.Verdict verdict) {
        boolean ours = contender instanceof SpmmContender;
        // Of a peer's sums and functions nothing is promised but that they are right.
        boolean right = ours ? verdict.mismatch().isEmpty() : verdict.relativeError() <= (problem.dtype() == DType.F32
            ? PEER_TOLERANCE : PEER_TOLERANCE_BF16);
        if (!right) {
            return failure(contender, "wrong result: " + verdict.mismatch()
                .orElse("relative error " + verdict.relativeError()));
        }
        double nanos = timing.medianMillis() * 1e6;
        return new ContenderResult.Figures(contender.name(), contender.kernel(), timing, problem.flops() / nanos,
            contender.residentBytes() / nanos, verdict.relativeError(), contender.packMillis(),
            contender.packedBytes(), contender.residentBytes(), Optional.empty());
    }

    /** How many results were wrong. */
    int wrong() {
        return (int) results.stream()
            .filter(result -> result instanceof ContenderResult.Failure failure && failure.wrong()).count();
    }

    /** How many contenders have no figures, for whatever reason. */
    int failures() {
        return (int) results.stream().filter(result -> result instanceof ContenderResult.Failure).count();
    }

    /** The object that the command line's contract describes. */
    JsonObject toJson(JsonObject caseJson) {
        return toJson("spmm", caseJson);
    }

    /** The same, of another operation. */
    JsonObject toJson(String operation, JsonObject caseJson) {
        JsonObject json = new JsonObject();
        json.addProperty("op", operation);
        json.add("case", caseJson);
        JsonArray lines = new JsonArray();
        results.forEach(result -> lines.add(result.toJson()));
        json.add("results", lines);
        return json;
    }
}
