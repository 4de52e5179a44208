package dev.filigree.bench;

import dev.filigree.Activation;
import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.Layout;
import dev.filigree.Workers;
import dev.filigree.bench.measure.Contender;
import dev.filigree.bench.measure.Outcome;
import dev.filigree.bench.measure.ReadCeiling;
import dev.filigree.bench.measure.SideBySide;
import dev.filigree.bench.measure.WorkingSets;
import dev.filigree.format.NmMatrix;
import dev.filigree.format.NmPattern;
import java.lang.foreign.Arena;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Our own dense path in bf16 on one token, one thread, beside reading as many bytes as its weights have in the same
 * rounds: what memory delivers changes from one minute to the next.
 *
 * @param rows of the weight
 * @param cols of the weight
 */
record NmStreamCase(int rows, int cols) implements FloorCase {

    /** What the time is compared with. */
    static final String READING = "reading";

    @Override
    public String label() {
        return rows + " x " + cols + " dense bf16 T=1";
    }

    @Override
    public Times measure(Context context) {
        if (!Backend.VECTOR.isAvailable()) {
            return Times.failed(label(), "without the Vector API the bandwidth is not measured");
        }
        NmMatrix a;
        try (Arena arena = Arena.ofConfined()) {
            a = NmMatrix.pruned(RandomMatrices.dense(arena, rows, cols, NmFloorCase.SEED), NmPattern.of(1, 1));
        }
        SpmmProblem problem = new SpmmProblem(NmEntries.of(a, DType.BF16), 1, Layout.TOKEN_MAJOR, Activation.NONE,
            NmFloorCase.SEED, Optional.empty(), DType.BF16);
        long cache = Machine.here().lastLevelCacheBytes();
        try (Workers alone = Workers.of(1);
                SpmmContender ours = SpmmContender.open(problem, Planner.nm(a), context.backend(), alone, cache);
                Contender reading = new ReadCeiling((long) DType.BF16.bytes() * rows * cols,
                    WorkingSets.CACHE_MULTIPLE * cache)) {
            List<Outcome> outcomes = new SideBySide(context.settings()).measure(List.of(ours, reading), () -> {});
            ContenderResult judged = SpmmComparison.judge(problem, List.of(ours), outcomes.subList(0, 1)).getFirst();
            Map<String, Double> millis = new HashMap<>();
            Optional<String> error = Optional.empty();
            if (outcomes.getLast() instanceof Outcome.Timed(var timing)) {
                millis.put(READING, timing.medianMillis());
            }
            switch (judged) {
                case ContenderResult.Figures figures -> millis.put(Times.OURS, figures.timing().medianMillis());
                case ContenderResult.Failure failure -> error = Optional.of(failure.name() + ": " + failure.error());
            }
            return new Times(label(), millis, 0, problem.a().nnz(), error, error.isPresent());
        }
    }
}
