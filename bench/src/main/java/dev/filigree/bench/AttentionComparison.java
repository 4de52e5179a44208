package dev.filigree.bench;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import dev.filigree.Backend;
import dev.filigree.Refusal;
import dev.filigree.Workers;
import dev.filigree.bench.measure.Outcome;
import dev.filigree.bench.measure.SideBySide;
import dev.filigree.bench.measure.Timing;
import dev.filigree.suite.attention.AttentionCase;
import dev.filigree.suite.attention.AttentionReference;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Backends side by side on one attention, and the dense path of the best of them: timed, and what the last of the timed
 * runs wrote checked on some rows of every head.
 *
 * @param results one for each contender
 */
record AttentionComparison(List<ContenderResult> results) {

    /** Rows of each head that are compared with the reference in double: 13 divides no block size. */
    private static final int CHECKED_ROWS = 13;

    AttentionComparison {
        results = List.copyOf(results);
    }

    static AttentionComparison run(AttentionCase problem, List<Backend> backends, Workers team,
            SideBySide.Settings settings, Runnable afterRound) {
        List<ContenderResult> results = new ArrayList<>();
        List<AttentionContender> contenders = new ArrayList<>();
        Backend best = null;
        try {
            for (Backend backend : backends) {
                Optional<Refusal> refusal = backend.unavailabilityCause();
                if (refusal.isPresent() || backend == Backend.CUDA) {
                    String reason = refusal.map(r -> r.reason() + " (" + r.cure() + ")")
                        .orElse("operands in device memory are not built in yet");
                    results.add(new ContenderResult.Failure("filigree/" + backend.id(), reason, false));
                } else {
                    contenders.add(AttentionContender.open(problem, backend, team));
                    best = best == null || backend.compareTo(best) > 0 ? backend : best;
                }
            }
            if (best != null) {
                contenders.add(AttentionContender.dense(problem, best, team));
            }
            List<Outcome> outcomes = new SideBySide(settings).measure(contenders, afterRound);
            for (int i = 0; i < contenders.size(); i++) {
                AttentionCase own = i + 1 == contenders.size() ? AttentionContender.denseProblem(problem) : problem;
                results.add(judge(own, contenders.get(i), outcomes.get(i)));
            }
            return new AttentionComparison(results);
        } finally {
            contenders.forEach(AttentionContender::close);
        }
    }

    private static ContenderResult judge(AttentionCase problem, AttentionContender contender, Outcome outcome) {
        if (outcome instanceof Outcome.Failed failed) {
            return new ContenderResult.Failure(contender.name(), failed.error(), true);
        }
        Timing timing = ((Outcome.Timed) outcome).timing();
        int queries = problem.mask().grid().queries();
        int stride = Math.max(1, queries / CHECKED_ROWS);
        try (Arena arena = Arena.ofShared()) {
            AttentionReference reference = new AttentionReference(problem, problem.queries(arena),
                problem.keys(arena), problem.values(arena), row -> row % queries % stride == 0);
            Optional<String> mismatch =
                reference.mismatch(contender.outputs().out(), contender.outputs().lse());
            if (mismatch.isPresent()) {
                return new ContenderResult.Failure(contender.name(), "wrong result: " + mismatch.get(), true);
            }
            double nanos = timing.medianMillis() * 1e6;
            return new ContenderResult.Figures(contender.name(), contender.kernel(), timing,
                contender.flops(problem) / nanos, contender.residentBytes() / nanos,
                reference.relativeError(contender.outputs().out()), contender.packMillis(), contender.packedBytes(),
                contender.residentBytes(), Optional.empty());
        }
    }

    /** How many results were wrong. */
    int wrong() {
        return (int) results.stream()
            .filter(result -> result instanceof ContenderResult.Failure failure && failure.wrong()).count();
    }

    /** The object that the command line's contract describes. */
    JsonObject toJson(JsonObject caseJson) {
        JsonObject json = new JsonObject();
        json.addProperty("op", "attention");
        json.add("case", caseJson);
        JsonArray lines = new JsonArray();
        results.forEach(result -> lines.add(result.toJson()));
        json.add("results", lines);
        return json;
    }
}
