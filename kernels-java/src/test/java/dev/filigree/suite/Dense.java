package dev.filigree.suite;

import dev.filigree.Bf16;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
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

    /** An f32 matrix whose rows are followed by gaps, but for the last. */
    public static DenseMatrix allocate(Place place, Arena arena, int rows, int cols, int padding) {
        return allocate(place, arena, DType.F32, rows, cols, padding);
    }

    /** A matrix whose rows are followed by gaps, but for the last. */
    public static DenseMatrix allocate(Place place, Arena arena, DType dtype, int rows, int cols, int padding) {
        long stride = (long) cols + padding;
        int elements = rows == 0 || cols == 0 ? 0 : Math.toIntExact((rows - 1) * stride + cols);
        MemorySegment data = place != Place.HEAP
            ? arena.allocate((long) elements * dtype.bytes(), dtype.bytes())
            : dtype == DType.F32 ? MemorySegment.ofArray(new float[elements])
            : MemorySegment.ofArray(new short[elements]);
        return DenseMatrix.of(data, dtype, rows, cols, stride);
    }

    /** All elements as one row, those between the rows included. */
    private static DenseMatrix flat(DenseMatrix matrix) {
        return DenseMatrix.of(matrix.data(), matrix.dtype(), 1,
            Math.toIntExact(matrix.data().byteSize() / matrix.dtype().bytes()));
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
        DenseMatrix all = flat(matrix);
        for (int i = 0; i < all.cols(); i++) {
            if (i % matrix.rowStride() >= matrix.cols()) {
                all.set(0, i, value);
            }
        }
    }

    /** Whether all gaps of an output still hold {@link #GAP}. */
    public static boolean gapsIntact(DenseMatrix output) {
        DenseMatrix all = flat(output);
        float gap = output.dtype() == DType.F32 ? GAP : Bf16.toFloat(Bf16.fromFloat(GAP));
        for (int i = 0; i < all.cols(); i++) {
            if (i % output.rowStride() >= output.cols() && all.get(0, i) != gap) {
                return false;
            }
        }
        return true;
    }
}
