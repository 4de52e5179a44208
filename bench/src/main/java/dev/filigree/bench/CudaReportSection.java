package dev.filigree.bench;

import com.google.gson.JsonObject;
import dev.filigree.Activation;
import dev.filigree.Backend;
import dev.filigree.Layout;
import dev.filigree.Refusal;
import dev.filigree.Workers;
import dev.filigree.bench.measure.SideBySide;
import dev.filigree.bench.report.Block;
import dev.filigree.bench.report.DataTable;
import dev.filigree.bench.report.Prose;
import dev.filigree.bench.report.Section;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** SpMM on a CUDA device beside the host's best backend; without a device, why there are no figures. */
final class CudaReportSection implements ReportSection {

    /** As the shapes of DLMC's transformer layers and of a large model's, at the sparsities that pay. */
    private static final List<String> MATRICES = List.of("2048x512@0.7", "2048x512@0.9", "4096x4096@0.9", "4096x4096@0.98");
    private static final int COLUMNS = 128;
    private static final long SEED = 1;

    @Override
    public String title() {
        return "SpMM on CUDA devices";
    }

    @Override
    public Section run(Context context) {
        Optional<Refusal> refusal = Backend.CUDA.unavailabilityCause();
        if (refusal.isPresent()) {
            return new Section(title(), List.of(Prose.note("No figures: " + refusal.get().reason() + " ("
                + refusal.get().cure() + "). " + InfoCommand.CUDA_STATE + ".")), List.of(), 0, 0);
        }
        List<List<String>> rows = new ArrayList<>();
        List<JsonObject> cases = new ArrayList<>();
        int checked = 0;
        int failures = 0;
        List<Backend> backends = List.of(CommonOptions.availableOnHost().getLast(), Backend.CUDA);
        SideBySide.Settings settings =
            new SideBySide.Settings(context.quick() ? 5 : 15, Duration.ofMillis(300), Duration.ofMillis(2));
        try (Workers team = Workers.of(Runtime.getRuntime().availableProcessors())) {
            for (String matrix : context.quick() ? MATRICES.subList(0, 2) : MATRICES) {
                SpmmProblem problem = new SpmmProblem(
                    BenchmarkMatrices.parse(matrix), COLUMNS, Layout.FEATURE_MAJOR, Activation.NONE, SEED);
                SpmmComparison comparison = SpmmComparison.run(problem, backends, team, settings, () -> {});
                checked += comparison.results().size();
                failures += comparison.failures();
                JsonObject caseJson = new JsonObject();
                caseJson.addProperty("matrix", matrix);
                problem.describe(caseJson);
                cases.add(comparison.toJson(caseJson));
                comparison.results().forEach(result -> rows.add(row(matrix, result)));
            }
        }
        List<Block> blocks = List.of(
            Prose.of("Random matrices with " + COLUMNS + " columns of B, operands in the memory of the one who computes;"
                + " times from plan.run to its return, the device's launch and synchronization included. "
                + InfoCommand.CUDA_STATE + "."),
            new DataTable("Products on the device", List.of("matrix", "contender", "median ms", "GFLOP/s", "max rel err"),
                rows));
        return new Section(title(), blocks, cases, checked, failures);
    }

    private static List<String> row(String matrix, ContenderResult result) {
        return switch (result) {
            case ContenderResult.Figures f -> List.of(matrix, f.name(),
                String.format(Locale.ROOT, "%.4f", f.timing().medianMillis()),
                String.format(Locale.ROOT, "%.1f", f.gflops()), String.format(Locale.ROOT, "%.1e", f.maxRelErr()));
            case ContenderResult.Failure f -> List.of(matrix, f.name(), "-", "-", f.error());
        };
    }
}
