package dev.filigree.bench;

import dev.filigree.bench.measure.Ceilings;
import dev.filigree.bench.measure.Statistics;
import dev.filigree.bench.report.Block;
import dev.filigree.bench.report.DataTable;
import dev.filigree.bench.report.Figure;
import dev.filigree.bench.report.Highlights;
import dev.filigree.bench.report.Plot;
import dev.filigree.bench.report.Prose;
import dev.filigree.format.CsrMatrix;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * What the SpMM section says about its measurements. Contenders are taken as they come, by name: those of this library
 * are {@code filigree/..}, the dense path is {@code filigree/dense}, all others are peers.
 *
 * <p>A line stands for all projections of one shape; times are geometric means over them, errors the largest. The JSON
 * cases have them one by one.
 */
final class SpmmReportContent {

    /** The sparsity and the tokens that the headline is about. */
    private static final double HEADLINE_SPARSITY = 0.9;
    private static final int HEADLINE_TOKENS = 128;
    /** Blocks of weights a side in the picture of a pruned matrix. */
    private static final int PICTURE = 96;

    /** What projections have in common; a plot is about one of these. */
    private record Shape(int rows, int cols, int n) {

        static Shape of(SpmmReportSection.Cell cell) {
            return new Shape(cell.projection().weights().rows(), cell.projection().weights().cols(), cell.n());
        }

        String matrix() {
            return rows + " x " + cols;
        }

        @Override
        public String toString() {
            return matrix() + " weights, " + n + (n == 1 ? " token" : " tokens");
        }
    }

    private record Key(Shape shape, double sparsity) {}

    private record Measured(SpmmReportSection.Cell cell, SpmmComparison comparison, Optional<SpmmLayerCheck> check) {

        Optional<ContenderResult.Figures> figures(String name) {
            return comparison.results().stream().filter(result -> result.name().equals(name))
                .filter(ContenderResult.Figures.class::isInstance).map(ContenderResult.Figures.class::cast)
                .findFirst();
        }
    }

    private final SpmmReportInputs inputs;
    private final Optional<Ceilings> ceilings;
    private final List<Measured> all = new ArrayList<>();
    private final Map<Key, List<Measured>> byKey = new LinkedHashMap<>();
    private final Set<String> names = new LinkedHashSet<>();

    SpmmReportContent(SpmmReportInputs inputs, Optional<Ceilings> ceilings) {
        this.inputs = inputs;
        this.ceilings = ceilings;
    }

    void add(SpmmReportSection.Cell cell, SpmmComparison comparison, Optional<SpmmLayerCheck> check) {
        Measured measured = new Measured(cell, comparison, check);
        all.add(measured);
        byKey.computeIfAbsent(new Key(Shape.of(cell), cell.sparsity()), key -> new ArrayList<>()).add(measured);
        // Peers that do not run here get a note, not a column of gaps.
        comparison.results().stream().filter(ContenderResult::isChecked).forEach(result -> names.add(result.name()));
    }

    List<Block> blocks() {
        List<Block> blocks = new ArrayList<>();
        blocks.add(inputs.real() ? Prose.of(inputs.provenance()) : Prose.note(inputs.provenance()));
        blocks.add(Prose.of("Each projection is pruned to a given sparsity by one-shot global magnitude pruning, "
            + "without retraining. Y = X * W\u1d40, token-major, f32. Contenders run in turn, round by round; times "
            + "are medians, and rates count useful work only: the multiply-adds of weights that were kept."));
        blocks.add(highlights());
        failures(blocks);
        blocks.add(times());
        for (Shape shape : shapes()) {
            blocks.add(timePlot(shape));
            blocks.add(speedUpPlot(shape));
        }
        roofline().ifPresent(plot -> {
            blocks.add(Prose.of("The roofline: what a kernel reaches, against what this machine can do at the kernel's "
                + "arithmetic intensity. Bytes are those that must move at least once: packed weights, input, output. "
                + "What stays in a cache between runs is not bound by memory."));
            blocks.add(plot);
        });
        if (inputs.real()) {
            blocks.add(Prose.of("What pruning costs: the cosine between the outputs of the pruned and the dense layer "
                + "on the same real activations, before the bias. A model that is meant to be pruned is retrained, "
                + "and loses far less."));
            blocks.add(quality());
            blocks.add(qualityPlot());
        }
        picture().ifPresent(blocks::add);
        return blocks;
    }

