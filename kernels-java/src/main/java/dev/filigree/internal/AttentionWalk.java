package dev.filigree.internal;

import static dev.filigree.spi.AttentionFormat.LANES;
import static dev.filigree.spi.AttentionFormat.ROW_GROUP;
import static dev.filigree.spi.AttentionFormat.ROW_STRIDE;
import static dev.filigree.spi.AttentionFormat.STEP_KEYS;
import static dev.filigree.spi.AttentionFormat.field;
import static dev.filigree.spi.AttentionFormat.roundUp;

import dev.filigree.DType;
import dev.filigree.internal.scalar.ScalarMath;
import dev.filigree.spi.AttentionFormat;
import dev.filigree.spi.AttentionKernel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Block-sparse attention in Java. This class walks tiles, steps and units as {@code filigree.h} prescribes; a subclass
 * supplies the arithmetic on a tile, with vectors or without. The caller's operands are touched here alone, by bulk
 * copies through scratch, which notice when an arena is closed.
 *
 * <p>In bf16, packed keys and values are pairs of elements, whose odd one is multiplied and added before the even one.
 * They are widened, two panels at a time, to where the odd elements come first, and so are queries; weights are rounded
 * and change places. From there, a product is the same chain of multiply-adds as in f32, but that denormals are zeros.
 */
public abstract class AttentionWalk implements AttentionKernel {

    private static final long FLOAT = Float.BYTES;
    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;
    private static final MemorySegment ZEROS = Arena.global().allocate(1 << 14, AttentionFormat.ALIGNMENT);
    /** The row of an element mask where every key counts. */
    private static final MemorySegment ALL_KEYS =
        Arena.global().allocate(2L * STEP_KEYS / LANES, AttentionFormat.ALIGNMENT).fill((byte) 0xff);

    private final DType dtype;
    private final int elementBytes;
    /** Elements of a packed word. */
    private final int perWord;

    /** For subclasses. */
    protected AttentionWalk(DType dtype) {
        this.dtype = dtype;
        elementBytes = dtype.bytes();
        perWord = Float.BYTES / elementBytes;
    }

    /** The type of queries, keys and values. */
    protected final DType dtype() {
        return dtype;
    }

    /** Whether it is bf16. */
    protected final boolean isBf16() {
        return perWord == 2;
    }

    /**
     * Panels of 16 columns of {@code dim} rows each, from {@code rows} staged rows: {@code to[j / 16][d][j % 16]}. In
     * bf16 {@code to[j / 16][d / 2][j % 16][d % 2]}.
     */
    protected abstract void packKeys(
        MemorySegment stage, int rows, int dim, MemorySegment packed, long at, int unitKeys);

    /**
     * Panels of 16 columns, from {@code rows} staged rows: {@code to[d / 16][j][d % 16]}. In bf16 {@code
     * to[d / 16][j / 2][d % 16][j % 2]}.
     */
    protected abstract void packValues(
        MemorySegment stage, long stageAt, int rows, int dim, MemorySegment packed, long at, int unitKeys);

    /**
     * Scores of up to 16 keys: {@code width} elements of each query and key lie without gaps; each dot product is 16
     * sums, of the elements whose index has the same remainder, added by halves.
     *
     * @param sumsAt 16 spare floats
     */
    protected abstract void dots(MemorySegment scratch, long qAt, int rows, int width, long keysAt, int keys, long sumsAt,
        long scoresAt);

    /** x *= factor over {@code width} floats of each row; may also multiply the rest of the last 16. */
    protected abstract void scale(
        MemorySegment scratch, long at, int rows, long rowBytes, int width, float factor);

    /**
     * x *= 1 / l, or 0 where l is 0, over {@code width} floats of each packed row; l is the sum of the row's 16 partial
     * sums, by halves, and replaces the first of them.
     */
    protected abstract void divide(MemorySegment scratch, long at, int rows, int width, long sumsAt);

    /**
     * C = (C or +0) + A * B: each element one chain of multiply-adds over {@code depth}. A lies in scratch with rows
     * {@code ROW_STRIDE} apart, B in panels of {@code depth x 16}, C in scratch. {@code rows} is a multiple of
     * {@code ROW_GROUP}. In bf16, each step is half of {@link Bf16Pairs#multiplyAdd(int, int, float)}, and B, up to two
     * panels in scratch, is followed by 32 floats a row for whatever the subclass likes.
     */
    protected abstract void product(MemorySegment scratch, long aAt, int rows, int depth, MemorySegment packed,
        long bAt, long panelBytes, int panels, long cAt, long cRowBytes, boolean fresh);

