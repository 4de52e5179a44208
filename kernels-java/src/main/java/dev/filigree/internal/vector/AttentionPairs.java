package dev.filigree.internal.vector;

import static dev.filigree.internal.vector.RawMemory.ALL;
import static dev.filigree.internal.vector.RawMemory.address;
import static dev.filigree.internal.vector.Species.F32;
import static dev.filigree.spi.AttentionFormat.LANES;
import static dev.filigree.spi.AttentionFormat.ROW_STRIDE;

import dev.filigree.internal.Bf16Pairs;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShuffle;

/**
 * What {@link AttentionVector} does otherwise in bf16: values become panels of pairs, and weights are rounded and added
 * in pairs.
 *
 * <p>Its products are plain multiply-adds, which do not make zeros of denormal sums on the way. That shows only where a
 * sum ends up tiny: those sums are computed again, exactly.
 */
final class AttentionPairs {

    private static final int LENGTH = F32.length();
    private static final long STEP = F32.vectorByteSize();
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED;
    private static final long PANEL_BYTES = 4L * LANES;
    private static final long A1 = 4L * ROW_STRIDE;
    /** Larger sums have lost nothing that they would not have lost to rounding. */
    private static final int TINY = Float.floatToIntBits(0x1p-100f);

    private static final VectorShuffle<Float> FIRSTS = VectorShuffle.makeUnzip(F32, 0);
    private static final VectorShuffle<Float> SECONDS = VectorShuffle.makeUnzip(F32, 1);
    private static final VectorShuffle<Float> SWAPPED = VectorShuffle.fromOp(F32, i -> i ^ 1);

    // Elements of arrays are no constants: see CallBarrier.
    static final MethodHandle[] SWAP = {handle("swapLoop", long.class, int.class)};
    static final MethodHandle[] MOVE =
        {handle("moveLoop", long.class, int.class, int.class, long.class, long.class, long.class, long.class,
            long.class, long.class, long.class, int.class)};
    static final MethodHandle[] PANEL =
        {handle("panelLoop", long.class, int.class, long.class, int.class, long.class, int.class)};
    static final MethodHandle[] WEIGHTS = {handle("weightsLoop", long.class, int.class, int.class, long.class)};
    static final MethodHandle[] SUMS = {handle("sumsLoop", long.class, int.class, int.class, long.class, long.class)};

    private AttentionPairs() {}

    private static MethodHandle handle(String method, Class<?>... parameters) {
        return CallBarrier.handle(MethodHandles.lookup(), method, parameters);
    }

    /** Some columns of rows to a panel of {@code unitKeys / 2} rows of pairs; what is missing becomes zeros. */
    private static void panelLoop(long from, int rows, long rowBytes, int columns, long to, int unitKeys) {
        IntVector zero = IntVector.zero(VectorBf16.I32);
        for (int j = 0; j < unitKeys; j += 2) {
            long source = from + j * rowBytes;
            long target = to + j / 2 * PANEL_BYTES;
            for (int i = 0; i < LANES; i += LENGTH) {
                boolean whole = i + LENGTH <= columns;
                IntVector even = whole && j < rows ? VectorBf16.lowerHalves(address(source + 2L * i)) : zero;
                IntVector odd =
                    whole && j + 1 < rows ? VectorBf16.lowerHalves(address(source + rowBytes + 2L * i)) : zero;
                even.or(odd.lanewise(VectorOperators.LSHL, Short.SIZE))
                    .intoMemorySegment(ALL, address(target + 4L * i), ORDER);
            }
            // Head dimensions are multiples of 8: half a vector may be left where one has 16 lanes.
            for (int i = columns / LENGTH * LENGTH; i < columns && j < rows; i++) {
                short even = ALL.get(SHORT, address(source + 2L * i));
                short odd = j + 1 < rows ? ALL.get(SHORT, address(source + rowBytes + 2L * i)) : 0;
                ALL.set(INT, address(target + 4L * i), Bf16Pairs.of(even, odd));
            }
        }
    }

    /** Neighbours change places; up to a vector behind the last may do so, too. */
    private static void swapLoop(long row, int count) {
        for (int i = 0; i < count; i += LENGTH) {
            long at = address(row + 4L * i);
            store(load(at).rearrange(SWAPPED), at);
        }
    }