    private List<Shape> shapes() {
        return List.copyOf(byKey.keySet().stream().map(Key::shape)
            .collect(Collectors.toCollection(LinkedHashSet::new)));
    }

    /** What speed-ups are ratios to: the dense path of this library, or else the slowest of its backends. */
    private String baseline() {
        return names.contains(SpmmContender.DENSE) ? SpmmContender.DENSE : names.iterator().next();
    }

    /** How tables and plots call a contender. */
    private static String label(String name) {
        return name.startsWith(ContenderResult.OURS) ? name.substring(ContenderResult.OURS.length()) : name;
    }

    /** The geometric mean of a contender's times, in milliseconds; NaN unless it has figures in all of them. */
    private double millis(List<Measured> measured, String name) {
        double[] times = measured.stream().map(m -> m.figures(name)).flatMap(Optional::stream)
            .mapToDouble(figures -> figures.timing().medianMillis()).toArray();
        return times.length < measured.size() || times.length == 0 ? Double.NaN : Statistics.geometricMean(times);
    }

    /** The fastest of some contenders, if any has figures. */
    private Optional<String> fastest(List<Measured> measured, boolean ours) {
        return names.stream()
            .filter(name -> name.startsWith(ContenderResult.OURS) == ours && !name.equals(SpmmContender.DENSE))
            .filter(name -> !Double.isNaN(millis(measured, name)))
            .min(Comparator.comparingDouble(name -> millis(measured, name)));
    }

    private Highlights highlights() {
        List<Highlights.Item> items = new ArrayList<>();
        List<Measured> headline = all.stream().filter(m -> m.cell.sparsity() == HEADLINE_SPARSITY
            && m.cell.n() == HEADLINE_TOKENS).toList();
        String condition = percent(HEADLINE_SPARSITY) + " sparse, " + HEADLINE_TOKENS + " tokens";
        fastest(headline, true).ifPresent(best -> {
            if (!best.equals(baseline()) && !Double.isNaN(millis(headline, baseline()))) {
                items.add(new Highlights.Item(label(best) + " against " + label(baseline()),
                    format("%.1f\u00d7", millis(headline, baseline()) / millis(headline, best)), condition));
            }
            fastest(headline, false).ifPresent(peer -> items.add(new Highlights.Item(label(best) + " against " + peer,
                format("%.2f\u00d7", millis(headline, peer) / millis(headline, best)),
                condition + ", the fastest peer")));
            double[] rates = headline.stream().mapToDouble(m -> m.figures(best).orElseThrow().gflops()).toArray();
            items.add(new Highlights.Item("useful work on " + label(best),
                format("%.0f GFLOP/s", Statistics.geometricMean(rates)), condition));
        });
        items.add(new Highlights.Item("largest relative error", format("%.1e", worstError(all)),
            "against a reference in double"));
        long unequal = differences().size();
        long compared = all.stream().filter(m -> m.check.isPresent()).count();
        if (names.stream().filter(name -> name.startsWith(ContenderResult.OURS) && !name.equals(SpmmContender.DENSE))
                .count() > 1) {
            items.add(new Highlights.Item("same bits on all backends",
                unequal == 0 ? "yes" : "no", (compared - unequal) + " of " + compared + " pruned layers, all tokens"));
        }
        return new Highlights(items);
    }

    private double worstError(List<Measured> measured) {
        return measured.stream().flatMap(m -> m.comparison.results().stream())
            .filter(ContenderResult.Figures.class::isInstance)
            .mapToDouble(result -> ((ContenderResult.Figures) result).maxRelErr()).max().orElse(Double.NaN);
    }

    private List<String> differences() {
        return all.stream().filter(m -> m.check.flatMap(SpmmLayerCheck::difference).isPresent())
            .map(m -> describe(m.cell) + ": backends differ at " + m.check.get().difference().get()).toList();
    }

