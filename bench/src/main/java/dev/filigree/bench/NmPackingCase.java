package dev.filigree.bench;

import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Workers;
import dev.filigree.bench.measure.Statistics;
import dev.filigree.format.NmMatrix;
import dev.filigree.format.NmPattern;
import dev.filigree.nm.Nm;
import dev.filigree.nm.NmOptions;
import dev.filigree.nm.NmPlan;
import java.lang.foreign.Arena;
import java.util.Map;
import java.util.Optional;

/**
 * Pruning and packing a weight, from dense to a plan, on one thread; and how large the plan is.
 *
 * @param rows of the weight
 * @param cols of the weight
 * @param pattern that it is pruned to
 * @param dtype that it is packed in
 */
record NmPackingCase(int rows, int cols, NmPattern pattern, DType dtype) implements FloorCase {

    /** What {@link #measure} compares the time with. */
    static final String LIMIT = "limit";
    /** The arithmetic of the format, in bytes, and what the plan takes. */
    static final String FORMAT_BYTES = "format bytes";
    static final String PACKED_BYTES = "packed bytes";

    private static final double LIMIT_MILLIS = 1500;
    private static final int TIMES = 5;

    @Override
    public String label() {
        return "packing " + rows + " x " + cols + " " + pattern + " " + dtype.id();
    }

    @Override
    public Times measure(Context context) {
        double[] millis = new double[TIMES];
        long packedBytes = 0;
        NmMatrix a = null;
        try (Arena arena = Arena.ofConfined(); Workers alone = Workers.of(1)) {
            DenseMatrix weights = RandomMatrices.dense(arena, rows, cols, NmFloorCase.SEED);
            NmOptions options = NmOptions.defaults().dtype(dtype).backend(context.backend()).workers(alone);
            for (int i = 0; i < TIMES; i++) {
                long start = System.nanoTime();
                a = NmMatrix.pruned(weights, pattern);
                try (NmPlan plan = Nm.plan(a, options)) {
                    millis[i] = (System.nanoTime() - start) / 1e6;
                    packedBytes = plan.explain().packedBytes();
                }
            }
        }
        double indexBits = pattern.n() == pattern.m() ? 0 : (double) pattern.indexBits() / pattern.vector();
        double formatBytes = a.nnz() * (dtype.bytes() + indexBits / Byte.SIZE);
        return new Times(label(), Map.of(Times.OURS, Statistics.median(millis), LIMIT, LIMIT_MILLIS, FORMAT_BYTES,
            formatBytes, PACKED_BYTES, (double) packedBytes), 1 - a.nnz() / ((double) rows * cols), a.nnz(),
            Optional.empty(), false);
    }
}
