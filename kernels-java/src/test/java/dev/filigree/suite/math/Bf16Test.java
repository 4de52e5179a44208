package dev.filigree.suite.math;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.filigree.Bf16;
import dev.filigree.internal.Bf16Pairs;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.math.BigDecimal;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** bfloat16: conversions against the definition of rounding, sums of pairs against exact arithmetic. */
class Bf16Test {

    private static final long SEED = 1116;
    /** Zeros, denormals, what surrounds the smallest normal, ones, the largest, infinities, NaNs. */
    private static final short[] SPECIAL = {0, (short) 0x8000, 1, (short) 0x8001, 0x7f, 0x80, (short) 0x8080, 0x100,
        0x1f80, 0x1fff, 0x2000, 0x3f80, (short) 0xbf80, 0x5f80, 0x7f7f, (short) 0xff7f, 0x7f80, (short) 0xff80, 0x7fc0,
        0x7fa0, (short) 0xffc1};

    @Test
    void everyBf16SurvivesTheWayToFloatAndBack() {
        for (int bits = 0; bits <= 0xffff; bits++) {
            float value = Bf16.toFloat((short) bits);
            assertThat(Float.floatToRawIntBits(value)).isEqualTo(bits << 16);
            int quiet = Float.isNaN(value) ? bits | 0x40 : bits;
            assertThat(Bf16.fromFloat(value) & 0xffff).isEqualTo(quiet);
        }
    }

    @Test
    void conversionTakesTheNearestAndOfTwoTheEven() {
        SplittableRandom random = new SplittableRandom(SEED);
        for (int i = 0; i < Samples.scaled(1 << 20); i++) {
            int upper = random.nextInt(0x7f80);
            int lower = switch (random.nextInt(4)) {
                case 0 -> 0x8000;
                case 1 -> 0x7fff + 2 * random.nextInt(2);
                default -> random.nextInt(0x10000);
            };
            int expected = lower > 0x8000 || lower == 0x8000 && (upper & 1) == 1 ? upper + 1 : upper;
            float value = Float.intBitsToFloat(upper << 16 | lower);
            assertThat(Bf16.fromFloat(value) & 0xffff).as("%a", value).isEqualTo(expected);
            assertThat(Bf16.fromFloat(-value) & 0xffff).as("%a", -value).isEqualTo(expected | 0x8000);
        }
    }

    @Test
    void aNanStaysAQuietNan() {
        assertThat(Bf16.fromFloat(Float.intBitsToFloat(0x7f800001))).isEqualTo((short) 0x7fc0);
        assertThat(Bf16.fromFloat(Float.intBitsToFloat(0xffffffff))).isEqualTo((short) 0xffff);
        assertThat(Bf16.fromFloat(Float.MAX_VALUE)).isEqualTo((short) 0x7f80);
    }

    /** One product added exactly and rounded once to 24 bits, whatever the exponent; then denormals go. */
    private static float step(float a, float b, float sum) {
        float x = flushed(a);
        float y = flushed(b);
        float s = flushed(sum);
        BigDecimal exact = new BigDecimal(x).multiply(new BigDecimal(y)).add(new BigDecimal(s));
        if (exact.signum() == 0 || exact.abs().compareTo(new BigDecimal(Float.MIN_NORMAL)) > 0) {
            return Math.fma(x, y, s);
        }
        // Scaled by a power of two, so that a float has all 24 bits; a product of two floats fits no smaller one.
        float scaled = exact.multiply(new BigDecimal(0x1p120)).floatValue();
        return Math.abs(scaled) < (float) (Float.MIN_NORMAL * 0x1p120)
            ? exact.signum() * 0f : (float) (scaled * 0x1p-120);
    }

    private static float flushed(float x) {
        return Math.abs(x) < Float.MIN_NORMAL ? Math.copySign(0f, x) : x;
    }

    private static void check(int a, int b, float sum) {
        float got = Bf16Pairs.multiplyAdd(a, b, sum);
        float expected;
        if (isFinite(a) && isFinite(b) && Float.isFinite(sum)) {
            float first = step(Bf16Pairs.odd(a), Bf16Pairs.odd(b), sum);
            expected = Float.isFinite(first) ? step(Bf16Pairs.even(a), Bf16Pairs.even(b), first)
                : Math.fma(flushed(Bf16Pairs.even(a)), flushed(Bf16Pairs.even(b)), first);
        } else {
            float first = Math.fma(flushed(Bf16Pairs.odd(a)), flushed(Bf16Pairs.odd(b)), flushed(sum));
            expected = flushed(Math.fma(flushed(Bf16Pairs.even(a)), flushed(Bf16Pairs.even(b)), flushed(first)));
        }
        assertThat(Samples.same(got, expected)).as("%08x * %08x + %a = %a, not %a", a, b, sum, expected, got).isTrue();
    }

