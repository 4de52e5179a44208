package dev.filigree.internal.vector;

import static dev.filigree.internal.vector.RawMemory.ALL;
import static dev.filigree.internal.vector.RawMemory.address;
import static dev.filigree.internal.vector.Species.F32;
import static dev.filigree.spi.AttentionFormat.LANES;
import static dev.filigree.spi.AttentionFormat.ROW_GROUP;
import static dev.filigree.spi.AttentionFormat.ROW_STRIDE;
import static dev.filigree.spi.AttentionFormat.STEP_KEYS;

import dev.filigree.DType;
import dev.filigree.internal.AttentionWalk;
import dev.filigree.internal.scalar.ScalarMath;
import dev.filigree.spi.AttentionFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.nio.ByteOrder;
import java.util.stream.IntStream;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * Block-sparse attention with the Vector API. Both products hold four rows by two vectors of columns in registers:
 * eight chains of multiply-adds, two a clock, just hide a latency of four. Two more rows would fit the sixteen
 * registers that machines without AVX-512 have, but C2 loads all broadcasts ahead of their use, and would spill sums
 * for them.
 *
 * <p>Lanes are columns: keys in the first product, head dimensions in the second. Nothing is ever added across lanes.
 * {@link SpmmVector} says why each method that holds vectors is a compilation of its own, and why the library's own
 * memory is read by address.
 */
final class AttentionVector extends AttentionWalk {

    private static final int LENGTH = F32.length();
    private static final VectorSpecies<Integer> I32 = VectorSpecies.of(int.class, F32.vectorShape());
    private static final long STEP = F32.vectorByteSize();
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED;
    private static final long PANEL_BYTES = 4L * LANES;
    /** Then the second of two vectors of columns lies in the next panel; else in the same one. */
    private static final boolean PANEL_IS_VECTOR = LENGTH == LANES;
    /** From row to row of A. A constant, so that four rows take one address and no check. */
    private static final long A1 = 4L * ROW_STRIDE;
    private static final long A2 = 2 * A1;
    private static final long A3 = 3 * A1;

    /** Rows x columns in registers. */
    static final String TILE = ROW_GROUP + "x" + 2 * LENGTH;

    private static final IntVector LANE_BITS =
        IntVector.fromArray(I32, IntStream.range(0, LENGTH).map(i -> 1 << i).toArray(), 0);
    private static final FloatVector LANE_NUMBERS = (FloatVector) F32.fromArray(lanes(), 0);

    private static float[] lanes() {
        float[] lanes = new float[LENGTH];
        for (int i = 0; i < LENGTH; i++) {
            lanes[i] = i;
        }
        return lanes;
    }

    /** What fresh sums start from: two vectors, the same for every row. */
    private static final MemorySegment ZEROS = Arena.global().allocate(2L * PANEL_BYTES, AttentionFormat.ALIGNMENT);

    // Elements of arrays are no constants: see CallBarrier.
    private static final MethodHandle[] TWO_VECTORS = {productHandle("twoVectors")};
    private static final MethodHandle[] ONE_VECTOR = {productHandle("oneVector")};
    private static final MethodHandle[] DOTS = {handle(
        "dotsLoop", long.class, int.class, int.class, long.class, int.class, long.class, long.class)};
    private static final MethodHandle[] SCALE =
        {handle("scaleLoop", long.class, int.class, long.class, int.class, float.class)};
    private static final MethodHandle[] DIVIDE = {handle("divideLoop", long.class, int.class, int.class, long.class)};
    private static final MethodHandle[] PANEL =
        {handle("panelLoop", long.class, int.class, long.class, int.class, long.class, int.class)};
    private static final MethodHandle[] TANH = {
        handle("exp2AbsPanel", long.class, int.class, long.class),
        handle("tanhPanel", long.class, int.class, long.class)};
    private static final MethodHandle[] BIAS =
        {handle("biasLoop", long.class, int.class, int.class, float.class, int.class)};
    private static final MethodHandle[] MASK =
        {handle("maskLoop", long.class, int.class, int.class, long.class, long.class, int.class)};
    private static final MethodHandle[] MAXIMA = {handle("maximaLoop", long.class, int.class, int.class, long.class)};
    private static final MethodHandle[] WEIGHTS =
        {handle("weightsLoop", long.class, int.class, int.class, long.class, long.class, long.class)};

