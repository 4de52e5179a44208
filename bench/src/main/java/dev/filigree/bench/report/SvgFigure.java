package dev.filigree.bench.report;

/** Draws a grid of shades as SVG: neighbours of one shade in a row are one rectangle. */
final class SvgFigure {

    /** Finer cells than this would be less than a dot on most screens. */
    private static final int MOST_CELLS = 192;
    private static final double SIDE = 420;
    private static final double MARGIN = 22;

    private SvgFigure() {}

    /**
     * Draws a figure.
     *
     * @param id unique on the page
     */
    static String draw(Figure figure, String id) {
        Figure.Grid cells = figure.cells().atMost(MOST_CELLS);
        // By the full grid's shape: blocks at the edges may be smaller than the others.
        double scale = SIDE / Math.max(figure.cells().rows(), figure.cells().columns());
        double width = Math.max(12, figure.cells().columns() * scale);
        double height = Math.max(12, figure.cells().rows() * scale);
        Markup svg = new Markup();
        svg.open("svg", "xmlns", "http://www.w3.org/2000/svg", "class", "figure", "viewBox",
            "0 0 " + Markup.coordinate(width + 2 * MARGIN) + " " + Markup.coordinate(height + 2 * MARGIN),
            "style", "max-width:" + Markup.coordinate(width + 2 * MARGIN) + "px",
            "role", "img", "aria-labelledby", id + "-title " + id + "-desc");
        svg.element("title", figure.title(), "id", id + "-title");
        svg.element("desc", figure.description(), "id", id + "-desc").line();
        svg.element("text", figure.columnLabel() + " \u2192", "x", MARGIN, "y", MARGIN - 8, "class", "axis-label");
        svg.element("text", "\u2190 " + figure.rowLabel(), "class", "axis-label end", "transform",
            "translate(" + Markup.coordinate(MARGIN - 8) + " " + Markup.coordinate(MARGIN) + ") rotate(-90)").line();
        svg.empty("rect", "class", "paper", "x", MARGIN, "y", MARGIN, "width", width, "height", height).line();
        double cellWidth = width / cells.columns();
        double cellHeight = height / cells.rows();
        svg.open("g", "transform", "translate(" + MARGIN + " " + MARGIN + ") scale(" + cellWidth + " " + cellHeight
            + ")", "class", "cells", "shape-rendering", "crispEdges");
        for (int r = 0; r < cells.rows(); r++) {
            row(svg, cells, r);
        }
        return svg.close("g").close("svg").toString();
    }

    private static void row(Markup svg, Figure.Grid cells, int row) {
        int from = 0;
        while (from < cells.columns()) {
            long shade = percent(cells, row, from);
            int to = from + 1;
            while (to < cells.columns() && percent(cells, row, to) == shade) {
                to++;
            }
            if (shade > 0) {
                svg.empty("rect", "x", from, "y", row, "width", to - from, "height", 1, "opacity", shade / 100f);
            }
            from = to;
        }
    }

    /** Eyes tell fewer shades than a hundred apart. */
    private static long percent(Figure.Grid cells, int row, int column) {
        float shade = cells.shade(row, column);
        return shade == 0 ? 0 : Math.max(1, Math.round(100.0 * shade));
    }
}
