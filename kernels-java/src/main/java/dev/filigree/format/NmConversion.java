package dev.filigree.format;

import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.internal.GroupSelection;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/** Turns a dense matrix into N:M form, as many rows at a time as share their positions. */
final class NmConversion {

    private static final int MAGNITUDE = 0x7fff_ffff;
    private static final int INFINITY = 0x7f80_0000;

    private final DenseMatrix dense;
    private final NmPattern pattern;
    private final int rows;
    private final int cols;
    private final int groups;
    private final NmMatrix result;
    /** The rows at hand, padded with +0 to whole groups. */
    private final float[][] elements;
    /** The kept places of each group of the rows at hand. */
    private final long[] kept;

    NmConversion(DenseMatrix dense, NmPattern pattern) {
        if (dense.dtype() != DType.F32 || !dense.memory().isHost()) {
            throw new UnsupportedOperationException("an NmMatrix is made from f32 in host memory, not from " + dense);
        }
        this.dense = dense;
        this.pattern = pattern;
        rows = dense.rows();
        cols = dense.cols();
        result = new NmMatrix(rows, cols, pattern);
        groups = pattern.groups(cols);
        elements = new float[Math.min(pattern.vector(), rows)][groups * pattern.m()];
        kept = new long[groups];
    }

    /** Chooses what the rows from {@code first} on, {@code count} of them, keep. */
    private interface Choice {
        void choose(int first, int count);
    }

    private NmMatrix convert(Choice choice) {
        float[] line = new float[result.slots()];
        byte[] bytes = result.newLine();
        for (int first = 0; first < rows; first += pattern.vector()) {
            int count = Math.min(pattern.vector(), rows - first);
            for (int r = 0; r < count; r++) {
                MemorySegment.copy(dense.data(), ValueLayout.JAVA_FLOAT, (first + r) * dense.rowStride() * Float.BYTES,
                    elements[r], 0, cols);
            }
            choice.choose(first, count);
            result.fill(first, kept, elements, line, bytes);
        }
        return result;
    }

    NmMatrix pruned() {
        GroupSelection selection = new GroupSelection(pattern.m(), pattern.n());
        int[] scores = new int[groups * pattern.m()];
        double[] sums = new double[pattern.vector() == 1 ? 0 : scores.length];
        return convert((first, count) -> {
            if (count == 1) {
                magnitudes(first, scores);
            } else {
                norms(first, count, sums, scores);
            }
            selection.largest(scores, kept);
        });
    }

    private void magnitudes(int row, int[] scores) {
        float[] from = elements[0];
        int largest = 0;
        for (int i = 0; i < scores.length; i++) {
            scores[i] = Float.floatToRawIntBits(from[i]) & MAGNITUDE;
            largest = Math.max(largest, scores[i]);
        }
        if (largest > INFINITY) {
            throw nan(row, 1);
        }
    }

    /** Rounded to f32, where columns of nearly the same norm tie. */
    private void norms(int first, int count, double[] sums, int[] scores) {
        Arrays.fill(sums, 0);
        for (int r = 0; r < count; r++) {
            addSquares(elements[r], sums);
        }
        for (int i = 0; i < scores.length; i++) {
            if (Double.isNaN(sums[i])) {
                throw nan(first, count);
            }
            scores[i] = Float.floatToRawIntBits((float) Math.sqrt(sums[i]));
        }
    }

    private static void addSquares(float[] row, double[] sums) {
        for (int i = 0; i < sums.length; i++) {
            sums[i] += (double) row[i] * row[i];
        }
    }

    private IllegalArgumentException nan(int first, int count) {
        for (int r = 0; r < count; r++) {
            for (int c = 0; c < cols; c++) {
                if (Float.isNaN(elements[r][c])) {
                    return new IllegalArgumentException(
                        "NaN at row " + (first + r) + ", column " + c + " has no magnitude to rank");
                }
            }
        }
        return new IllegalArgumentException("row " + first + " changed while it was read");
    }

    NmMatrix conforming() {
        return convert((first, count) -> {
            for (int g = 0; g < groups; g++) {
                long nonzero = 0;
                for (int r = 0; r < count; r++) {
                    nonzero |= nonzeros(elements[r], g);
                }
                kept[g] = filled(nonzero, first, count, g, "nonzeros", "columns that are not all zero");
            }
        });
    }

    private long nonzeros(float[] row, int group) {
        long places = 0;
        int from = group * pattern.m();
        for (int i = 0; i < pattern.m(); i++) {
            if (row[from + i] != 0f) { // NaN included
                places |= 1L << i;
            }
        }
        return places;
    }

    NmMatrix masked(Mask mask) {
        mask.requireShape("dense", dense);
        return convert((first, count) -> {
            for (int g = 0; g < groups; g++) {
                long places = places(mask, first, g);
                for (int r = 1; r < count; r++) {
                    if (places(mask, first + r, g) != places) {
                        throw new IllegalArgumentException("row " + (first + r) + ", " + group(g)
                            + ": the mask keeps other columns than in row " + first + ", with which " + pattern
                            + " shares them");
                    }
                }
                kept[g] = filled(places, first, count, g, "kept elements", "kept columns");
                // What fills a group up is stored as zero: the mask dropped it.
                for (long fill = kept[g] & ~places; fill != 0; fill &= fill - 1) {
                    for (int r = 0; r < count; r++) {
                        elements[r][g * pattern.m() + Long.numberOfTrailingZeros(fill)] = 0f;
                    }
                }
            }
        });
    }

    private long places(Mask mask, int row, int group) {
        long places = 0;
        int from = group * pattern.m();
        for (int i = 0; i < pattern.m() && from + i < cols; i++) {
            if (mask.get(row, from + i)) {
                places |= 1L << i;
            }
        }
        return places;
    }

    /** Adds the lowest places until there are N. */
    private long filled(long places, int first, int count, int group, String one, String several) {
        int missing = pattern.n() - Long.bitCount(places);
        if (missing < 0) {
            throw new IllegalArgumentException((count == 1 ? "row " + first : "rows " + first + " to "
                + (first + count - 1)) + ", " + group(group) + ": " + Long.bitCount(places) + " "
                + (count == 1 ? one : several) + ", " + pattern + " allows " + pattern.n());
        }
        long result = places;
        for (int i = 0; missing > 0; i++) {
            if ((places >>> i & 1) == 0) {
                result |= 1L << i;
                missing--;
            }
        }
        return result;
    }

    private String group(int group) {
        int from = group * pattern.m();
        return "group " + group + " (columns " + from + " to " + (Math.min(cols, from + pattern.m()) - 1) + ")";
    }
}
