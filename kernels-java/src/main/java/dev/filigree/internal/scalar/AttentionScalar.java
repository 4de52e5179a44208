package dev.filigree.internal.scalar;

import static dev.filigree.spi.AttentionFormat.LANES;
import static dev.filigree.spi.AttentionFormat.ROW_STRIDE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import dev.filigree.Bf16;
import dev.filigree.DType;
import dev.filigree.internal.AttentionWalk;
import dev.filigree.internal.Bf16Pairs;
import java.lang.foreign.MemorySegment;

/** Block-sparse attention, one element at a time: runs everywhere, and is what the other kernels must equal. */
final class AttentionScalar extends AttentionWalk {

    AttentionScalar(DType dtype) {
        super(dtype);
    }

    @Override
    public String id() {
        return "attention_block_" + dtype().id() + "_scalar";
    }

    @Override
    protected void widenRow(MemorySegment scratch, long toAt, int count) {
        long fromAt = toAt + 2L * count;
        for (int i = 0; i < count; i += 2) {
            int pair = scratch.get(JAVA_INT, fromAt + 2L * i);
            scratch.set(JAVA_FLOAT, toAt + 4L * i, Bf16Pairs.odd(pair));
            scratch.set(JAVA_FLOAT, toAt + 4L * i + 4, Bf16Pairs.even(pair));
        }
    }

    @Override
    protected void widenPanel(MemorySegment packed, long fromAt, int rows, MemorySegment scratch, long toAt) {
        for (int i = 0; i < rows; i++) {
            for (int lane = 0; lane < LANES; lane++) {
                int pair = packed.get(JAVA_INT, fromAt + 4L * (i * LANES + lane));
                scratch.set(JAVA_FLOAT, toAt + 4L * (2 * i * LANES + lane), Bf16Pairs.odd(pair));
                scratch.set(JAVA_FLOAT, toAt + 4L * ((2 * i + 1) * LANES + lane), Bf16Pairs.even(pair));
            }
        }
    }

    @Override
    protected void round(MemorySegment scratch, long at, int count) {
        for (int i = 0; i < count; i++) {
            scratch.set(JAVA_SHORT, at + 2L * i, Bf16.fromFloat(scratch.get(JAVA_FLOAT, at + 4L * i)));
        }
    }

    private static short bf16At(MemorySegment stage, long at, boolean isThere) {
        return isThere ? stage.get(JAVA_SHORT, at) : 0;
    }

    @Override
    protected void packKeys(MemorySegment stage, int rows, int dim, MemorySegment packed, long at, int unitKeys) {
        for (int j = 0; j < unitKeys && isBf16(); j++) {
            for (int d = 0; d < dim; d += 2) {
                long from = 2L * (j * (long) dim + d);
                packed.set(JAVA_INT, at + 4L * ((j / LANES * (dim / 2L) + d / 2) * LANES + j % LANES),
                    Bf16Pairs.of(bf16At(stage, from, j < rows), bf16At(stage, from + 2, j < rows)));
            }
        }
        for (int j = 0; j < unitKeys && !isBf16(); j++) {
            for (int d = 0; d < dim; d++) {
                packed.set(JAVA_FLOAT, at + 4L * ((j / LANES * (long) dim + d) * LANES + j % LANES),
                    j < rows ? stage.get(JAVA_FLOAT, 4L * (j * (long) dim + d)) : 0f);
            }
        }
    }

    @Override
    protected void packValues(MemorySegment stage, long stageAt, int rows, int dim, MemorySegment packed, long at,
            int unitKeys) {
        int width = Math.ceilDiv(dim, LANES) * LANES;
        for (int j = 0; j < unitKeys && isBf16(); j += 2) {
            for (int d = 0; d < width; d++) {
                long from = stageAt + 2L * (j * (long) dim + d);
                packed.set(JAVA_INT, at + 4L * ((d / LANES * (unitKeys / 2L) + j / 2) * LANES + d % LANES),
                    Bf16Pairs.of(bf16At(stage, from, d < dim && j < rows),
                        bf16At(stage, from + 2L * dim, d < dim && j + 1 < rows)));
            }
        }
        for (int j = 0; j < unitKeys && !isBf16(); j++) {
            for (int d = 0; d < width; d++) {
                packed.set(JAVA_FLOAT, at + 4L * ((d / LANES * (long) unitKeys + j) * LANES + d % LANES),
                    j < rows && d < dim ? stage.get(JAVA_FLOAT, stageAt + 4L * (j * (long) dim + d)) : 0f);
            }
        }
    }

