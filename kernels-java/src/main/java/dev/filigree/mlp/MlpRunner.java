package dev.filigree.mlp;

import dev.filigree.Activation;
import dev.filigree.DenseMatrix;
import dev.filigree.Workers;
import dev.filigree.internal.Pool;
import dev.filigree.internal.Scratch;
import dev.filigree.mlp.RowProducts.Factor;
import dev.filigree.spi.MlpKernel;
import dev.filigree.spi.RowFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.ref.Reference;

/**
 * Runs an MLP, up to 16 tokens at a time: which neurons, their values, then what they add up to. Between the two,
 * neurons that add nothing are dropped. More tokens go through dense products where the plan has these and the tokens
 * need most of the rows. Owns copies of the biases.
 */
final class MlpRunner implements AutoCloseable {

    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;
    private static final ValueLayout.OfInt I32 = ValueLayout.JAVA_INT;
    private static final ValueLayout.OfShort I16 = ValueLayout.JAVA_SHORT;

    private final MlpKernel kernel;
    private final MlpWeights weights;
    private final Workers workers;
    /** Null where the plan has none. */
    private final DenseMlp dense;
    private final Arena arena = Arena.ofShared();
    private final Factor gate;
    private final Factor up;
    private final Factor down;
    /** The gate comes first, and decides for which neurons up is computed. */
    private final boolean gateFirst;
    private final boolean inputMajor;
    private final float inputThreshold;
    private final float threshold;
    /** What the threshold is relative to; null: 1. */
    private final float[] norms;
    private final Pool<Call> calls = new Pool<>();

    /** Takes ownership of the dense form, which may be null. */
    MlpRunner(MlpKernel kernel, MlpWeights weights, Skipping skipping, Workers workers, DenseMlp dense) {
        this.kernel = kernel;
        this.weights = weights;
        this.workers = workers;
        this.dense = dense;
        int code = weights.activation().code();
        boolean gated = weights.gate().isPresent();
        gate = gated ? factor(weights.gate().get().block(), weights.gateBias(), code) : null;
        up = factor(weights.up().block(), weights.upBias(), gated ? Activation.NONE.code() : code);
        down = factor(weights.down().block(), weights.downBias(), Activation.NONE.code());
        inputMajor = weights.order() == MlpWeights.Order.INPUT_MAJOR;
        inputThreshold = skipping instanceof Skipping.Input input ? input.input() : 0;
        threshold = switch (skipping) {
            case Skipping.None none -> 0;
            case Skipping.Gate rule -> rule.threshold();
            case Skipping.Neuron rule -> rule.threshold();
            case Skipping.Input rule -> rule.hidden();
        };
        norms = threshold > 0 && !(skipping instanceof Skipping.Input) ? weights.downNorms() : null;
        gateFirst = gated && (skipping instanceof Skipping.Gate
            || skipping instanceof Skipping.None && hasZeros(weights.activation()));
    }

    /** Whether a function is zero for half of all numbers. */
    private static boolean hasZeros(Activation activation) {
        return activation == Activation.RELU || activation == Activation.RELU_SQUARED;
    }

    /**
     * 1 if a value is not zero and its magnitude times the factor is not below the threshold, or is NaN, else 0. There
     * are no branches, which would be guessed wrong half the time: bits without a sign are ordered as the numbers are,
     * and NaN comes last.
     */
    static int counts(float value, float factor, float threshold) {
        float magnitude = Math.abs(value);
        int isZero = bits(magnitude) - 1 >>> 31;
        int isBelow = bits(magnitude * factor) - bits(threshold) >>> 31;
        return 1 - (isZero | isBelow);
    }

    private static int bits(float value) {
        return Float.floatToRawIntBits(Math.abs(value));
    }

    private Factor factor(MemorySegment matrix, float[] bias, int activation) {
        MemorySegment copy = MemorySegment.NULL;
        if (bias != null) {
            copy = arena.allocate(Math.max(1, (long) Float.BYTES * bias.length), RowFormat.ALIGNMENT);
            MemorySegment.copy(bias, 0, copy, F32, 0, bias.length);
        }
        return new Factor(matrix, copy, activation);
    }

    /**
     * Runs checked operands.
     *
     * @param active the neurons of each token, or null for those that the rule leaves
     * @return rows of the down projection that were read, summed over groups of 16 tokens
     */
    long run(DenseMatrix x, ActiveSet active, DenseMatrix y) {
        Call idle = calls.take();
        Call call = idle == null ? new Call() : idle;
        try {
            long rows = 0;
            int tokens;
            for (int token = 0; token < x.rows(); token += tokens) {
                boolean many = dense != null && x.rows() - token >= DenseMlp.LEAST_TOKENS;
                tokens = Math.min(many ? DenseMlp.TOKENS : RowFormat.TOKENS, x.rows() - token);
                rows += many ? call.runMany(x, active, token, tokens, y) : call.run(x, active, token, tokens, y);
            }
            return rows;
        } finally {
            Reference.reachabilityFence(weights);
            calls.give(call);
        }
    }

    @Override
    public void close() {
        calls.drain();
        if (dense != null) {
            dense.close();
        }
        arena.close();
    }

