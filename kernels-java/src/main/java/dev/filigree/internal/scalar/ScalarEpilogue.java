package dev.filigree.internal.scalar;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.MemorySegment;

/** What follows the sums of a row, one float at a time. */
public final class ScalarEpilogue {

    private ScalarEpilogue() {}

    /** {@code acc = act(alpha * acc (+ beta * old) (+ bias))}, in place, for {@code width} elements. */
    public static void finish(MemorySegment scratch, long accAt, long oldAt, int width, float alpha, float beta,
            boolean biased, float bias, int activation) {
        for (int j = 0; j < width; j++) {
            float y = alpha * scratch.get(JAVA_FLOAT, accAt + 4L * j);
            if (beta != 0f) {
                y = Math.fma(beta, scratch.get(JAVA_FLOAT, oldAt + 4L * j), y);
            }
            if (biased) {
                y += bias;
            }
            scratch.set(JAVA_FLOAT, accAt + 4L * j, ScalarMath.activate(activation, y));
        }
    }
}
