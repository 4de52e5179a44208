package dev.filigree.internal.vector;

import static dev.filigree.internal.vector.RawMemory.ALL;
import static dev.filigree.internal.vector.RawMemory.address;
import static dev.filigree.internal.vector.Species.F32;

import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;

/** What follows the sums of a row, with vectors; in scratch memory. */
final class VectorEpilogue {

    private static final ByteOrder ORDER = ByteOrder.nativeOrder();
    private static final MethodHandle[] SCALE = {CallBarrier.handle(MethodHandles.lookup(), "scale", long.class,
        long.class, int.class, float.class, float.class, boolean.class, float.class)};

    private static final MethodHandle[] SCALE_LANES = {CallBarrier.handle(MethodHandles.lookup(), "scaleLanes",
        long.class, long.class, int.class, float.class, float.class, long.class)};

    private VectorEpilogue() {}

    /**
     * {@code acc = act(alpha * acc (+ beta * old) (+ bias))}, in place, for {@code width} elements and the rest of
     * the last vector.
     */
    static void finish(MemorySegment scratch, long accAt, long oldAt, int width, float alpha, float beta,
            boolean biased, float bias, int activation) {
        if (alpha != 1f || beta != 0f || biased) {
            long acc = scratch.address() + accAt;
            long old = scratch.address() + oldAt;
            try {
                SCALE[0].invokeExact(acc, old, width, alpha, beta, biased, bias);
            } catch (Throwable t) {
                throw CallBarrier.unexpected(t);
            }
        }
        VectorMath.activate(activation, scratch, accAt, width);
    }

    /**
     * {@link #finish} where each element has a bias of its own, {@code float[width]} and the rest of the last vector
     * at {@code biasAt} of the packed matrix, or none at 0.
     */
    static void finishLanes(MemorySegment scratch, long accAt, long oldAt, int width, float alpha, float beta,
            MemorySegment packed, long biasAt, int activation) {
        if (alpha != 1f || beta != 0f || biasAt != 0) {
            long acc = scratch.address() + accAt;
            long old = scratch.address() + oldAt;
            try {
                SCALE_LANES[0].invokeExact(acc, old, width, alpha, beta, biasAt == 0 ? 0L : packed.address() + biasAt);
            } catch (Throwable t) {
                throw CallBarrier.unexpected(t);
            }
        }
        VectorMath.activate(activation, scratch, accAt, width);
    }

    /** A loop for each step: a vector that is one thing or another where branches meet may get boxed. */
    private static void scaleLanes(long acc, long old, int width, float alpha, float beta, long bias) {
        FloatVector factor = FloatVector.broadcast(F32, alpha);
        for (int j = 0; j < width; j += F32.length()) {
            long at = address(acc + 4L * j);
            FloatVector.fromMemorySegment(F32, ALL, at, ORDER).mul(factor).intoMemorySegment(ALL, at, ORDER);
        }
        FloatVector oldFactor = FloatVector.broadcast(F32, beta);
        for (int j = 0; j < width && beta != 0f; j += F32.length()) {
            long at = address(acc + 4L * j);
            FloatVector.fromMemorySegment(F32, ALL, address(old + 4L * j), ORDER)
                .fma(oldFactor, FloatVector.fromMemorySegment(F32, ALL, at, ORDER)).intoMemorySegment(ALL, at, ORDER);
        }
        for (int j = 0; j < width && bias != 0; j += F32.length()) {
            long at = address(acc + 4L * j);
            FloatVector.fromMemorySegment(F32, ALL, at, ORDER)
                .add(FloatVector.fromMemorySegment(F32, ALL, address(bias + 4L * j), ORDER))
                .intoMemorySegment(ALL, at, ORDER);
        }
    }

    private static void scale(
            long acc, long old, int width, float alpha, float beta, boolean biased, float bias) {
        for (int j = 0; j < width; j += F32.length()) {
            long at = address(acc + 4L * j);
            FloatVector y = FloatVector.fromMemorySegment(F32, ALL, at, ORDER).mul(alpha);
            if (beta != 0f) {
                FloatVector before = FloatVector.fromMemorySegment(F32, ALL, address(old + 4L * j), ORDER);
                y = before.fma(FloatVector.broadcast(F32, beta), y);
            }
            if (biased) {
                y = y.add(bias);
            }
            y.intoMemorySegment(ALL, at, ORDER);
        }
    }
}
