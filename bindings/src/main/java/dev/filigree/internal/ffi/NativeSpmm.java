package dev.filigree.internal.ffi;

import dev.filigree.spi.SpmmKernel;
import java.lang.foreign.MemorySegment;
import java.util.Objects;

/** SpMM by {@code filigree_spmm_csr_f32_avx512}. */
final class NativeSpmm implements SpmmKernel {

    static final String ID = "spmm_csr_f32_avx512";

    private static final String FUNCTION = "filigree_" + ID;

    /** Binds the function here and now: a first run short of stack would otherwise spoil it for the process. */
    NativeSpmm() {
        Objects.requireNonNull(Filigree.filigree_spmm_csr_f32_avx512$handle());
    }

    @Override
    public String id() {
        return ID;
    }

    @Override
    public void run(MemorySegment packed, MemorySegment b, long bStride, MemorySegment c, long cStride, int n,
            float alpha, float beta, MemorySegment partials, long begin, long end, MemorySegment scratch) {
        NativeStatus.check(FUNCTION, Filigree.filigree_spmm_csr_f32_avx512(
            packed, b, bStride, c, cStride, n, alpha, beta, partials, begin, end, scratch));
    }
}