    private static MethodHandle handle(String method, Class<?>... parameters) {
        return CallBarrier.handle(MethodHandles.lookup(), method, parameters);
    }

    private static MethodHandle productHandle(String method) {
        return handle(method, long.class, int.class, int.class, long.class, long.class, long.class, long.class,
            long.class, long.class);
    }

    AttentionVector(DType dtype) {
        super(dtype);
    }

    @Override
    public String id() {
        return "attention_block_" + dtype().id() + "_vector";
    }

    @Override
    protected void widenRow(MemorySegment scratch, long toAt, int count) {
        long to = scratch.address() + toAt;
        VectorBf16.widen(to + 2L * count, to, count);
        try {
            AttentionPairs.SWAP[0].invokeExact(to, count);
        } catch (Throwable t) {
            throw CallBarrier.unexpected(t);
        }
    }

    @Override
    protected void widenPanel(MemorySegment packed, long fromAt, int rows, MemorySegment scratch, long toAt) {
        VectorBf16.widenPairs(packed.address() + fromAt, scratch.address() + toAt, rows);
    }

    @Override
    protected void round(MemorySegment scratch, long at, int count) {
        VectorBf16.round(scratch.address() + at, scratch.address() + at, count);
    }

    @Override
    protected void packKeys(MemorySegment stage, int rows, int dim, MemorySegment packed, long at, int unitKeys) {
        int depth = isBf16() ? dim / 2 : dim;
        for (int panel = 0; panel < unitKeys; panel += LANES) {
            long from = stage.address() + 4L * panel * depth;
            long to = packed.address() + at + 4L * panel * depth;
            transpose(from, Math.clamp(rows - panel, 0, LANES), depth, to);
        }
    }

    /** Up to 16 rows of words to the columns of a panel; the other columns become zeros. */
    private static void transpose(long from, int rows, int dim, long to) {
        for (int d = 0; d < dim; d++) {
            long target = address(to + d * PANEL_BYTES);
            for (int j = 0; j < rows; j++) {
                ALL.set(FLOAT, target + 4L * j, ALL.get(FLOAT, address(from + 4L * ((long) j * dim + d))));
            }
            for (int j = rows; j < LANES; j++) {
                ALL.set(FLOAT, target + 4L * j, 0f);
            }
        }
    }

    @Override
    protected void packValues(MemorySegment stage, long stageAt, int rows, int dim, MemorySegment packed, long at,
            int unitKeys) {
        int width = AttentionFormat.roundUp(dim, LANES);
        try {
            for (int d = 0; d < width && isBf16(); d += LANES) {
                AttentionPairs.PANEL[0].invokeExact(stage.address() + stageAt + 2L * d, rows, 2L * dim,
                    Math.min(LANES, dim - d), packed.address() + at + 2L * d * unitKeys, unitKeys);
            }
            for (int d = 0; d < width && !isBf16(); d += LANES) {
                long to = packed.address() + at + 4L * d * unitKeys;
                PANEL[0].invokeExact(
                    stage.address() + stageAt + 4L * d, rows, 4L * dim, Math.min(LANES, dim - d), to, unitKeys);
            }
        } catch (Throwable t) {
            throw CallBarrier.unexpected(t);
        }
    }

