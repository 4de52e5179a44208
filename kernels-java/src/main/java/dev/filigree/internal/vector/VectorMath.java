package dev.filigree.internal.vector;

import static dev.filigree.internal.MathConstants.*;
import static dev.filigree.internal.vector.RawMemory.ALL;
import static dev.filigree.internal.vector.RawMemory.address;

import dev.filigree.internal.ActivationCodes;
import dev.filigree.internal.scalar.ScalarMath;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.ref.Reference;
import java.nio.ByteOrder;
import java.util.Objects;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * The elementwise functions on vectors of {@link Species#F32}. Formulas, errors and special values are those
 * of {@link ScalarMath}, bit for bit at every vector size. The lanewise EXP, TANH and their kind are not
 * used: what they return depends on whether the code has been compiled.
 *
 * <p>C2 stops inlining ordinary methods once the code it compiles has grown by some seventy Vector API calls
 * (NodeCountInliningCutoff), and a vector that crosses a call is boxed. Hence there are no small helpers
 * here, the call to exp comes first in a function, and kernels call these functions from short loops of their
 * own, not at the end of a long body.
 */
public final class VectorMath {

    private static final VectorSpecies<Float> F32 = Species.F32;
    private static final int SIGN_BIT = Integer.MIN_VALUE;
    private static final ByteOrder NATIVE = ByteOrder.nativeOrder();
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    private VectorMath() {
    }

    /** {@link ScalarMath#exp}. */
    public static FloatVector exp(FloatVector x) {
        FloatVector one = FloatVector.broadcast(F32, 1f);
        FloatVector magic = FloatVector.broadcast(F32, ROUND_MAGIC);
        FloatVector shifted = x.fma(FloatVector.broadcast(F32, LOG2_E), magic);
        FloatVector n = shifted.sub(magic);
        FloatVector r = n.fma(FloatVector.broadcast(F32, MINUS_LN2_HIGH), x);
        r = n.fma(FloatVector.broadcast(F32, MINUS_LN2_LOW), r);
        FloatVector c5 = FloatVector.broadcast(F32, EXP_C5);
        FloatVector p = r.fma(FloatVector.broadcast(F32, EXP_C6), c5);
        p = p.fma(r, FloatVector.broadcast(F32, EXP_C4));
        p = p.fma(r, FloatVector.broadcast(F32, EXP_C3));
        p = p.fma(r, FloatVector.broadcast(F32, EXP_C2));
        p = p.fma(r, one);
        p = p.fma(r, one);
        IntVector exponent = shifted.reinterpretAsInts().lanewise(VectorOperators.LSHL, MANTISSA_BITS);
        FloatVector y = p.reinterpretAsInts().add(exponent).reinterpretAsFloats();
        FloatVector overflow = x.add(FloatVector.broadcast(F32, Float.POSITIVE_INFINITY));
        y = overflow.blend(y, x.compare(VectorOperators.LE, FloatVector.broadcast(F32, EXP_OVERFLOW)));
        FloatVector lowest = FloatVector.broadcast(F32, EXP_UNDERFLOW);
        return y.blend(FloatVector.zero(F32), x.compare(VectorOperators.LT, lowest));
    }

    /** {@link ScalarMath#sigmoid}. */
    public static FloatVector sigmoid(FloatVector x) {
        FloatVector e = exp(x.neg());
        FloatVector one = FloatVector.broadcast(F32, 1f);
        return one.div(one.add(e));
    }

    /** {@link ScalarMath#tanh}; a loop of a kernel has no room for all of it, and takes the two halves below. */
    public static FloatVector tanh(FloatVector x) {
        return tanh(x, exp2Abs(x));
    }

    /** The first half of tanh, for kernels that put the halves in two loops: {@code exp(2 |x|)}. */
    static FloatVector exp2Abs(FloatVector x) {
        return exp(FloatVector.broadcast(F32, 2f).mul(x.abs()));
    }

    /** The second half of tanh, from {@code e = exp2Abs(x)}. */
    static FloatVector tanh(FloatVector x, FloatVector e) {
        FloatVector a = x.abs();
        FloatVector two = FloatVector.broadcast(F32, 2f);
        FloatVector one = FloatVector.broadcast(F32, 1f);
        FloatVector large = one.sub(two.div(one.add(e)));
        FloatVector t = a.mul(a);
        FloatVector p = t.fma(FloatVector.broadcast(F32, TANH_C4), FloatVector.broadcast(F32, TANH_C3));
        p = p.fma(t, FloatVector.broadcast(F32, TANH_C2));
        p = p.fma(t, FloatVector.broadcast(F32, TANH_C1));
        p = p.fma(t, FloatVector.broadcast(F32, TANH_C0));
        FloatVector small = a.mul(t).fma(p, a);
        VectorMask<Float> isSmall = a.compare(VectorOperators.LT, FloatVector.broadcast(F32, ODD_LIMIT));
        IntVector sign = x.reinterpretAsInts().and(SIGN_BIT);
        return large.blend(small, isSmall).reinterpretAsInts().or(sign).reinterpretAsFloats();
    }

    /** {@link ScalarMath#erf}. */
    public static FloatVector erf(FloatVector x) {
        FloatVector a = x.abs();
        FloatVector erfc = erfcOverSqrt2(a.mul(FloatVector.broadcast(F32, SQRT_2)));
        FloatVector large = FloatVector.broadcast(F32, 1f).sub(erfc);
        FloatVector t = a.mul(a);
        FloatVector p = t.fma(FloatVector.broadcast(F32, ERF_C4), FloatVector.broadcast(F32, ERF_C3));
        p = p.fma(t, FloatVector.broadcast(F32, ERF_C2));
        p = p.fma(t, FloatVector.broadcast(F32, ERF_C1));
        p = p.fma(t, FloatVector.broadcast(F32, ERF_C0));
        FloatVector small = a.fma(p, a);
        VectorMask<Float> isSmall = a.compare(VectorOperators.LT, FloatVector.broadcast(F32, ODD_LIMIT));
        IntVector sign = x.reinterpretAsInts().and(SIGN_BIT);
        return large.blend(small, isSmall).reinterpretAsInts().or(sign).reinterpretAsFloats();
    }

    private static FloatVector erfcOverSqrt2(FloatVector a) {
        FloatVector q = a.fma(FloatVector.broadcast(F32, ERFC_C7), FloatVector.broadcast(F32, ERFC_C6));
        q = q.fma(a, FloatVector.broadcast(F32, ERFC_C5));
        q = q.fma(a, FloatVector.broadcast(F32, ERFC_C4));
        q = q.fma(a, FloatVector.broadcast(F32, ERFC_C3));
        q = q.fma(a, FloatVector.broadcast(F32, ERFC_C2));
        q = q.fma(a, FloatVector.broadcast(F32, ERFC_C1));
        q = q.fma(a, FloatVector.broadcast(F32, ERFC_C0));
        return exp(a.mul(q));
    }

    /** {@link ScalarMath#relu}. */
    public static FloatVector relu(FloatVector x) {
        // A maximum would not do: its rules for NaN and -0.0 differ between instruction sets.
        FloatVector zero = FloatVector.zero(F32);
        return x.blend(zero, x.compare(VectorOperators.LE, zero));
    }

    /** {@link ScalarMath#reluSquared}. */
    public static FloatVector reluSquared(FloatVector x) {
        FloatVector y = relu(x);
        return y.mul(y);
    }

    /** {@link ScalarMath#geluTanh}. */
    public static FloatVector geluTanh(FloatVector x) {
        FloatVector c0 = FloatVector.broadcast(F32, GELU_C0);
        FloatVector e = exp(x.mul(x.mul(x).fma(FloatVector.broadcast(F32, GELU_C1), c0)));
        return x.div(FloatVector.broadcast(F32, 1f).add(e));
    }

    /** {@link ScalarMath#geluErf}. */
    public static FloatVector geluErf(FloatVector x) {
        FloatVector half = FloatVector.broadcast(F32, 0.5f).mul(erfcOverSqrt2(x.abs()));
        FloatVector complement = FloatVector.broadcast(F32, 1f).sub(half);
        return x.mul(complement.blend(half, x.compare(VectorOperators.LT, FloatVector.zero(F32))));
    }

    /** {@link ScalarMath#silu}. */
    public static FloatVector silu(FloatVector x) {
        FloatVector e = exp(x.neg());
        return x.div(FloatVector.broadcast(F32, 1f).add(e));
    }

    /**
     * Applies an activation in place to {@code count} consecutive floats of native memory, of any alignment:
     * the epilogue of a work item, while its results are in the first-level cache.
     *
     * <p>There is no form that takes a code and a vector in registers: C2 inlines only the cases that were
     * hot when it compiled the caller, and a call left in place for any other boxes every vector around it.
     *
     * @param code an {@link dev.filigree.Activation#code()}
     * @param segment native memory, that stays open
     * @throws IllegalArgumentException if there is no such code, or the memory is on the heap
     * @throws IndexOutOfBoundsException if the range is not in the segment; nothing has been written
     */
    public static void activate(int code, MemorySegment segment, long byteOffset, long count) {
        long bytes = Math.multiplyExact(count, (long) Float.BYTES);
        Objects.checkFromIndexSize(byteOffset, bytes, segment.byteSize());
        if (code < 0 || code >= LOOPS.length) {
            throw ActivationCodes.unknown(code);
        }
        if (!segment.isNative()) {
            throw new IllegalArgumentException("activations are for native memory, not for " + segment);
        }
        if (code == ActivationCodes.NONE) {
            return;
        }
        try {
            LOOPS[code].invokeExact(segment.address() + byteOffset, count);
        } catch (Throwable t) {
            throw CallBarrier.unexpected(t);
        } finally {
            Reference.reachabilityFence(segment);
        }
    }

    /**
     * The loops by code, one method a function, so that the profile of one does not depend on which others have
     * run, over addresses, so that it does not depend on what else the JVM does with segments. They are called through
     * handles that are no constants because C2 cannot inline such a call: a caller that had two or three of these
     * loops inlined is over its budget, and then boxes vectors.
     */
    private static final MethodHandle[] LOOPS = loops();

    private static MethodHandle[] loops() {
        MethodHandle[] loops = new MethodHandle[ActivationCodes.SILU + 1];
        loops[ActivationCodes.RELU] = loopHandle("reluLoop");
        loops[ActivationCodes.RELU_SQUARED] = loopHandle("reluSquaredLoop");
        loops[ActivationCodes.GELU_TANH] = loopHandle("geluTanhLoop");
        loops[ActivationCodes.GELU_ERF] = loopHandle("geluErfLoop");
        loops[ActivationCodes.SILU] = loopHandle("siluLoop");
        return loops;
    }

    private static MethodHandle loopHandle(String method) {
        return CallBarrier.handle(MethodHandles.lookup(), method, long.class, long.class);
    }

    private static void reluLoop(long begin, long count) {
        long end = begin + count * Float.BYTES;
        long main = begin + F32.loopBound(count) * Float.BYTES;
        long at = begin;
        for (; at < main; at += F32.vectorByteSize()) {
            FloatVector x = FloatVector.fromMemorySegment(F32, ALL, address(at), NATIVE);
            relu(x).intoMemorySegment(ALL, address(at), NATIVE);
        }
        for (; at < end; at += Float.BYTES) {
            ALL.set(FLOAT, address(at), ScalarMath.relu(ALL.get(FLOAT, address(at))));
        }
    }

    private static void reluSquaredLoop(long begin, long count) {
        long end = begin + count * Float.BYTES;
        long main = begin + F32.loopBound(count) * Float.BYTES;
        long at = begin;
        for (; at < main; at += F32.vectorByteSize()) {
            FloatVector x = FloatVector.fromMemorySegment(F32, ALL, address(at), NATIVE);
            reluSquared(x).intoMemorySegment(ALL, address(at), NATIVE);
        }
        for (; at < end; at += Float.BYTES) {
            ALL.set(FLOAT, address(at), ScalarMath.reluSquared(ALL.get(FLOAT, address(at))));
        }
    }

    private static void geluTanhLoop(long begin, long count) {
        long end = begin + count * Float.BYTES;
        long main = begin + F32.loopBound(count) * Float.BYTES;
        long at = begin;
        for (; at < main; at += F32.vectorByteSize()) {
            FloatVector x = FloatVector.fromMemorySegment(F32, ALL, address(at), NATIVE);
            geluTanh(x).intoMemorySegment(ALL, address(at), NATIVE);
        }
        for (; at < end; at += Float.BYTES) {
            ALL.set(FLOAT, address(at), ScalarMath.geluTanh(ALL.get(FLOAT, address(at))));
        }
    }

    private static void geluErfLoop(long begin, long count) {
        long end = begin + count * Float.BYTES;
        long main = begin + F32.loopBound(count) * Float.BYTES;
        long at = begin;
        for (; at < main; at += F32.vectorByteSize()) {
            FloatVector x = FloatVector.fromMemorySegment(F32, ALL, address(at), NATIVE);
            geluErf(x).intoMemorySegment(ALL, address(at), NATIVE);
        }
        for (; at < end; at += Float.BYTES) {
            ALL.set(FLOAT, address(at), ScalarMath.geluErf(ALL.get(FLOAT, address(at))));
        }
    }

    private static void siluLoop(long begin, long count) {
        long end = begin + count * Float.BYTES;
        long main = begin + F32.loopBound(count) * Float.BYTES;
        long at = begin;
        for (; at < main; at += F32.vectorByteSize()) {
            FloatVector x = FloatVector.fromMemorySegment(F32, ALL, address(at), NATIVE);
            silu(x).intoMemorySegment(ALL, address(at), NATIVE);
        }
        for (; at < end; at += Float.BYTES) {
            ALL.set(FLOAT, address(at), ScalarMath.silu(ALL.get(FLOAT, address(at))));
        }
    }
}