    private static String describe(SpmmReportSection.Cell cell) {
        return cell.projection().weights().name() + ", " + percent(cell.sparsity()) + " sparse, n " + cell.n();
    }

    private void failures(List<Block> blocks) {
        // A peer that is missing is so in every case, for one reason.
        Set<String> missing = new LinkedHashSet<>();
        for (Measured measured : all) {
            for (ContenderResult result : measured.comparison.results()) {
                if (result.isFailure()) {
                    blocks.add(Prose.failure(result.name() + " on " + describe(measured.cell) + ": "
                        + ((ContenderResult.Failure) result).error()));
                } else if (result instanceof ContenderResult.Failure failure) {
                    missing.add(failure.name() + " was not measured: " + failure.error());
                }
            }
        }
        differences().forEach(text -> blocks.add(Prose.failure(text)));
        missing.forEach(text -> blocks.add(Prose.note(text)));
    }

    private DataTable times() {
        List<String> columns = new ArrayList<>(List.of("weights", "sparse", "n", "matrices"));
        names.forEach(name -> columns.add(label(name) + " ms"));
        boolean peers = names.stream().anyMatch(name -> !name.startsWith(ContenderResult.OURS));
        columns.addAll(List.of("best", "GFLOP/s", "speed-up over " + label(baseline())));
        if (peers) {
            columns.addAll(List.of("over the fastest peer", "fastest peer"));
        }
        columns.addAll(List.of("max rel err", "same bits", "status"));
        List<List<String>> rows = new ArrayList<>();
        byKey.forEach((key, measured) -> {
            List<String> row = new ArrayList<>(List.of(key.shape.matrix(), percent(key.sparsity),
                Integer.toString(key.shape.n), Integer.toString(measured.size())));
            names.forEach(name -> row.add(number("%.3f", millis(measured, name))));
            Optional<String> best = fastest(measured, true);
            Optional<String> peer = fastest(measured, false);
            double time = best.map(name -> millis(measured, name)).orElse(Double.NaN);
            row.add(best.map(SpmmReportContent::label).orElse("-"));
            row.add(number("%.1f", best.map(name -> Statistics.geometricMean(measured.stream()
                .mapToDouble(m -> m.figures(name).orElseThrow().gflops()).toArray())).orElse(Double.NaN)));
            row.add(number("%.2f", millis(measured, baseline()) / time));
            if (peers) {
                row.add(number("%.2f", peer.map(name -> millis(measured, name)).orElse(Double.NaN) / time));
                row.add(peer.orElse("-"));
            }
            row.add(number("%.1e", worstError(measured)));
            List<SpmmLayerCheck> checks = measured.stream().map(m -> m.check).flatMap(Optional::stream).toList();
            row.add(checks.isEmpty() ? "-"
                : checks.stream().allMatch(check -> check.difference().isEmpty()) ? "yes" : "no");
            boolean failed = measured.stream()
                .anyMatch(m -> m.comparison.results().stream().anyMatch(ContenderResult::isFailure))
                || checks.stream().anyMatch(check -> check.difference().isPresent());
            row.add(failed ? "FAILED" : "ok");
            rows.add(row);
        });
        return new DataTable("Median time of one product in milliseconds; speed-ups are those of the best of "
            + "Filigree's backends", columns, rows);
    }

    private static Plot.Axis sparsityAxis() {
        return new Plot.Axis("sparsity of the weights", Plot.Scale.LINEAR, List.of(50.0, 60.0, 70.0, 80.0, 90.0, 95.0),
            " %");
    }

    @FunctionalInterface
    private interface Value {
        double of(List<Measured> measured, String name);
    }

    private List<Plot.Series> series(Shape shape, Value value) {
        List<Plot.Series> series = new ArrayList<>();
        for (String name : names) {
            List<Plot.Point> points = new ArrayList<>();
            byKey.forEach((key, measured) -> {
                double y = value.of(measured, name);
                if (key.shape.equals(shape) && y > 0) {
                    points.add(new Plot.Point(100 * key.sparsity, y, ""));
                }
            });
            if (!points.isEmpty()) {
                series.add(new Plot.Series(label(name), Plot.Style.LINE, points));
            }
        }
        return series;
    }