    /** Some columns of rows to a panel of {@code unitKeys} rows; what is missing becomes zeros. */
    private static void panelLoop(long from, int rows, long rowBytes, int columns, long to, int unitKeys) {
        FloatVector zero = FloatVector.zero(F32);
        for (int j = 0; j < unitKeys; j++) {
            for (int i = 0; i < LANES; i += LENGTH) {
                boolean whole = j < rows && i + LENGTH <= columns;
                long source = address(from + j * rowBytes + 4L * i);
                store(whole ? load(source) : zero, address(to + j * PANEL_BYTES + 4L * i));
            }
            // Head dimensions are multiples of 8: half a vector may be left where one has 16 lanes.
            for (int i = columns / LENGTH * LENGTH; i < columns && j < rows; i++) {
                ALL.set(FLOAT, address(to + j * PANEL_BYTES + 4L * i),
                    ALL.get(FLOAT, address(from + j * rowBytes + 4L * i)));
            }
        }
    }

    @Override
    protected void dots(MemorySegment scratch, long qAt, int rows, int width, long keysAt, int keys, long sumsAt,
            long scoresAt) {
        long base = scratch.address();
        try {
            DOTS[0].invokeExact(base + qAt, rows, width, base + keysAt, keys, base + sumsAt, base + scoresAt);
        } catch (Throwable t) {
            throw CallBarrier.unexpected(t);
        }
    }

    private static void dotsLoop(long q, int rows, int width, long keys, int count, long sums, long scores) {
        for (int r = 0; r < rows; r++) {
            for (int j = 0; j < count; j++) {
                for (int lane = 0; lane < LANES; lane += LENGTH) {
                    FloatVector sum = FloatVector.zero(F32);
                    for (int d = lane; d < width; d += LANES) {
                        FloatVector x = load(address(q + 4L * ((long) r * width + d)));
                        sum = x.fma(load(address(keys + 4L * ((long) j * width + d))), sum);
                    }
                    store(sum, address(sums + 4L * lane));
                }
                ALL.set(FLOAT, address(scores + r * A1 + 4L * j), halvingSum(address(sums)));
            }
        }
    }

    @Override
    protected void scale(MemorySegment scratch, long at, int rows, long rowBytes, int width, float factor) {
        try {
            SCALE[0].invokeExact(scratch.address() + at, rows, rowBytes, width, factor);
        } catch (Throwable t) {
            throw CallBarrier.unexpected(t);
        }
    }

    private static void scaleLoop(long at, int rows, long rowBytes, int width, float factor) {
        for (int r = 0; r < rows; r++) {
            for (int i = 0; i < width; i += LENGTH) {
                long here = address(at + r * rowBytes + 4L * i);
                store(load(here).mul(factor), here);
            }
        }
    }

    @Override
    protected void divide(MemorySegment scratch, long at, int rows, int width, long sumsAt) {
        try {
            DIVIDE[0].invokeExact(scratch.address() + at, rows, width, scratch.address() + sumsAt);
        } catch (Throwable t) {
            throw CallBarrier.unexpected(t);
        }
    }

    private static void divideLoop(long at, int rows, int width, long sumsAt) {
        for (int r = 0; r < rows; r++) {
            float sum = halvingSum(address(sumsAt + r * PANEL_BYTES));
            float factor = sum == 0f ? 0f : 1f / sum;
            for (int i = 0; i < width; i += LENGTH) {
                long here = address(at + 4L * ((long) r * width + i));
                store(load(here).mul(factor), here);
            }
        }
    }

    /** The 16 partial sums, halved and added until one is left, in place. */
    private static float halvingSum(long sums) {
        for (int half = LANES / 2; half > 0; half /= 2) {
            for (int i = 0; i < half; i++) {
                ALL.set(FLOAT, sums + 4L * i, ALL.get(FLOAT, sums + 4L * i) + ALL.get(FLOAT, sums + 4L * (i + half)));
            }
        }
        return ALL.get(FLOAT, sums);
    }

