package dev.filigree.internal.ffi;

import dev.filigree.spi.NmKernel;
import java.lang.foreign.MemorySegment;
import java.util.Objects;

/** N:M sparse GEMM by {@code filigree_nm_packed_bf16_avx512}. */
final class NativeNmBf16 implements NmKernel {

    static final String ID = "nm_packed_bf16_avx512";

    private static final String FUNCTION = "filigree_" + ID;

    /** Binds the function here and now: a first run short of stack would otherwise spoil it for the process. */
    NativeNmBf16() {
        Objects.requireNonNull(Filigree.filigree_nm_packed_bf16_avx512$handle());
    }

    @Override
    public String id() {
        return ID;
    }

    @Override
    public void run(MemorySegment packed, MemorySegment b, long bStride, MemorySegment c, long cStride, int n,
            float alpha, float beta, long begin, long end, MemorySegment scratch) {
        NativeStatus.check(FUNCTION, Filigree.filigree_nm_packed_bf16_avx512(
            packed, b, bStride, c, cStride, n, alpha, beta, begin, end, scratch));
    }
}
