package dev.filigree.suite.format;

import dev.filigree.format.CsrMatrix;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.random.RandomGenerator;

/** What the tests of this package share. */
final class Fixtures {

    private Fixtures() {}

    /**
     * A fresh seed, or the one given by {@code -Dfiligree.tests.seed}; printed, so that a failure can be
     * replayed.
     */
    static long seed(String test) {
        long seed = Long.getLong("filigree.tests.seed", System.nanoTime());
        System.out.println(test + ": -Dfiligree.tests.seed=" + seed);
        return seed;
    }

    static InputStream stream(String text) {
        return new ByteArrayInputStream(text.getBytes(StandardCharsets.ISO_8859_1));
    }

    static long[] rowOffsets(CsrMatrix matrix) {
        return matrix.rowOffsets().toArray(ValueLayout.JAVA_LONG);
    }

    static int[] columns(CsrMatrix matrix) {
        return matrix.columns().toArray(ValueLayout.JAVA_INT);
    }

    static float[] values(CsrMatrix matrix) {
        return matrix.values().toArray(ValueLayout.JAVA_FLOAT);
    }

    /** Each element is present with the given probability; values are normal. */
    static CsrMatrix random(RandomGenerator random, int rows, int cols, double density) {
        long[] offsets = new long[rows + 1];
        int[] columns = new int[rows * cols];
        float[] values = new float[rows * cols];
        int nnz = 0;
        for (int r = 0; r < rows; r++) {
            for (int c = 0; c < cols; c++) {
                if (random.nextDouble() < density) {
                    columns[nnz] = c;
                    values[nnz++] = (float) random.nextGaussian();
                }
            }
            offsets[r + 1] = nnz;
        }
        return CsrMatrix.fromArrays(rows, cols, offsets, Arrays.copyOf(columns, nnz),
            Arrays.copyOf(values, nnz));
    }

    /**
     * The heap bytes that this thread has allocated so far. By reflection, because tests are compiled as a
     * part of the module, which has no use for the management modules itself.
     */
    static long allocatedBytes() {
        try {
            Object bean = Class.forName("java.lang.management.ManagementFactory").getMethod("getThreadMXBean")
                .invoke(null);
            return (long) Class.forName("com.sun.management.ThreadMXBean")
                .getMethod("getCurrentThreadAllocatedBytes").invoke(bean);
        } catch (ReflectiveOperationException e) {
            throw new LinkageError("this JVM does not count the bytes that a thread allocates", e);
        }
    }

    static boolean isAligned(MemorySegment segment) {
        return segment.address() % 64 == 0;
    }
}
