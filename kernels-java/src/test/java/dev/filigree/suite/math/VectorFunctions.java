package dev.filigree.suite.math;

import dev.filigree.internal.vector.Species;
import dev.filigree.internal.vector.VectorBf16;
import dev.filigree.internal.vector.VectorMath;
import java.lang.foreign.MemorySegment;
import java.nio.ByteOrder;
import java.util.EnumMap;
import java.util.Map;
import java.util.function.UnaryOperator;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;

/** The vector forms, in a class of their own: tests load it only where the incubator module is. */
final class VectorFunctions {

    private static final ByteOrder NATIVE = ByteOrder.nativeOrder();
    private static final Map<MathFunction, UnaryOperator<FloatVector>> FORMS = new EnumMap<>(Map.of(
            MathFunction.EXP, VectorMath::exp,
            MathFunction.SIGMOID, VectorMath::sigmoid,
            MathFunction.TANH, VectorMath::tanh,
            MathFunction.ERF, VectorMath::erf,
            MathFunction.RELU, VectorMath::relu,
            MathFunction.RELU_SQUARED, VectorMath::reluSquared,
            MathFunction.GELU_TANH, VectorMath::geluTanh,
            MathFunction.GELU_ERF, VectorMath::geluErf,
            MathFunction.SILU, VectorMath::silu));

    private VectorFunctions() {
    }

    static int lanes() {
        return Species.F32.length();
    }

    /** Applies the vector form to all inputs, the last few repeated to fill a vector. */
    static float[] apply(MathFunction function, float[] in) {
        UnaryOperator<FloatVector> form = FORMS.get(function);
        float[] out = new float[in.length];
        int main = Species.F32.loopBound(in.length);
        for (int i = 0; i < main; i += lanes()) {
            form.apply(FloatVector.fromArray(Species.F32, in, i)).intoArray(out, i);
        }
        if (main < in.length) {
            float[] tail = new float[lanes()];
            System.arraycopy(in, main, tail, 0, in.length - main);
            form.apply(FloatVector.fromArray(Species.F32, tail, 0)).intoArray(tail, 0);
            System.arraycopy(tail, 0, out, main, in.length - main);
        }
        return out;
    }

    /** Sums of bf16 pairs, one vector of them. */
    static void multiplyAdd(int[] a, int[] b, float[] sum, float[] out) {
        VectorBf16.multiplyAdd(IntVector.fromArray(VectorBf16.I32, a, 0), IntVector.fromArray(VectorBf16.I32, b, 0),
            FloatVector.fromArray(Species.F32, sum, 0)).intoArray(out, 0);
    }

    static void round(MemorySegment floats, MemorySegment bf16, int count) {
        VectorBf16.round(floats.address(), bf16.address(), count);
    }

    static void widen(MemorySegment bf16, MemorySegment floats, int count) {
        VectorBf16.widen(bf16.address(), floats.address(), count);
    }

    /** One loop a function over a segment of whole vectors, as a kernel would write it. */
    static void inPlace(MathFunction function, MemorySegment segment) {
        switch (function) {
            case EXP -> exp(segment);
            case SIGMOID -> sigmoid(segment);
            case TANH -> tanh(segment);
            case ERF -> erf(segment);
            default -> throw new IllegalArgumentException(function.id());
        }
    }

    private static void exp(MemorySegment segment) {
        for (long at = 0; at < segment.byteSize(); at += Species.F32.vectorByteSize()) {
            FloatVector x = FloatVector.fromMemorySegment(Species.F32, segment, at, NATIVE);
            VectorMath.exp(x).intoMemorySegment(segment, at, NATIVE);
        }
    }

    private static void sigmoid(MemorySegment segment) {
        for (long at = 0; at < segment.byteSize(); at += Species.F32.vectorByteSize()) {
            FloatVector x = FloatVector.fromMemorySegment(Species.F32, segment, at, NATIVE);
            VectorMath.sigmoid(x).intoMemorySegment(segment, at, NATIVE);
        }
    }

    private static void tanh(MemorySegment segment) {
        for (long at = 0; at < segment.byteSize(); at += Species.F32.vectorByteSize()) {
            FloatVector x = FloatVector.fromMemorySegment(Species.F32, segment, at, NATIVE);
            VectorMath.tanh(x).intoMemorySegment(segment, at, NATIVE);
        }
    }

    private static void erf(MemorySegment segment) {
        for (long at = 0; at < segment.byteSize(); at += Species.F32.vectorByteSize()) {
            FloatVector x = FloatVector.fromMemorySegment(Species.F32, segment, at, NATIVE);
            VectorMath.erf(x).intoMemorySegment(segment, at, NATIVE);
        }
    }
}
