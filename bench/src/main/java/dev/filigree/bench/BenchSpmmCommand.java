package dev.filigree.bench;

import com.google.gson.JsonObject;
import dev.filigree.Activation;
import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.Layout;
import dev.filigree.Workers;
import dev.filigree.bench.measure.SideBySide;
import dev.filigree.bench.peer.PeerPool;
import dev.filigree.format.CsrMatrix;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

@Command(name = "spmm", mixinStandardHelpOptions = true, usageHelpAutoWidth = true, sortOptions = false,
    description = "Sparse-dense matrix multiplication: C = act(A * B), or Y = act(X * A^T) when token-major.")
final class BenchSpmmCommand implements Callable<Integer> {

    /** The JIT's second, and batches that a clock of 30 ns steps measures to 0.01 %. */
    private static final Duration WARM_UP = Duration.ofSeconds(1);
    private static final Duration BATCH = Duration.ofMillis(2);

    @Spec
    private CommandSpec spec;

    @Option(names = "--matrix", paramLabel = "FILE",
        description = "The sparse matrix: Matrix Market (.mtx), or .smtx, a pattern whose values are drawn.")
    private Path matrix;

    @Option(names = "--rows", paramLabel = "M", description = "Rows of a random sparse matrix.")
    private Integer rows;

    @Option(names = "--cols", paramLabel = "K", description = "Its columns.")
    private Integer cols;

    @Option(names = "--sparsity", paramLabel = "S", description = "The share of its elements that are zero, 0 to 1.")
    private Double sparsity;

    @Option(names = "--n", required = true, paramLabel = "N", description = "Columns of B, or tokens of X.")
    private int n;

    @Option(names = "--dtype", converter = Choice.OfDType.class, paramLabel = "TYPE",
        description = "Storage type: f32 (default), or bf16, which CUDA devices multiply.")
    private DType dtype = DType.F32;

    @Option(names = "--layout", converter = Choice.OfLayout.class, paramLabel = "NAME",
        description = "feature-major (default) or token-major.")
    private Layout layout = Layout.FEATURE_MAJOR;

    @Option(names = "--activation", converter = Choice.OfActivation.class, paramLabel = "NAME",
        description = "none (default), relu, relu-squared, gelu-tanh, gelu-erf, silu.")
    private Activation activation = Activation.NONE;

    @Option(names = "--dense", description = "Measure our own dense path on the best backend, too.")
    private boolean dense;

    @Mixin
    private CommonOptions common;

    @Override
    public Integer call() {
        check();
        SpmmProblem problem = new SpmmProblem(
            Rounding.round(source(), dtype), n, layout, activation, common.seed(), Optional.empty(), dtype);
        SideBySide.Settings settings = new SideBySide.Settings(common.rounds(), WARM_UP, BATCH);
        SpmmComparison comparison;
        try (Workers team = Workers.of(common.threads()); PeerPool peers = new PeerPool(common.threads());
                Progress progress = new Progress("spmm", common.rounds())) {
            comparison = SpmmComparison.run(problem,
                new SpmmEntrants(common.backends(), dense, common.peers(), peers), team, settings, progress::step);
        }
        PrintWriter out = spec.commandLine().getOut();
        if (common.json()) {
            out.println(Json.line(comparison.toJson(describe(problem, comparison.workingSets()))));
        } else {
            print(out, problem, comparison);
        }
        return comparison.wrong() == 0 ? Main.OK : Main.FAILED;
    }

    private void check() {
        common.check();
        boolean shaped = rows != null || cols != null || sparsity != null;
        if (matrix != null && shaped) {
            throw new ParameterException(spec.commandLine(),
                "--matrix brings its own shape: leave out --rows, --cols and --sparsity");
        }
        if (matrix == null && (rows == null || cols == null || sparsity == null)) {
            throw new ParameterException(spec.commandLine(),
                "--matrix FILE is needed, or --rows, --cols and --sparsity");
        }
        if (shaped) {
            common.requireRange("--rows", rows, 1, Integer.MAX_VALUE - 8);
            common.requireRange("--cols", cols, 1, Integer.MAX_VALUE - 8);
            common.requireRange("--sparsity", sparsity, 0, 1);
        }
        common.requireRange("--n", n, 1, Integer.MAX_VALUE - 8);
        if (dtype == DType.BF16) {
            common.defaultBackends(List.of(Backend.CUDA));
        }
    }

    private CsrMatrix source() {
        return matrix == null ? RandomMatrices.uniform(rows, cols, sparsity, common.seed())
            : MatrixFiles.read(matrix, common.seed());
    }

    private JsonObject describe(SpmmProblem problem, int workingSets) {
        JsonObject json = new JsonObject();
        if (matrix != null) {
            json.addProperty("matrix", matrix.toString());
        }
        problem.describe(json);
        json.addProperty("dense", dense);
        common.describe(json);
        json.addProperty("working_sets", workingSets);
        json.addProperty("nnz", problem.a().nnz());
        json.addProperty("sparsity", Json.rounded(problem.a().sparsity()));
        return json;
    }

    private void print(PrintWriter out, SpmmProblem problem, SpmmComparison comparison) {
        CsrMatrix a = problem.a();
        out.printf(Locale.ROOT, "spmm  %d x %d, %,d nonzeros (%.2f %% sparse), n %d, %s, %s%s, %d %s, %d rounds%n",
            a.rows(), a.cols(), a.nnz(), 100 * a.sparsity(), n, dtype.id(), Choice.name(layout),
            activation == Activation.NONE ? "" : ", " + Choice.name(activation),
            common.threads(), common.threads() == 1 ? "thread" : "threads", common.rounds());
        if (comparison.workingSets() > 1) {
            out.printf("cold caches: a contender takes up to %d copies of its matrix and operands in turn%n",
                comparison.workingSets());
        }
        ContenderResult.table(comparison.results()).print(out);
    }
}