    /** s = cap * tanh(s * (1 / cap)); there are 16 spare floats a row. */
    protected abstract void cap(MemorySegment scratch, long sAt, int rows, int cols, float cap, long spareAt);

    /** s = fma(slope, distance + column - row, s). */
    protected abstract void addBias(
        MemorySegment scratch, long sAt, int rows, int cols, float slope, int distance);

    /** s = -inf where the element mask has no bit, and from column {@code valid} on. */
    protected abstract void mask(MemorySegment scratch, long sAt, int rows, int cols, MemorySegment words, long wordsAt,
        long wordsRowBytes, int valid);

    /**
     * One step of the online softmax, row by row: m becomes the maximum, p = exp(s - m) replaces s, 16 partial sums
     * l become l * alpha + p, where alpha = exp(old m - m). In bf16, p is
     * rounded, the two of a pair change places, and l has sums of pairs.
     *
     * @param spareAt 16 floats a row for whatever the subclass likes
     */
    protected abstract void normalise(MemorySegment scratch, long sAt, int rows, int cols, long maxAt, long sumsAt,
        long alphaAt, long spareAt);

    /**
     * Widens a row of pairs to floats, the odd element of each first. The pairs lie in the second half of the floats'
     * place.
     */
    protected abstract void widenRow(MemorySegment scratch, long toAt, int count);

    /** Widens {@code rows} rows of 16 pairs: the odd elements of each, then the even ones. */
    protected abstract void widenPanel(MemorySegment packed, long fromAt, int rows, MemorySegment scratch, long toAt);

    /** Rounds floats to bf16 in place: the elements follow each other from the first float on. */
    protected abstract void round(MemorySegment scratch, long at, int count);

    @Override
    public final void run(MemorySegment mask, MemorySegment shape, MemorySegment q, MemorySegment k, MemorySegment v,
            MemorySegment out, MemorySegment lse, MemorySegment state, MemorySegment packed, long begin, long end,
            MemorySegment scratch) {
        long used = field(mask, AttentionFormat.USED_COUNT);
        long packing = field(shape, AttentionFormat.PAIR_COUNT) * used;
        for (long item = begin; item < end; item++) {
            if (item < packing) {
                pack(mask, shape, k, v, packed, item / used, intAt(mask, AttentionFormat.USED, item % used), scratch);
            } else {
                attend(mask, shape, q, out, lse, state, packed, item - packing, scratch);
            }
        }
    }

    /** Packs the keys and values of one unit; those past the key length become zeros. */
    private void pack(MemorySegment mask, MemorySegment shape, MemorySegment k, MemorySegment v, MemorySegment packed,
            long pairIndex, int unit, MemorySegment scratch) {
        int dim = (int) field(shape, AttentionFormat.DIM);
        int unitKeys = (int) field(mask, AttentionFormat.UNIT_KEYS);
        long kvHeads = field(shape, AttentionFormat.KV_HEADS);
        long pair = field(shape, AttentionFormat.FIRST_PAIR) + pairIndex;
        long batch = pair / kvHeads;
        long first = (long) unit * unitKeys;
        int rows = Math.clamp(keyLength(mask, shape, batch) - first, 0, unitKeys);
        long pairAt = pairIndex * AttentionFormat.pairElements(mask, dim);
        long keysAt = elementBytes * (pairAt + first * dim);
        long valuesAt = elementBytes
            * (pairAt + AttentionFormat.keyElements(mask, dim) + first * roundUp(dim, LANES));
        stage(k, shape, AttentionFormat.K_STRIDES, batch, pair % kvHeads, first, rows, dim, scratch);
        packKeys(scratch, rows, dim, packed, keysAt, unitKeys);
        stage(v, shape, AttentionFormat.V_STRIDES, batch, pair % kvHeads, first, rows, dim, scratch);
        packValues(scratch, 0, rows, dim, packed, valuesAt, unitKeys);
    }

