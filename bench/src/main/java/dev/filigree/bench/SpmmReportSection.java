package dev.filigree.bench;

import com.google.gson.JsonObject;
import dev.filigree.Activation;
import dev.filigree.Backend;
import dev.filigree.DenseMatrix;
import dev.filigree.Workers;
import dev.filigree.bench.measure.SideBySide;
import dev.filigree.bench.onnx.FeedForward;
import dev.filigree.bench.onnx.WeightMatrix;
import dev.filigree.format.CsrMatrix;
import dev.filigree.format.Pruning;
import dev.filigree.spmm.Layout;
import java.io.IOException;
import java.io.PrintWriter;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** SpMM on the feed-forward weights of a real model, pruned by magnitude. */
final class SpmmReportSection implements ReportSection {

    private static final long SEED = 1;

    /**
     * What is measured.
     *
     * @param layers how many, from the first on
     * @param sparsities after pruning
     * @param columns N: one token, a small batch, tokens of a short prompt
     */
    private record Grid(int layers, List<Double> sparsities, List<Integer> columns, SideBySide.Settings settings) {

        static final Grid QUICK = new Grid(2, List.of(0.7, 0.9), List.of(128),
            new SideBySide.Settings(9, Duration.ofMillis(600), Duration.ofMillis(2)));

        static final Grid FULL = new Grid(6, List.of(0.5, 0.7, 0.8, 0.9, 0.95), List.of(1, 16, 32, 128, 256),
            new SideBySide.Settings(11, Duration.ofMillis(300), Duration.ofMillis(2)));
    }

    @Override
    public String title() {
        return "SpMM: feed-forward weights of MiniLM-L6, pruned by magnitude";
    }

    @Override
    public Result run(Context context, PrintWriter out) throws IOException {
        Grid grid = context.quick() ? Grid.QUICK : Grid.FULL;
        List<Backend> backends = CommonOptions.availableOnHost();
        List<WeightMatrix> weights = new ArrayList<>();
        for (FeedForward block : FeedForward.ofMiniLm().subList(0, grid.layers)) {
            weights.add(block.up());
            weights.add(block.down());
        }
        SpmmReportTable table = new SpmmReportTable(backends);
        List<JsonObject> cases = new ArrayList<>();
        int checked = 0;
        int wrong = 0;
        int steps = weights.size() * grid.sparsities.size() * grid.columns.size();
        try (Workers team = Workers.of(Runtime.getRuntime().availableProcessors());
                Progress progress = new Progress("spmm", steps)) {
            for (WeightMatrix matrix : weights) {
                DenseMatrix dense = DenseMatrix.of(matrix.data(), matrix.rows(), matrix.cols());
                for (double sparsity : grid.sparsities) {
                    CsrMatrix pruned = CsrMatrix.fromDense(dense, Pruning.globalMagnitude(sparsity));
                    for (int n : grid.columns) {
                        progress.at(matrix.name());
                        SpmmProblem problem =
                            new SpmmProblem(pruned, n, Layout.FEATURE_MAJOR, Activation.NONE, SEED);
                        SpmmComparison comparison =
                            SpmmComparison.run(problem, backends, team, grid.settings, () -> {});
                        table.add(matrix, sparsity, n, comparison);
                        cases.add(comparison.toJson(
                            describe(matrix, sparsity, problem, team.threads(), grid, comparison)));
                        checked += comparison.results().size();
                        wrong += comparison.wrong();
                        progress.step();
                    }
                }
            }
        }
        table.print(out);
        return new Result(cases, checked, wrong);
    }

    private static JsonObject describe(WeightMatrix matrix, double sparsity, SpmmProblem problem, int threads,
            Grid grid, SpmmComparison comparison) {
        JsonObject json = new JsonObject();
        json.addProperty("matrix", "MiniLM-L6 " + matrix.name());
        json.addProperty("pruning", "global magnitude " + sparsity);
        problem.describe(json);
        json.addProperty("threads", threads);
        json.addProperty("rounds", grid.settings.rounds());
        json.addProperty("seed", SEED);
        json.addProperty("working_sets", comparison.workingSets());
        json.addProperty("nnz", problem.a().nnz());
        json.addProperty("sparsity", Json.rounded(problem.a().sparsity()));
        return json;
    }
}