    @Override
    protected void dots(MemorySegment scratch, long qAt, int rows, int width, long keysAt, int keys, long sumsAt,
            long scoresAt) {
        for (int r = 0; r < rows; r++) {
            for (int j = 0; j < keys; j++) {
                for (int i = 0; i < LANES; i++) {
                    float sum = 0f;
                    for (int d = i; d < width; d += LANES) {
                        sum = Math.fma(scratch.get(JAVA_FLOAT, qAt + 4L * ((long) r * width + d)),
                            scratch.get(JAVA_FLOAT, keysAt + 4L * ((long) j * width + d)), sum);
                    }
                    scratch.set(JAVA_FLOAT, sumsAt + 4L * i, sum);
                }
                scratch.set(JAVA_FLOAT, scoresAt + 4L * ((long) r * ROW_STRIDE + j), halvingSum(scratch, sumsAt));
            }
        }
    }

    private static float halvingSum(MemorySegment scratch, long sums) {
        for (int half = LANES / 2; half > 0; half /= 2) {
            for (int i = 0; i < half; i++) {
                scratch.set(JAVA_FLOAT, sums + 4L * i, scratch.get(JAVA_FLOAT, sums + 4L * i)
                    + scratch.get(JAVA_FLOAT, sums + 4L * (i + half)));
            }
        }
        return scratch.get(JAVA_FLOAT, sums);
    }

    @Override
    protected void scale(MemorySegment scratch, long at, int rows, long rowBytes, int width, float factor) {
        for (int r = 0; r < rows; r++) {
            for (int i = 0; i < width; i++) {
                long here = at + r * rowBytes + 4L * i;
                scratch.set(JAVA_FLOAT, here, scratch.get(JAVA_FLOAT, here) * factor);
            }
        }
    }

    @Override
    protected void divide(MemorySegment scratch, long at, int rows, int width, long sumsAt) {
        for (int r = 0; r < rows; r++) {
            float sum = halvingSum(scratch, sumsAt + 4L * LANES * r);
            scale(scratch, at + 4L * r * width, 1, 0, width, sum == 0f ? 0f : 1f / sum);
        }
    }

    @Override
    protected void product(MemorySegment scratch, long aAt, int rows, int depth, MemorySegment packed, long bAt,
            long panelBytes, int panels, long cAt, long cRowBytes, boolean fresh) {
        for (int r = 0; r < rows; r++) {
            for (int j = 0; j < panels * LANES; j++) {
                long at = cAt + r * cRowBytes + 4L * j;
                long b = bAt + j / LANES * panelBytes + 4L * (j % LANES);
                float sum = fresh ? 0f : scratch.get(JAVA_FLOAT, at);
                long a = aAt + 4L * r * ROW_STRIDE;
                for (int k = 0; k < depth; k++) {
                    float x = scratch.get(JAVA_FLOAT, a + 4L * k);
                    float y = packed.get(JAVA_FLOAT, b + 4L * LANES * k);
                    sum = isBf16() ? Bf16Pairs.multiplyAdd(x, y, sum) : Math.fma(x, y, sum);
                }
                scratch.set(JAVA_FLOAT, at, sum);
            }
        }
    }

    @Override
    protected void cap(MemorySegment scratch, long sAt, int rows, int cols, float cap, long spareAt) {
        float inverse = 1f / cap;
        for (int r = 0; r < rows; r++) {
            for (int j = 0; j < cols; j++) {
                long at = sAt + 4L * ((long) r * ROW_STRIDE + j);
                scratch.set(JAVA_FLOAT, at, cap * ScalarMath.tanh(scratch.get(JAVA_FLOAT, at) * inverse));
            }
        }
    }

