package dev.filigree.bench;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.Workers;
import dev.filigree.bench.MlpProblem.Skip;
import dev.filigree.bench.measure.Ceilings;
import dev.filigree.bench.measure.Contender;
import dev.filigree.bench.measure.Outcome;
import dev.filigree.bench.measure.SideBySide;
import dev.filigree.bench.peer.PeerException;
import dev.filigree.mlp.MlpWeights;
import dev.filigree.mlp.Skipping;
import java.lang.foreign.Arena;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.ToDoubleFunction;

/** The floors of contextual sparsity: a SwiGLU of 4096 and 14336 features, one thread, weights in memory. */
final class MlpFloors {

    private static final int HIDDEN = 4096;
    private static final int INTERMEDIATE = 14336;
    private static final int RANK = 512;
    private static final long SEED = 1;
    private static final double TOLERANCE = 1e-5;
    private static final Duration WARM_UP = Duration.ofSeconds(2);
    private static final String DENSE = "dense";
    private static final String VECTOR = "vector";
    private static final String BANDWIDTH = "bandwidth";

    private MlpFloors() {}

    /** No floor needs data. */
    static List<Floor> floors(Optional<Path> data) {
        List<Floor> floors = new ArrayList<>();
        Suite f32 = new Suite(DType.F32, 1);
        floors.add(over("mlp-f32-list-10", f32, "list-10", 6, 8.5));
        floors.add(over("mlp-f32-list-30", f32, "list-30", 2.4, 2.9));
        floors.add(over("mlp-f32-predictor-10", f32, "predictor-10", 4.2, 5.5));
        floors.add(over("mlp-f32-gate-10", f32, "gate-10", 2, 2.4));
        floors.add(over("mlp-f32-input-50", f32, "input-50", 1.6, 1.85));
        Suite bf16 = new Suite(DType.BF16, 1);
        floors.add(over("mlp-bf16-list-10", bf16, "list-10", 6, 8.5));
        floors.add(over("mlp-bf16-list-30", bf16, "list-30", 2.4, 2.9));
        floors.add(over("mlp-bf16-predictor-10", bf16, "predictor-10", 4.2, 5.5));
        floors.add(over("mlp-bf16-gate-10", bf16, "gate-10", 2, 2.4));
        floors.add(over("mlp-bf16-input-50", bf16, "input-50", 1.6, 1.85));
        for (int tokens : new int[] {4, 8}) {
            floors.add(over("mlp-f32-tokens-" + tokens, new Suite(DType.F32, tokens), "list-10", 1, 1.5));
            floors.add(over("mlp-bf16-tokens-" + tokens, new Suite(DType.BF16, tokens), "list-10", 1, 1.5));
        }
        floors.add(Floor.of("mlp-vector", "vector over avx512, 10 % listed, f32", 0.55, 0.8, List.of(f32),
            ratio("list-10", VECTOR)));
        floors.add(Floor.of("mlp-dense-path", "our own dense path in f32, share of the measured read bandwidth", 0.9, 1,
            List.of(f32), ratio(BANDWIDTH, DENSE)));
        return floors;
    }

    private static Floor over(String id, Suite suite, String ours, double least, double goal) {
        return Floor.of(id, suite.label() + ", " + ours + " over " + suite.peer(), least, goal, List.of(suite),
            ratio(suite.peer(), ours));
    }

    /** How many times faster the second is than the first. */
    private static ToDoubleFunction<List<FloorCase.Times>> ratio(String of, String over) {
        return times -> {
            Map<String, Double> millis = times.getFirst().millis();
            return millis.getOrDefault(of, Double.NaN) / millis.getOrDefault(over, Double.NaN);
        };
    }

    /**
     * All ways to skip with one type of weights and one number of tokens, side by side in one run.
     *
     * @param dtype of the weights
     * @param tokens of a run; with more than one, lists alone
     */
    private record Suite(DType dtype, int tokens) implements FloorCase {

        @Override
        public String label() {
            return dtype.id() + ", " + tokens + (tokens == 1 ? " token" : " tokens");
        }

