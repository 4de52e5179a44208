package dev.filigree.suite.math;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeFalse;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.sun.management.ThreadMXBean;
import dev.filigree.Activation;
import dev.filigree.internal.scalar.ScalarMath;
import dev.filigree.internal.vector.VectorMath;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.management.ManagementFactory;
import java.util.SplittableRandom;
import java.util.function.Consumer;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** The vector functions give the bits of the scalar ones, whatever the species, compiled or not. */
class VectorMathTest {

    private static final long SEED = 7051;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final Activation[] ACTIVATIONS = Activation.values();

    @BeforeEach
    void needsTheVectorApi() {
        assumeTrue(ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent(), "no Vector API");
    }

    private static void check(MathFunction function, float[] in) {
        float[] out = VectorFunctions.apply(function, in);
        for (int i = 0; i < in.length; i++) {
            float expected = function.scalar(in[i]);
            if (!Samples.same(out[i], expected)) {
                throw new AssertionError(Samples.describe(function, in[i], out[i], expected));
            }
        }
    }

    @ParameterizedTest
    @EnumSource(MathFunction.class)
    void edges(MathFunction function) {
        check(function, Samples.concat(Samples.edges(), new float[] {Float.NaN, -Float.NaN,
            Float.intBitsToFloat(0x7f800001), Float.intBitsToFloat(0xffffffff)}));
    }

    @ParameterizedTest
    @EnumSource(MathFunction.class)
    void randomBitPatterns(MathFunction function) {
        SplittableRandom random = new SplittableRandom(SEED);
        float[] in = new float[Samples.scaled(1 << 22)];
        for (int i = 0; i < in.length; i++) {
            in[i] = Float.intBitsToFloat(random.nextInt());
        }
        check(function, in);
    }

    /** Most bit patterns are tiny or huge; this sweep is where the functions bend. */
    @ParameterizedTest
    @EnumSource(MathFunction.class)
    void usualValues(MathFunction function) {
        check(function, Samples.concat(Samples.even(-95, 95, Samples.scaled(1 << 20), SEED),
                Samples.even(-5, 5, Samples.scaled(1 << 20), SEED + 1)));
    }

    @ParameterizedTest
    @EnumSource(MathFunction.class)
    void everyBitPatternByStride(MathFunction function) {
        long stride = Samples.interpreted() ? 4_194_301 : 2_039; // primes
        float[] in = new float[(int) ((1L << 32) / stride)];
        for (int i = 0; i < in.length; i++) {
            in[i] = Float.intBitsToFloat((int) (i * stride));
        }
        check(function, in);
    }

    /** All tail lengths up to four 16-lane rows, at an address that no vector is aligned to. */
    @ParameterizedTest
    @EnumSource(Activation.class)
    void inPlace(Activation activation) {
        float[] edges = Samples.edges();
        int longest = Samples.interpreted() ? 19 : 64;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment segment = arena.allocate(4 * 80);
            for (int count = 0; count <= longest; count++) {
                for (int i = 0; i < 79; i++) {
                    segment.set(FLOAT, 1 + 4 * i, edges[(count * 64 + i) % edges.length]);
                }
                VectorMath.activate(activation.code(), segment, 1 + 4 * 5, count);
                for (int i = 0; i < 79; i++) {
                    float x = edges[(count * 64 + i) % edges.length];
                    boolean inside = i >= 5 && i < 5 + count;
                    float expected = inside ? ScalarMath.activate(activation, x) : x;
                    float actual = segment.get(FLOAT, 1 + 4 * i);
                    assertThat(Samples.same(actual, expected)).as("%s: element %d of %d, x = %a: %a, not %a",
                            activation, i, count, x, actual, expected).isTrue();
                }
            }
        }
    }

    @Test
    void inPlaceRejectsBadCodesAndRanges() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment segment = arena.allocate(64);
            assertThatThrownBy(() -> VectorMath.activate(6, segment, 0, 16))
                    .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("activation code 6");
            assertThatThrownBy(() -> VectorMath.activate(1, segment, 4, 16))
                    .isInstanceOf(IndexOutOfBoundsException.class);
            assertThatThrownBy(() -> VectorMath.activate(1, segment, 0, -1))
                    .isInstanceOf(IndexOutOfBoundsException.class);
            assertThatThrownBy(() -> VectorMath.activate(1, MemorySegment.ofArray(new float[16]), 0, 16))
                    .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("native memory");
        }
    }

    /** Warm loops allocate nothing: no vector is boxed, even after other activations have run. */
    @Test
    void activationsAllocateNothingOnceWarm() {
        allocatesNothingOnceWarm(segment -> {
            for (Activation activation : ACTIVATIONS) {
                VectorMath.activate(activation.code(), segment, 0, 1003);
            }
        });
    }

    @ParameterizedTest
    @EnumSource(names = {"EXP", "SIGMOID", "TANH", "ERF"})
    void functionsAllocateNothingOnceWarm(MathFunction function) {
        allocatesNothingOnceWarm(segment -> VectorFunctions.inPlace(function, segment));
    }

    private static void allocatesNothingOnceWarm(Consumer<MemorySegment> loop) {
        assumeFalse(Samples.boxesVectors(), "without C2 every vector is boxed");
        ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
        long self = Thread.currentThread().threadId();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment segment = arena.allocate(4 * 1024);
            long deadline = System.nanoTime() + 60_000_000_000L;
            long allocated;
            do {
                allocated = -threads.getThreadAllocatedBytes(self);
                for (int run = 0; run < 2_000; run++) {
                    loop.accept(segment);
                }
                allocated += threads.getThreadAllocatedBytes(self);
            } while (allocated > 1_024 && System.nanoTime() < deadline);
            assertThat(allocated).as("bytes over 2,000 warm runs").isLessThanOrEqualTo(1_024);
        }
    }
}
