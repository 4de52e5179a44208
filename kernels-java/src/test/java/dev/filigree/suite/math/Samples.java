package dev.filigree.suite.math;

import java.util.Arrays;
import java.util.SplittableRandom;

/** Inputs for the elementwise functions. */
final class Samples {

    /** Where the functions change branch, saturate or overflow; the neighbours of each are edges too. */
    private static final float[] TURNS = {
        0f, Float.MIN_VALUE, 0x0.fffffep-126f, Float.MIN_NORMAL, 0x1p-63f, 0x1p-24f, 0x1p-12f, 0.3125f,
        0.34657359f, 0.5f, 0.625f, 0.88388348f, 1f, 1.0397208f, 2f, 3.9151614f, 4.1588831f, 5.5f, 9.0109129f,
        10.0609655f, 10.1265068f, 13.06f, 16.635532f, 43.668274f, 44.361420f, 87.336540f, 87.336548f,
        88.376266f, 88.722832f, 88.722839f, 103.97208f, 1e4f, 0x1p31f, 1e18f, 0x1p63f, 1.8446743e19f, 1e30f,
        Float.MAX_VALUE,
    };

    private Samples() {
    }

    /** The interpreter is a few thousand times slower: it sees a small sample. */
    static boolean interpreted() {
        return System.getProperty("java.vm.info", "").contains("interpreted");
    }

    /** Only C2 keeps vectors in registers. */
    static boolean boxesVectors() {
        return interpreted() || System.getProperty("java.vm.info", "").contains("emulated-client");
    }

    /** {@code count}, or a small share of it in the interpreter. */
    static int scaled(int count) {
        return interpreted() ? Math.max(1, count >> 12) : count;
    }

    /** Turning points, their neighbours and both signs, and the infinities. No NaN. */
    static float[] edges() {
        float[] edges = new float[6 * TURNS.length + 2];
        int n = 0;
        for (float turn : TURNS) {
            for (float x : new float[] {turn, Math.nextUp(turn), Math.nextDown(turn)}) {
                edges[n++] = x;
                edges[n++] = -x;
            }
        }
        edges[n++] = Float.POSITIVE_INFINITY;
        edges[n++] = Float.NEGATIVE_INFINITY;
        return edges;
    }

    /** {@code perExponent} random floats of each sign and each exponent, denormals included, NaN excluded. */
    static float[] everyExponent(int perExponent, long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        float[] samples = new float[2 * 255 * perExponent];
        int n = 0;
        for (int signAndExponent = 0; signAndExponent < 512; signAndExponent++) {
            if ((signAndExponent & 255) == 255) {
                continue;
            }
            for (int i = 0; i < perExponent; i++) {
                samples[n++] = Float.intBitsToFloat(signAndExponent << 23 | random.nextInt(1 << 23));
            }
        }
        return samples;
    }

    /** Random floats, evenly spread over [low, high]. */
    static float[] even(float low, float high, int count, long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        float[] samples = new float[count];
        for (int i = 0; i < count; i++) {
            samples[i] = (float) (low + (high - low) * random.nextDouble());
        }
        return samples;
    }

    static float[] concat(float[]... parts) {
        float[] all = new float[Arrays.stream(parts).mapToInt(p -> p.length).sum()];
        int n = 0;
        for (float[] part : parts) {
            System.arraycopy(part, 0, all, n, part.length);
            n += part.length;
        }
        return all;
    }

    /** Equal bits, or both NaN: what a NaN carries is not specified. */
    static boolean same(float a, float b) {
        return Float.floatToIntBits(a) == Float.floatToIntBits(b);
    }

    static String describe(MathFunction function, float x, float actual, float expected) {
        return "%s(%a = 0x%08x): %a (0x%08x), expected %a (0x%08x)".formatted(function.id(), x,
                Float.floatToRawIntBits(x), actual, Float.floatToRawIntBits(actual), expected,
                Float.floatToRawIntBits(expected));
    }
}