    @Override
    protected void product(MemorySegment scratch, long aAt, int rows, int depth, MemorySegment packed, long bAt,
            long panelBytes, int panels, long cAt, long cRowBytes, boolean fresh) {
        long a = scratch.address() + aAt;
        long b = packed.address() + bAt;
        long c = scratch.address() + cAt;
        long fromRow = fresh ? 0 : cRowBytes;
        long columns = panels * PANEL_BYTES;
        try {
            for (long done = 0; done < columns; done += 2 * STEP) {
                long bHere = b + done / PANEL_BYTES * panelBytes + done % PANEL_BYTES;
                long from = fresh ? ZEROS.address() : c + done;
                // In bf16, sums are looked at before they replace the old ones.
                long to = isBf16() ? b + 2 * PANEL_BYTES * STEP_KEYS : c + done;
                long toRow = isBf16() ? 2 * STEP : cRowBytes;
                boolean two = done + STEP < columns;
                if (two) {
                    TWO_VECTORS[0].invokeExact(a, rows, depth, bHere, panelBytes, from, fromRow, to, toRow);
                } else {
                    ONE_VECTOR[0].invokeExact(a, rows, depth, bHere, panelBytes, from, fromRow, to, toRow);
                }
                if (isBf16()) {
                    AttentionPairs.MOVE[0].invokeExact(a, rows, depth, bHere, panelBytes, from, fromRow, c + done,
                        cRowBytes, to, two ? 2 : 1);
                }
            }
        } catch (Throwable t) {
            throw CallBarrier.unexpected(t);
        }
    }

    /** Four rows at a time, by two vectors of columns. */
    private static void twoVectors(long a, int rows, int depth, long b, long nextPanel, long from, long fromRow,
            long to, long toRow) {
        for (int r = 0; r < rows; r += ROW_GROUP) {
            fourByTwo(a + r * A1, depth, b, nextPanel, from + r * fromRow, fromRow, to + r * toRow, toRow);
        }
    }

    private static void fourByTwo(
            long a, int depth, long b, long nextPanel, long from, long fromRow, long to, long toRow) {
        long at = address(from);
        FloatVector c00 = load(at);
        FloatVector c01 = load(at + STEP);
        at = address(from + fromRow);
        FloatVector c10 = load(at);
        FloatVector c11 = load(at + STEP);
        at = address(from + 2 * fromRow);
        FloatVector c20 = load(at);
        FloatVector c21 = load(at + STEP);
        at = address(from + 3 * fromRow);
        FloatVector c30 = load(at);
        FloatVector c31 = load(at + STEP);
        long end = a + 4L * depth;
        // Not a counted loop: C2 would unroll it, load far ahead, and spill the sums.
        for (long x0 = a, b0 = b; x0 != end; x0 += Float.BYTES, b0 += PANEL_BYTES) {
            long column = address(b0);
            FloatVector v0 = load(column);
            FloatVector v1 = load(PANEL_IS_VECTOR ? address(b0 + nextPanel) : column + STEP);
            long row = address(x0);
            FloatVector x = broadcast(row);
            c00 = x.fma(v0, c00);
            c01 = x.fma(v1, c01);
            x = broadcast(row + A1);
            c10 = x.fma(v0, c10);
            c11 = x.fma(v1, c11);
            x = broadcast(row + A2);
            c20 = x.fma(v0, c20);
            c21 = x.fma(v1, c21);
            x = broadcast(row + A3);
            c30 = x.fma(v0, c30);
            c31 = x.fma(v1, c31);
        }
        at = address(to);
        store(c00, at);
        store(c01, at + STEP);
        at = address(to + toRow);
        store(c10, at);
        store(c11, at + STEP);
        at = address(to + 2 * toRow);
        store(c20, at);
        store(c21, at + STEP);
        at = address(to + 3 * toRow);
        store(c30, at);
        store(c31, at + STEP);
    }

    /** The last panel of an odd number, where a panel is one vector and there is no next one. */
    private static void oneVector(long a, int rows, int depth, long b, long nextPanel, long from, long fromRow,
            long to, long toRow) {
        for (int r = 0; r < rows; r += ROW_GROUP) {
            fourByOne(a + r * A1, depth, b, from + r * fromRow, fromRow, to + r * toRow, toRow);
        }
    }

