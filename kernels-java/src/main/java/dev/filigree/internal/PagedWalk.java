package dev.filigree.internal;

import static dev.filigree.spi.AttentionFormat.LANES;
import static dev.filigree.spi.AttentionFormat.ROW_GROUP;
import static dev.filigree.spi.AttentionFormat.ROW_STRIDE;
import static dev.filigree.spi.AttentionFormat.STATE_EXTRA;
import static dev.filigree.spi.AttentionFormat.STEP_KEYS;
import static dev.filigree.spi.AttentionFormat.field;
import static dev.filigree.spi.AttentionFormat.roundUp;

import dev.filigree.Bf16;
import dev.filigree.DType;
import dev.filigree.internal.scalar.ScalarMath;
import dev.filigree.spi.PagedFormat;
import dev.filigree.spi.PagedKernel;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Attention over a paged cache in Java: walks splits, steps and rows as {@code filigree.h} prescribes, with the
 * arithmetic of a block-sparse kernel. The caller's memory is touched here alone, by copies into scratch.
 */
public final class PagedWalk implements PagedKernel {

    private static final long FLOAT = Float.BYTES;
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;
    private static final ValueLayout.OfFloat CACHED_F32 = ValueLayout.JAVA_FLOAT;
    private static final ValueLayout.OfShort CACHED_BF16 = ValueLayout.JAVA_SHORT;

    private final String id;
    private final AttentionWalk arithmetic;
    private final boolean isBf16;

    /**
     * A kernel.
     *
     * @param id its id
     * @param arithmetic on tiles
     * @param dtype of the cache
     */
    public PagedWalk(String id, AttentionWalk arithmetic, DType dtype) {
        this.id = id;
        this.arithmetic = arithmetic;
        isBf16 = dtype == DType.BF16;
    }

    @Override
    public String id() {
        return id;
    }

    @Override
    public void run(MemorySegment shape, MemorySegment q, MemorySegment keys, MemorySegment values, MemorySegment out,
            MemorySegment lse, MemorySegment partials, long begin, long end, MemorySegment scratch) {
        long pairs = field(shape, PagedFormat.SEQUENCES) * field(shape, PagedFormat.KV_HEADS);
        long splits = longAt(shape, PagedFormat.SPLIT_STARTS, pairs);
        for (long item = begin; item < end; item++) {
            if (item < splits) {
                split(shape, q, keys, values, partials, item, pairs, scratch);
            } else {
                combine(shape, out, lse, partials, item - splits, scratch);
            }
        }
    }

    private void split(MemorySegment shape, MemorySegment q, MemorySegment keys, MemorySegment values,
            MemorySegment partials, long item, long pairs, MemorySegment scratch) {
        long pair = 0;
        for (long high = pairs; high - pair > 1; ) {
            long middle = (pair + high) >>> 1;
            if (longAt(shape, PagedFormat.SPLIT_STARTS, middle) <= item) {
                pair = middle;
            } else {
                high = middle;
            }
        }
        long kvHeads = field(shape, PagedFormat.KV_HEADS);
        int group = (int) (field(shape, PagedFormat.HEADS) / kvHeads);
        int dim = (int) field(shape, PagedFormat.DIM);
        load(shape, q, pair / kvHeads, pair % kvHeads * group, group, dim, scratch);
        AttentionWalk.begin(group, dim, scratch);
        long next = (item - longAt(shape, PagedFormat.SPLIT_STARTS, pair)) * PagedFormat.SPLIT_KEYS;
        long end = Math.min(next + PagedFormat.SPLIT_KEYS, longAt(shape, PagedFormat.SELECTED, pair));
        for (; next < end; next += STEP_KEYS) {
            step(shape, keys, values, pair, next, (int) Math.min(STEP_KEYS, end - next), group, dim, scratch);
        }
        AttentionWalk.leave(partials, FLOAT * item * group * (dim + STATE_EXTRA), group, dim, scratch);
    }

    /** Scaled queries without gaps, and zeros as the scores of rows of padding. */
    private void load(MemorySegment shape, MemorySegment q, long sequence, long head, int group, int dim,
            MemorySegment scratch) {
        int width = roundUp(dim, LANES);
        int padded = roundUp(group, ROW_GROUP);
        AttentionWalk.clear(scratch, 0, (long) group * width);
        for (int r = 0; r < group; r++) {
            long at = sequence * field(shape, PagedFormat.Q_STRIDES)
                + (head + r) * field(shape, PagedFormat.Q_STRIDES + 8);
            MemorySegment.copy(q, FLOAT * at, scratch, FLOAT * r * width, FLOAT * dim);
        }
        arithmetic.scale(scratch, 0, group, FLOAT * width, width, shape.get(F32, PagedFormat.SCALE));
        AttentionWalk.clear(scratch, AttentionWalk.scoresAt(padded, dim) + FLOAT * group * ROW_STRIDE,
            (long) (padded - group) * ROW_STRIDE);
    }

