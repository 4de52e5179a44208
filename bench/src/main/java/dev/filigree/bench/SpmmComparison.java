package dev.filigree.bench;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import dev.filigree.Backend;
import dev.filigree.DenseMatrix;
import dev.filigree.Refusal;
import dev.filigree.Workers;
import dev.filigree.bench.measure.Outcome;
import dev.filigree.bench.measure.SideBySide;
import dev.filigree.bench.measure.Timing;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;

/**
 * Backends side by side on one SpMM: timed, and what the last of the timed runs wrote checked.
 *
 * @param results one for each backend that was asked for, in that order
 * @param workingSets how many copies of matrix and operands each contender took in turn
 */
record SpmmComparison(List<ContenderResult> results, int workingSets) {

    SpmmComparison {
        results = List.copyOf(results);
    }

    static SpmmComparison run(SpmmProblem problem, List<Backend> backends, Workers team,
            SideBySide.Settings settings, Runnable afterRound) {
        return run(problem, Planner.SPMM, backends, team, settings, afterRound);
    }

    /** With any operation that computes the same product. */
    static SpmmComparison run(SpmmProblem problem, Planner planner, List<Backend> backends, Workers team,
            SideBySide.Settings settings, Runnable afterRound) {
        List<ContenderResult> results = new ArrayList<>();
        List<SpmmContender> contenders = new ArrayList<>();
        try {
            long cache = Machine.here().lastLevelCacheBytes();
            for (Backend backend : backends) {
                results.add(enter(problem, planner, backend, team, cache, contenders));
            }
            List<Outcome> outcomes = new SideBySide(settings).measure(contenders, afterRound);
            List<ContenderResult> measured = judge(problem, contenders, outcomes);
            int entered = 0;
            for (int i = 0; i < results.size(); i++) {
                if (results.get(i) == null) {
                    results.set(i, measured.get(entered++));
                }
            }
            int workingSets = contenders.stream().mapToInt(SpmmContender::workingSets).max().orElse(0);
            return new SpmmComparison(results, workingSets);
        } finally {
            contenders.forEach(SpmmContender::close);
        }
    }

    /** Null when the backend has entered, otherwise why it cannot. */
    private static ContenderResult enter(SpmmProblem problem, Planner planner, Backend backend, Workers team,
            long cache, List<SpmmContender> contenders) {
        String name = SpmmContender.name(backend);
        if (backend.unavailabilityCause().isPresent()) {
            Refusal refusal = backend.unavailabilityCause().get();
            return new ContenderResult.Failure(name, refusal.reason() + " (" + refusal.cure() + ")", false);
        }
        if (backend == Backend.CUDA) {
            return new ContenderResult.Failure(name, "operands in device memory are not built in yet", false);
        }
        try {
            contenders.add(SpmmContender.open(problem, planner, backend, team, cache));
            return null;
        } catch (UnsupportedOperationException | IllegalArgumentException e) {
            return new ContenderResult.Failure(name, e.getMessage(), false);
        }
    }

    private static List<ContenderResult> judge(SpmmProblem problem, List<SpmmContender> contenders,
            List<Outcome> outcomes) {
        if (contenders.isEmpty()) {
            return List.of();
        }
        List<DenseMatrix> outputs = contenders.stream().map(SpmmContender::output).toList();
        List<SpmmDoubleReference.Verdict> verdicts;
        try (Arena arena = Arena.ofShared()) {
            // The numbers afresh: a contender that wrote to its input must not spoil its own reference.
            verdicts = new SpmmDoubleReference(problem, problem.input(arena)).check(outputs);
        }
        List<ContenderResult> results = new ArrayList<>();
        for (int i = 0; i < contenders.size(); i++) {
            results.add(judge(problem, contenders.get(i), outcomes.get(i), verdicts.get(i)));
        }
        return results;
    }

    private static ContenderResult judge(SpmmProblem problem, SpmmContender contender, Outcome outcome,
            SpmmDoubleReference.Verdict verdict) {
        return switch (outcome) {
            case Outcome.Failed failed -> new ContenderResult.Failure(contender.name(), failed.error(), true);
            case Outcome.Timed timed when verdict.mismatch().isPresent() -> new ContenderResult.Failure(
                contender.name(), "wrong result: " + verdict.mismatch().get(), true);
            case Outcome.Timed(Timing timing) -> {
                double nanos = timing.medianMillis() * 1e6;
                yield new ContenderResult.Figures(contender.name(), contender.kernel(), timing,
                    problem.flops() / nanos, contender.residentBytes() / nanos, verdict.relativeError(),
                    contender.packMillis(), contender.packedBytes(), contender.residentBytes());
            }
        };
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