    private static void fourByOne(long a, int depth, long b, long from, long fromRow, long to, long toRow) {
        FloatVector c0 = load(address(from));
        FloatVector c1 = load(address(from + fromRow));
        FloatVector c2 = load(address(from + 2 * fromRow));
        FloatVector c3 = load(address(from + 3 * fromRow));
        for (int k = 0; k < depth; k++) {
            FloatVector v = load(address(b + k * PANEL_BYTES));
            long row = address(a + 4L * k);
            c0 = broadcast(row).fma(v, c0);
            c1 = broadcast(row + A1).fma(v, c1);
            c2 = broadcast(row + A2).fma(v, c2);
            c3 = broadcast(row + A3).fma(v, c3);
        }
        store(c0, address(to));
        store(c1, address(to + toRow));
        store(c2, address(to + 2 * toRow));
        store(c3, address(to + 3 * toRow));
    }

    /** The halves of tanh in two loops, panel by panel: together they are over what C2 inlines. */
    @Override
    protected void cap(MemorySegment scratch, long sAt, int rows, int cols, float cap, long spareAt) {
        scale(scratch, sAt, rows, A1, cols, 1f / cap);
        long spare = scratch.address() + spareAt;
        try {
            for (int j = 0; j < cols; j += LANES) {
                long panel = scratch.address() + sAt + 4L * j;
                TANH[0].invokeExact(panel, rows, spare);
                TANH[1].invokeExact(panel, rows, spare);
            }
        } catch (Throwable t) {
            throw CallBarrier.unexpected(t);
        }
        scale(scratch, sAt, rows, A1, cols, cap);
    }

    private static void exp2AbsPanel(long s, int rows, long spare) {
        for (int r = 0; r < rows; r++) {
            for (int j = 0; j < LANES; j += LENGTH) {
                FloatVector x = load(address(s + r * A1 + 4L * j));
                store(VectorMath.exp2Abs(x), address(spare + r * PANEL_BYTES + 4L * j));
            }
        }
    }

    private static void tanhPanel(long s, int rows, long spare) {
        for (int r = 0; r < rows; r++) {
            for (int j = 0; j < LANES; j += LENGTH) {
                long at = address(s + r * A1 + 4L * j);
                store(VectorMath.tanh(load(at), load(address(spare + r * PANEL_BYTES + 4L * j))), at);
            }
        }
    }

    @Override
    protected void addBias(MemorySegment scratch, long sAt, int rows, int cols, float slope, int distance) {
        try {
            BIAS[0].invokeExact(scratch.address() + sAt, rows, cols, slope, distance);
        } catch (Throwable t) {
            throw CallBarrier.unexpected(t);
        }
    }

    private static void biasLoop(long s, int rows, int cols, float slope, int distance) {
        FloatVector factor = FloatVector.broadcast(F32, slope);
        for (int r = 0; r < rows; r++) {
            for (int j = 0; j < cols; j += LENGTH) {
                long at = address(s + r * A1 + 4L * j);
                store(LANE_NUMBERS.add(distance + j - r).fma(factor, load(at)), at);
            }
        }
    }

    @Override
    protected void mask(MemorySegment scratch, long sAt, int rows, int cols, MemorySegment words, long wordsAt,
            long wordsRowBytes, int valid) {
        try {
            MASK[0].invokeExact(
                scratch.address() + sAt, rows, cols, words.address() + wordsAt, wordsRowBytes, valid);
        } catch (Throwable t) {
            throw CallBarrier.unexpected(t);
        }
    }

    private static void maskLoop(long s, int rows, int cols, long words, long wordsRowBytes, int valid) {
        FloatVector lowest = FloatVector.broadcast(F32, Float.NEGATIVE_INFINITY);
        for (int r = 0; r < rows; r++) {
            for (int j = 0; j < cols; j += LENGTH) {
                int word = ALL.get(SHORT, address(words + r * wordsRowBytes + j / LANES * 2L)) & 0xffff;
                int bits = (word & (1 << Math.clamp(valid - j / LANES * LANES, 0, LANES)) - 1) >> j % LANES;
                long at = address(s + r * A1 + 4L * j);
                IntVector masked = LANE_BITS.and(bits);
                store(load(at).blend(lowest, masked.compare(VectorOperators.EQ, 0).cast(F32)), at);
            }
        }
    }

