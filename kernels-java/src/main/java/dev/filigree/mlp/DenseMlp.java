package dev.filigree.mlp;

import dev.filigree.Activation;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Layout;
import dev.filigree.Workers;
import dev.filigree.format.RowMatrix;
import dev.filigree.internal.GemmPacker;
import dev.filigree.internal.GemmRuns;
import dev.filigree.spi.GemmKernel;
import dev.filigree.spi.KernelProvider;
import dev.filigree.spi.RowFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.Locale;

/**
 * An MLP's matrices as dense ones, for runs of so many tokens that most rows are needed by one or another. What a token
 * skips is a zero here, which must be multiplied without a trace: there is none of these for weights that are not all
 * finite.
 */
final class DenseMlp implements AutoCloseable {

    /** The fewest tokens of a product: with less, reading all weights once more costs more than it saves. */
    static final int LEAST_TOKENS = 32;
    /** The most: the weights are then read so rarely that it does not show. */
    static final int TOKENS = 256;
    /**
     * The share of rows, group of 16 tokens by group, from which on multiplying all of them is faster. Measured on
     * AVX-512: at all rows 1.5 times as fast for 32 tokens, 2.1 times for 64 and more. The same on all backends, so that
     * they choose alike.
     */
    private static final double COVERS_MOST = 0.55;

    private final MlpWeights weights;
    private final GemmKernel kernel;
    private final Workers workers;
    private final Arena arena;
    private final GemmRuns gate;
    private final GemmRuns up;
    private final GemmRuns down;
    private final long bytes;

    private DenseMlp(MlpWeights weights, GemmKernel kernel, Workers workers, Arena arena,
            SegmentAllocator memory) {
        this.weights = weights;
        this.kernel = kernel;
        this.workers = workers;
        this.arena = arena;
        boolean inputMajor = weights.order() == MlpWeights.Order.INPUT_MAJOR;
        Activation activation = weights.activation();
        boolean gated = weights.gate().isPresent();
        MemorySegment packedGate = gated ? pack(weights.gate().get(), inputMajor, activation, weights.gateBias(),
            memory) : MemorySegment.NULL;
        MemorySegment packedUp = pack(
            weights.up(), inputMajor, gated ? Activation.NONE : activation, weights.upBias(), memory);
        MemorySegment packedDown = pack(weights.down(), true, Activation.NONE, weights.downBias(), memory);
        gate = gated ? new GemmRuns(kernel, packedGate, workers) : null;
        up = new GemmRuns(kernel, packedUp, workers);
        down = new GemmRuns(kernel, packedDown, workers);
        bytes = packedGate.byteSize() + packedUp.byteSize() + packedDown.byteSize();
    }

    private MemorySegment pack(RowMatrix matrix, boolean transposed, Activation activation, float[] bias,
            SegmentAllocator memory) {
        return GemmPacker.pack(
            matrix, transposed, Layout.TOKEN_MAJOR.code(), activation.code(), bias, memory);
    }

    /** Packs weights that are finite for a provider that has a dense kernel. */
    static DenseMlp pack(MlpWeights weights, KernelProvider provider, Workers workers) {
        Arena arena = Arena.ofShared();
        try {
            return new DenseMlp(
                weights, provider.gemmF32().orElseThrow(), workers, arena, provider.memory(arena));
        } catch (Throwable t) {
            arena.close();
            throw t;
        }
    }

    /** Whether skipped rows leave no trace when they are multiplied by zeros. */
    static boolean isFinite(MlpWeights weights) {
        boolean inputMajor = weights.order() == MlpWeights.Order.INPUT_MAJOR;
        return isFinite(weights.down()) && (!inputMajor
            || isFinite(weights.up()) && (weights.gate().isEmpty() || isFinite(weights.gate().get())));
    }

    private static boolean isFinite(RowMatrix matrix) {
        float[] values = new float[matrix.cols()];
        for (int r = 0; r < matrix.rows(); r++) {
            matrix.copyRow(r, values);
            for (float value : values) {
                if (!Float.isFinite(value)) {
                    return false;
                }
            }
        }
        return true;
    }

    /** Whether rows that are needed, group by group, are so many that all may as well be multiplied. */
    static boolean coversMost(long rows, int tokens, int of) {
        return rows >= COVERS_MOST * groups(tokens) * of;
    }

    static int groups(int tokens) {
        return Math.ceilDiv(tokens, RowFormat.TOKENS);
    }

    /** What a plan says of it. */
    static String describe() {
        return String.format(Locale.ROOT, "runs of %d tokens or more multiply all rows, packed in f32, where each 16 need %.0f %% of "
            + "them or more", LEAST_TOKENS, 100 * COVERS_MOST);
    }

    GemmKernel kernel() {
        return kernel;
    }

    long bytes() {
        return bytes;
    }

    @Override
    public void close() {
        if (gate != null) {
            gate.close();
        }
        up.close();
        down.close();
        arena.close();
    }

