package dev.filigree.internal.scalar;

import static dev.filigree.spi.AttentionFormat.LANES;
import static dev.filigree.spi.AttentionFormat.ROW_STRIDE;
import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_SHORT;

import dev.filigree.internal.AttentionWalk;
import java.lang.foreign.MemorySegment;

/** Block-sparse attention, one float at a time: runs everywhere, and is what the other kernels must equal. */
final class AttentionScalar extends AttentionWalk {

    static final String ID = "attention_block_f32_scalar";

    @Override
    public String id() {
        return ID;
    }

    @Override
    protected void packKeys(MemorySegment stage, int rows, int dim, MemorySegment packed, long at, int unitKeys) {
        for (int j = 0; j < unitKeys; j++) {
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
        for (int j = 0; j < unitKeys; j++) {
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
                for (int k = 0; k < depth; k++) {
                    sum = Math.fma(scratch.get(JAVA_FLOAT, aAt + 4L * ((long) r * ROW_STRIDE + k)),
                        packed.get(JAVA_FLOAT, b + 4L * LANES * k), sum);
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
            for (int i = 0; i < LANES; i++) {
                long at = sumsAt + 4L * ((long) r * LANES + i);
                float sum = scratch.get(JAVA_FLOAT, at) * alpha;
                for (int j = i; j < cols; j += LANES) {
                    float p = ScalarMath.exp(scratch.get(JAVA_FLOAT, row + 4L * j) - reference);
                    scratch.set(JAVA_FLOAT, row + 4L * j, p);
                    sum += p;
                }
                scratch.set(JAVA_FLOAT, at, sum);
            }
            // Which of two zeros is the larger depends on the order: keep the positive one.
            scratch.set(JAVA_FLOAT, maxAt + 4L * r, max + 0f);
            scratch.set(JAVA_FLOAT, alphaAt + 4L * r, alpha);
        }
    }
}
