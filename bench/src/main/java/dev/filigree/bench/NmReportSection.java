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
import dev.filigree.bench.report.Block;
import dev.filigree.bench.report.DataTable;
import dev.filigree.bench.report.Prose;
import dev.filigree.bench.report.Section;
import dev.filigree.format.NmMatrix;
import dev.filigree.format.NmPattern;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** N:M products on the feed-forward projections of a real model, pruned to the pattern here. */
final class NmReportSection implements ReportSection {

    private static final long SEED = 1;
    /** The tokens of a short prompt. */
    private static final int PROMPT = 128;
    private static final int LAYER = 2;
    private static final List<Projection.Role> ROLES = List.of(Projection.Role.UP, Projection.Role.DOWN);
    private static final List<NmPattern> QUICK =
        List.of(NmPattern.parse("2:4"), NmPattern.parse("1:4"), NmPattern.parse("1:8"));
    private static final List<NmPattern> FULL = List.of(NmPattern.parse("2:4"), NmPattern.parse("1:4"),
        NmPattern.parse("2:8"), NmPattern.parse("1:8"), NmPattern.parse("1:16"),
        NmPattern.parse("2:4").withVector(32), NmPattern.parse("2:8").withVector(32));

    @Override
    public String title() {
        return "N:M: feed-forward projections of MiniLM-L6";
    }

    @Override
    public Section run(Context context) {
        SpmmReportInputs inputs = SpmmReportInputs.load(SEED);
        List<Projection> projections = inputs.projections().stream()
            .filter(p -> p.layer() == LAYER && ROLES.contains(p.role())).toList();
        List<NmPattern> patterns = context.quick() ? QUICK : FULL;
        SideBySide.Settings first = context.quick()
            ? new SideBySide.Settings(5, Duration.ofMillis(120), Duration.ofMillis(1))
            : new SideBySide.Settings(11, Duration.ofMillis(500), Duration.ofMillis(2));
        // What a second projection calls is compiled.
        SideBySide.Settings others =
            new SideBySide.Settings(first.rounds(), first.warmUp().dividedBy(4), first.batch());
        List<List<String>> rows = new ArrayList<>();
        List<JsonObject> cases = new ArrayList<>();
        int checked = 0;
        int failures = 0;
        int threads = Runtime.getRuntime().availableProcessors();
        try (Workers team = Workers.of(threads); PeerPool pool = new PeerPool(threads);
                Progress progress = new Progress("nm",
                    projections.size() * patterns.size() * DType.values().length)) {
            SpmmEntrants entrants = new SpmmEntrants(
                CommonOptions.availableOnHost(), true, context.peers() ? PeerNames.SPMM : List.of(), pool);
            for (Projection projection : projections) {
                Tokens tokens = inputs.activations().get(projection.input());
                SideBySide.Settings settings = projection == projections.getFirst() ? first : others;
                for (NmPattern pattern : patterns) {
                    progress.at(projection.weights().name() + " " + pattern);
                    WeightMatrix weights = projection.weights();
                    NmMatrix a = NmMatrix.pruned(
                        DenseMatrix.of(weights.data(), weights.rows(), weights.cols()), pattern);
                    for (DType dtype : DType.values()) {
                        SpmmProblem problem = new SpmmProblem(NmEntries.of(a, dtype), PROMPT, Layout.TOKEN_MAJOR,
                            Activation.NONE, SEED, Optional.of(tokens.data()), dtype);
                        SpmmComparison comparison =
                            SpmmComparison.run(problem, Planner.nm(a), entrants, team, settings, () -> {});
                        addRows(rows, projection, pattern, dtype, comparison);
                        cases.add(comparison.toJson("nm",
                            describe(projection, a, dtype, entrants.backends(), team, settings)));
                        checked += ContenderResult.checked(comparison.results());
                        failures += ContenderResult.failures(comparison.results());
                        progress.step();
                    }
                }
            }
        }
        List<Block> blocks = new ArrayList<>();
        blocks.add(new Prose(Prose.Tone.PLAIN, inputs.provenance() + " The weights are pruned to each pattern here, by "
            + "magnitude and without retraining. " + PROMPT + " tokens, token-major, " + threads
            + " threads. GFLOP/s count stored entries alone."));
        blocks.add(new DataTable("N:M products", List.of("weights", "pattern", "type", "contender", "median ms", "GFLOP/s",
            "speed over dense", "packed KiB", "max rel err"), rows));
        return new Section(title(), blocks, cases, checked, failures);
    }

    private static void addRows(
            List<List<String>> rows, Projection projection, NmPattern pattern, DType dtype, SpmmComparison comparison) {
        double dense = comparison.results().stream()
            .filter(result -> result.name().equals(SpmmContender.DENSE) && result instanceof ContenderResult.Figures)
            .mapToDouble(result -> ((ContenderResult.Figures) result).timing().medianMillis()).findFirst().orElse(0);
        for (ContenderResult result : comparison.results()) {
            List<String> row = new ArrayList<>(
                List.of(projection.weights().name(), pattern.toString(), dtype.id(), result.name()));
            switch (result) {
                case ContenderResult.Figures f -> row.addAll(List.of(format("%.3f", f.timing().medianMillis()),
                    format("%.1f", f.gflops()), dense == 0 ? "-" : format("%.2f", dense / f.timing().medianMillis()),
                    format("%.0f", f.packedBytes() / 1024.0), format("%.1e", f.maxRelErr())));
                case ContenderResult.Failure f -> row.addAll(List.of("-", "-", "-", "-", f.error()));
            }
            rows.add(row);
        }
    }

    private static String format(String format, double x) {
        return String.format(Locale.ROOT, format, x);
    }

    private static JsonObject describe(
            Projection projection, NmMatrix a, DType dtype, List<Backend> backends, Workers team,
            SideBySide.Settings settings) {
        JsonObject json = new JsonObject();
        json.addProperty("matrix", "MiniLM-L6 " + projection.weights().name());
        json.addProperty("pruning", "magnitude");
        json.addProperty("rows", a.rows());
        json.addProperty("cols", a.cols());
        json.addProperty("pattern", a.pattern().n() + ":" + a.pattern().m());
        json.addProperty("vector", a.pattern().vector());
        json.addProperty("tokens", PROMPT);
        json.addProperty("dtype", dtype.id());
        json.addProperty("layout", Choice.name(Layout.TOKEN_MAJOR));
        json.add("backend", Json.strings(backends.stream().map(Backend::id).toList()));
        json.addProperty("threads", team.threads());
        json.addProperty("rounds", settings.rounds());
        json.addProperty("seed", SEED);
        json.addProperty("nnz", a.nnz());
        json.addProperty("sparsity", Json.rounded(1 - a.nnz() / ((double) a.rows() * a.cols())));
        return json;
    }
}