    private void stage(MemorySegment from, MemorySegment shape, long strides, long batch, long head, long first,
            int rows, int dim, MemorySegment scratch) {
        long rowStride = field(shape, strides + 16);
        long at = offset(shape, strides, batch, head, first);
        if (rowStride == dim) {
            MemorySegment.copy(from, elementBytes * at, scratch, 0, (long) elementBytes * rows * dim);
            return;
        }
        for (int r = 0; r < rows; r++) {
            MemorySegment.copy(from, elementBytes * (at + r * rowStride), scratch, (long) elementBytes * r * dim,
                (long) elementBytes * dim);
        }
    }

    /** One tile of query rows of one head. */
    private void attend(MemorySegment mask, MemorySegment shape, MemorySegment q, MemorySegment out, MemorySegment lse,
            MemorySegment state, MemorySegment packed, long item, MemorySegment scratch) {
        long kvHeads = field(shape, AttentionFormat.KV_HEADS);
        long group = field(shape, AttentionFormat.HEADS) / kvHeads;
        long tiles = field(mask, AttentionFormat.TILE_COUNT);
        long pairIndex = item / group / tiles;
        long pair = field(shape, AttentionFormat.FIRST_PAIR) + pairIndex;
        long batch = pair / kvHeads;
        long head = pair % kvHeads * group + item % group;
        long lists = field(mask, AttentionFormat.MASK_HEADS) == 1 ? 0
            : head * tiles;
        int tile = intAt(mask, AttentionFormat.ORDER, lists + item / group % tiles);
        int first = intAt(mask, AttentionFormat.TILE_STARTS, tile);
        int rows = intAt(mask, AttentionFormat.TILE_STARTS, tile + 1L) - first;
        int dim = (int) field(shape, AttentionFormat.DIM);
        int padded = roundUp(rows, ROW_GROUP);
        load(shape, q, batch, head, first, rows, dim, scratch);
        long stateAt = FLOAT * ((batch * field(shape, AttentionFormat.HEADS) + head)
            * field(mask, AttentionFormat.QUERIES) + first) * (dim + AttentionFormat.STATE_EXTRA);
        begin(state, stateAt, rows, dim, scratch);

        long listAt = field(mask, AttentionFormat.LIST_STARTS) + Long.BYTES * (lists + tile);
        long entry = mask.get(ValueLayout.JAVA_LONG, listAt);
        long end = mask.get(ValueLayout.JAVA_LONG, listAt + Long.BYTES);
        int keys = keyLength(mask, shape, batch);
        long stepUnits = field(mask, AttentionFormat.STEP_UNITS);
        while (entry < end) {
            // Units ascend: those beyond the key length are the last.
            int units = withKeys(mask, entry, (int) Math.min(stepUnits, end - entry), keys);
            if (units == 0) {
                break;
            }
            step(mask, shape, packed, pairIndex, head, first, rows, dim, entry, units, keys, scratch);
            entry += units;
        }
        if (state.address() != 0) {
            leave(state, stateAt, rows, dim, scratch);
        } else {
            long lseAt = (batch * field(shape, AttentionFormat.HEADS) + head) * field(mask, AttentionFormat.QUERIES);
            finish(shape, out, lse, batch, head, first, rows, dim, lseAt + first, scratch);
        }
    }

    /** How many of some units begin below the key length. */
    private static int withKeys(MemorySegment mask, long entry, int units, int keys) {
        int unitKeys = (int) field(mask, AttentionFormat.UNIT_KEYS);
        int count = units;
        while (count > 0 && intAt(mask, AttentionFormat.UNITS, entry + count - 1) * (long) unitKeys >= keys) {
            count--;
        }
        return count;
    }

