package dev.filigree.bench;

import com.google.gson.JsonObject;
import dev.filigree.DType;
import dev.filigree.Workers;
import dev.filigree.bench.measure.SideBySide;
import dev.filigree.bench.peer.PeerPool;
import java.io.PrintWriter;
import java.time.Duration;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

@Command(name = "mlp", mixinStandardHelpOptions = true, usageHelpAutoWidth = true, sortOptions = false,
    description = "An MLP with random weights that computes only the neurons, or meets only the inputs, that a token "
        + "needs, beside our own dense path.")
final class BenchMlpCommand implements Callable<Integer> {

    /** The JIT's second, and batches that a clock of 30 ns steps measures to 0.01 %. */
    private static final Duration WARM_UP = Duration.ofSeconds(1);
    private static final Duration BATCH = Duration.ofMillis(2);
    private static final int MOST_TOKENS = 1 << 16;

    @Spec
    private CommandSpec spec;

    @Option(names = "--hidden", required = true, paramLabel = "H", description = "Inputs and outputs.")
    private int hidden;

    @Option(names = "--intermediate", required = true, paramLabel = "I", description = "Neurons.")
    private int intermediate;

    @Option(names = "--active", required = true, paramLabel = "A",
        description = "The share of neurons (or, with --skip input, of inputs and neurons) that a token needs, 0 to 1.")
    private double active;

    @Option(names = "--activation", converter = Choice.OfMlpKind.class, paramLabel = "NAME",
        description = "relu, relu-squared, gelu, and with a gate reglu, swiglu (default), geglu.")
    private MlpProblem.Kind kind = MlpProblem.Kind.SWIGLU;

    @Option(names = "--tokens", paramLabel = "T", description = "Tokens of a run (default: ${DEFAULT-VALUE}).")
    private int tokens = 1;

    @Option(names = "--skip", converter = Choice.OfMlpSkip.class, paramLabel = "NAME",
        description = "list (default): neurons are given; gate: by a threshold of the gate, which is computed whole; "
            + "input: by thresholds of inputs and neurons.")
    private MlpProblem.Skip skip = MlpProblem.Skip.LIST;

    @Option(names = "--predictor-rank", paramLabel = "R",
        description = "Neurons are those of the largest scores of a low-rank predictor.")
    private Integer predictorRank;

    @Option(names = "--dtype", converter = Choice.OfDType.class, paramLabel = "TYPE",
        description = "Type of the weights: f32 (default) or bf16.")
    private DType dtype = DType.F32;

    @Mixin
    private CommonOptions common;

    @Override
    public Integer call() {
        check();
        MlpProblem problem = new MlpProblem(hidden, intermediate, kind, active, skip,
            predictorRank == null ? 0 : predictorRank, tokens, dtype, common.seed());
        SideBySide.Settings settings = new SideBySide.Settings(common.rounds(), WARM_UP, BATCH);
        MlpComparison comparison;
        try (Workers team = Workers.of(common.threads()); PeerPool pool = new PeerPool(common.threads());
                Progress progress = new Progress("mlp", common.rounds())) {
            comparison = MlpComparison.run(
                problem, common.backends(), true, common.peers(), pool, team, settings, progress::step);
        }
        PrintWriter out = spec.commandLine().getOut();
        if (common.json()) {
            out.println(Json.line(comparison.toJson(describe())));
        } else {
            out.printf(Locale.ROOT, "mlp  %d -> %d, %s, %.3g %% active by %s, %d %s, %s, %d %s, %d rounds%n", hidden,
                intermediate, Choice.name(kind), 100 * active, Choice.name(skip), tokens,
                tokens == 1 ? "token" : "tokens", dtype.id(), common.threads(),
                common.threads() == 1 ? "thread" : "threads", common.rounds());
            ContenderResult.table(comparison.results()).print(out);
        }
        return comparison.wrong() == 0 ? Main.OK : Main.FAILED;
    }

    private void check() {
        common.check();
        common.requireRange("--hidden", hidden, 1, Integer.MAX_VALUE - 64);
        common.requireRange("--intermediate", intermediate, 1, Integer.MAX_VALUE - 64);
        common.requireRange("--active", active, 0, 1);
        common.requireRange("--tokens", tokens, 1, MOST_TOKENS);
        if (predictorRank != null) {
            common.requireRange("--predictor-rank", predictorRank, 1, Integer.MAX_VALUE - 64);
            if (skip != MlpProblem.Skip.LIST) {
                throw new ParameterException(spec.commandLine(),
                    "Invalid value for option '--predictor-rank': " + Choice.name(skip) + " needs no predictor");
            }
            skip = MlpProblem.Skip.PREDICTOR;
        } else if (skip == MlpProblem.Skip.PREDICTOR) {
            throw new ParameterException(spec.commandLine(),
                "Invalid value for option '--skip': predictor needs --predictor-rank");
        }
    }

    private JsonObject describe() {
        JsonObject json = new JsonObject();
        json.addProperty("hidden", hidden);
        json.addProperty("intermediate", intermediate);
        json.addProperty("active", active);
        json.addProperty("activation", Choice.name(kind));
        json.addProperty("tokens", tokens);
        json.addProperty("skip", Choice.name(skip));
        json.addProperty("predictor_rank", predictorRank);
        json.addProperty("dtype", dtype.id());
        common.describe(json);
        double matrices = kind.gated ? 3 : 2;
        json.addProperty("nnz", (long) (matrices * hidden * intermediate * active));
        json.addProperty("sparsity", Json.rounded(1 - active));
        return json;
    }
}