    private static boolean isFinite(int pair) {
        return Float.isFinite(Bf16Pairs.even(pair)) && Float.isFinite(Bf16Pairs.odd(pair));
    }

    @Test
    void sumsOfPairsAreExactSumsRoundedTwice() {
        for (short a : SPECIAL) {
            for (short b : SPECIAL) {
                for (short c : SPECIAL) {
                    for (short d : SPECIAL) {
                        check(Bf16Pairs.of(a, b), Bf16Pairs.of(c, d), 1f);
                        check(Bf16Pairs.of(a, b), Bf16Pairs.of(b, d), Bf16.toFloat(c));
                    }
                }
            }
        }
        SplittableRandom random = new SplittableRandom(SEED);
        for (int i = 0; i < Samples.scaled(1 << 18); i++) {
            Sample sample = Sample.draw(random);
            check(sample.a, sample.b, sample.sum);
        }
    }

    /** Pairs and a sum: of every size, or such that the result is near the smallest normal. */
    record Sample(int a, int b, float sum) {

        static Sample draw(SplittableRandom random) {
            if (random.nextBoolean()) {
                return new Sample(random.nextInt(), random.nextInt(), Float.intBitsToFloat(random.nextInt()));
            }
            int exponent = random.nextInt(20, 200);
            int lowest = Math.max(0, 97 - exponent);
            int sum = random.nextInt(8) << 28 | random.nextInt(4) << 23
                | (random.nextBoolean() ? random.nextInt(8) : random.nextInt(1 << 23));
            return new Sample(Bf16Pairs.of(near(random, exponent), near(random, exponent)),
                Bf16Pairs.of(near(random, lowest + random.nextInt(40)), near(random, lowest + random.nextInt(40))),
                Float.intBitsToFloat(sum & 0x81ff_ffff));
        }

        private static short near(SplittableRandom random, int exponent) {
            return (short) (random.nextInt() & 0x807f | exponent << 7);
        }
    }

    @Test
    void vectorsHaveTheBitsOfScalars() {
        assumeTrue(ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent(), "no Vector API");
        SplittableRandom random = new SplittableRandom(SEED);
        int lanes = VectorFunctions.lanes();
        int[] a = new int[lanes];
        int[] b = new int[lanes];
        float[] sum = new float[lanes];
        float[] out = new float[lanes];
        for (int i = 0; i < Samples.scaled(1 << 18); i++) {
            for (int lane = 0; lane < lanes; lane++) {
                Sample sample = Sample.draw(random);
                a[lane] = sample.a;
                b[lane] = sample.b;
                sum[lane] = sample.sum;
            }
            VectorFunctions.multiplyAdd(a, b, sum, out);
            for (int lane = 0; lane < lanes; lane++) {
                float expected = Bf16Pairs.multiplyAdd(a[lane], b[lane], sum[lane]);
                assertThat(Samples.same(out[lane], expected))
                    .as("%08x * %08x + %a = %a, not %a", a[lane], b[lane], sum[lane], expected, out[lane]).isTrue();
            }
        }
    }

    @Test
    void vectorConversionsAreTheScalarOnesForEveryTail() {
        assumeTrue(ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent(), "no Vector API");
        SplittableRandom random = new SplittableRandom(SEED);
        try (Arena arena = Arena.ofConfined()) {
            for (int count = 0; count < 70; count++) {
                for (int round = 0; round < 40; round++) {
                    MemorySegment floats = arena.allocate(4L * count + 4);
                    MemorySegment halves = arena.allocate(2L * count + 2);
                    MemorySegment back = arena.allocate(4L * count + 4);
                    for (int i = 0; i <= count; i++) {
                        floats.setAtIndex(ValueLayout.JAVA_INT, i, random.nextInt());
                    }
                    VectorFunctions.round(floats, halves, count);
                    VectorFunctions.widen(halves, back, count);
                    for (int i = 0; i < count; i++) {
                        short half = halves.getAtIndex(ValueLayout.JAVA_SHORT, i);
                        assertThat(half).isEqualTo(Bf16.fromFloat(floats.getAtIndex(ValueLayout.JAVA_FLOAT, i)));
                        assertThat(back.getAtIndex(ValueLayout.JAVA_INT, i)).isEqualTo(half << 16);
                    }
                    assertThat(halves.getAtIndex(ValueLayout.JAVA_SHORT, count)).isZero();
                    assertThat(back.getAtIndex(ValueLayout.JAVA_INT, count)).isZero();
                }
            }
        }
    }
}