    private Plot timePlot(Shape shape) {
        return new Plot("Time: " + shape, "Lower is better. The vertical axis is logarithmic.", sparsityAxis(),
            Plot.Axis.log("milliseconds"), series(shape, this::millis));
    }

    private Plot speedUpPlot(Shape shape) {
        String base = baseline();
        List<Plot.Series> series = new ArrayList<>(series(shape, (measured, name) ->
            name.equals(base) ? Double.NaN : millis(measured, base) / millis(measured, name)));
        series.add(new Plot.Series(label(base), Plot.Style.REFERENCE,
            List.of(new Plot.Point(50, 1, ""), new Plot.Point(95, 1, ""))));
        return new Plot("Speed-up over " + label(base) + ": " + shape, "Higher is better; 1 is as fast as "
            + label(base) + ".", sparsityAxis(), Plot.Axis.linear("times as fast"), series);
    }

    /** A point for each of this library's backends, shape and sparsity, under what the machine can do. */
    private Optional<Plot> roofline() {
        if (ceilings.isEmpty()) {
            return Optional.empty();
        }
        Ceilings roof = ceilings.get();
        List<Plot.Series> series = new ArrayList<>();
        double least = Double.MAX_VALUE;
        double most = roof.fmaGflops() / roof.memoryGbps();
        for (String name : names) {
            List<Plot.Point> points = new ArrayList<>();
            if (name.startsWith(ContenderResult.OURS) && !name.equals(SpmmContender.DENSE)) {
                for (Map.Entry<Key, List<Measured>> entry : byKey.entrySet()) {
                    List<ContenderResult.Figures> figures = entry.getValue().stream().map(m -> m.figures(name))
                        .flatMap(Optional::stream).toList();
                    if (!figures.isEmpty()) {
                        double gflops = Statistics.geometricMean(figures.stream()
                            .mapToDouble(ContenderResult.Figures::gflops).toArray());
                        double gbps = Statistics.geometricMean(figures.stream()
                            .mapToDouble(ContenderResult.Figures::gbps).toArray());
                        points.add(new Plot.Point(gflops / gbps, gflops,
                            entry.getKey().shape + ", " + percent(entry.getKey().sparsity) + " sparse"));
                        least = Math.min(least, gflops / gbps);
                        most = Math.max(most, gflops / gbps);
                    }
                }
            }
            if (!points.isEmpty()) {
                series.add(new Plot.Series(label(name), Plot.Style.POINTS, points));
            }
        }
        if (series.isEmpty()) {
            return Optional.empty();
        }
        double ridge = roof.fmaGflops() / roof.cacheGbps();
        // Far enough to the left that both slopes are seen to rise.
        double left = Math.min(least, ridge) / 4;
        series.add(slope(format("memory, %.1f GB/s", roof.memoryGbps()), roof.memoryGbps(), left, roof.fmaGflops()));
        series.add(slope(format("L2 caches, %.0f GB/s", roof.cacheGbps()), roof.cacheGbps(), left, roof.fmaGflops()));
        series.add(new Plot.Series(format("multiply-adds, %.0f GFLOP/s", roof.fmaGflops()), Plot.Style.REFERENCE,
            List.of(new Plot.Point(ridge, roof.fmaGflops(), ""), new Plot.Point(most * 2, roof.fmaGflops(), ""))));
        return Optional.of(new Plot("Roofline", "Each mark is a kernel on one shape, sparsity and number of tokens; "
            + "the lines are this machine's measured limits on " + roof.threads()
            + (roof.threads() == 1 ? " thread." : " threads."),
            Plot.Axis.log("arithmetic intensity (FLOP/byte)"), Plot.Axis.log("GFLOP/s of useful work"), series));
    }

    /** What a bandwidth allows, up to what the multiply-add units allow. */
    private static Plot.Series slope(String name, double gbps, double from, double gflops) {
        double to = Math.max(from * 1.01, gflops / gbps);
        return new Plot.Series(name, Plot.Style.REFERENCE, List.of(
            new Plot.Point(from, Math.min(gflops, from * gbps), ""), new Plot.Point(to, gflops, "")));
    }

