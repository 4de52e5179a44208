package dev.filigree.bench;

import dev.filigree.Backend;
import dev.filigree.bench.measure.Statistics;
import dev.filigree.bench.onnx.WeightMatrix;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/**
 * The section's table for people: a line for each shape, sparsity and n, over all layers; JSON has them one by
 * one. Rates are geometric means, the error is the largest.
 */
final class SpmmReportTable {

    /** What layers have in common. */
    private record Key(int rows, int cols, double sparsity, int n) {}

    /** The results of one key: of each layer a comparison. */
    private final Map<Key, List<SpmmComparison>> lines = new LinkedHashMap<>();
    private final List<Backend> backends;

    SpmmReportTable(List<Backend> backends) {
        this.backends = backends;
    }

    void add(WeightMatrix matrix, double sparsity, int n, SpmmComparison comparison) {
        lines.computeIfAbsent(new Key(matrix.rows(), matrix.cols(), sparsity, n), key -> new ArrayList<>())
            .add(comparison);
    }

    void print(PrintWriter out) {
        List<String> header = new ArrayList<>(List.of("matrix", "sparse", "n", "layers"));
        backends.forEach(backend -> header.add(backend.id() + " GFLOP/s"));
        backends.stream().skip(1).forEach(backend -> header.add(backend.id() + " / " + backends.getFirst().id()));
        header.addAll(List.of("max rel err", "status"));
        Table table = new Table(header);
        lines.forEach((key, comparisons) -> table.add(line(key, comparisons)));
        table.print(out);
        lines.forEach((key, comparisons) -> comparisons.forEach(comparison -> printFailures(out, key, comparison)));
    }

    private List<String> line(Key key, List<SpmmComparison> comparisons) {
        List<String> cells = new ArrayList<>(List.of(key.rows + " x " + key.cols,
            String.format(Locale.ROOT, "%.0f %%", 100 * key.sparsity), Integer.toString(key.n),
            Integer.toString(comparisons.size())));
        double[] gflops = new double[backends.size()];
        double error = 0;
        boolean ok = true;
        for (int i = 0; i < gflops.length; i++) {
            List<Double> ofLayers = new ArrayList<>();
            for (SpmmComparison comparison : comparisons) {
                if (comparison.results().get(i) instanceof ContenderResult.Figures figures) {
                    ofLayers.add(figures.gflops());
                    error = Math.max(error, figures.maxRelErr());
                } else {
                    ok = false;
                }
            }
            gflops[i] = ofLayers.isEmpty() ? Double.NaN
                : Statistics.geometricMean(ofLayers.stream().mapToDouble(x -> x).toArray());
        }
        for (double rate : gflops) {
            cells.add(number("%.2f", rate));
        }
        for (int i = 1; i < gflops.length; i++) {
            cells.add(number("%.2f", gflops[i] / gflops[0]));
        }
        cells.add(number("%.1e", error));
        cells.add(ok ? "ok" : "FAILED");
        return cells;
    }

    private static String number(String format, double x) {
        return Double.isNaN(x) ? "-" : String.format(Locale.ROOT, format, x);
    }

    private static void printFailures(PrintWriter out, Key key, SpmmComparison comparison) {
        for (ContenderResult result : comparison.results()) {
            if (result instanceof ContenderResult.Failure failure) {
                out.printf(Locale.ROOT, "FAILED %s on %d x %d, %.0f %% sparse, n %d: %s%n", failure.name(), key.rows,
                    key.cols, 100 * key.sparsity, key.n, failure.error());
            }
        }
    }
}
