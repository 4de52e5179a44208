package dev.filigree.bench;

import com.google.gson.JsonObject;
import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.Workers;
import dev.filigree.attention.AttentionOptions;
import dev.filigree.bench.measure.SideBySide;
import dev.filigree.bench.peer.PeerPool;
import dev.filigree.bench.report.Block;
import dev.filigree.bench.report.DataTable;
import dev.filigree.bench.report.Figure;
import dev.filigree.bench.report.Prose;
import dev.filigree.bench.report.Section;
import dev.filigree.format.BlockGrid;
import dev.filigree.format.BlockMask;
import dev.filigree.suite.attention.AttentionCase;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/** Attention over the masks of published methods, beside the same kernel over every block. */
final class AttentionReportSection implements ReportSection {

    private static final long SEED = 1;
    private static final int BLOCK = 64;
    private static final int HEAD_DIM = 64;
    private static final double DECODE_DENSITY = 0.1;
    private static final List<AttentionLayouts> LAYOUTS = List.of(AttentionLayouts.CAUSAL, AttentionLayouts.STREAMING,
        AttentionLayouts.LONGFORMER, AttentionLayouts.BIGBIRD, AttentionLayouts.VERTICAL_SLASH);

    @Override
    public String title() {
        return "Block-sparse attention";
    }

    @Override
    public Section run(Context context) {
        int seq = context.quick() ? 1024 : 4096;
        int heads = context.quick() ? 2 : 8;
        List<Backend> backends = new ArrayList<>(CommonOptions.availableOnHost());
        if (backends.size() > 1) {
            // A second and more for each run of the scalar kernel: verify is where it belongs.
            backends.remove(Backend.SCALAR);
        }
        SideBySide.Settings settings = context.quick()
            ? new SideBySide.Settings(5, Duration.ofMillis(200), Duration.ofMillis(2))
            : new SideBySide.Settings(7, Duration.ofSeconds(1), Duration.ofMillis(2));
        List<List<String>> rows = new ArrayList<>();
        List<List<String>> decodeRows = new ArrayList<>();
        List<Block> figures = new ArrayList<>();
        List<JsonObject> cases = new ArrayList<>();
        int checked = 0;
        int failures = 0;
        int threads = Runtime.getRuntime().availableProcessors();
        try (Workers team = Workers.of(threads); PeerPool pool = new PeerPool(threads);
                Progress progress = new Progress("attention", LAYOUTS.size() + DType.values().length)) {
            for (AttentionLayouts layout : LAYOUTS) {
                progress.at(Choice.name(layout));
                BlockMask mask = layout.mask(BlockGrid.square(seq, BLOCK), SEED);
                AttentionCase problem = new AttentionCase(SEED, mask, 1, heads, heads, HEAD_DIM,
                    AttentionOptions.defaults(), null, AttentionCase.Axes.HEAD_MAJOR, AttentionCase.Place.SHARED);
                AttentionComparison comparison = AttentionComparison.run(problem, backends,
                    context.peers() ? PeerNames.ATTENTION : List.of(), pool, team, settings, () -> {});
                addRows(rows, Choice.name(layout), mask.density(), mask.blockDensity(), comparison);
                figures.add(figure(layout, mask));
                cases.add(comparison.toJson(describe(layout, problem, backends, team, settings)));
                checked += ContenderResult.checked(comparison.results());
                failures += ContenderResult.failures(comparison.results());
                progress.step();
            }
            for (DType dtype : DType.values()) {
                DecodeProblem problem = new DecodeProblem(
                    8 * seq, heads, heads, HEAD_DIM, BLOCK, BLOCK, DECODE_DENSITY, dtype, SEED);
                progress.at("decode " + dtype.id());
                AttentionComparison comparison =
                    DecodeComparison.run(problem, backends, List.of(), team, settings, () -> {});
                addRows(decodeRows, dtype.id(), DECODE_DENSITY, DECODE_DENSITY, comparison);
                cases.add(comparison.toJson(describe(problem, backends, team, settings)));
                checked += ContenderResult.checked(comparison.results());
                failures += ContenderResult.failures(comparison.results());
                progress.step();
            }
        }
        List<Block> blocks = new ArrayList<>();
        blocks.add(new Prose(Prose.Tone.PLAIN, String.format(Locale.ROOT, "%d tokens, %d heads of %d, blocks of %d, "
            + "f32, %d threads. GFLOP/s count the scores of the mask alone; the dense path is the same kernel over every "
            + "block. Operands are drawn; each result is compared with a reference in double on some rows of every "
            + "head.", seq, heads, HEAD_DIM, BLOCK, Runtime.getRuntime().availableProcessors())));
        blocks.add(new DataTable("Masks of published methods, one call each", List.of("mask", "density",
            "of blocks", "contender", "median ms", "GFLOP/s", "speed over dense", "max rel err"), rows));
        blocks.addAll(figures);
        blocks.add(new DataTable("Decode: one query over a paged cache of " + 8 * seq + " keys, " + heads + " heads of "
            + HEAD_DIM + ", a tenth of the blocks beside all of them", List.of("cache", "density", "of blocks",
            "contender", "median ms", "GFLOP/s", "speed over dense", "max rel err"), decodeRows));
        return new Section(title(), blocks, cases, checked, failures);
    }

