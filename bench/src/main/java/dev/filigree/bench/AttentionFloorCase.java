package dev.filigree.bench;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.Workers;
import dev.filigree.attention.AttentionOptions;
import dev.filigree.bench.measure.Contender;
import dev.filigree.bench.measure.Outcome;
import dev.filigree.bench.measure.SideBySide;
import dev.filigree.bench.peer.PeerException;
import dev.filigree.format.BlockGrid;
import dev.filigree.format.BlockMask;
import dev.filigree.suite.attention.AttentionCase;
import java.time.Duration;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Attention of 4096 tokens by all who take part, side by side in one run: our dense path, shares of the blocks,
 * and the other libraries.
 *
 * @param dim of a head
 * @param causal whether the keys after a query do not count
 * @param dtype of all operands
 */
record AttentionFloorCase(int dim, boolean causal, DType dtype) implements FloorCase {

    /** Our dense path. */
    static final String DENSE = "dense";
    /** The same by the Vector API. */
    static final String VECTOR = "vector";
    /** The shares of blocks that are measured without causality. */
    static final List<Integer> PERCENTS = List.of(25, 10, 5);
    /** The one that is measured with it. */
    static final int CAUSAL_PERCENT = 10;

    private static final int TOKENS = 4096;
    private static final int HEADS = 8;
    private static final int BLOCK = 64;
    private static final long SEED = 1;
    private static final Duration WARM_UP = Duration.ofMillis(500);

    /** Our kernel over a share of the blocks. */
    static String sparse(int percent) {
        return "sparse-" + percent;
    }

    @Override
    public String label() {
        return TOKENS + " tokens, dim " + dim + (causal ? ", causal" : "") + ", " + dtype.id();
    }

    private AttentionCase problem(int percent) {
        BlockMask mask = AttentionLayouts.random(BlockGrid.square(TOKENS, BLOCK), percent / 100.0, causal, SEED);
        AttentionOptions options = AttentionOptions.defaults().dtype(dtype).causal(causal);
        return new AttentionCase(SEED, mask, 1, HEADS, HEADS, dim, options, null, AttentionCase.Axes.HEAD_MAJOR, AttentionCase.Place.SHARED);
    }

    @Override
    public Times measure(Context context) {
        Map<String, AttentionEntrant> entrants = new LinkedHashMap<>();
        Map<String, String> absent = new HashMap<>();
        try (Workers alone = Workers.of(1)) {
            AttentionCase all = problem(100);
            entrants.put(DENSE, AttentionContender.dense(all, context.backend(), alone));
            for (int percent : causal ? List.of(CAUSAL_PERCENT) : PERCENTS) {
                AttentionCase some = problem(percent);
                entrants.put(sparse(percent),
                    new AttentionEntrant(AttentionContender.open(some, context.backend(), alone), some));
            }
            if (context.backend() == Backend.AVX512 && Backend.VECTOR.isAvailable()) {
                entrants.put(VECTOR, AttentionContender.dense(all, Backend.VECTOR, alone));
            } else {
                absent.put(VECTOR, "there are no two backends to compare here");
            }
            for (String peer : PeerNames.ATTENTION) {
                if (causal || !peer.contains("sparse")) {
                    try {
                        entrants.put(peer, AttentionPeers.open(peer, problem(CAUSAL_PERCENT), context.onePool()));
                    } catch (PeerException e) {
                        absent.put(peer, e.getMessage());
                    }
                }
            }
            return times(entrants, absent, context.settings());
        } finally {
            entrants.values().forEach(entrant -> entrant.contender().close());
        }
    }

    private Times times(
            Map<String, AttentionEntrant> entrants, Map<String, String> absent, SideBySide.Settings settings) {
        List<Contender> contenders = entrants.values().stream().map(AttentionEntrant::contender).toList();
        List<Outcome> outcomes =
            new SideBySide(new SideBySide.Settings(settings.rounds(), WARM_UP, settings.batch()))
                .measure(contenders, () -> {});
        Map<String, Double> millis = new HashMap<>();
        Optional<String> wrong = Optional.empty();
        int i = 0;
        for (Map.Entry<String, AttentionEntrant> entrant : entrants.entrySet()) {
            switch (entrant.getValue().judge(outcomes.get(i++))) {
                case ContenderResult.Figures figures ->
                    millis.put(entrant.getKey(), figures.timing().medianMillis());
                case ContenderResult.Failure failure -> {
                    absent.put(entrant.getKey(), failure.error());
                    wrong = failure.wrong() ? Optional.of(entrant.getKey() + ": " + failure.error()) : wrong;
                }
            }
        }
        return new Times(label(), millis, 0, 0, wrong, wrong.isPresent(), absent);
    }
}
