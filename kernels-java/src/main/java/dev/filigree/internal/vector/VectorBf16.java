package dev.filigree.internal.vector;

import static dev.filigree.internal.vector.RawMemory.ALL;
import static dev.filigree.internal.vector.RawMemory.address;
import static dev.filigree.internal.vector.Species.F32;

import dev.filigree.Bf16;
import dev.filigree.internal.Bf16Pairs;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.ShortVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorShape;
import jdk.incubator.vector.VectorSpecies;

/**
 * bfloat16 with the Vector API: an int lane holds a pair, its even element in the lower half.
 *
 * <p>A kernel takes pairs apart with {@link #even} and {@link #odd} and adds the odd product before the even one: two
 * plain multiply-adds, whose bits are those of {@code vdpbf16ps} as long as no operand and no sum is denormal. {@link
 * #multiplyAdd} has its bits always, for some six instructions more.
 */
public final class VectorBf16 {

    /** Ints, as many as there are floats in a vector. */
    public static final VectorSpecies<Integer> I32 = VectorSpecies.of(int.class, F32.vectorShape());
    /** As many shorts: half a vector, and a quarter where no shape is that small. */
    private static final VectorSpecies<Short> I16 = VectorSpecies.of(short.class,
        VectorShape.forBitSize(Math.max(64, F32.vectorBitSize() / 2)));

    private static final ByteOrder ORDER = ByteOrder.nativeOrder();
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final int LENGTH = F32.length();
    private static final int MAGNITUDE = 0x7fff_ffff;
    private static final int INFINITY = 0x7f80_0000;
    private static final int SMALLEST_NORMAL = 0x0080_0000;
    private static final int SIGN = 0x8000_0000;
    private static final int QUIET = 0x0040_0000;

    private static final MethodHandle[] WIDEN = {handle("widenAll")};
    private static final MethodHandle[] PAIRS = {handle("widenAllPairs")};
    private static final MethodHandle[] ROUND = {handle("roundAll")};

    private VectorBf16() {}

    private static MethodHandle handle(String method) {
        return CallBarrier.handle(MethodHandles.lookup(), method, long.class, long.class, int.class);
    }

    /** The even elements of pairs. */
    public static FloatVector even(IntVector pairs) {
        return pairs.lanewise(VectorOperators.LSHL, Short.SIZE).reinterpretAsFloats();
    }

    /** The odd elements of pairs. */
    public static FloatVector odd(IntVector pairs) {
        return pairs.and(0xffff_0000).reinterpretAsFloats();
    }

    /** {@link Bf16Pairs#multiplyAdd} in each lane. */
    public static FloatVector multiplyAdd(IntVector a, IntVector b, FloatVector sum) {
        FloatVector start = zeroDenormals(sum);
        FloatVector first = zeroDenormals(odd(a)).fma(zeroDenormals(odd(b)), start);
        FloatVector second = zeroDenormals(even(a)).fma(zeroDenormals(even(b)), zeroDenormals(first));
        FloatVector result = zeroDenormals(second);
        // Whether a sum that is the smallest normal was less before it was rounded takes more bits than lanes have.
        if (isSmallest(first).or(isSmallest(second)).anyTrue()) {
            float[] lanes = result.toArray();
            for (int i = 0; i < lanes.length; i++) {
                lanes[i] = Bf16Pairs.multiplyAdd(a.lane(i), b.lane(i), sum.lane(i));
            }
            return FloatVector.fromArray(F32, lanes, 0);
        }
        return result;
    }

    private static VectorMask<Integer> isSmallest(FloatVector value) {
        return value.reinterpretAsInts().and(MAGNITUDE).compare(VectorOperators.EQ, SMALLEST_NORMAL);
    }

    /** Denormals as zeros of their sign. */
    static FloatVector zeroDenormals(FloatVector value) {
        IntVector bits = value.reinterpretAsInts();
        VectorMask<Integer> small = bits.and(MAGNITUDE).compare(VectorOperators.LT, SMALLEST_NORMAL);
        return bits.blend(bits.and(SIGN), small).reinterpretAsFloats();
    }

