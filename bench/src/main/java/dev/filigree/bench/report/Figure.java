package dev.filigree.bench.report;

/**
 * A picture of a matrix or a mask: cells that are darker the more they hold.
 *
 * @param title what it shows
 * @param description the same for those who cannot see it
 * @param rowLabel what a row is
 * @param columnLabel what a column is
 * @param cells their shades
 */
public record Figure(String title, String description, String rowLabel, String columnLabel, Grid cells)
        implements Block {

    /** Shades from 0, empty, to 1, full. Immutable. */
    public static final class Grid {

        private final int rows;
        private final int columns;
        private final float[] shades;

        private Grid(int rows, int columns, float[] shades) {
            if (rows < 1 || columns < 1) {
                throw new IllegalArgumentException("a grid of " + rows + " x " + columns + " cells shows nothing");
            }
            this.rows = rows;
            this.columns = columns;
            this.shades = shades;
        }

        /** The shade of a cell. */
        @FunctionalInterface
        public interface Shade {
            /** From 0 to 1. */
            double at(int row, int column);
        }

        /**
         * A grid of shades.
         *
         * @throws IllegalArgumentException if there are no cells, or a shade is out of range
         */
        public static Grid of(int rows, int columns, Shade shade) {
            float[] shades = new float[Math.multiplyExact(rows, columns)];
            for (int i = 0; i < shades.length; i++) {
                double s = shade.at(i / columns, i % columns);
                if (!(s >= 0 && s <= 1)) {
                    throw new IllegalArgumentException(
                        "the shade at (" + i / columns + ", " + i % columns + ") is " + s + ", not in [0, 1]");
                }
                shades[i] = (float) s;
            }
            return new Grid(rows, columns, shades);
        }

        /** A grid of full and empty cells. */
        public static Grid of(boolean[][] full) {
            return of(full.length, full.length == 0 ? 0 : full[0].length, (r, c) -> full[r][c] ? 1 : 0);
        }

        /** How many rows there are. */
        public int rows() {
            return rows;
        }

        /** How many columns there are. */
        public int columns() {
            return columns;
        }

        /** The shade of a cell, from 0 to 1. */
        public float shade(int row, int column) {
            return shades[row * columns + column];
        }

        /** A grid of at most so many cells a side: larger ones are averaged over blocks. */
        public Grid atMost(int side) {
            int tall = Math.ceilDiv(rows, side);
            int wide = Math.ceilDiv(columns, side);
            if (tall == 1 && wide == 1) {
                return this;
            }
            return of(Math.ceilDiv(rows, tall), Math.ceilDiv(columns, wide), (r, c) -> mean(r * tall,
                Math.min(rows, (r + 1) * tall), c * wide, Math.min(columns, (c + 1) * wide)));
        }

        private double mean(int top, int bottom, int left, int right) {
            double sum = 0;
            for (int r = top; r < bottom; r++) {
                for (int c = left; c < right; c++) {
                    sum += shade(r, c);
                }
            }
            return Math.min(1, sum / ((bottom - top) * (right - left)));
        }
    }
}
