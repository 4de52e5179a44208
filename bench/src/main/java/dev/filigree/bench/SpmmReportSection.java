package dev.filigree.bench;

import com.google.gson.JsonObject;
import dev.filigree.Activation;
import dev.filigree.Backend;
import dev.filigree.DenseMatrix;
import dev.filigree.Layout;
import dev.filigree.Workers;
import dev.filigree.bench.measure.SideBySide;
import dev.filigree.bench.onnx.FeedForward;
import dev.filigree.bench.onnx.WeightMatrix;
import dev.filigree.format.CsrMatrix;
import dev.filigree.format.Pruning;
import java.io.IOException;
import java.io.PrintWriter;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** SpMM on the feed-forward weights of a real model, pruned by magnitude. */
final class SpmmReportSection implements ReportSection {

    private static final long SEED = 1;

    /** Decode steps rotate copies that exceed the cache, which take long to pack; layers are much alike. */
    private static final int DECODE_LAYERS = 2;

    /**
     * What is measured.
     *
     * @param layers how many, from the first on
     * @param sparsities after pruning
     * @param columns N: one token, a small batch, tokens of a short prompt
     * @param settings of each case's measurement; only the first case meets a cold JIT
     */
    private record Grid(int layers, List<Double> sparsities, List<Integer> columns,
            SideBySide.Settings settings) {

        static final Grid QUICK = new Grid(2, List.of(0.7, 0.9), List.of(128),
            new SideBySide.Settings(9, Duration.ofMillis(600), Duration.ofMillis(2)));

        static final Grid FULL = new Grid(6, List.of(0.5, 0.7, 0.8, 0.9, 0.95), List.of(1, 16, 32, 128, 256),
            new SideBySide.Settings(11, Duration.ofMillis(300), Duration.ofMillis(2)));

        /** One case to measure. */
        private record Cell(WeightMatrix matrix, double sparsity, int n) {}

        List<Cell> cells(List<FeedForward> model) {
            List<Cell> cells = new ArrayList<>();
            for (FeedForward block : model.subList(0, layers)) {
                for (WeightMatrix matrix : List.of(block.up(), block.down())) {
                    for (double sparsity : sparsities) {
                        for (int n : columns) {
                            if (block.layer() < DECODE_LAYERS || !SpmmProblem.isDecode(n)) {
                                cells.add(new Cell(matrix, sparsity, n));
                            }
                        }
                    }
                }
            }
            return cells;
        }
    }

    @Override
    public String title() {
        return "SpMM: feed-forward weights of MiniLM-L6, pruned by magnitude";
    }

    @Override
    public Result run(Context context, PrintWriter out) throws IOException {
        Grid grid = context.quick() ? Grid.QUICK : Grid.FULL;
        List<Backend> backends = CommonOptions.availableOnHost();
        List<Grid.Cell> cells = grid.cells(FeedForward.ofMiniLm());
        SpmmReportTable table = new SpmmReportTable(backends);
        List<JsonObject> cases = new ArrayList<>();
        int checked = 0;
        int failures = 0;
        try (Workers team = Workers.of(Runtime.getRuntime().availableProcessors());
                Progress progress = new Progress("spmm", cells.size())) {
            for (Grid.Cell cell : cells) {
                progress.at(cell.matrix.name());
                SpmmProblem problem =
                    new SpmmProblem(prune(cell), cell.n, Layout.FEATURE_MAJOR, Activation.NONE, SEED);
                SpmmComparison comparison =
                    SpmmComparison.run(problem, backends, team, grid.settings, () -> {});
                table.add(cell.matrix, cell.sparsity, cell.n, comparison);
                cases.add(comparison.toJson(describe(cell, problem, backends, team, grid, comparison)));
                checked += comparison.results().size();
                // Every backend here said that it is available: one that then refuses has failed.
                failures += comparison.failures();
                progress.step();
            }
        }
        table.print(out);
        return new Result(cases, checked, failures);
    }

    private static CsrMatrix prune(Grid.Cell cell) {
        WeightMatrix matrix = cell.matrix;
        return CsrMatrix.fromDense(DenseMatrix.of(matrix.data(), matrix.rows(), matrix.cols()),
            Pruning.globalMagnitude(cell.sparsity));
    }

    private static JsonObject describe(Grid.Cell cell, SpmmProblem problem, List<Backend> backends, Workers team,
            Grid grid, SpmmComparison comparison) {
        JsonObject json = new JsonObject();
        json.addProperty("matrix", "MiniLM-L6 " + cell.matrix.name());
        json.addProperty("pruning", "global magnitude " + cell.sparsity);
        problem.describe(json);
        json.add("backend", Json.strings(backends.stream().map(Backend::id).toList()));
        json.addProperty("threads", team.threads());
        json.addProperty("rounds", grid.settings.rounds());
        json.addProperty("seed", SEED);
        json.addProperty("working_sets", comparison.workingSets());
        json.addProperty("nnz", problem.a().nnz());
        json.addProperty("sparsity", Json.rounded(problem.a().sparsity()));
        return json;
    }
}
