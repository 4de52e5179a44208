package dev.filigree.bench.report;

import java.util.List;

/**
 * Series of points over two axes. A name that several plots of a report share has the same colour in all of them.
 *
 * @param title what it shows
 * @param description the same for those who cannot see it: what to look for, in a sentence
 * @param x the horizontal axis
 * @param y the vertical axis
 * @param series in the order of the legend
 */
public record Plot(String title, String description, Axis x, Axis y, List<Series> series) implements Block {

    /** Copies, and checks that logarithmic axes can show every point. */
    public Plot {
        series = List.copyOf(series);
        for (Series each : series) {
            for (Point point : each.points) {
                if (!x.shows(point.x) || !y.shows(point.y)) {
                    throw new IllegalArgumentException("plot \"" + title + "\": its axes cannot show " + point
                        + " of " + each.name);
                }
            }
        }
    }

    /** How values become distances. */
    public enum Scale {
        /** Equal differences are equal distances. */
        LINEAR,
        /** Equal ratios are equal distances. */
        LOG
    }

    /**
     * An axis.
     *
     * @param label with the unit in brackets
     * @param scale of it
     * @param ticks where marks are; empty to have round ones chosen, from zero on when linear
     * @param unit follows the numbers at the marks; may be empty
     */
    public record Axis(String label, Scale scale, List<Double> ticks, String unit) {

        /** Copies the list. */
        public Axis {
            ticks = List.copyOf(ticks);
        }

        /** A linear axis from zero on, with round marks. */
        public static Axis linear(String label) {
            return new Axis(label, Scale.LINEAR, List.of(), "");
        }

        /** A logarithmic axis with round marks. */
        public static Axis log(String label) {
            return new Axis(label, Scale.LOG, List.of(), "");
        }

        private boolean shows(double value) {
            return Double.isFinite(value) && (scale == Scale.LINEAR || value > 0);
        }
    }

    /** How a series is drawn. */
    public enum Style {
        /** Measurements that belong together: marks, and a line through them. */
        LINE,
        /** Single measurements: marks alone. */
        POINTS,
        /** Something to compare with: a line without marks, named at its end and not in the legend. */
        REFERENCE
    }

    /**
     * Points of one kind.
     *
     * @param name in the legend
     * @param style of drawing
     * @param points in the order of the line
     */
    public record Series(String name, Style style, List<Point> points) {
        /** Copies the list. */
        public Series {
            points = List.copyOf(points);
        }
    }

    /**
     * A point.
     *
     * @param x across
     * @param y up
     * @param label what it stands for, beyond its coordinates; may be empty
     */
    public record Point(double x, double y, String label) {}
}