        String peer() {
            return dtype == DType.F32 ? "mkl-dense" : "onednn-dense";
        }

        private MlpProblem problem(Skip skip, double active) {
            return new MlpProblem(
                HIDDEN, INTERMEDIATE, MlpProblem.Kind.SWIGLU, active, skip, RANK, tokens, dtype, SEED);
        }

        @Override
        public Times measure(Context context) {
            Map<String, Contender> contenders = new HashMap<>();
            List<String> names = new ArrayList<>();
            try (Workers alone = Workers.of(1)) {
                try {
                    open(context, alone, contenders, names);
                    return times(context, contenders, names);
                } catch (PeerException e) {
                    return Times.failed(label(), peer() + ": " + e.getMessage());
                } finally {
                    contenders.values().forEach(Contender::close);
                }
            }
        }

        private void open(
                Context context, Workers team, Map<String, Contender> contenders, List<String> names) {
            MlpProblem tenth = problem(Skip.LIST, 0.1);
            MlpWeights weights = tenth.weights();
            Backend best = context.backend();
            add(names, contenders, peer(), MlpPeer.open(peer(), tenth, context.onePool()));
            add(names, contenders, "list-10", open(tenth, weights, best, team));
            if (tokens > 1) {
                return;
            }
            add(names, contenders, "list-30", open(problem(Skip.LIST, 0.3), weights, best, team));
            add(names, contenders, "predictor-10", open(problem(Skip.PREDICTOR, 0.1), weights, best, team));
            add(names, contenders, "gate-10", open(problem(Skip.GATE, 0.1), weights, best, team));
            MlpProblem half = problem(Skip.INPUT, 0.5);
            add(names, contenders, "input-50", open(half, half.weights(), best, team));
            add(names, contenders, DENSE, MlpContender.dense(tenth, weights, best, team));
            if (best != Backend.VECTOR && Backend.VECTOR.isAvailable()) {
                add(names, contenders, VECTOR, open(tenth, weights, Backend.VECTOR, team));
            }
        }

        private static void add(
                List<String> names, Map<String, Contender> contenders, String name, Contender contender) {
            names.add(name);
            contenders.put(name, contender);
        }

        private static MlpContender open(MlpProblem problem, MlpWeights weights, Backend backend, Workers team) {
            Skipping skipping;
            try (Arena arena = Arena.ofShared()) {
                skipping = problem.skipping(weights, problem.input(arena, 0));
            }
            return MlpContender.open(problem, weights, skipping, backend, team);
        }

        private Times times(Context context, Map<String, Contender> contenders, List<String> names) {
            // Choosing neurons is Java of its own, which is not warm after a few runs.
            SideBySide.Settings settings =
                new SideBySide.Settings(context.settings().rounds(), WARM_UP, context.settings().batch());
            List<Outcome> outcomes = new SideBySide(settings)
                .measure(names.stream().map(contenders::get).toList(), () -> {});
            Map<String, Double> millis = new HashMap<>();
            List<String> errors = new ArrayList<>();
            for (int i = 0; i < outcomes.size(); i++) {
                switch (outcomes.get(i)) {
                    case Outcome.Timed timed -> millis.put(names.get(i), timed.timing().medianMillis());
                    case Outcome.Failed(String error) -> errors.add(names.get(i) + ": " + error);
                }
                if (contenders.get(names.get(i)) instanceof MlpContender own && !(own.relativeError() <= TOLERANCE)) {
                    errors.add(names.get(i) + ": wrong result");
                }
            }
            boolean wrong = !errors.isEmpty();
            MlpProblem all = problem(Skip.LIST, 1);
            if (tokens == 1) {
                Machine machine = Machine.here();
                Ceilings.measure(1, machine.l2Bytes(), machine.lastLevelCacheBytes()).ifPresent(ceilings ->
                    millis.put(BANDWIDTH, all.weightBytes() / ceilings.memoryGbps() / 1e6));
            }
            return new Times(label(), millis, 0.9, 0, errors.stream().findFirst(), wrong);
        }
    }
}
