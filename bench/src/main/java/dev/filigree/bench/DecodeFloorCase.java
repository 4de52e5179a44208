package dev.filigree.bench;

import dev.filigree.DType;
import dev.filigree.Workers;
import dev.filigree.bench.measure.Contender;
import dev.filigree.bench.measure.Outcome;
import dev.filigree.bench.measure.ReadCeiling;
import dev.filigree.bench.measure.SideBySide;
import dev.filigree.bench.measure.Timing;
import dev.filigree.bench.measure.WorkingSets;
import java.time.Duration;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Decode over a cache of 32768 keys of 8 heads in memory: all of them, a tenth of the blocks, and a loop that reads as
 * much memory as the cache takes.
 *
 * @param dtype of the cache
 */
record DecodeFloorCase(DType dtype) implements FloorCase {

    /** All keys. */
    static final String DENSE = "dense";
    /** A tenth of the blocks. */
    static final String SPARSE = "sparse";
    /** What {@link #DENSE} is compared with. */
    static final String READING = "reading";

    private static final DecodeProblem PROBLEM_F32 = new DecodeProblem(32768, 8, 8, 128, 64, 64, 0.1, DType.F32, 1);
    private static final Duration WARM_UP = Duration.ofSeconds(1);

    @Override
    public String label() {
        return "decode over " + PROBLEM_F32.seq() + " keys in " + dtype.id();
    }

    @Override
    public Times measure(Context context) {
        DecodeProblem problem = PROBLEM_F32.in(dtype);
        if (ModuleLayer.boot().findModule("jdk.incubator.vector").isEmpty()) {
            return Times.failed(label(), "without the Vector API the bandwidth is not measured");
        }
        SideBySide.Settings settings =
            new SideBySide.Settings(context.settings().rounds(), WARM_UP, context.settings().batch());
        long cache = Machine.here().lastLevelCacheBytes();
        Map<String, Contender> contenders = new LinkedHashMap<>();
        try (Workers alone = Workers.of(1); DecodeCaches caches = new DecodeCaches(problem, cache)) {
            contenders.put(SPARSE, DecodeContender.open(caches, context.backend(), alone));
            contenders.put(DENSE, DecodeContender.dense(caches, context.backend(), alone));
            contenders.put(READING, new ReadCeiling(problem.cacheBytes(), WorkingSets.CACHE_MULTIPLE * cache));
            try {
                return times(contenders, new SideBySide(settings).measure(
                    List.copyOf(contenders.values()), () -> {}));
            } finally {
                contenders.values().forEach(Contender::close);
            }
        }
    }

    private Times times(Map<String, Contender> contenders, List<Outcome> outcomes) {
        Map<String, Double> millis = new HashMap<>();
        Optional<String> error = Optional.empty();
        int i = 0;
        for (Map.Entry<String, Contender> entry : contenders.entrySet()) {
            Outcome outcome = outcomes.get(i++);
            if (outcome instanceof Outcome.Timed(Timing timing)) {
                millis.put(entry.getKey(), timing.medianMillis());
            }
            if (entry.getValue() instanceof DecodeContender own
                    && own.judge(outcome) instanceof ContenderResult.Failure failure) {
                error = Optional.of(failure.name() + ": " + failure.error());
            }
        }
        return new Times(label(), millis, 0, 0, error, error.isPresent());
    }
}
