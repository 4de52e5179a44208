package dev.filigree.bench;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import dev.filigree.Backend;
import dev.filigree.Refusal;
import dev.filigree.Workers;
import dev.filigree.bench.measure.Contender;
import dev.filigree.bench.measure.FmaCeiling;
import dev.filigree.bench.measure.Outcome;
import dev.filigree.bench.measure.SideBySide;
import dev.filigree.bench.measure.Timing;
import dev.filigree.bench.peer.PeerException;
import dev.filigree.bench.peer.PeerPool;
import dev.filigree.suite.attention.AttentionCase;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Backends side by side on one attention, the dense path of the best of them, and other libraries: timed, and what the
 * last of the timed runs wrote checked on some rows of every head.
 *
 * @param results one for each contender
 */
record AttentionComparison(List<ContenderResult> results) {

    AttentionComparison {
        results = List.copyOf(results);
    }

    /** @param pool of as many threads as the team has; unused without peers */
    static AttentionComparison run(AttentionCase problem, List<Backend> backends, List<String> peers, PeerPool pool,
            Workers team, SideBySide.Settings settings, Runnable afterRound) {
        List<ContenderResult> results = new ArrayList<>();
        List<AttentionEntrant> entrants = new ArrayList<>();
        Backend best = null;
        try (FmaCeiling ceiling = new FmaCeiling(team.threads())) {
            for (Backend backend : backends) {
                Optional<Refusal> refusal = backend.unavailabilityCause();
                if (refusal.isPresent() || backend == Backend.CUDA) {
                    results.add(refused(backend, refusal));
                } else {
                    entrants.add(new AttentionEntrant(AttentionContender.open(problem, backend, team), problem));
                    best = best == null || backend.compareTo(best) > 0 ? backend : best;
                }
            }
            if (best != null) {
                entrants.add(AttentionContender.dense(problem, best, team));
            }
            for (String peer : peers) {
                try {
                    entrants.add(AttentionPeers.open(peer, problem, pool));
                } catch (PeerException e) {
                    results.add(new ContenderResult.Failure(peer, e.getMessage(), false));
                }
            }
            List<Contender> measured = new ArrayList<>(entrants.stream().map(AttentionEntrant::contender).toList());
            if (entrants.stream().anyMatch(entrant -> DensePeers.isDense(entrant.contender().name()))) {
                measured.add(ceiling);
            }
            List<Outcome> outcomes = new SideBySide(settings).measure(measured, afterRound);
            for (int i = 0; i < entrants.size(); i++) {
                ContenderResult result = entrants.get(i).judge(outcomes.get(i));
                if (measured.size() > entrants.size() && outcomes.getLast() instanceof Outcome.Timed(Timing timing)) {
                    result = DensePeers.flag(result, entrants.get(i).flops(), ceiling.gflops(timing));
                }
                results.add(result);
            }
            return new AttentionComparison(results);
        } finally {
            entrants.forEach(entrant -> entrant.contender().close());
        }
    }

    /** Why a backend takes no part. */
    static ContenderResult refused(Backend backend, Optional<Refusal> refusal) {
        String reason = refusal.map(r -> r.reason() + " (" + r.cure() + ")")
            .orElse("operands in device memory are not built in yet");
        return new ContenderResult.Failure(ContenderResult.OURS + backend.id(), reason, false);
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