    @Override
    protected void addBias(MemorySegment scratch, long sAt, int rows, int cols, float slope, int distance) {
        for (int r = 0; r < rows; r++) {
            for (int j = 0; j < cols; j++) {
                long at = sAt + 4L * ((long) r * ROW_STRIDE + j);
                scratch.set(JAVA_FLOAT, at, Math.fma(slope, distance + j - r, scratch.get(JAVA_FLOAT, at)));
            }
        }
    }

    @Override
    protected void mask(MemorySegment scratch, long sAt, int rows, int cols, MemorySegment words, long wordsAt,
            long wordsRowBytes, int valid) {
        for (int r = 0; r < rows; r++) {
            for (int j = 0; j < cols; j++) {
                int word = words.get(JAVA_SHORT, wordsAt + r * wordsRowBytes + 2L * (j / LANES));
                if (j >= valid || (word >> j % LANES & 1) == 0) {
                    scratch.set(JAVA_FLOAT, sAt + 4L * ((long) r * ROW_STRIDE + j), Float.NEGATIVE_INFINITY);
                }
            }
        }
    }

    @Override
    protected void normalise(MemorySegment scratch, long sAt, int rows, int cols, long maxAt, long sumsAt,
            long alphaAt, long spareAt) {
        for (int r = 0; r < rows; r++) {
            long row = sAt + 4L * r * ROW_STRIDE;
            float old = scratch.get(JAVA_FLOAT, maxAt + 4L * r);
            float max = old;
            for (int j = 0; j < cols; j++) {
                float s = scratch.get(JAVA_FLOAT, row + 4L * j);
                // Like vmaxps, and unlike Math.max, in that a NaN does not count; its weight will be NaN.
                max = s > max ? s : max;
            }
            float reference = max == Float.NEGATIVE_INFINITY ? 0f : max;
            // Without a maximum there are no sums to scale.
            float alpha = old == max || old == Float.NEGATIVE_INFINITY ? 1f : ScalarMath.exp(old - max);
            for (int j = 0; j < cols; j++) {
                scratch.set(JAVA_FLOAT, row + 4L * j,
                    ScalarMath.exp(scratch.get(JAVA_FLOAT, row + 4L * j) - reference));
            }
            for (int j = 0; j < cols && isBf16(); j += 2) {
                float even = scratch.get(JAVA_FLOAT, row + 4L * j);
                scratch.set(JAVA_FLOAT, row + 4L * j, rounded(scratch.get(JAVA_FLOAT, row + 4L * j + 4)));
                scratch.set(JAVA_FLOAT, row + 4L * j + 4, rounded(even));
            }
            for (int i = 0; i < LANES; i++) {
                long at = sumsAt + 4L * ((long) r * LANES + i);
                float sum = scratch.get(JAVA_FLOAT, at) * alpha;
                scratch.set(JAVA_FLOAT, at, isBf16() ? addPairs(scratch, row, i, cols, sum)
                    : addWeights(scratch, row, i, cols, sum));
            }
            // Which of two zeros is the larger depends on the order: keep the positive one.
            scratch.set(JAVA_FLOAT, maxAt + 4L * r, max + 0f);
            scratch.set(JAVA_FLOAT, alphaAt + 4L * r, alpha);
        }
    }

    private static float rounded(float value) {
        return Bf16.toFloat(Bf16.fromFloat(value));
    }

    private static float addWeights(MemorySegment scratch, long row, int lane, int cols, float start) {
        float sum = start;
        for (int j = lane; j < cols; j += LANES) {
            sum += scratch.get(JAVA_FLOAT, row + 4L * j);
        }
        return sum;
    }

    /** Of every 32 columns, the lane's pair; columns that are missing are zeros. */
    private static float addPairs(MemorySegment scratch, long row, int lane, int cols, float start) {
        float sum = start;
        for (int j = 0; j < cols; j += 2 * LANES) {
            int at = j + 2 * lane;
            float odd = at < cols ? scratch.get(JAVA_FLOAT, row + 4L * at) : 0f;
            float even = at < cols ? scratch.get(JAVA_FLOAT, row + 4L * at + 4) : 0f;
            sum = Bf16Pairs.multiplyAdd(even, 1f, Bf16Pairs.multiplyAdd(odd, 1f, sum));
        }
        return sum;
    }
}
