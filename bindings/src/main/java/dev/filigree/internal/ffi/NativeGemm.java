package dev.filigree.internal.ffi;

import dev.filigree.spi.GemmKernel;
import java.lang.foreign.MemorySegment;
import java.util.Objects;

/** GEMM by {@code filigree_gemm_packed_f32_avx512}. */
final class NativeGemm implements GemmKernel {

    static final String ID = "gemm_packed_f32_avx512";

    private static final String FUNCTION = "filigree_" + ID;

    /** Binds the function here and now, as {@link NativeSpmm} does. */
    NativeGemm() {
        Objects.requireNonNull(Filigree.filigree_gemm_packed_f32_avx512$handle());
    }

    @Override
    public String id() {
        return ID;
    }

    @Override
    public void run(MemorySegment packed, MemorySegment b, long bStride, MemorySegment c, long cStride, int n,
            float alpha, float beta, long begin, long end, MemorySegment scratch) {
        NativeStatus.check(FUNCTION, Filigree.filigree_gemm_packed_f32_avx512(
            packed, b, bStride, c, cStride, n, alpha, beta, begin, end, scratch));
    }
}
