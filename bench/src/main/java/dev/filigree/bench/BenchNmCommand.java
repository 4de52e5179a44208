package dev.filigree.bench;

import com.google.gson.JsonObject;
import dev.filigree.Activation;
import dev.filigree.DType;
import dev.filigree.Layout;
import dev.filigree.Workers;
import dev.filigree.bench.measure.SideBySide;
import dev.filigree.bench.peer.PeerPool;
import dev.filigree.format.NmMatrix;
import dev.filigree.format.NmPattern;
import java.io.PrintWriter;
import java.lang.foreign.Arena;
import java.time.Duration;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

@Command(name = "nm", mixinStandardHelpOptions = true, usageHelpAutoWidth = true, sortOptions = false,
    description = "N:M sparse GEMM with a random weight pruned by magnitude: Y = act(X * A^T), or C = act(A * B) when "
        + "feature-major.")
final class BenchNmCommand implements Callable<Integer> {

    /** The JIT's second, and batches that a clock of 30 ns steps measures to 0.01 %. */
    private static final Duration WARM_UP = Duration.ofSeconds(1);
    private static final Duration BATCH = Duration.ofMillis(2);

    @Spec
    private CommandSpec spec;

    @Option(names = "--rows", required = true, paramLabel = "M", description = "Rows of the weight: output features.")
    private int rows;

    @Option(names = "--cols", required = true, paramLabel = "K", description = "Its columns: input features.")
    private int cols;

    @Option(names = "--pattern", required = true, paramLabel = "N:M",
        description = "At most N of M consecutive elements of a row are kept, M up to 64.")
    private String patternText;

    @Option(names = "--vector", paramLabel = "V",
        description = "Rows that share their positions: 1 (default), 8, 16, 32 or 64.")
    private int vector = 1;

    @Option(names = "--tokens", required = true, paramLabel = "T", description = "Tokens of X, or columns of B.")
    private int tokens;

    @Option(names = "--dtype", converter = Choice.OfDType.class, paramLabel = "TYPE",
        description = "Storage type: f32 (default) or bf16.")
    private DType dtype = DType.F32;

    @Option(names = "--layout", converter = Choice.OfLayout.class, paramLabel = "NAME",
        description = "token-major (default) or feature-major.")
    private Layout layout = Layout.TOKEN_MAJOR;

    @Option(names = "--activation", converter = Choice.OfActivation.class, paramLabel = "NAME",
        description = "none (default), relu, relu-squared, gelu-tanh, gelu-erf, silu.")
    private Activation activation = Activation.NONE;

    @Option(names = "--dense", description = "Measure our own dense path, too.")
    private boolean dense;

    @Mixin
    private CommonOptions common;

    @Override
    public Integer call() {
        NmPattern pattern = check();
        NmMatrix a;
        try (Arena arena = Arena.ofConfined()) {
            a = NmMatrix.pruned(RandomMatrices.dense(arena, rows, cols, common.seed()), pattern);
        }
        SpmmProblem problem = new SpmmProblem(NmEntries.of(a, dtype), tokens, layout, activation, common.seed(),
            Optional.empty(), dtype);
        SideBySide.Settings settings = new SideBySide.Settings(common.rounds(), WARM_UP, BATCH);
        SpmmComparison comparison;
        try (Workers team = Workers.of(common.threads()); PeerPool peers = new PeerPool(common.threads());
                Progress progress = new Progress("nm", common.rounds())) {
            SpmmEntrants entrants = new SpmmEntrants(common.backends(), dense, common.peers(), peers);
            comparison = SpmmComparison.run(problem, Planner.nm(a), entrants, team, settings, progress::step);
        }
        PrintWriter out = spec.commandLine().getOut();
        if (common.json()) {
            out.println(Json.line(comparison.toJson("nm", describe(a, comparison.workingSets()))));
        } else {
            print(out, a, comparison);
        }
        return comparison.wrong() == 0 ? Main.OK : Main.FAILED;
    }

    private NmPattern check() {
        common.check();
        common.requireRange("--rows", rows, 1, Integer.MAX_VALUE - 8);
        common.requireRange("--cols", cols, 1, Integer.MAX_VALUE - 8);
        common.requireRange("--tokens", tokens, 1, Integer.MAX_VALUE - 8);
        if ((long) rows * cols > Integer.MAX_VALUE - 8) {
            throw new ParameterException(spec.commandLine(), "Invalid value for option '--cols': " + rows + " x " + cols
                + " elements are more than the generator can make");
        }
        NmPattern pattern;
        try {
            pattern = NmPattern.parse(patternText);
        } catch (IllegalArgumentException e) {
            throw new ParameterException(spec.commandLine(),
                "Invalid value for option '--pattern': " + e.getMessage());
        }
        if (pattern.vector() != 1) {
            throw new ParameterException(spec.commandLine(),
                "Invalid value for option '--pattern': '" + patternText + "' is not N:M; --vector says V");
        }
        try {
            return pattern.withVector(vector);
        } catch (IllegalArgumentException e) {
            throw new ParameterException(spec.commandLine(), "Invalid value for option '--vector': " + e.getMessage());
        }
    }

    private JsonObject describe(NmMatrix a, int workingSets) {
        JsonObject json = new JsonObject();
        json.addProperty("rows", rows);
        json.addProperty("cols", cols);
        json.addProperty("pattern", patternText);
        json.addProperty("vector", vector);
        json.addProperty("tokens", tokens);
        json.addProperty("dtype", dtype.id());
        json.addProperty("layout", Choice.name(layout));
        json.addProperty("activation", Choice.name(activation));
        json.addProperty("dense", dense);
        common.describe(json);
        json.addProperty("working_sets", workingSets);
        json.addProperty("nnz", a.nnz());
        json.addProperty("sparsity", Json.rounded(1 - a.nnz() / ((double) rows * cols)));
        return json;
    }

    private void print(PrintWriter out, NmMatrix a, SpmmComparison comparison) {
        out.printf(Locale.ROOT,
            "nm  %d x %d, %s, pruned by magnitude, %,d stored, %d tokens, %s, %s%s, %d %s, %d rounds%n", rows, cols,
            a.pattern(), a.nnz(), tokens, dtype.id(), Choice.name(layout),
            activation == Activation.NONE ? "" : ", " + Choice.name(activation),
            common.threads(), common.threads() == 1 ? "thread" : "threads", common.rounds());
        if (comparison.workingSets() > 1) {
            out.printf("decode: each contender takes %d copies of its matrix and operands in turn%n",
                comparison.workingSets());
        }
        ContenderResult.table(comparison.results()).print(out);
    }
}
