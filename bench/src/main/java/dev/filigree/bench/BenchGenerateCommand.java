package dev.filigree.bench;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import dev.filigree.Backend;
import dev.filigree.Workers;
import dev.filigree.bench.Generation.Failure;
import dev.filigree.bench.Generation.Text;
import dev.filigree.bench.llama.LlamaCheckpoint;
import dev.filigree.bench.llama.LlamaModel;
import dev.filigree.bench.llama.LlamaTokenizer;
import dev.filigree.bench.measure.SideBySide;
import dev.filigree.mlp.MlpCalibration.Calibrated;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

@Command(name = "generate", mixinStandardHelpOptions = true, usageHelpAutoWidth = true, sortOptions = false,
    description = "A Llama decoder of yours writes a text, always the likeliest token next: dense, and with MLPs that "
        + "skip the neurons whose gate is nearly shut. All matrices go through Filigree.")
final class BenchGenerateCommand implements Callable<Integer> {

    private static final Duration WARM_UP = Duration.ofSeconds(1);
    private static final Duration BATCH = Duration.ofMillis(2);

    @Spec
    private CommandSpec spec;

    @Option(names = "--model", required = true, paramLabel = "FILE",
        description = "Weights in the format of llama2.c, version 0, such as stories15M.bin.")
    private Path modelFile;

    @Option(names = "--tokenizer", required = true, paramLabel = "FILE",
        description = "The model's tokens in the format of llama2.c: tokenizer.bin.")
    private Path tokenizerFile;

    @Option(names = "--cett", paramLabel = "C",
        description = "The share of an MLP's output that skipping may lose, on average over the dense text's tokens, "
            + "0 to 1 (default: ${DEFAULT-VALUE}).")
    private double cett = 0.2;

    @Option(names = "--tokens", paramLabel = "T", description = "The most tokens (default: the model's context).")
    private Integer tokens;

    @Option(names = "--backend", split = ",", converter = Choice.OfBackend.class, paramLabel = "NAME",
        description = "Backends that skip: scalar, vector, avx512, cuda (default: the fastest one here).")
    private List<Backend> backends = new ArrayList<>();

    @Option(names = "--threads", paramLabel = "T", description = "Size of the worker team (default: all cores).")
    private int threads = Runtime.getRuntime().availableProcessors();

    @Option(names = "--rounds", paramLabel = "R", description = "Texts to time (default: ${DEFAULT-VALUE}).")
    private int rounds = 5;

    @Option(names = "--json", description = "Print one JSON object.")
    private boolean json;

    @Override
    public Integer call() {
        requireRange("--cett", cett, 0, 1);
        requireRange("--threads", threads, 1, Workers.MAX_THREADS);
        requireRange("--rounds", rounds, 1, 100_000);
        LlamaCheckpoint checkpoint = UserFiles.read(modelFile, LlamaCheckpoint::map);
        LlamaTokenizer tokenizer =
            UserFiles.read(tokenizerFile, file -> LlamaTokenizer.read(file, checkpoint.shape().vocabulary()));
        int most = tokens == null ? checkpoint.shape().context() : tokens;
        requireRange("--tokens", most, 1, checkpoint.shape().context());
        if (backends.isEmpty()) {
            backends.add(CommonOptions.availableOnHost().getLast());
        }
        Generation generation;
        try (Workers team = Workers.of(threads); Progress progress = new Progress("generate", rounds)) {
            generation = Generation.run(LlamaModel.of(checkpoint), tokenizer, cett, most, backends, team,
                new SideBySide.Settings(rounds, WARM_UP, BATCH), progress::step);
        }
        PrintWriter out = spec.commandLine().getOut();
        if (json) {
            out.println(Json.line(toJson(checkpoint.shape(), most, generation)));
        } else {
            print(out, checkpoint.shape(), most, generation);
        }
        return generation.wrong() ? Main.FAILED : Main.OK;
    }

    private void requireRange(String option, double value, double least, double most) {
        CommonOptions.requireRange(spec, option, value, least, most);
    }

    private JsonObject toJson(LlamaCheckpoint.Shape shape, int most, Generation generation) {
        JsonObject describes = new JsonObject();
        describes.addProperty("model", modelFile.toString());
        describes.addProperty("tokenizer", tokenizerFile.toString());
        describes.addProperty("hidden", shape.dim());
        describes.addProperty("intermediate", shape.hidden());
        describes.addProperty("layers", shape.layers());
        describes.addProperty("cett", cett);
        describes.addProperty("tokens", most);
        describes.add("backend", Json.strings(backends.stream().map(Backend::id).toList()));
        describes.addProperty("threads", threads);
        describes.addProperty("rounds", rounds);
        JsonArray calibrated = new JsonArray();
        for (Calibrated layer : generation.calibrated()) {
            JsonObject object = new JsonObject();
            object.addProperty("skipping", layer.skipping().toString());
            object.addProperty("cett", Json.rounded(layer.cett()));
            object.addProperty("active_share", Json.rounded(layer.activeShare()));
            calibrated.add(object);
        }
        describes.add("calibrated", calibrated);
        JsonArray results = new JsonArray();
        generation.lines().forEach(line -> results.add(line.toJson()));
        JsonObject object = new JsonObject();
        object.addProperty("op", "generate");
        object.add("case", describes);
        object.add("results", results);
        return object;
    }

    private void print(PrintWriter out, LlamaCheckpoint.Shape shape, int most, Generation generation) {
        out.printf(Locale.ROOT, "generate  %s: %d layers, %d -> %d, at most %d tokens, %d %s, %d rounds%n",
            modelFile.getFileName(), shape.layers(), shape.dim(), shape.hidden(), most, threads,
            threads == 1 ? "thread" : "threads", rounds);
        Table layers = new Table("layer", "skips", "CETT", "active %");
        for (int i = 0; i < generation.calibrated().size(); i++) {
            Calibrated layer = generation.calibrated().get(i);
            layers.add(Integer.toString(i), layer.skipping().toString(), format("%.3f", layer.cett()),
                format("%.1f", 100 * layer.activeShare()));
        }
        layers.print(out);
        Table table = new Table("contender", "tokens", "tokens/s", "best", "active %", "departs at", "kernel or error");
        for (Generation.Line line : generation.lines()) {
            switch (line) {
                case Text text -> table.add(text.name(), Integer.toString(text.tokens()),
                    format("%.1f", text.tokensPerSecond()), format("%.1f", text.bestTokensPerSecond()),
                    format("%.1f", 100 * text.activeShare()),
                    text.departsAt().map(at -> Integer.toString(at)).orElse("nowhere"), text.kernel());
                case Failure failure -> table.add(failure.name(), "-", "-", "-", "-", "-", failure.error());
            }
        }
        out.println();
        table.print(out);
        for (Generation.Line line : generation.lines()) {
            if (line instanceof Text text) {
                out.println();
                out.println(text.name() + ":");
                out.println(text.text());
            }
        }
    }

    private static String format(String format, double x) {
        return String.format(Locale.ROOT, format, x);
    }
}