    /** The memory of one run; pooled, so that a warm run allocates nothing. */
    private final class Call implements AutoCloseable {
        private final RowProducts products = new RowProducts(kernel, workers);
        private final Scratch memory = new Scratch();
        /** Tokens for the first products: packed, or the inputs that count. */
        private final MemorySegment in;
        private final long inStride;
        /** Values of neurons. */
        private final MemorySegment h;
        private final long hStride;
        private final MemorySegment list;
        private final MemorySegment masks;
        private final MemorySegment out;
        private final long outStride;
        /** Made when it is first needed. */
        private DenseMlp.Batch batch;

        Call() {
            int listed = Math.max(weights.hidden(), weights.intermediate());
            inStride = Math.max(weights.hidden(), RowFormat.field(weights.up().block(), RowFormat.STRIDE));
            hStride = RowProducts.padded(weights.intermediate());
            outStride = RowProducts.padded(weights.hidden());
            long inBytes = Float.BYTES * RowFormat.TOKENS * RowProducts.padded(inStride);
            long hBytes = Float.BYTES * RowFormat.TOKENS * hStride;
            long outBytes = Float.BYTES * RowFormat.TOKENS * outStride;
            long listBytes = Integer.BYTES * RowProducts.padded(listed);
            MemorySegment all = memory.atLeast(inBytes + hBytes + outBytes + 2 * listBytes);
            in = all.asSlice(0, inBytes);
            h = all.asSlice(inBytes, hBytes);
            out = all.asSlice(inBytes + hBytes, outBytes);
            list = all.asSlice(inBytes + hBytes + outBytes, listBytes);
            masks = all.asSlice(inBytes + hBytes + outBytes + listBytes, listBytes);
        }

        long run(DenseMatrix x, ActiveSet active, int token, int tokens, DenseMatrix y) {
            int count;
            if (inputMajor) {
                count = inputMajor(x, token, tokens);
            } else {
                pack(x, token, tokens);
                count = active != null ? listed(active, token, tokens) : gateFirst ? gateFirst(tokens) : all(tokens);
            }
            down(count, token, tokens, y);
            return count;
        }

        /** What the neurons that are listed add up to. */
        private void down(int count, int token, int tokens, DenseMatrix y) {
            products.axpy(down, null, list, masks(tokens), count, h, hStride, tokens, out, outStride);
            long bytes = (long) Float.BYTES * y.cols();
            for (int t = 0; t < tokens; t++) {
                MemorySegment.copy(out, Float.BYTES * t * outStride, y.data(),
                    Float.BYTES * (token + t) * y.rowStride(), bytes);
            }
        }

        /** Multiplies all rows of a matrix where the tokens need most, else those that each 16 tokens need. */
        long runMany(DenseMatrix x, ActiveSet active, int token, int tokens, DenseMatrix y) {
            if (!needMost(x, active, token, tokens)) {
                long rows = 0;
                for (int t = 0; t < tokens; t += RowFormat.TOKENS) {
                    rows += run(x, active, token + t, Math.min(RowFormat.TOKENS, tokens - t), y);
                }
                return rows;
            }
            if (batch == null) {
                batch = dense.new Batch();
            }
            boolean chooses = gateFirst && active == null && !inputMajor;
            batch.load(x, token, tokens, inputThreshold);
            batch.first();
            if (chooses) {
                long rows = batch.settle(false, null, token, threshold, norms);
                if (!DenseMlp.coversMost(rows, tokens, weights.intermediate())) {
                    return fromBatch(x, true, token, tokens, y);
                }
            }
            if (gate != null) {
                batch.second();
            }
            boolean byRule = active == null && !chooses;
            long rows =
                batch.settle(gate != null, active, token, byRule ? threshold : 0, byRule ? norms : null);
            if (!DenseMlp.coversMost(rows, tokens, weights.intermediate())) {
                return fromBatch(x, false, token, tokens, y);
            }
            batch.down(y, token);
            return (long) DenseMlp.groups(tokens) * weights.intermediate();
        }

        /** Whether the first products need most rows: of neurons that are listed, or of inputs that count. */
        private boolean needMost(DenseMatrix x, ActiveSet active, int token, int tokens) {
            if (active == null && !inputMajor) {
                return true;
            }
            int units = inputMajor ? weights.hidden() : weights.intermediate();
            long rows = 0;
            for (int first = token; first < token + tokens; first += RowFormat.TOKENS) {
                for (int unit = 0; unit < units; unit++) {
                    int end = Math.min(first + RowFormat.TOKENS, token + tokens);
                    boolean isNeeded = inputMajor ? someNeeds(x, first, end, unit)
                        : active.mask(first / RowFormat.TOKENS, unit) != 0;
                    rows += isNeeded ? 1 : 0;
                }
            }
            return DenseMlp.coversMost(rows, tokens, units);
        }

        private boolean someNeeds(DenseMatrix x, int begin, int end, int input) {
            for (int t = begin; t < end; t++) {
                float value = x.data().get(ValueLayout.JAVA_FLOAT_UNALIGNED, Float.BYTES * (t * x.rowStride() + input));
                if (counts(value, 1, inputThreshold) != 0) {
                    return true;
                }
            }
            return false;
        }

