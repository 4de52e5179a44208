package dev.filigree.suite;

import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;

/** Dense operands of random cases: where they live, what is in them and between their rows. */
public final class Dense {

    /** What lies between the rows of an output, and must still lie there afterwards. */
    public static final float GAP = 12345.678f;

    /** Where dense operands can live. */
    public enum Place {
        /** An arena confined to the calling thread. */
        CONFINED,
        /** A shared arena. */
        SHARED,
        /** An arena that the garbage collector closes. */
        AUTO,
        /** Arrays on the heap. */
        HEAP;

        /** An arena of this place; the caller closes it, unless it is automatic. */
        public Arena arena() {
            return switch (this) {
                case CONFINED -> Arena.ofConfined();
                case SHARED -> Arena.ofShared();
                case AUTO, HEAP -> Arena.ofAuto();
            };
        }
    }

    private Dense() {}

    /** A matrix whose rows are followed by gaps, but for the last. */
    public static DenseMatrix allocate(Place place, Arena arena, int rows, int cols, int padding) {
        long stride = (long) cols + padding;
        long elements = rows == 0 || cols == 0 ? 0 : (rows - 1) * stride + cols;
        MemorySegment data = place == Place.HEAP
            ? MemorySegment.ofArray(new float[Math.toIntExact(elements)])
            : arena.allocate(elements * Float.BYTES, Float.BYTES);
        return DenseMatrix.of(data, DType.F32, rows, cols, stride);
    }

    /** Mostly near one, sometimes exactly zero, sometimes large or small: rounding must differ when order does. */
    public static float value(SplittableRandom random) {
        double x = random.nextDouble(-1, 1);
        return switch (random.nextInt(16)) {
            case 0 -> 0f;
            case 1 -> (float) (x * 64);
            case 2 -> (float) (x / 64);
            default -> (float) x;
        };
    }

    /** Random values. */
    public static float[] values(SplittableRandom random, int count) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = value(random);
        }
        return values;
    }

    /** Random values, row by row. */
    public static void fill(DenseMatrix matrix, SplittableRandom random) {
        for (int r = 0; r < matrix.rows(); r++) {
            for (int c = 0; c < matrix.cols(); c++) {
                matrix.set(r, c, value(random));
            }
        }
    }

    /** One value everywhere, but not between the rows. */
    public static void fill(DenseMatrix matrix, float value) {
        for (int r = 0; r < matrix.rows(); r++) {
            for (int c = 0; c < matrix.cols(); c++) {
                matrix.set(r, c, value);
            }
        }
    }

    /** One value between the rows. */
    public static void fillGaps(DenseMatrix matrix, float value) {
        for (long i = 0; i < matrix.data().byteSize() / Float.BYTES; i++) {
            if (i % matrix.rowStride() >= matrix.cols()) {
                matrix.data().setAtIndex(ValueLayout.JAVA_FLOAT, i, value);
            }
        }
    }

    /** Whether all gaps of an output still hold {@link #GAP}. */
    public static boolean gapsIntact(DenseMatrix output) {
        for (long i = 0; i < output.data().byteSize() / Float.BYTES; i++) {
            if (i % output.rowStride() >= output.cols()
                    && output.data().getAtIndex(ValueLayout.JAVA_FLOAT, i) != GAP) {
                return false;
            }
        }
        return true;
    }
}