    /**
     * {@link Bf16#toFloat} of {@code count} elements from one address to another, in ascending order; either may be
     * unaligned.
     */
    public static void widen(long from, long to, int count) {
        call(WIDEN[0], from, to, count);
    }

    /**
     * {@link Bf16#fromFloat} of {@code count} elements from one address to another, which may be the same, in
     * ascending order.
     */
    public static void round(long from, long to, int count) {
        call(ROUND[0], from, to, count);
    }

    private static void call(MethodHandle method, long from, long to, int count) {
        try {
            method.invokeExact(from, to, count);
        } catch (Throwable t) {
            throw CallBarrier.unexpected(t);
        }
    }

    /**
     * Takes {@code count} times 16 pairs apart: 16 odd elements, then the 16 even ones, as floats. Both addresses are
     * those of whole vectors.
     */
    public static void widenPairs(long from, long to, int count) {
        call(PAIRS[0], from, to, count);
    }

    private static void widenAllPairs(long from, long to, int count) {
        for (int i = 0; i < count; i++) {
            for (int lane = 0; lane < 16; lane += LENGTH) {
                IntVector pairs = IntVector.fromMemorySegment(I32, ALL, address(from + 64L * i + 4L * lane), ORDER);
                odd(pairs).intoMemorySegment(ALL, address(to + 128L * i + 4L * lane), ORDER);
                even(pairs).intoMemorySegment(ALL, address(to + 128L * i + 64 + 4L * lane), ORDER);
            }
        }
    }

    private static void widenAll(long from, long to, int count) {
        int i = 0;
        for (; i <= count - I16.length(); i += LENGTH) {
            lowerHalves(address(from + 2L * i)).lanewise(VectorOperators.LSHL, Short.SIZE).reinterpretAsFloats()
                .intoMemorySegment(ALL, address(to + 4L * i), ORDER);
        }
        for (; i < count; i++) {
            ALL.set(FLOAT, address(to + 4L * i), Bf16.toFloat(ALL.get(SHORT, address(from + 2L * i))));
        }
    }

    /** Floats as floats that are bf16. */
    static FloatVector rounded(FloatVector value) {
        return roundedBits(value.reinterpretAsInts()).and(0xffff_0000).reinterpretAsFloats();
    }

    /** {@link Bf16#fromFloat} in the upper half of each lane; the lower one is undefined. */
    private static IntVector roundedBits(IntVector bits) {
        VectorMask<Integer> nan = bits.and(MAGNITUDE).compare(VectorOperators.GT, INFINITY);
        return bits.add(0x7fff).add(bits.lanewise(VectorOperators.LSHR, Short.SIZE).and(1)).blend(bits.or(QUIET), nan);
    }

    /** As many elements as lanes, each in the lower half of one. */
    static IntVector lowerHalves(long at) {
        return (IntVector) ShortVector.fromMemorySegment(I16, ALL, at, ORDER)
            .convertShape(VectorOperators.ZERO_EXTEND_S2I, I32, 0);
    }

    private static void roundAll(long from, long to, int count) {
        int i = 0;
        for (; i <= count - I16.length(); i += LENGTH) {
            IntVector bits =
                FloatVector.fromMemorySegment(F32, ALL, address(from + 4L * i), ORDER).reinterpretAsInts();
            IntVector rounded = roundedBits(bits);
            ShortVector halves = (ShortVector) rounded.lanewise(VectorOperators.LSHR, Short.SIZE)
                .convertShape(VectorOperators.I2S, I16, 0);
            halves.intoMemorySegment(ALL, address(to + 2L * i), ORDER);
        }
        for (; i < count; i++) {
            ALL.set(SHORT, address(to + 2L * i), Bf16.fromFloat(ALL.get(FLOAT, address(from + 4L * i))));
        }
    }
}