    private void step(MemorySegment shape, MemorySegment keys, MemorySegment values, long pair, long first, int count,
            int group, int dim, MemorySegment scratch) {
        int width = roundUp(dim, LANES);
        int padded = roundUp(group, ROW_GROUP);
        long scoresAt = AttentionWalk.scoresAt(padded, dim);
        // Behind the tile: rows as they come, the same in panels, sums of a key.
        long stageAt = AttentionWalk.alphaAt(padded, dim) + FLOAT * roundUp(padded, LANES);
        long panelsAt = stageAt + FLOAT * LANES * width;
        long sumsAt = panelsAt + FLOAT * LANES * width;
        for (int j = 0; j < count; j += LANES) {
            int rows = Math.min(LANES, count - j);
            if (width != dim) {
                AttentionWalk.clear(scratch, stageAt, (long) LANES * width);
            }
            for (int i = 0; i < rows; i++) {
                stage(keys, row(shape, pair, token(shape, pair, first + j + i)), dim, scratch,
                    stageAt + FLOAT * i * width);
            }
            arithmetic.dots(scratch, 0, group, width, stageAt, rows, sumsAt, scoresAt + FLOAT * j);
        }
        modify(shape, pair, first, count, group, dim, scratch);
        arithmetic.weigh(scratch, group, dim, roundUp(count, LANES));
        for (int j = 0; j < count; j += LANES) {
            int rows = Math.min(LANES, count - j);
            for (int i = 0; i < rows; i++) {
                stage(values, row(shape, pair, token(shape, pair, first + j + i)), dim, scratch,
                    stageAt + FLOAT * i * dim);
            }
            arithmetic.packValues(scratch, stageAt, rows, dim, scratch, panelsAt, LANES);
            arithmetic.product(scratch, scoresAt + FLOAT * j, padded, rows, scratch, panelsAt, FLOAT * LANES * LANES,
                width / LANES, AttentionWalk.accAt(padded, dim), FLOAT * width, false);
        }
    }

    /** What becomes of the scores of a step before they are normalised. */
    private void modify(MemorySegment shape, long pair, long first, int count, int group, int dim,
            MemorySegment scratch) {
        int padded = roundUp(group, ROW_GROUP);
        long scoresAt = AttentionWalk.scoresAt(padded, dim);
        int cols = roundUp(count, LANES);
        float cap = shape.get(F32, PagedFormat.SOFT_CAP);
        if (cap != 0f) {
            arithmetic.cap(scratch, scoresAt, padded, cols, cap, AttentionWalk.spareAt(padded, dim));
        }
        long slopes = field(shape, PagedFormat.SLOPES);
        if (slopes != 0) {
            long kvHeads = field(shape, PagedFormat.KV_HEADS);
            int last = intAt(shape, PagedFormat.LENGTHS, pair / kvHeads) - 1;
            for (int r = 0; r < group; r++) {
                float slope = shape.get(F32, slopes + FLOAT * (pair % kvHeads * group + r));
                for (int j = 0; j < count; j++) {
                    long at = scoresAt + FLOAT * ((long) r * ROW_STRIDE + j);
                    int distance = token(shape, pair, first + j) - last;
                    scratch.set(F32, at, Math.fma(slope, distance, scratch.get(F32, at)));
                }
            }
        }
        for (int r = 0; r < padded; r++) {
            for (int j = count; j < cols; j++) {
                scratch.set(F32, scoresAt + FLOAT * ((long) r * ROW_STRIDE + j), Float.NEGATIVE_INFINITY);
            }
        }
    }

    /** A selected key's position in its sequence. */
    private static int token(MemorySegment shape, long pair, long key) {
        long listHeads = field(shape, PagedFormat.LIST_HEADS);
        if (listHeads == 0) {
            return (int) key;
        }
        long list = listHeads == 1 ? pair / field(shape, PagedFormat.KV_HEADS) : pair;
        long block = field(shape, PagedFormat.BLOCK_KEYS);
        int listed = intAt(shape, PagedFormat.LISTS, longAt(shape, PagedFormat.LIST_STARTS, list) + key / block);
        return (int) (listed * block + key % block);
    }

