package dev.filigree.bench;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.Refusal;
import dev.filigree.Workers;
import dev.filigree.bench.measure.Contender;
import dev.filigree.bench.measure.Outcome;
import dev.filigree.bench.measure.SideBySide;
import dev.filigree.bench.measure.Timing;
import dev.filigree.bench.peer.PeerException;
import dev.filigree.bench.peer.PeerPool;
import dev.filigree.mlp.MlpWeights;
import dev.filigree.mlp.Skipping;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Backends side by side on one MLP that skips, the dense path of the best of them, and dense products of other
 * libraries: timed, and what the last of the timed runs wrote checked.
 *
 * @param results one for each contender
 */
record MlpComparison(List<ContenderResult> results) {

    private static final double TOLERANCE = 1e-5;
    /** Peers that multiply in bf16 round their results to it. */
    private static final double BF16_TOLERANCE = 0x1p-8;

    MlpComparison {
        results = List.copyOf(results);
    }

    static MlpComparison run(MlpProblem problem, List<Backend> backends, boolean dense, List<String> peers,
            PeerPool pool, Workers team, SideBySide.Settings settings, Runnable afterRound) {
        List<ContenderResult> results = new ArrayList<>();
        List<Contender> contenders = new ArrayList<>();
        MlpWeights weights = problem.weights();
        Skipping skipping;
        try (Arena arena = Arena.ofShared()) {
            skipping = problem.skipping(weights, problem.input(arena, 0));
        }
        Backend best = null;
        try {
            for (Backend backend : backends) {
                Optional<Refusal> refusal = backend.unavailabilityCause();
                if (refusal.isPresent() || backend == Backend.CUDA) {
                    String reason = refusal.map(r -> r.reason() + " (" + r.cure() + ")")
                        .orElse("operands in device memory are not built in yet");
                    results.add(new ContenderResult.Failure(ContenderResult.OURS + backend.id(), reason, false));
                } else {
                    contenders.add(MlpContender.open(problem, weights, skipping, backend, team));
                    best = best == null || backend.compareTo(best) > 0 ? backend : best;
                }
            }
            if (dense && best != null) {
                contenders.add(MlpContender.dense(problem, weights, best, team));
            }
            for (String peer : peers) {
                enter(peer, problem, pool, contenders, results);
            }
            List<Outcome> outcomes = new SideBySide(settings).measure(contenders, afterRound);
            for (int i = 0; i < contenders.size(); i++) {
                results.add(judge(problem, contenders.get(i), outcomes.get(i)));
            }
            return new MlpComparison(results);
        } finally {
            contenders.forEach(Contender::close);
        }
    }

    private static void enter(String peer, MlpProblem problem, PeerPool pool, List<Contender> contenders,
            List<ContenderResult> results) {
        if (!DensePeers.isDense(peer)) {
            results.add(new ContenderResult.Failure(peer, "no peer of an MLP: its weights are dense", false));
            return;
        }
        try {
            contenders.add(MlpPeer.open(peer, problem, pool));
        } catch (PeerException e) {
            results.add(new ContenderResult.Failure(peer, e.getMessage(), false));
        }
    }

    private static ContenderResult judge(MlpProblem problem, Contender contender, Outcome outcome) {
        if (outcome instanceof Outcome.Failed(String error)) {
            return new ContenderResult.Failure(contender.name(), error, contender instanceof MlpContender);
        }
        Timing timing = ((Outcome.Timed) outcome).timing();
        boolean skips = contender instanceof MlpContender own && !own.isDense();
        double error = contender instanceof MlpContender own ? own.relativeError()
            : ((MlpPeer) contender).relativeError();
        boolean rounds = contender instanceof MlpPeer && problem.dtype() == DType.BF16;
        if (!(error <= (rounds ? BF16_TOLERANCE : TOLERANCE))) {
            return new ContenderResult.Failure(contender.name(), "wrong result: relative error " + error,
                contender instanceof MlpContender);
        }
        double dense = 2.0 * problem.tokens() * problem.weightBytes() / problem.dtype().bytes();
        double flops = skips ? problem.flops() : dense;
        double bytes = skips ? problem.bytes() : problem.weightBytes();
        double nanos = timing.medianMillis() * 1e6;
        return new ContenderResult.Figures(contender.name(), contender.kernel(), timing, flops / nanos, bytes / nanos,
            error, contender.packMillis(), contender.packedBytes(), contender.residentBytes(), Optional.empty());
    }

    long wrong() {
        return results.stream()
            .filter(result -> result instanceof ContenderResult.Failure failure && failure.wrong()).count();
    }

    JsonObject toJson(JsonObject describes) {
        JsonObject object = new JsonObject();
        object.addProperty("op", "mlp");
        object.add("case", describes);
        JsonArray lines = new JsonArray();
        results.forEach(result -> lines.add(result.toJson()));
        object.add("results", lines);
        return object;
    }
}