        /** Goes on with the rows that each 16 tokens need, from gates or from values. */
        private long fromBatch(DenseMatrix x, boolean fromGates, int token, int tokens, DenseMatrix y) {
            long rows = 0;
            DenseMatrix values = batch.values();
            for (int first = 0; first < tokens; first += RowFormat.TOKENS) {
                int size = Math.min(RowFormat.TOKENS, tokens - first);
                for (int t = 0; t < size; t++) {
                    MemorySegment.copy(values.data(), Float.BYTES * (first + t) * values.rowStride(), h,
                        Float.BYTES * t * hStride, (long) Float.BYTES * values.cols());
                }
                int count = keep(false, weights.intermediate(), size, 0, null);
                if (fromGates) {
                    pack(x, token + first, size);
                    count = multiplyUp(count, size);
                }
                down(count, token + first, size, y);
                rows += count;
            }
            return rows;
        }

        private void pack(DenseMatrix x, int token, int tokens) {
            RowProducts.pack(x.data(), token * x.rowStride(), x.rowStride(), tokens, up.matrix(), in);
        }

        private int listed(ActiveSet active, int token, int tokens) {
            int count = 0;
            int group = token / RowFormat.TOKENS;
            for (int neuron = 0; neuron < weights.intermediate(); neuron++) {
                short mask = active.mask(group, neuron);
                if (mask != 0) {
                    list.setAtIndex(I32, count, neuron);
                    masks.setAtIndex(I16, count++, mask);
                }
            }
            values(list, masks(tokens), count, tokens);
            return keep(true, count, tokens, 0, null);
        }

        private int all(int tokens) {
            values(MemorySegment.NULL, MemorySegment.NULL, weights.intermediate(), tokens);
            return keep(false, weights.intermediate(), tokens, threshold, norms);
        }

        private void values(MemorySegment neurons, MemorySegment needs, int count, int tokens) {
            if (gate == null) {
                products.dot(up, null, neurons, needs, count, in, tokens, h, hStride);
            } else {
                products.dot(gate, up, neurons, needs, count, in, tokens, h, hStride);
            }
        }

        /** Which of several tokens need what is listed; one token needs all of it. */
        private MemorySegment masks(int tokens) {
            return tokens == 1 ? MemorySegment.NULL : masks;
        }

        private int gateFirst(int tokens) {
            products.dot(gate, null, MemorySegment.NULL, MemorySegment.NULL, weights.intermediate(), in, tokens, h,
                hStride);
            return multiplyUp(keep(false, weights.intermediate(), tokens, threshold, norms), tokens);
        }

        /** Multiplies the gates of listed neurons by the up projection. */
        private int multiplyUp(int count, int tokens) {
            products.dot(null, up, list, masks(tokens), count, in, tokens, h, hStride);
            return keep(true, count, tokens, 0, null);
        }

        private int inputMajor(DenseMatrix x, int token, int tokens) {
            for (int t = 0; t < tokens; t++) {
                MemorySegment.copy(x.data(), Float.BYTES * (token + t) * x.rowStride(), in,
                    Float.BYTES * t * inStride, (long) Float.BYTES * x.cols());
            }
            int inputs = keep(in, inStride, false, x.cols(), tokens, inputThreshold, null);
            if (gate == null) {
                products.axpy(up, null, list, masks(tokens), inputs, in, inStride, tokens, h, hStride);
            } else {
                products.axpy(gate, up, list, masks(tokens), inputs, in, inStride, tokens, h, hStride);
            }
            return keep(false, weights.intermediate(), tokens, threshold, null);
        }

        private int keep(boolean isListed, int count, int tokens, float least, float[] scale) {
            return keep(h, hStride, isListed, count, tokens, least, scale);
        }

        /**
         * Lists what some token needs: values that are not zero and whose magnitude, times the row's scale, is not
         * below a threshold. The values of the rest are closed up.
         *
         * @param isListed whether list and masks, not the positions themselves, say what there is
         * @return how many are left
         */
        private int keep(MemorySegment values, long stride, boolean isListed, int count, int tokens, float least,
                float[] scale) {
            int kept = 0;
            for (int p = 0; p < count; p++) {
                int row = isListed ? list.getAtIndex(I32, p) : p;
                int wanted = isListed && tokens > 1 ? masks.getAtIndex(I16, p) : -1;
                float factor = scale == null ? 1 : scale[row];
                int mask = 0;
                for (int t = 0; t < tokens; t++) {
                    float value = values.getAtIndex(F32, t * stride + p);
                    values.setAtIndex(F32, t * stride + kept, value);
                    mask |= counts(value, factor, least) << t;
                }
                mask &= wanted;
                list.setAtIndex(I32, kept, row);
                masks.setAtIndex(I16, kept, (short) mask);
                // Whether a position is kept is as good as random: a branch would be guessed wrong half the time.
                kept += (mask | -mask) >>> 31;
            }
            return kept;
        }

        @Override
        public void close() {
            memory.close();
            if (batch != null) {
                batch.close();
            }
        }
    }
}