    /** The first element of a token's row in the cache. */
    private static long row(MemorySegment shape, long pair, int token) {
        long kvHeads = field(shape, PagedFormat.KV_HEADS);
        int pageRows = (int) field(shape, PagedFormat.PAGE_ROWS);
        int page = intAt(shape, PagedFormat.PAGE_TABLE,
            pair / kvHeads * field(shape, PagedFormat.PAGE_TABLE_STRIDE) + token / pageRows);
        return page * field(shape, PagedFormat.CACHE_STRIDES)
            + pair % kvHeads * field(shape, PagedFormat.CACHE_STRIDES + 8)
            + token % pageRows * field(shape, PagedFormat.CACHE_STRIDES + 16);
    }

    private void stage(MemorySegment cache, long element, int dim, MemorySegment scratch, long at) {
        if (isBf16) {
            for (int d = 0; d < dim; d++) {
                scratch.set(F32, at + FLOAT * d,
                    Bf16.toFloat(cache.get(CACHED_BF16, Short.BYTES * (element + d))));
            }
        } else {
            MemorySegment.copy(cache, CACHED_F32, FLOAT * element, scratch, F32, at, dim);
        }
    }

    private void combine(MemorySegment shape, MemorySegment out, MemorySegment lse, MemorySegment partials, long pair,
            MemorySegment scratch) {
        long kvHeads = field(shape, PagedFormat.KV_HEADS);
        int group = (int) (field(shape, PagedFormat.HEADS) / kvHeads);
        int dim = (int) field(shape, PagedFormat.DIM);
        long first = longAt(shape, PagedFormat.SPLIT_STARTS, pair);
        long splits = longAt(shape, PagedFormat.SPLIT_STARTS, pair + 1) - first;
        long rowBytes = FLOAT * (dim + STATE_EXTRA);
        long sequence = pair / kvHeads;
        for (int g = 0; g < group; g++) {
            long head = pair % kvHeads * group + g;
            float max = add(partials, (first * group + g) * rowBytes, splits, group * rowBytes, dim, scratch);
            int padded = ROW_GROUP;
            long sumsAt = AttentionWalk.sumsAt(padded, dim);
            arithmetic.divide(scratch, AttentionWalk.accAt(padded, dim), 1, roundUp(dim, LANES), sumsAt);
            MemorySegment.copy(scratch, AttentionWalk.accAt(padded, dim), out,
                FLOAT * (sequence * field(shape, PagedFormat.OUT_STRIDES)
                    + head * field(shape, PagedFormat.OUT_STRIDES + 8)), FLOAT * dim);
            if (lse.address() != 0) {
                lse.set(F32, FLOAT * (sequence * field(shape, PagedFormat.HEADS) + head),
                    ScalarMath.logSumExp(max, scratch.get(F32, sumsAt)));
            }
        }
    }

    /** Adds up the states of a row's splits in order; their largest maximum. */
    private static float add(MemorySegment partials, long at, long splits, long stride, int dim, MemorySegment scratch) {
        AttentionWalk.begin(1, dim, scratch);
        long maxAt = FLOAT * (dim + LANES);
        float max = Float.NEGATIVE_INFINITY;
        for (long i = 0; i < splits; i++) {
            float m = partials.get(F32, at + i * stride + maxAt);
            max = m > max ? m : max;
        }
        for (long i = 0; i < splits; i++) {
            float m = partials.get(F32, at + i * stride + maxAt);
            float factor = m == max ? 1f : ScalarMath.exp(m - max);
            addScaled(partials, at + i * stride, factor, scratch, AttentionWalk.accAt(ROW_GROUP, dim), dim);
            addScaled(partials, at + i * stride + FLOAT * dim, factor, scratch, AttentionWalk.sumsAt(ROW_GROUP, dim),
                LANES);
        }
        return max;
    }

    private static void addScaled(
            MemorySegment from, long at, float factor, MemorySegment scratch, long to, int count) {
        for (long i = 0; i < FLOAT * count; i += FLOAT) {
            scratch.set(F32, to + i, Math.fma(from.get(F32, at + i), factor, scratch.get(F32, to + i)));
        }
    }

    private static int intAt(MemorySegment shape, long table, long index) {
        return shape.get(ValueLayout.JAVA_INT, field(shape, table) + Integer.BYTES * index);
    }

    private static long longAt(MemorySegment shape, long table, long index) {
        return shape.get(ValueLayout.JAVA_LONG, field(shape, table) + Long.BYTES * index);
    }
}
