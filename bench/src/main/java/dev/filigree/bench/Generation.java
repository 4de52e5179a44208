package dev.filigree.bench;

import com.google.gson.JsonObject;
import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Refusal;
import dev.filigree.Workers;
import dev.filigree.bench.llama.LlamaDecoder;
import dev.filigree.bench.llama.LlamaModel;
import dev.filigree.bench.llama.LlamaTokenizer;
import dev.filigree.bench.measure.Outcome;
import dev.filigree.bench.measure.SideBySide;
import dev.filigree.bench.measure.Timing;
import dev.filigree.mlp.MlpCalibration;
import dev.filigree.mlp.MlpCalibration.Calibrated;
import dev.filigree.mlp.MlpOptions;
import dev.filigree.mlp.Skipping;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;

/**
 * A model that writes a text, dense and with its MLPs skipping by thresholds of their gates: how fast, how much of the
 * MLPs it reads, and where the text departs. Thresholds are found on the tokens of the dense text.
 *
 * @param calibrated of each layer
 * @param lines the dense path, then a line for each backend that skips
 */
record Generation(List<Calibrated> calibrated, List<Line> lines) {

    /** What became of a contender. */
    sealed interface Line {

        String name();

        /** The standard fields, and those of a text. */
        JsonObject toJson();
    }

    /**
     * It wrote a text.
     *
     * @param activeShare of neurons whose rows of the down projection were read
     * @param departsAt the first token that is not the dense text's, if there is one
     */
    record Text(String name, String kernel, Timing timing, int tokens, double activeShare, Optional<Integer> departsAt,
            String text) implements Line {

        double tokensPerSecond() {
            return 1e3 * tokens / timing.medianMillis();
        }

        double bestTokensPerSecond() {
            return 1e3 * tokens / timing.minMillis();
        }

        @Override
        public JsonObject toJson() {
            JsonObject json = new JsonObject();
            json.addProperty("name", name);
            json.addProperty("median_ms", Json.rounded(timing.medianMillis()));
            json.addProperty("min_ms", Json.rounded(timing.minMillis()));
            json.addProperty("rounds", timing.rounds());
            json.addProperty("kernel", kernel);
            json.addProperty("tokens", tokens);
            json.addProperty("tokens_per_second", Json.rounded(tokensPerSecond()));
            json.addProperty("active_share", Json.rounded(activeShare));
            json.addProperty("departs_at", departsAt.orElse(null));
            json.addProperty("text", text);
            return json;
        }
    }

    /** It did not. */
    record Failure(String name, String error, boolean wrong) implements Line {

        @Override
        public JsonObject toJson() {
            return new ContenderResult.Failure(name, error, wrong).toJson();
        }
    }

    Generation {
        calibrated = List.copyOf(calibrated);
        lines = List.copyOf(lines);
    }

    static Generation run(LlamaModel model, LlamaTokenizer tokenizer, double cett, int mostTokens,
            List<Backend> backends, Workers team, SideBySide.Settings settings, Runnable afterRound) {
        List<Line> lines = new ArrayList<>();
        List<Backend> usable = new ArrayList<>();
        for (Backend backend : backends) {
            Optional<Refusal> refusal = backend == Backend.CUDA ? Optional.empty() : backend.unavailabilityCause();
            if (backend == Backend.CUDA || refusal.isPresent()) {
                lines.add(new Failure(ContenderResult.OURS + backend.id(),
                    refusal.map(r -> r.reason() + " (" + r.cure() + ")")
                    .orElse("MLPs and decoding do not run on devices yet"), false));
            } else {
                usable.add(backend);
            }
        }
        if (usable.isEmpty()) {
            return new Generation(List.of(), lines);
        }
        Backend best = Collections.max(usable);
        List<Skipping> none = Collections.nCopies(model.shape().layers(), new Skipping.None());
        List<Calibrated> calibrated = calibrate(model, none, cett, mostTokens, best, team);
        List<Skipping> skipping = calibrated.stream().map(Calibrated::skipping).toList();
        List<GenerationContender> contenders = new ArrayList<>();
        try {
            contenders.add(new GenerationContender(MlpContender.DENSE, model, none, mostTokens, best, team));
            for (Backend backend : usable) {
                contenders.add(
                    new GenerationContender(
                        ContenderResult.OURS + backend.id(), model, skipping, mostTokens, backend, team));
            }
            List<Outcome> outcomes = new SideBySide(settings).measure(contenders, afterRound);
            for (int i = 0; i < outcomes.size(); i++) {
                lines.add(line(contenders, i, outcomes.get(i), tokenizer));
            }
            return new Generation(calibrated, lines);
        } finally {
            contenders.forEach(GenerationContender::close);
        }
    }

    /** Finds each layer's threshold on what its MLP reads while the dense text is written. */
    private static List<Calibrated> calibrate(LlamaModel model, List<Skipping> none, double cett, int mostTokens,
            Backend backend, Workers team) {
        int layers = model.shape().layers();
        int dim = model.shape().dim();
        long rowBytes = (long) Float.BYTES * dim;
        try (Arena arena = Arena.ofShared()) {
            List<MemorySegment> recorded = IntStream.range(0, layers)
                .mapToObj(l -> arena.allocate(rowBytes * mostTokens, Float.BYTES)).toList();
            int[] count = new int[1];
            LlamaDecoder.Observer recorder = (layer, position, features) -> {
                MemorySegment.copy(features.data(), 0, recorded.get(layer), rowBytes * position, rowBytes);
                count[0] = position + 1;
            };
            try (LlamaDecoder decoder = new LlamaDecoder(model, none, mostTokens, backend, team, recorder)) {
                decoder.write();
            }
            MlpOptions options = MlpOptions.defaults().backend(backend).workers(team);
            return IntStream.range(0, layers).mapToObj(l -> MlpCalibration.calibrate(model.layers().get(l).mlp(),
                MlpCalibration.Rule.GATE,
                DenseMatrix.of(recorded.get(l).asSlice(0, rowBytes * count[0]), DType.F32, count[0], dim), cett,
                options)).toList();
        }
    }

    private static Line line(
            List<GenerationContender> contenders, int index, Outcome outcome, LlamaTokenizer tokenizer) {
        GenerationContender contender = contenders.get(index);
        return switch (outcome) {
            case Outcome.Failed(String error) -> new Failure(contender.name(), error, true);
            // All backends have the same bits, so those that skip write the same text.
            case Outcome.Timed timed when index > 1 && !contender.tokens().equals(contenders.get(1).tokens()) ->
                new Failure(contender.name(), "wrong result: another text than " + contenders.get(1).name(), true);
            case Outcome.Timed(Timing timing) -> new Text(contender.name(), contender.kernel(), timing,
                contender.tokens().size(), contender.activeShare(),
                departure(contenders.getFirst().tokens(), contender.tokens()), tokenizer.text(contender.tokens()));
        };
    }

    private static Optional<Integer> departure(List<Integer> dense, List<Integer> tokens) {
        int common = Math.min(dense.size(), tokens.size());
        for (int i = 0; i < common; i++) {
            if (!dense.get(i).equals(tokens.get(i))) {
                return Optional.of(i);
            }
        }
        return dense.size() == tokens.size() ? Optional.empty() : Optional.of(common);
    }

    boolean wrong() {
        return lines.stream().anyMatch(line -> line instanceof Failure failure && failure.wrong());
    }
}