    /** The memory of one run; used by one thread at a time. */
    final class Batch implements Workers.Task, AutoCloseable {

        /** Elements of a neuron's test; the same sum on one core costs about as much as so many operations. */
        private static final long MIN_SHARED_ELEMENTS = 1 << 16;

        private final Arena memory = Arena.ofShared();
        private final DenseMatrix x = allocate(weights.hidden());
        private final DenseMatrix h = allocate(weights.intermediate());
        private final DenseMatrix factors = allocate(gate == null ? 0 : weights.intermediate());
        private final DenseMatrix y = allocate(weights.hidden());
        /** For each group, how many rows some token needs; for each worker's turn, which. */
        private final int[] needed = new int[TOKENS / RowFormat.TOKENS];
        private final boolean[][] seen = new boolean[needed.length][weights.intermediate()];
        private int tokens;
        private boolean multiplies;
        private ActiveSet active;
        private int firstToken;
        private float threshold;
        private float[] norms;

        private DenseMatrix allocate(int cols) {
            return DenseMatrix.allocate(memory, DType.F32, TOKENS, cols);
        }

        /** Takes tokens, zeros for elements whose magnitude is below a threshold. */
        void load(DenseMatrix from, int token, int count, float least) {
            tokens = count;
            for (int t = 0; t < count; t++) {
                MemorySegment.copy(from.data(), Float.BYTES * (token + t) * from.rowStride(), x.data(),
                    at(x, t, 0), (long) Float.BYTES * from.cols());
                for (int i = 0; i < from.cols() && least > 0; i++) {
                    if (Math.abs(get(x, t, i)) < least) {
                        set(x, t, i, 0f);
                    }
                }
            }
        }

        /** The gates, or without one the values, of all neurons. */
        void first() {
            (gate == null ? up : gate).run(1f, x, 0f, h, tokens);
        }

        /** Multiplies what {@link #first} has left by the up projection. */
        void second() {
            up.run(1f, x, 0f, factors, tokens);
        }

        /**
         * Leaves zeros for what is skipped.
         *
         * @param multiply whether the up projection comes in first
         * @param set the neurons of each token, its first being {@code token}; or null
         * @param least the threshold of a value's magnitude, times the row's scale if there is one
         * @return rows that some token of a group needs, summed over groups
         */
        long settle(boolean multiply, ActiveSet set, int token, float least, float[] scale) {
            multiplies = multiply;
            active = set;
            firstToken = token;
            threshold = least;
            norms = scale;
            int groups = groups(tokens);
            if ((long) tokens * weights.intermediate() >= MIN_SHARED_ELEMENTS) {
                workers.run(groups, 0, this);
            } else {
                workers.runAlone(groups, 0, this);
            }
            active = null;
            long rows = 0;
            for (int g = 0; g < groups; g++) {
                rows += needed[g];
            }
            return rows;
        }

        @Override
        public void run(long begin, long end, MemorySegment scratch) {
            for (int group = (int) begin; group < end; group++) {
                Arrays.fill(seen[group], false);
                int last = Math.min(tokens, (group + 1) * RowFormat.TOKENS);
                for (int t = group * RowFormat.TOKENS; t < last; t++) {
                    settle(t, seen[group]);
                }
                int count = 0;
                for (boolean isNeeded : seen[group]) {
                    count += isNeeded ? 1 : 0;
                }
                needed[group] = count;
            }
        }

        private void settle(int t, boolean[] isNeeded) {
            for (int i = 0; i < isNeeded.length; i++) {
                float value = get(h, t, i);
                // A zero stays one, whatever it would be multiplied by.
                if (multiplies && value != 0) {
                    value *= get(factors, t, i);
                }
                boolean listed = active == null || active.contains(firstToken + t, i);
                float factor = norms == null ? 1 : norms[i];
                if (listed && MlpRunner.counts(value, factor, threshold) != 0) {
                    set(h, t, i, value);
                    isNeeded[i] = true;
                } else {
                    set(h, t, i, 0f);
                }
            }
        }

        /** The values of neurons. */
        DenseMatrix values() {
            return h;
        }

        /** Adds up what the neurons are worth. */
        void down(DenseMatrix to, int token) {
            down.run(1f, h, 0f, y, tokens);
            for (int t = 0; t < tokens; t++) {
                MemorySegment.copy(y.data(), at(y, t, 0), to.data(), Float.BYTES * (token + t) * to.rowStride(),
                    (long) Float.BYTES * to.cols());
            }
        }

        private static long at(DenseMatrix matrix, int row, int col) {
            return Float.BYTES * (row * matrix.rowStride() + col);
        }

        private static float get(DenseMatrix matrix, int row, int col) {
            return matrix.data().get(ValueLayout.JAVA_FLOAT, at(matrix, row, col));
        }

        private static void set(DenseMatrix matrix, int row, int col, float value) {
            matrix.data().set(ValueLayout.JAVA_FLOAT, at(matrix, row, col), value);
        }

        @Override
        public void close() {
            memory.close();
        }
    }
}
