package dev.filigree.bench;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.Workers;
import dev.filigree.bench.MlpProblem.Skip;
import dev.filigree.bench.measure.Contender;
import dev.filigree.bench.measure.Outcome;
import dev.filigree.bench.measure.ReadCeiling;
import dev.filigree.bench.measure.SideBySide;
import dev.filigree.bench.peer.PeerException;
import dev.filigree.mlp.MlpWeights;
import dev.filigree.mlp.Skipping;
import java.lang.foreign.Arena;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A SwiGLU of 4096 and 14336 features on one thread, its weights in memory, beside what it is compared with.
 *
 * @param dtype of the weights
 * @param tokens of a run
 * @param skip how ours knows what to skip
 * @param active the share of neurons, or inputs, that a token needs; 1: all, by our dense path
 * @param other what it is compared with
 */
record MlpFloorCase(DType dtype, int tokens, Skip skip, double active, Other other) implements FloorCase {

    /** What times are compared with. */
    enum Other {
        /** The dense product of another library. */
        PEER,
        /** Our own Vector API kernels. */
        VECTOR,
        /** Reading as many bytes. */
        READING
    }

    /** The name of the other's time. */
    static final String OTHER = "other";

    private static final int HIDDEN = 4096;
    private static final int INTERMEDIATE = 14336;
    private static final int RANK = 512;
    private static final long SEED = 1;
    private static final double TOLERANCE = 1e-5;
    /** Choosing neurons is Java of its own, which is not warm after a few runs. */
    private static final Duration WARM_UP = Duration.ofSeconds(2);

    @Override
    public String label() {
        String ours = active == 1 ? "all" : Choice.name(skip) + " " + Math.round(100 * active) + " %";
        return dtype.id() + ", " + tokens + (tokens == 1 ? " token, " : " tokens, ") + ours + " over " + name();
    }

    private String name() {
        return switch (other) {
            case PEER -> dtype == DType.F32 ? "mkl-dense" : "onednn-dense";
            case VECTOR -> Backend.VECTOR.id();
            case READING -> "reading";
        };
    }

    @Override
    public Times measure(Context context) {
        if (other != Other.PEER && !Backend.VECTOR.isAvailable()) {
            return Times.failed(label(), "the Vector API is not available");
        }
        List<Contender> contenders = new ArrayList<>();
        try (Workers alone = Workers.of(1)) {
            MlpProblem problem =
                new MlpProblem(HIDDEN, INTERMEDIATE, MlpProblem.Kind.SWIGLU, active, skip, RANK, tokens, dtype, SEED);
            MlpWeights weights = problem.weights();
            contenders.add(active == 1 ? MlpContender.dense(problem, weights, context.backend(), alone)
                : skipping(problem, weights, context.backend(), alone));
            contenders.add(switch (other) {
                case PEER -> MlpPeer.open(name(), problem, context.onePool());
                case VECTOR -> skipping(problem, weights, Backend.VECTOR, alone);
                case READING -> new ReadCeiling((long) problem.weightBytes(), 0);
            });
            return times(context, contenders);
        } catch (PeerException e) {
            return Times.failed(label(), name() + ": " + e.getMessage());
        } finally {
            contenders.forEach(Contender::close);
        }
    }

    private static MlpContender skipping(MlpProblem problem, MlpWeights weights, Backend backend, Workers team) {
        Skipping skipping;
        try (Arena arena = Arena.ofShared()) {
            skipping = problem.skipping(weights, problem.input(arena, 0));
        }
        return MlpContender.open(problem, weights, skipping, backend, team);
    }

    private Times times(Context context, List<Contender> contenders) {
        SideBySide.Settings settings =
            new SideBySide.Settings(context.settings().rounds(), WARM_UP, context.settings().batch());
        List<Outcome> outcomes = new SideBySide(settings).measure(contenders, () -> {});
        Map<String, Double> millis = new HashMap<>();
        Optional<String> error = Optional.empty();
        boolean wrong = false;
        for (int i = 0; i < outcomes.size(); i++) {
            Contender contender = contenders.get(i);
            switch (outcomes.get(i)) {
                case Outcome.Timed timed -> millis.put(i == 0 ? Times.OURS : OTHER, timed.timing().medianMillis());
                case Outcome.Failed(String why) -> error = Optional.of(contender.name() + ": " + why);
            }
            if (contender instanceof MlpContender own && !(own.relativeError() <= TOLERANCE)) {
                error = Optional.of(contender.name() + ": wrong result");
                wrong = true;
            }
        }
        return new Times(label(), millis, 1 - active, 0, error, wrong);
    }
}
