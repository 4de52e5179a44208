package dev.filigree.bench.report;

import java.util.ArrayList;
import java.util.List;
import java.util.function.ToDoubleFunction;

/**
 * Draws a plot as SVG for a page whose style sheet gives the colours, so that it follows the page from light to dark.
 *
 * <p>Own code where a chart library would do: those for the JVM, XChart among them, lay text out with AWT's fonts even
 * when they write SVG, and AWT has none on a server without fontconfig, where it fails. Here text is left to whoever
 * shows the page; only its width is estimated.
 */
final class SvgPlot {

    private static final double WIDTH = 560;
    private static final double PLOT_HEIGHT = 250;
    private static final double LEFT = 58;
    private static final double RIGHT = 18;
    private static final double BOTTOM = 46;
    private static final double LEGEND_ROW = 20;
    private static final double LEGEND_MARK = 26;
    private static final double LEGEND_GAP = 18;
    /** Above the plot: the label of its vertical axis. */
    private static final double HEAD = 28;
    /** A little wide for most letters, so that nothing overlaps. */
    private static final double LETTER = 6.8;

    private final Plot plot;
    private final Palette palette;
    private final String id;
    private final Ticks xTicks;
    private final Ticks yTicks;
    private final List<Plot.Series> named;
    private double top;

    private SvgPlot(Plot plot, Palette palette, String id) {
        this.plot = plot;
        this.palette = palette;
        this.id = id;
        xTicks = Ticks.of(plot.x(), values(Plot.Point::x));
        yTicks = Ticks.of(plot.y(), values(Plot.Point::y));
        named = plot.series().stream().filter(series -> series.style() != Plot.Style.REFERENCE).toList();
    }

    /**
     * Draws a plot.
     *
     * @param id unique on the page
     */
    static String draw(Plot plot, Palette palette, String id) {
        return new SvgPlot(plot, palette, id).draw();
    }

    private List<Double> values(ToDoubleFunction<Plot.Point> coordinate) {
        return plot.series().stream().flatMap(series -> series.points().stream())
            .map(coordinate::applyAsDouble).toList();
    }

    private double x(double value) {
        return LEFT + xTicks.position(value) * (WIDTH - LEFT - RIGHT);
    }

    private double y(double value) {
        return top + (1 - yTicks.position(value)) * PLOT_HEIGHT;
    }

    private String draw() {
        Markup legend = new Markup();
        double legendHeight = legend(legend);
        top = legendHeight + HEAD;
        double height = top + PLOT_HEIGHT + BOTTOM;
        Markup svg = new Markup();
        svg.open("svg", "xmlns", "http://www.w3.org/2000/svg", "class", "plot", "viewBox",
            "0 0 " + Markup.coordinate(WIDTH) + " " + Markup.coordinate(height), "role", "img",
            "aria-labelledby", id + "-title " + id + "-desc");
        svg.element("title", plot.title(), "id", id + "-title");
        svg.element("desc", plot.description(), "id", id + "-desc").line();
        svg.raw(legend.toString());
        axes(svg);
        for (Plot.Series series : plot.series()) {
            if (series.style() == Plot.Style.REFERENCE) {
                reference(svg, series);
            }
        }
        for (Plot.Series series : named) {
            series(svg, series);
        }
        return svg.close("svg").toString();
    }

    /** Names in rows; returns their height. */
    private double legend(Markup svg) {
        double x = LEFT;
        double y = LEGEND_ROW / 2;
        for (Plot.Series series : named) {
            double width = LEGEND_MARK + series.name().length() * LETTER;
            if (x > LEFT && x + width > WIDTH) {
                x = LEFT;
                y += LEGEND_ROW;
            }
            svg.open("g", "class", palette.style(series.name()));
            if (series.style() == Plot.Style.LINE) {
                svg.empty("path", "class", "line",
                    "d", "M" + Markup.coordinate(x) + " " + Markup.coordinate(y) + "h18");
            }
            svg.empty("path", "class", "mark", "d", palette.mark(series.name(), x + 9, y));
            svg.close("g").element("text", series.name(), "x", x + LEGEND_MARK, "y", y + 4, "class", "name").line();
            x += width + LEGEND_GAP;
        }
        return named.isEmpty() ? 0 : y + LEGEND_ROW / 2;
    }

    private void axes(Markup svg) {
        svg.element("text", plot.y().label(), "x", LEFT - 50, "y", top - 12, "class", "axis-label").line();
        for (double mark : yTicks.marks()) {
            svg.empty("path", "class", mark == yTicks.low() ? "axis" : "grid", "d",
                "M" + Markup.coordinate(LEFT) + " " + Markup.coordinate(y(mark)) + "H"
                    + Markup.coordinate(WIDTH - RIGHT));
            svg.element("text", Ticks.label(mark) + plot.y().unit(), "x", LEFT - 8, "y", y(mark) + 4,
                "class", "tick end").line();
        }
        double base = top + PLOT_HEIGHT;
        svg.empty("path", "class", "axis", "d", "M" + Markup.coordinate(LEFT) + " " + Markup.coordinate(base) + "H"
            + Markup.coordinate(WIDTH - RIGHT));
        for (double mark : xTicks.marks()) {
            svg.empty("path", "class", "axis", "d",
                "M" + Markup.coordinate(x(mark)) + " " + Markup.coordinate(base) + "v5");
            svg.element("text", Ticks.label(mark) + plot.x().unit(), "x", x(mark), "y", base + 19,
                "class", "tick middle").line();
        }
        svg.element("text", plot.x().label(), "x", (LEFT + WIDTH - RIGHT) / 2, "y", base + 39,
            "class", "axis-label middle").line();
    }

    private String path(Plot.Series series) {
        StringBuilder path = new StringBuilder();
        for (Plot.Point point : series.points()) {
            path.append(path.isEmpty() ? "M" : "L").append(Markup.coordinate(x(point.x()))).append(' ')
                .append(Markup.coordinate(y(point.y())));
        }
        return path.toString();
    }

    /** A line with its name along its end. */
    private void reference(Markup svg, Plot.Series series) {
        int points = series.points().size();
        if (points < 2) {
            return;
        }
        svg.empty("path", "class", "reference", "d", path(series));
        Plot.Point from = series.points().get(points - 2);
        Plot.Point to = series.points().get(points - 1);
        double angle = Math.toDegrees(Math.atan2(y(to.y()) - y(from.y()), x(to.x()) - x(from.x())));
        svg.element("text", series.name(), "class", "reference-name end", "transform",
            "translate(" + Markup.coordinate(x(to.x())) + " " + Markup.coordinate(y(to.y())) + ") rotate("
                + Markup.coordinate(angle) + ")", "dx", "-8", "dy", "-6").line();
    }

    private void series(Markup svg, Plot.Series series) {
        svg.open("g", "class", palette.style(series.name()));
        if (series.style() == Plot.Style.LINE) {
            svg.empty("path", "class", "line", "d", path(series));
        }
        for (Plot.Point point : series.points()) {
            List<String> hint = new ArrayList<>(List.of(series.name()));
            if (!point.label().isEmpty()) {
                hint.add(point.label());
            }
            hint.add(plot.x().label() + ": " + Ticks.label(point.x()) + plot.x().unit());
            hint.add(plot.y().label() + ": " + Ticks.label(point.y()) + plot.y().unit());
            svg.open("path", "class", "mark", "d", palette.mark(series.name(), x(point.x()), y(point.y())));
            svg.element("title", String.join("\n", hint)).close("path");
        }
        svg.close("g").line();
    }
}