    /**
     * Queries to scratch, in chunks of STEP_KEYS columns; rows of padding are zeros. They are scaled, but not those of
     * bf16, whose scores are.
     */
    private void load(MemorySegment shape, MemorySegment q, long batch, long head, int first, int rows, int dim,
            MemorySegment scratch) {
        int padded = roundUp(rows, ROW_GROUP);
        long at = offset(shape, AttentionFormat.Q_STRIDES, batch, head, first);
        long rowStride = field(shape, AttentionFormat.Q_STRIDES + 16);
        float factor = shape.get(F32, AttentionFormat.SCALE);
        for (int d = 0; d < dim; d += STEP_KEYS) {
            int width = Math.min(STEP_KEYS, dim - d);
            long chunkAt = FLOAT * padded * ROW_STRIDE * (d / STEP_KEYS);
            for (int r = 0; r < rows; r++) {
                // bf16 elements take the second half of their floats' place first.
                long rowAt = chunkAt + FLOAT * r * ROW_STRIDE;
                long elementsAt = rowAt + (FLOAT - elementBytes) * width;
                MemorySegment.copy(q, elementBytes * (at + r * rowStride + d), scratch, elementsAt,
                    (long) elementBytes * width);
                if (isBf16()) {
                    widenRow(scratch, rowAt, width);
                }
            }
            if (!isBf16()) {
                scale(scratch, chunkAt, rows, FLOAT * ROW_STRIDE, width, factor);
            }
            for (int r = rows; r < padded; r++) {
                clear(scratch, chunkAt + FLOAT * r * ROW_STRIDE, width);
            }
        }
    }

    /** Fresh sums. */
    static void begin(int rows, int dim, MemorySegment scratch) {
        int padded = roundUp(rows, ROW_GROUP);
        clear(scratch, accAt(padded, dim), padded * roundUp(dim, LANES));
        clear(scratch, sumsAt(padded, dim), padded * LANES);
        for (int r = 0; r < padded; r++) {
            scratch.set(F32, maxAt(padded, dim) + FLOAT * r, Float.NEGATIVE_INFINITY);
        }
    }

    /** Fresh sums, or those of a state. */
    private static void begin(
            MemorySegment state, long stateAt, int rows, int dim, MemorySegment scratch) {
        int padded = roundUp(rows, ROW_GROUP);
        int width = roundUp(dim, LANES);
        long accAt = accAt(padded, dim);
        long sumsAt = sumsAt(padded, dim);
        long maxAt = maxAt(padded, dim);
        begin(rows, dim, scratch);
        if (state.address() == 0) {
            return;
        }
        for (int r = 0; r < rows; r++) {
            long at = stateAt + FLOAT * r * (dim + AttentionFormat.STATE_EXTRA);
            MemorySegment.copy(state, at, scratch, accAt + FLOAT * r * width, FLOAT * dim);
            MemorySegment.copy(state, at + FLOAT * dim, scratch, sumsAt + FLOAT * r * LANES, FLOAT * LANES);
            MemorySegment.copy(state, at + FLOAT * (dim + LANES), scratch, maxAt + FLOAT * r, FLOAT);
        }
    }

    static void leave(MemorySegment state, long stateAt, int rows, int dim, MemorySegment scratch) {
        int padded = roundUp(rows, ROW_GROUP);
        for (int r = 0; r < rows; r++) {
            long at = stateAt + FLOAT * r * (dim + AttentionFormat.STATE_EXTRA);
            MemorySegment.copy(
                scratch, accAt(padded, dim) + FLOAT * r * roundUp(dim, LANES), state, at, FLOAT * dim);
            MemorySegment.copy(
                scratch, sumsAt(padded, dim) + FLOAT * r * LANES, state, at + FLOAT * dim, FLOAT * LANES);
            MemorySegment.copy(scratch, maxAt(padded, dim) + FLOAT * r, state, at + FLOAT * (dim + LANES), FLOAT);
        }
    }

    /** Scores of some units, their weights, and the weighted values. */
    private void step(MemorySegment mask, MemorySegment shape, MemorySegment packed, long pairIndex, long head,
            int first, int rows, int dim, long entry, int units, int keys, MemorySegment scratch) {
        int padded = roundUp(rows, ROW_GROUP);
        int width = roundUp(dim, LANES);
        int unitKeys = (int) field(mask, AttentionFormat.UNIT_KEYS);
        int panels = unitKeys / LANES;
        long scoresAt = scoresAt(padded, dim);
        long keysAt = elementBytes * pairIndex * AttentionFormat.pairElements(mask, dim);
        for (int u = 0; u < units; u++) {
            int unit = intAt(mask, AttentionFormat.UNITS, entry + u);
            long sAt = scoresAt + FLOAT * u * unitKeys;
            for (int d = 0; d < dim; d += STEP_KEYS) {
                multiply(scratch, FLOAT * padded * ROW_STRIDE * (d / STEP_KEYS), padded, Math.min(STEP_KEYS, dim - d),
                    packed, keysAt + elementBytes * ((long) unit * unitKeys * dim + (long) d * LANES),
                    (long) elementBytes * dim * LANES, panels, sAt, FLOAT * ROW_STRIDE, d == 0, widenedAt(padded, dim));
            }
            if (isBf16()) {
                scale(scratch, sAt, padded, FLOAT * ROW_STRIDE, unitKeys, shape.get(F32, AttentionFormat.SCALE));
            }
            modify(mask, shape, head, first, padded, entry + u, unit * unitKeys, keys, sAt, scratch);
        }
        weigh(scratch, rows, dim, units * unitKeys);
        long valuesAt = keysAt + elementBytes * AttentionFormat.keyElements(mask, dim);
        for (int u = 0; u < units; u++) {
            long unit = intAt(mask, AttentionFormat.UNITS, entry + u);
            multiply(scratch, scoresAt + FLOAT * u * unitKeys, padded, unitKeys, packed,
                valuesAt + elementBytes * unit * unitKeys * width, (long) elementBytes * unitKeys * LANES, width / LANES,
                accAt(padded, dim), FLOAT * width, false, widenedAt(padded, dim));
        }
    }

