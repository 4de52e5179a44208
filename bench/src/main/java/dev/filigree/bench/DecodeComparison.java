package dev.filigree.bench;

import dev.filigree.Backend;
import dev.filigree.Refusal;
import dev.filigree.Workers;
import dev.filigree.bench.measure.Outcome;
import dev.filigree.bench.measure.SideBySide;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Backends side by side on one decode over selected keys, and the best of them over all keys. */
final class DecodeComparison {

    private DecodeComparison() {}

    static AttentionComparison run(DecodeProblem problem, List<Backend> backends, List<String> peers, Workers team,
            SideBySide.Settings settings, Runnable afterRound) {
        List<ContenderResult> results = new ArrayList<>();
        List<DecodeContender> contenders = new ArrayList<>();
        Backend best = null;
        try (DecodeCaches caches = new DecodeCaches(problem, Machine.here().lastLevelCacheBytes())) {
            for (Backend backend : backends) {
                Optional<Refusal> refusal = backend.unavailabilityCause();
                if (refusal.isPresent() || backend == Backend.CUDA) {
                    results.add(AttentionComparison.refused(backend, refusal));
                } else {
                    contenders.add(DecodeContender.open(caches, backend, team));
                    best = best == null || backend.compareTo(best) > 0 ? backend : best;
                }
            }
            if (best != null) {
                contenders.add(DecodeContender.dense(caches, best, team));
            }
            try {
                List<Outcome> outcomes = new SideBySide(settings).measure(contenders, afterRound);
                for (int i = 0; i < contenders.size(); i++) {
                    results.add(contenders.get(i).judge(outcomes.get(i)));
                }
            } finally {
                contenders.forEach(DecodeContender::close);
            }
        }
        for (String peer : peers) {
            results.add(new ContenderResult.Failure(peer, "it reads no paged cache", false));
        }
        return new AttentionComparison(results);
    }
}