    @Override
    protected void normalise(MemorySegment scratch, long sAt, int rows, int cols, long maxAt, long sumsAt,
            long alphaAt, long spareAt) {
        long base = scratch.address();
        try {
            MAXIMA[0].invokeExact(base + sAt, rows, cols, base + spareAt);
            newMaxima(rows, base + spareAt, base + maxAt, base + alphaAt);
            if (isBf16()) {
                AttentionPairs.WEIGHTS[0].invokeExact(base + sAt, rows, cols, base + maxAt);
                AttentionPairs.SUMS[0].invokeExact(base + sAt, rows, cols, base + alphaAt, base + sumsAt);
            } else {
                WEIGHTS[0].invokeExact(base + sAt, rows, cols, base + maxAt, base + alphaAt, base + sumsAt);
            }
        } catch (Throwable t) {
            throw CallBarrier.unexpected(t);
        }
    }

    /** Of each row, the largest score in each lane. */
    private static void maximaLoop(long s, int rows, int cols, long spare) {
        for (int r = 0; r < rows; r++) {
            FloatVector max = FloatVector.broadcast(F32, Float.NEGATIVE_INFINITY);
            for (int j = 0; j < cols; j += LENGTH) {
                FloatVector x = load(address(s + r * A1 + 4L * j));
                max = max.blend(x, x.compare(VectorOperators.GT, max));
            }
            store(max, address(spare + r * PANEL_BYTES));
        }
    }

    private static void newMaxima(int rows, long spare, long maxima, long alphas) {
        for (int r = 0; r < rows; r++) {
            float old = ALL.get(FLOAT, address(maxima + 4L * r));
            float max = old;
            for (int i = 0; i < LENGTH; i++) {
                float s = ALL.get(FLOAT, address(spare + r * PANEL_BYTES + 4L * i));
                max = s > max ? s : max;
            }
            float alpha = 1f;
            if (max != old) {
                // Without a maximum there are no sums to scale.
                alpha = old == Float.NEGATIVE_INFINITY ? 1f : ScalarMath.exp(old - max);
                // Which of two zeros is the larger depends on the order: keep the positive one.
                ALL.set(FLOAT, address(maxima + 4L * r), max + 0f);
            }
            ALL.set(FLOAT, address(alphas + 4L * r), alpha);
        }
    }

    /** p = exp(s - max); sixteen partial sums, so that every vector size adds in the same order. */
    private static void weightsLoop(long s, int rows, int cols, long maxima, long alphas, long sums) {
        for (int r = 0; r < rows; r++) {
            float max = ALL.get(FLOAT, address(maxima + 4L * r));
            float reference = max == Float.NEGATIVE_INFINITY ? 0f : max;
            float alpha = ALL.get(FLOAT, address(alphas + 4L * r));
            for (int lane = 0; lane < LANES; lane += LENGTH) {
                long sumAt = address(sums + r * PANEL_BYTES + 4L * lane);
                FloatVector sum = load(sumAt).mul(alpha);
                for (int j = lane; j < cols; j += LANES) {
                    long at = address(s + r * A1 + 4L * j);
                    FloatVector p = VectorMath.exp(load(at).sub(reference));
                    store(p, at);
                    sum = sum.add(p);
                }
                store(sum, sumAt);
            }
        }
    }

    private static FloatVector load(long at) {
        return FloatVector.fromMemorySegment(F32, ALL, at, ORDER);
    }

    private static FloatVector broadcast(long at) {
        return FloatVector.broadcast(F32, ALL.get(FLOAT, at));
    }

    private static void store(FloatVector vector, long at) {
        vector.intoMemorySegment(ALL, at, ORDER);
    }
}
