package dev.filigree.bench;

import com.google.gson.JsonObject;
import dev.filigree.Activation;
import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Layout;
import dev.filigree.Workers;
import dev.filigree.bench.measure.SideBySide;
import dev.filigree.bench.minilm.Projection;
import dev.filigree.bench.minilm.Tokens;
import dev.filigree.bench.onnx.WeightMatrix;
import dev.filigree.bench.peer.PeerPool;
import dev.filigree.bench.report.Section;
import dev.filigree.format.CsrMatrix;
import dev.filigree.format.Pruning;
import java.lang.foreign.Arena;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** SpMM on the projections of a real model, pruned by magnitude, with the activations of real sentences. */
final class SpmmReportSection implements ReportSection {

    private static final long SEED = 1;
    private static final List<Double> SPARSITIES = List.of(0.5, 0.7, 0.8, 0.9, 0.95);
    /** The JIT meets a kernel first in the first case: it gets a second, the others much less. */
    private static final Duration FIRST_WARM_UP = Duration.ofSeconds(1);

    /**
     * One product to measure.
     *
     * @param n tokens
     */
    record Cell(Projection projection, double sparsity, int n) {

        CsrMatrix pruned() {
            WeightMatrix weights = projection.weights();
            return CsrMatrix.fromDense(DenseMatrix.of(weights.data(), weights.rows(), weights.cols()),
                Pruning.globalMagnitude(sparsity));
        }
    }

    /**
     * What is measured.
     *
     * @param layers whose projections are measured at {@link #PROMPT} tokens
     * @param roles of the projections; queries, keys and values are alike
     * @param otherTokens further N, on the first of the layers alone
     * @param settings of each case's measurement
     */
    private record Grid(List<Integer> layers, List<Projection.Role> roles, List<Integer> otherTokens,
            SideBySide.Settings settings) {

        /** The tokens of a short prompt. */
        static final int PROMPT = 128;

        static final Grid QUICK = new Grid(List.of(2),
            List.of(Projection.Role.QUERY, Projection.Role.ATTENTION_OUTPUT, Projection.Role.UP, Projection.Role.DOWN),
            List.of(), new SideBySide.Settings(9, Duration.ofMillis(30), Duration.ofMillis(1)));

        static final Grid FULL = new Grid(List.of(0, 1, 2, 3, 4, 5), List.of(Projection.Role.values()),
            List.of(1, 16, 32, 256), new SideBySide.Settings(11, Duration.ofMillis(100), Duration.ofMillis(2)));

        /** By projection and sparsity, so that what belongs to these is done once. */
        List<Cell> cells(List<Projection> projections) {
            List<Cell> cells = new ArrayList<>();
            for (Projection projection : projections) {
                if (layers.contains(projection.layer()) && roles.contains(projection.role())) {
                    boolean first = projection.layer() == layers.getFirst();
                    for (double sparsity : SPARSITIES) {
                        cells.add(new Cell(projection, sparsity, PROMPT));
                        if (first && QUICK.roles.contains(projection.role())) {
                            otherTokens.forEach(n -> cells.add(new Cell(projection, sparsity, n)));
                        }
                    }
                }
            }
            return cells;
        }
    }

    /** Where the inputs come from; a test puts others in. */
    @FunctionalInterface
    interface Source {
        SpmmReportInputs load(long seed);
    }

    private final Source source;

    SpmmReportSection() {
        this(SpmmReportInputs::load);
    }

    SpmmReportSection(Source source) {
        this.source = source;
    }

    @Override
    public String title() {
        return "SpMM: pruned projections of MiniLM-L6";
    }

    @Override
    public Section run(Context context) {
        Grid grid = context.quick() ? Grid.QUICK : Grid.FULL;
        SpmmReportInputs inputs = source.load(SEED);
        List<Cell> cells = grid.cells(inputs.projections());
        List<Backend> backends = CommonOptions.availableOnHost();
        SpmmReportContent content = new SpmmReportContent(inputs, context.ceilings());
        List<JsonObject> cases = new ArrayList<>();
        int checked = 0;
        int failures = 0;
        int threads = Runtime.getRuntime().availableProcessors();
        try (Workers team = Workers.of(threads); PeerPool pool = new PeerPool(threads);
                Progress progress = new Progress("spmm", cells.size()); Arena arena = Arena.ofShared()) {
            SpmmEntrants entrants =
                new SpmmEntrants(backends, true, context.peers() ? PeerNames.SPMM : List.of(), pool);
            Projection current = null;
            DenseMatrix dense = null;
            for (Cell cell : cells) {
                progress.at(cell.projection.weights().name());
                Tokens tokens = inputs.activations().get(cell.projection.input());
                if (cell.projection != current) {
                    current = cell.projection;
                    dense = SpmmLayerCheck.output(new Cell(current, 0, 0).pruned(), tokens, backends.getLast(), team,
                        arena);
                }
                CsrMatrix pruned = cell.pruned();
                SpmmProblem problem = new SpmmProblem(pruned, cell.n, Layout.TOKEN_MAJOR, Activation.NONE, SEED,
                    Optional.of(tokens.data()), DType.F32);
                SideBySide.Settings settings = cases.isEmpty() ? new SideBySide.Settings(grid.settings.rounds(),
                    FIRST_WARM_UP, grid.settings.batch()) : grid.settings;
                SpmmComparison comparison = SpmmComparison.run(problem, entrants, team, settings, () -> {});
                Optional<SpmmLayerCheck> check = cell.n == Grid.PROMPT
                    ? Optional.of(SpmmLayerCheck.of(pruned, tokens, dense, backends, team)) : Optional.empty();
                content.add(cell, comparison, check);
                cases.add(toJson(cell, problem, comparison, check, backends, team, settings));
                checked += ContenderResult.checked(comparison.results()) + (check.isPresent() ? 1 : 0);
                failures += ContenderResult.failures(comparison.results())
                    + (check.flatMap(SpmmLayerCheck::difference).isPresent() ? 1 : 0);
                progress.step();
            }
        }
        return new Section(title(), content.blocks(), cases, checked, failures);
    }

    private JsonObject toJson(Cell cell, SpmmProblem problem, SpmmComparison comparison,
            Optional<SpmmLayerCheck> check, List<Backend> backends, Workers team, SideBySide.Settings settings) {
        JsonObject json = new JsonObject();
        json.addProperty("matrix", "MiniLM-L6 " + cell.projection.weights().name());
        json.addProperty("pruning", "global magnitude " + cell.sparsity);
        problem.describe(json);
        json.add("backend", Json.strings(backends.stream().map(Backend::id).toList()));
        json.addProperty("threads", team.threads());
        json.addProperty("rounds", settings.rounds());
        json.addProperty("seed", SEED);
        json.addProperty("working_sets", comparison.workingSets());
        json.addProperty("nnz", problem.a().nnz());
        json.addProperty("sparsity", Json.rounded(problem.a().sparsity()));
        JsonObject result = comparison.toJson(json);
        check.ifPresent(c -> {
            result.addProperty("bits_equal", c.difference().isEmpty());
            result.addProperty("mean_cosine", Json.rounded(c.meanCosine()));
            result.addProperty("least_cosine", Json.rounded(c.leastCosine()));
        });
        return result;
    }
}
