package dev.filigree.internal.ffi;

import dev.filigree.DType;
import dev.filigree.spi.MlpKernel;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Objects;

/** Products with listed rows by {@code filigree_mlp_dot_*_avx512} and {@code filigree_mlp_axpy_*_avx512}. */
final class NativeMlp implements MlpKernel {

    private final boolean isF32;
    private final List<String> ids;

    /** Binds the functions here and now: a first run short of stack would otherwise spoil them for the process. */
    NativeMlp(DType dtype) {
        isF32 = dtype == DType.F32;
        ids = ids(dtype);
        Objects.requireNonNull(isF32 ? Filigree.filigree_mlp_dot_f32_avx512$handle()
            : Filigree.filigree_mlp_dot_bf16_avx512$handle());
        Objects.requireNonNull(isF32 ? Filigree.filigree_mlp_axpy_f32_avx512$handle()
            : Filigree.filigree_mlp_axpy_bf16_avx512$handle());
    }

    static List<String> ids(DType dtype) {
        return List.of("mlp_dot_" + dtype.id() + "_avx512", "mlp_axpy_" + dtype.id() + "_avx512");
    }

    @Override
    public List<String> ids() {
        return ids;
    }

    @Override
    public void dot(MemorySegment w, MemorySegment list, MemorySegment masks, int count, MemorySegment x, int tokens,
            MemorySegment bias, MemorySegment factors, long factorStride, int activation, MemorySegment out,
            long outStride, long begin, long end, MemorySegment scratch) {
        check(0, isF32
            ? Filigree.filigree_mlp_dot_f32_avx512(w, list, masks, count, x, tokens, bias, factors, factorStride,
                activation, out, outStride, begin, end)
            : Filigree.filigree_mlp_dot_bf16_avx512(w, list, masks, count, x, tokens, bias, factors, factorStride,
                activation, out, outStride, begin, end));
    }

    @Override
    public void axpy(MemorySegment w, MemorySegment list, MemorySegment masks, int count, MemorySegment coefficients,
            long coefficientStride, int tokens, MemorySegment bias, MemorySegment factors, long factorStride,
            int activation, MemorySegment out, long outStride, long begin, long end, MemorySegment scratch) {
        check(1, isF32
            ? Filigree.filigree_mlp_axpy_f32_avx512(w, list, masks, count, coefficients, coefficientStride, tokens,
                bias, factors, factorStride, activation, out, outStride, begin, end, scratch)
            : Filigree.filigree_mlp_axpy_bf16_avx512(w, list, masks, count, coefficients, coefficientStride, tokens,
                bias, factors, factorStride, activation, out, outStride, begin, end, scratch));
    }

    private void check(int function, int status) {
        if (status != 0) {
            NativeStatus.check("filigree_" + ids.get(function), status);
        }
    }
}