    private static void addRows(
            List<List<String>> rows, String what, double density, double blockDensity, AttentionComparison comparison) {
        double dense = comparison.results().stream()
            .filter(result -> result.name().equals("filigree/dense") && result instanceof ContenderResult.Figures)
            .mapToDouble(result -> ((ContenderResult.Figures) result).timing().medianMillis()).findFirst().orElse(0);
        for (ContenderResult result : comparison.results()) {
            List<String> row = new ArrayList<>(List.of(what, format("%.3f", density),
                format("%.3f", blockDensity), result.name()));
            switch (result) {
                case ContenderResult.Figures f -> row.addAll(List.of(format("%.2f", f.timing().medianMillis()),
                    format("%.1f", f.gflops()), dense == 0 ? "-" : format("%.2f", dense / f.timing().medianMillis()),
                    format("%.1e", f.maxRelErr())));
                case ContenderResult.Failure f -> row.addAll(List.of("-", "-", "-", f.error()));
            }
            rows.add(row);
        }
    }

    private static String format(String format, double x) {
        return String.format(Locale.ROOT, format, x);
    }

    /** Full blocks are dark, partial ones lighter. */
    private static Figure figure(AttentionLayouts layout, BlockMask mask) {
        float[][] shades = new float[mask.grid().rowBlocks()][mask.grid().colBlocks()];
        for (int row = 0; row < shades.length; row++) {
            for (int n = 0; n < mask.fullCount(0, row); n++) {
                shades[row][mask.fullBlock(0, row, n)] = 1f;
            }
            for (int n = 0; n < mask.partialCount(0, row); n++) {
                shades[row][mask.partialBlock(0, row, n)] = 0.5f;
            }
        }
        return new Figure(Choice.name(layout), format("%.1f %% of the blocks are listed; partial blocks are lighter",
            100 * mask.blockDensity()), "queries", "keys",
            Figure.Grid.of(shades.length, shades[0].length, (row, column) -> shades[row][column]));
    }

    private static JsonObject describe(DecodeProblem problem, List<Backend> backends, Workers team,
            SideBySide.Settings settings) {
        JsonObject json = new JsonObject();
        json.addProperty("seq", problem.seq());
        json.addProperty("heads", problem.heads());
        json.addProperty("kv_heads", problem.kvHeads());
        json.addProperty("head_dim", problem.dim());
        json.addProperty("block", problem.block());
        json.addProperty("page", problem.page());
        json.addProperty("density", problem.density());
        json.addProperty("dtype", problem.dtype().id());
        json.addProperty("decode", true);
        json.add("backend", Json.strings(backends.stream().map(Backend::id).toList()));
        json.addProperty("threads", team.threads());
        json.addProperty("rounds", settings.rounds());
        json.addProperty("seed", SEED);
        return json;
    }

    private static JsonObject describe(AttentionLayouts layout, AttentionCase problem, List<Backend> backends,
            Workers team, SideBySide.Settings settings) {
        JsonObject json = new JsonObject();
        json.addProperty("seq", problem.mask().grid().keys());
        json.addProperty("heads", problem.heads());
        json.addProperty("kv_heads", problem.kvHeads());
        json.addProperty("head_dim", problem.dim());
        json.addProperty("block", BLOCK);
        json.addProperty("layout", Choice.name(layout));
        json.addProperty("causal", false);
        json.addProperty("dtype", "f32");
        json.add("backend", Json.strings(backends.stream().map(Backend::id).toList()));
        json.addProperty("threads", team.threads());
        json.addProperty("rounds", settings.rounds());
        json.addProperty("seed", SEED);
        json.addProperty("nnz", problem.mask().elements());
        json.addProperty("sparsity", Json.rounded(1 - problem.mask().density()));
        return json;
    }
}
