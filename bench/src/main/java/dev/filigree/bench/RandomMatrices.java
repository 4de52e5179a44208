package dev.filigree.bench;

import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.format.CsrMatrix;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;

/** Matrices made from a seed. */
final class RandomMatrices {

    private RandomMatrices() {}

    /** A matrix of f32 between -1 and 1, any as likely as any other. */
    static DenseMatrix dense(Arena arena, int rows, int cols, long seed) {
        DenseMatrix matrix = DenseMatrix.allocate(arena, DType.F32, rows, cols);
        SplittableRandom random = new SplittableRandom(seed);
        for (long i = 0; i < (long) rows * cols; i++) {
            matrix.data().setAtIndex(ValueLayout.JAVA_FLOAT, i, (float) random.nextDouble(-1, 1));
        }
        return matrix;
    }

    /**
     * A matrix with exactly {@code round((1 - sparsity) * rows * cols)} nonzeros, any choice of places as likely
     * as any other.
     *
     * @throws InputException if it has more nonzeros than an array can hold
     */
    static CsrMatrix uniform(int rows, int cols, double sparsity, long seed) {
        long places = (long) rows * cols;
        long nnz = places - Math.round(sparsity * places);
        if (nnz > Integer.MAX_VALUE - 8) {
            throw new InputException("--rows " + rows + " --cols " + cols + " --sparsity " + sparsity + ": " + nnz
                + " nonzeros are more than the generator can make");
        }
        SplittableRandom random = new SplittableRandom(seed);
        long[] offsets = new long[rows + 1];
        int[] columns = new int[(int) nnz];
        float[] values = new float[(int) nnz];
        int stored = 0;
        for (int r = 0; r < rows; r++) {
            for (int c = 0; c < cols && stored < nnz; c++) {
                // Knuth's algorithm S: store with the probability that the remaining nonzeros need.
                long placesLeft = places - ((long) r * cols + c);
                if (random.nextDouble() * placesLeft < nnz - stored) {
                    columns[stored] = c;
                    values[stored++] = value(random);
                }
            }
            offsets[r + 1] = stored;
        }
        return CsrMatrix.fromArrays(rows, cols, offsets, columns, values);
    }

    /**
     * A matrix whose rows have equally many nonzeros, one at a random place in each of as many equal parts of a row: in
     * little time, however large.
     */
    static CsrMatrix even(int rows, int cols, int perRow, long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        int nnz = Math.multiplyExact(rows, perRow);
        long[] offsets = new long[rows + 1];
        int[] columns = new int[nnz];
        float[] values = new float[nnz];
        for (int r = 0; r < rows; r++) {
            for (int i = 0; i < perRow; i++) {
                int begin = (int) ((long) cols * i / perRow);
                int end = (int) ((long) cols * (i + 1) / perRow);
                columns[r * perRow + i] = random.nextInt(begin, end);
                values[r * perRow + i] = value(random);
            }
            offsets[r + 1] = (r + 1L) * perRow;
        }
        return CsrMatrix.fromArrays(rows, cols, offsets, columns, values);
    }

    /** Between -1 and 1, and never 0, which would not be a nonzero. */
    private static float value(SplittableRandom random) {
        float value = (float) random.nextDouble(-1, 1);
        return value == 0 ? 1 : value;
    }
}