    /** A product with packed panels. */
    private void multiply(MemorySegment scratch, long aAt, int rows, int depth, MemorySegment packed, long bAt,
            long panelBytes, int panels, long cAt, long cRowBytes, boolean fresh, long widenedAt) {
        if (!isBf16()) {
            product(scratch, aAt, rows, depth, packed, bAt, panelBytes, panels, cAt, cRowBytes, fresh);
            return;
        }
        long widenedBytes = FLOAT * LANES * depth;
        for (int panel = 0; panel < panels; panel += 2) {
            int count = Math.min(2, panels - panel);
            for (int i = 0; i < count; i++) {
                widenPanel(packed, bAt + (panel + i) * panelBytes, depth / 2, scratch, widenedAt + i * widenedBytes);
            }
            product(scratch, aAt, rows, depth, scratch, widenedAt, widenedBytes, count, cAt + FLOAT * LANES * panel,
                cRowBytes, fresh);
        }
    }

    /** Turns the scores of a step into weights, and puts the sums under the new maxima. */
    final void weigh(MemorySegment scratch, int rows, int dim, int cols) {
        int padded = roundUp(rows, ROW_GROUP);
        int width = roundUp(dim, LANES);
        normalise(scratch, scoresAt(padded, dim), padded, cols, maxAt(padded, dim), sumsAt(padded, dim),
            alphaAt(padded, dim), spareAt(padded, dim));
        for (int r = 0; r < rows; r++) {
            float alpha = scratch.get(F32, alphaAt(padded, dim) + FLOAT * r);
            if (alpha != 1f) {
                scale(scratch, accAt(padded, dim) + FLOAT * r * width, 1, 0, width, alpha);
            }
        }
    }

    /** What becomes of the scores of a unit before they are normalised. */
    private void modify(MemorySegment mask, MemorySegment shape, long head, int first, int padded, long entry,
            int firstKey, int keys, long sAt, MemorySegment scratch) {
        int unitKeys = (int) field(mask, AttentionFormat.UNIT_KEYS);
        float cap = shape.get(F32, AttentionFormat.SOFT_CAP);
        if (cap != 0f) {
            cap(scratch, sAt, padded, unitKeys, cap, spareAt(padded, (int) field(shape, AttentionFormat.DIM)));
        }
        long slopes = field(shape, AttentionFormat.SLOPES);
        if (slopes != 0) {
            int offset = (int) (field(mask, AttentionFormat.KEYS) - field(mask, AttentionFormat.QUERIES));
            addBias(scratch, sAt, padded, unitKeys, shape.get(F32, slopes + FLOAT * head),
                firstKey - first - offset);
        }
        int valid = Math.min(unitKeys, keys - firstKey);
        int pattern = intAt(mask, AttentionFormat.PATTERNS, entry);
        int rows = (int) Math.min(padded, field(mask, AttentionFormat.QUERIES) - first);
        if (pattern >= 0) {
            long blockRows = field(mask, AttentionFormat.BLOCK_ROWS);
            long words = field(mask, AttentionFormat.BLOCK_COLS) / LANES;
            long word = (pattern * blockRows + first % blockRows) * words + firstKey / LANES % words;
            // Rows of padding have no bits; they take those of the row that follows, or of the next pattern.
            rows = (int) Math.min(rows, blockRows - first % blockRows);
            mask(scratch, sAt, rows, unitKeys, mask, field(mask, AttentionFormat.WORDS) + 2 * word, 2 * words, valid);
        } else if (valid < unitKeys) {
            mask(scratch, sAt, rows, unitKeys, ALL_KEYS, 0, 0, valid);
        }
    }