    private DataTable quality() {
        List<List<String>> rows = new ArrayList<>();
        for (double sparsity : sparsities()) {
            List<Measured> at = all.stream().filter(m -> m.cell.sparsity() == sparsity && m.check.isPresent()).toList();
            rows.add(List.of(percent(sparsity),
                format("%.4f", at.stream().mapToDouble(m -> m.check.get().meanCosine()).average().orElseThrow()),
                format("%.4f", at.stream().mapToDouble(m -> m.check.get().leastCosine()).min().orElseThrow()),
                Integer.toString(at.size())));
        }
        return new DataTable("Cosine between the pruned and the dense layer's output",
            List.of("sparse", "mean over layers and tokens", "worst token", "layers"), rows);
    }

    private Set<Double> sparsities() {
        Set<Double> sparsities = new TreeSet<>();
        all.stream().filter(m -> m.check.isPresent()).forEach(m -> sparsities.add(m.cell.sparsity()));
        return sparsities;
    }

    private Plot qualityPlot() {
        Map<String, List<Plot.Point>> points = new LinkedHashMap<>();
        for (Measured measured : all) {
            points.computeIfAbsent(measured.cell.projection().role().label(), role -> new ArrayList<>());
        }
        for (double sparsity : sparsities()) {
            points.forEach((role, of) -> all.stream()
                .filter(m -> m.cell.projection().role().label().equals(role) && m.cell.sparsity() == sparsity)
                .map(Measured::check).flatMap(Optional::stream).mapToDouble(SpmmLayerCheck::meanCosine).average()
                .ifPresent(mean -> of.add(new Plot.Point(100 * sparsity, mean, ""))));
        }
        List<Plot.Series> series = new ArrayList<>();
        points.forEach((role, of) -> series.add(new Plot.Series(role, Plot.Style.LINE, of)));
        return new Plot("Output of a pruned layer against the dense one",
            "1 means that pruning changed no direction; one-shot magnitude pruning, no retraining.", sparsityAxis(),
            Plot.Axis.linear("mean cosine"), series);
    }

    /** Where the weights are that pruning keeps. */
    private Optional<Figure> picture() {
        return all.stream().map(Measured::cell).filter(cell -> cell.sparsity() == HEADLINE_SPARSITY)
            .filter(cell -> cell.projection().weights().rows() == cell.projection().weights().cols()).findFirst()
            .map(cell -> {
                int side = cell.projection().weights().rows();
                int block = Math.max(1, side / PICTURE);
                int blocks = side / block;
                int[] kept = keptByBlock(cell, block, blocks);
                int most = Math.max(1, IntStream.of(kept).max().orElse(1));
                return new Figure("The weights that are kept", cell.projection().weights().name() + ", "
                    + percent(cell.sparsity()) + " sparse, in blocks of " + block + " x " + block
                    + " weights; the darkest holds " + most + ".", "outputs", "inputs",
                    Figure.Grid.of(blocks, blocks, (r, c) -> (double) kept[r * blocks + c] / most));
            });
    }

    private static int[] keptByBlock(SpmmReportSection.Cell cell, int block, int blocks) {
        int[] kept = new int[blocks * blocks];
        CsrMatrix pruned = cell.pruned();
        for (int r = 0; r < blocks * block; r++) {
            long begin = pruned.rowOffsets().getAtIndex(ValueLayout.JAVA_LONG, r);
            for (long p = begin; p < begin + pruned.rowLength(r); p++) {
                int c = pruned.columns().getAtIndex(ValueLayout.JAVA_INT, p) / block;
                if (c < blocks) {
                    kept[r / block * blocks + c]++;
                }
            }
        }
        return kept;
    }

    private static String percent(double share) {
        return format("%.0f %%", 100 * share);
    }

    private static String number(String format, double x) {
        return Double.isNaN(x) ? "-" : format(format, x);
    }

    private static String format(String format, double x) {
        return String.format(Locale.ROOT, format, x);
    }
}
