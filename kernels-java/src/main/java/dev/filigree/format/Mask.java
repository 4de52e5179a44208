package dev.filigree.format;

import dev.filigree.DenseMatrix;
import java.util.Arrays;
import java.util.Objects;

/**
 * Which elements of a dense matrix are kept: one bit an element. Immutable and thread-safe; a {@link Builder} makes
 * one. Masks are equal when their shapes and bits are.
 */
public final class Mask {

    private final int rows;
    private final int cols;
    /** Longs of a row. */
    private final int stride;
    private final long[] bits;

    private Mask(int rows, int cols, int stride, long[] bits) {
        this.rows = rows;
        this.cols = cols;
        this.stride = stride;
        this.bits = bits;
    }

    /** A mask under construction; all elements are dropped at first. Not thread-safe. */
    public static final class Builder {
        private final Mask mask;
        private boolean built;

        /**
         * Starts an empty mask.
         *
         * @throws IllegalArgumentException if a dimension is negative or there are more than 2^36 elements
         */
        public Builder(int rows, int cols) {
            if (rows < 0 || cols < 0) {
                throw new IllegalArgumentException("a mask of " + rows + " x " + cols + " has a negative dimension");
            }
            int stride = Math.ceilDiv(cols, Long.SIZE);
            long longs = (long) rows * stride;
            if (longs > 1L << 30) {
                throw new IllegalArgumentException("a mask of " + rows + " x " + cols + " is too large");
            }
            mask = new Mask(rows, cols, stride, new long[(int) longs]);
        }

        /**
         * Starts from a mask.
         *
         * @param from what to copy
         */
        public Builder(Mask from) {
            mask = new Mask(from.rows, from.cols, from.stride, from.bits.clone());
        }

        /**
         * Keeps or drops one element.
         *
         * @throws IndexOutOfBoundsException if there is no such element
         * @throws IllegalStateException if the mask is built
         */
        public Builder set(int row, int col, boolean kept) {
            if (built) {
                throw new IllegalStateException("the mask is built");
            }
            int at = mask.index(row, col);
            mask.bits[at] = kept ? mask.bits[at] | 1L << col : mask.bits[at] & ~(1L << col);
            return this;
        }

        /** Whether an element is kept so far. */
        public boolean get(int row, int col) {
            return mask.get(row, col);
        }

        /** The mask; the builder cannot change it any more. */
        public Mask build() {
            built = true;
            return mask;
        }
    }

    private int index(int row, int col) {
        Objects.checkIndex(row, rows);
        Objects.checkIndex(col, cols);
        return row * stride + col / Long.SIZE;
    }

    /** The number of rows. */
    public int rows() {
        return rows;
    }

    /** The number of columns. */
    public int cols() {
        return cols;
    }

    /**
     * Whether an element is kept.
     *
     * @throws IndexOutOfBoundsException if there is no such element
     */
    public boolean get(int row, int col) {
        return (bits[index(row, col)] >>> col & 1) != 0;
    }

    /** How many elements are kept. */
    public long count() {
        return Arrays.stream(bits).map(Long::bitCount).sum();
    }

    /**
     * How many elements of a row are kept.
     *
     * @throws IndexOutOfBoundsException if there is no such row
     */
    public int count(int row) {
        Objects.checkIndex(row, rows);
        int count = 0;
        for (int i = row * stride; i < (row + 1) * stride; i++) {
            count += Long.bitCount(bits[i]);
        }
        return count;
    }

    /**
     * Copies the kept elements and writes +0 for the others: a dropped NaN does not survive.
     *
     * @param source f32 in host memory
     * @param target f32 in host memory, of the same shape; may be the source itself
     * @throws IllegalArgumentException if a shape is not that of the mask
     * @throws UnsupportedOperationException if a matrix is not f32 in host memory
     */
    public void apply(DenseMatrix source, DenseMatrix target) {
        requireShape("source", source);
        requireShape("target", target);
        for (int r = 0; r < rows; r++) {
            for (int c = 0; c < cols; c++) {
                target.set(r, c, get(r, c) ? source.get(r, c) : 0f);
            }
        }
    }

    /**
     * Refuses a matrix of another shape.
     *
     * @param name what the message calls it
     * @throws IllegalArgumentException naming both shapes
     */
    public void requireShape(String name, DenseMatrix matrix) {
        if (matrix.rows() != rows || matrix.cols() != cols) {
            throw new IllegalArgumentException(name + " is " + matrix.rows() + " x " + matrix.cols()
                + ", the mask is " + rows + " x " + cols);
        }
    }

    /** Compares shape and bits. */
    @Override
    public boolean equals(Object other) {
        return other instanceof Mask that && rows == that.rows && cols == that.cols && Arrays.equals(bits, that.bits);
    }

    @Override
    public int hashCode() {
        return 31 * (31 * rows + cols) + Arrays.hashCode(bits);
    }

    @Override
    public String toString() {
        return "Mask[" + rows + " x " + cols + ", " + count() + " kept]";
    }
}