    /** out = acc / l, lse = m + log(l). */
    private void finish(MemorySegment shape, MemorySegment out, MemorySegment lse, long batch, long head, int first,
            int rows, int dim, long lseIndex, MemorySegment scratch) {
        int padded = roundUp(rows, ROW_GROUP);
        int width = roundUp(dim, LANES);
        long at = offset(shape, AttentionFormat.OUT_STRIDES, batch, head, first);
        long rowStride = field(shape, AttentionFormat.OUT_STRIDES + 16);
        divide(scratch, accAt(padded, dim), rows, width, sumsAt(padded, dim));
        long bytes = FLOAT;
        if (field(shape, AttentionFormat.OUT_DTYPE) == AttentionFormat.BF16) {
            bytes = Short.BYTES;
            round(scratch, accAt(padded, dim), rows * width);
        }
        if (rowStride == dim && width == dim) {
            MemorySegment.copy(scratch, accAt(padded, dim), out, bytes * at, bytes * rows * width);
        } else {
            for (int r = 0; r < rows; r++) {
                MemorySegment.copy(scratch, accAt(padded, dim) + bytes * r * width, out,
                    bytes * (at + r * rowStride), bytes * dim);
            }
        }
        if (lse.address() != 0) {
            for (int r = 0; r < rows; r++) {
                long maxAt = maxAt(padded, dim) + FLOAT * r;
                float sum = scratch.get(F32, sumsAt(padded, dim) + FLOAT * r * LANES);
                scratch.set(F32, maxAt, ScalarMath.logSumExp(scratch.get(F32, maxAt), sum));
            }
            MemorySegment.copy(scratch, maxAt(padded, dim), lse, FLOAT * lseIndex, FLOAT * rows);
        }
    }

    static void clear(MemorySegment scratch, long at, long floats) {
        long end = at + FLOAT * floats;
        for (long from = at; from < end; from += ZEROS.byteSize()) {
            MemorySegment.copy(ZEROS, 0, scratch, from, Math.min(ZEROS.byteSize(), end - from));
        }
    }

    private static int keyLength(MemorySegment mask, MemorySegment shape, long batch) {
        long lengths = field(shape, AttentionFormat.KEY_LENGTHS);
        return lengths == 0 ? (int) field(mask, AttentionFormat.KEYS)
            : shape.get(ValueLayout.JAVA_INT, lengths + Integer.BYTES * batch);
    }

    private static long offset(MemorySegment shape, long strides, long batch, long head, long row) {
        return batch * field(shape, strides) + head * field(shape, strides + 8) + row * field(shape, strides + 16);
    }

    private static int intAt(MemorySegment mask, long table, long index) {
        return mask.get(ValueLayout.JAVA_INT, field(mask, table) + Integer.BYTES * index);
    }

    // Where a tile of padded rows lies in scratch: queries, scores, sums, weights' sums, spare rows, maxima, factors.

    static long scoresAt(int padded, int dim) {
        return FLOAT * padded * ROW_STRIDE * Math.ceilDiv(dim, STEP_KEYS);
    }

    static long accAt(int padded, int dim) {
        return scoresAt(padded, dim) + FLOAT * padded * ROW_STRIDE;
    }

    static long sumsAt(int padded, int dim) {
        return accAt(padded, dim) + FLOAT * padded * roundUp(dim, LANES);
    }

    static long spareAt(int padded, int dim) {
        return sumsAt(padded, dim) + FLOAT * padded * LANES;
    }

    static long maxAt(int padded, int dim) {
        return spareAt(padded, dim) + FLOAT * padded * LANES;
    }

    static long alphaAt(int padded, int dim) {
        return maxAt(padded, dim) + FLOAT * roundUp(padded, LANES);
    }

    private static long widenedAt(int padded, int dim) {
        return alphaAt(padded, dim) + FLOAT * roundUp(padded, LANES);
    }
}