    /** Rows of one or two vectors of sums from spare memory to where they belong, unless one is tiny. */
    private static void moveLoop(long a, int rows, int depth, long b, long nextPanel, long from, long fromRow, long to,
            long toRow, long spare, int vectors) {
        IntVector least = IntVector.broadcast(VectorBf16.I32, Integer.MAX_VALUE);
        for (int r = 0; r < rows; r++) {
            for (int i = 0; i < vectors; i++) {
                least = least.min(magnitude(load(address(spare + (2L * r + i) * STEP))));
            }
        }
        if (least.compare(VectorOperators.LT, TINY).anyTrue()) {
            multiplyExactly(a, rows, depth, b, nextPanel, from, fromRow, to, toRow, vectors);
            return;
        }
        for (int r = 0; r < rows; r++) {
            for (int i = 0; i < vectors; i++) {
                store(load(address(spare + (2L * r + i) * STEP)), address(to + r * toRow + i * STEP));
            }
        }
    }

    /** The bits of the magnitude, less one: zeros come out as the largest, for they are no tiny sums. */
    private static IntVector magnitude(FloatVector sums) {
        return sums.reinterpretAsInts().lanewise(VectorOperators.LSHL, 1).sub(1).lanewise(VectorOperators.LSHR, 1);
    }

    /** Rows by one or two vectors of columns, with the bits of {@link Bf16Pairs} whatever they are. */
    private static void multiplyExactly(long a, int rows, int depth, long b, long nextPanel, long from, long fromRow, long to,
            long toRow, int vectors) {
        for (int r = 0; r < rows; r++) {
            for (int i = 0; i < vectors * LENGTH; i++) {
                // The second of two vectors lies in the next panel where a panel is one vector.
                long column = b + (LENGTH == LANES ? i / LANES * nextPanel + 4L * (i % LANES) : 4L * i);
                float sum = ALL.get(FLOAT, address(from + r * fromRow + 4L * i));
                for (int k = 0; k < depth; k++) {
                    sum = Bf16Pairs.multiplyAdd(ALL.get(FLOAT, address(a + r * A1 + 4L * k)),
                        ALL.get(FLOAT, address(column + k * PANEL_BYTES)), sum);
                }
                ALL.set(FLOAT, address(to + r * toRow + 4L * i), sum);
            }
        }
    }

    /** p = exp(s - max), rounded to bf16; the two of a pair change places. */
    private static void weightsLoop(long s, int rows, int cols, long maxima) {
        for (int r = 0; r < rows; r++) {
            float max = ALL.get(FLOAT, address(maxima + 4L * r));
            float reference = max == Float.NEGATIVE_INFINITY ? 0f : max;
            for (int j = 0; j < cols; j += LENGTH) {
                long at = address(s + r * A1 + 4L * j);
                store(VectorBf16.rounded(VectorMath.exp(load(at).sub(reference))).rearrange(SWAPPED), at);
            }
        }
    }

    /**
     * Adds the pairs of every 32 weights to 16 sums. Sums are normal or 0: their old values are made so, and so are
     * weights.
     */
    private static void sumsLoop(long s, int rows, int cols, long alphas, long sums) {
        for (int r = 0; r < rows; r++) {
            float alpha = ALL.get(FLOAT, address(alphas + 4L * r));
            for (int lane = 0; lane < LANES; lane += LENGTH) {
                long sumAt = address(sums + r * PANEL_BYTES + 4L * lane);
                FloatVector sum = VectorBf16.zeroDenormals(load(sumAt).mul(alpha));
                for (int j = 2 * lane; j < cols; j += 2 * LANES) {
                    long at = address(s + r * A1 + 4L * j);
                    FloatVector low = load(at);
                    FloatVector high = j + LENGTH < cols ? load(at + STEP) : FloatVector.zero(F32);
                    // The odd one of a pair is the first.
                    sum = sum.add(low.rearrange(FIRSTS, high)).add(low.rearrange(SECONDS, high));
                }
                store(sum, sumAt);
            }
        }
    }

    private static FloatVector load(long at) {
        return FloatVector.fromMemorySegment(F32, ALL, at, ORDER);
    }

    private static void store(FloatVector vector, long at) {
        vector.intoMemorySegment(ALL, at, ORDER);
    }
}
