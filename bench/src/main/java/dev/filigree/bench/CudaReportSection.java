package dev.filigree.bench;

import com.google.gson.JsonObject;
import dev.filigree.Activation;
import dev.filigree.Backend;
import dev.filigree.DType;
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

    private static final long SEED = 1;

    /**
     * One product.
     *
     * @param matrix as {@link BenchmarkMatrices} names it
     * @param n columns of B, or tokens
     * @param dtype of all operands
     */
    record Case(String matrix, int n, DType dtype) {

        SpmmProblem problem() {
            // f32 is measured as graphs and solvers use it, bf16 as a linear layer.
            return new SpmmProblem(Rounding.round(BenchmarkMatrices.parse(matrix), dtype), n,
                dtype == DType.F32 ? Layout.FEATURE_MAJOR : Layout.TOKEN_MAJOR, Activation.NONE, SEED,
                Optional.empty(), dtype);
        }
    }

    /** As the shapes of DLMC's transformer layers and of a large model's, at the sparsities that pay. */
    private static final List<Case> QUICK = List.of(new Case("2048x512@0.7", 128, DType.F32),
        new Case("2048x512@0.9", 128, DType.F32), new Case("4096x4096@0.7", 1, DType.BF16),
        new Case("4096x4096@0.9", 16, DType.BF16));
    private static final List<Case> ALL = List.of(new Case("2048x512@0.7", 128, DType.F32),
        new Case("2048x512@0.9", 128, DType.F32), new Case("4096x4096@0.9", 128, DType.F32),
        new Case("4096x4096@0.98", 128, DType.F32), new Case("14336x4096@0.5", 1, DType.BF16),
        new Case("14336x4096@0.7", 1, DType.BF16), new Case("14336x4096@0.9", 1, DType.BF16),
        new Case("14336x4096@0.9", 16, DType.BF16), new Case("14336x4096@0.7", 64, DType.BF16));

    private final Optional<List<Case>> given;

    CudaReportSection() {
        given = Optional.empty();
    }

    /** With products of a test's choice: a simulated device is slow. */
    CudaReportSection(List<Case> cases) {
        given = Optional.of(cases);
    }

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
        SideBySide.Settings settings =
            new SideBySide.Settings(context.quick() ? 5 : 15, Duration.ofMillis(300), Duration.ofMillis(2));
        try (Workers team = Workers.of(Runtime.getRuntime().availableProcessors())) {
            for (Case each : given.orElse(context.quick() ? QUICK : ALL)) {
                SpmmProblem problem = each.problem();
                SpmmComparison comparison = SpmmComparison.run(problem, backends(each.dtype()), team, settings, () -> {});
                checked += comparison.results().size();
                failures += comparison.failures();
                JsonObject caseJson = new JsonObject();
                caseJson.addProperty("matrix", each.matrix());
                problem.describe(caseJson);
                caseJson.addProperty("working_sets", comparison.workingSets());
                cases.add(comparison.toJson(caseJson));
                comparison.results().forEach(result -> rows.add(row(each, result)));
            }
        }
        List<Block> blocks = List.of(
            Prose.of("Random matrices, operands in the memory of the one who computes, taken in turn from more than four"
                + " times a device's cache; times from plan.run to its return, launch and synchronization included. "
                + InfoCommand.CUDA_STATE + "."),
            new DataTable("Products on the device", List.of("matrix", "n", "type", "contender", "median ms",
                "GFLOP/s", "GB/s", "max rel err"), rows));
        return new Section(title(), blocks, cases, checked, failures);
    }

    /** Only devices multiply bf16. */
    private static List<Backend> backends(DType dtype) {
        return dtype == DType.F32 ? List.of(CommonOptions.availableOnHost().getLast(), Backend.CUDA)
            : List.of(Backend.CUDA);
    }

    private static List<String> row(Case each, ContenderResult result) {
        List<String> row = new ArrayList<>(List.of(each.matrix(), Integer.toString(each.n()), each.dtype().id()));
        row.addAll(switch (result) {
            case ContenderResult.Figures f -> List.of(f.name(),
                String.format(Locale.ROOT, "%.4f", f.timing().medianMillis()),
                String.format(Locale.ROOT, "%.1f", f.gflops()), String.format(Locale.ROOT, "%.1f", f.gbps()),
                String.format(Locale.ROOT, "%.1e", f.maxRelErr()));
            case ContenderResult.Failure f -> List.of(f.name(), "-", "-", "-", f.error());
        });
        return row;
    }
}
