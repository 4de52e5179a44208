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
