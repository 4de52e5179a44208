package dev.filigree.internal.ffi;

import dev.filigree.spi.NmKernel;
import java.lang.foreign.MemorySegment;
import java.util.Objects;

/** N:M sparse GEMM by {@code filigree_nm_packed_f32_avx512}, its bf16 sister, or that of AMX tiles. */
abstract class NativeNm implements NmKernel {

    static final String F32_ID = "nm_packed_f32_avx512";
    static final String BF16_ID = "nm_packed_bf16_avx512";
    static final String BF16_TILES_ID = "nm_packed_bf16_amx";

    private final String id;

    private NativeNm(String id) {
        this.id = id;
    }

    @Override
    public final String id() {
        return id;
    }

    /** Binds the function here and now: a first run short of stack would otherwise spoil it for the process. */
    static NmKernel f32() {
        Objects.requireNonNull(Filigree.filigree_nm_packed_f32_avx512$handle());
        return new NativeNm(F32_ID) {
            @Override
            public void run(MemorySegment packed, MemorySegment b, long bStride, MemorySegment c, long cStride, int n,
                    float alpha, float beta, long begin, long end, MemorySegment scratch) {
                NativeStatus.check("filigree_" + F32_ID, Filigree.filigree_nm_packed_f32_avx512(
                    packed, b, bStride, c, cStride, n, alpha, beta, begin, end, scratch));
            }
        };
    }

    /** The same of bf16. */
    static NmKernel bf16() {
        Objects.requireNonNull(Filigree.filigree_nm_packed_bf16_avx512$handle());
        return new NativeNm(BF16_ID) {
            @Override
            public void run(MemorySegment packed, MemorySegment b, long bStride, MemorySegment c, long cStride, int n,
                    float alpha, float beta, long begin, long end, MemorySegment scratch) {
                NativeStatus.check("filigree_" + BF16_ID, Filigree.filigree_nm_packed_bf16_avx512(
                    packed, b, bStride, c, cStride, n, alpha, beta, begin, end, scratch));
            }
        };
    }

    /** The same by AMX tiles, which the process must be allowed to use. */
    static NmKernel bf16Tiles() {
        Objects.requireNonNull(Filigree.filigree_nm_packed_bf16_amx$handle());
        return new NativeNm(BF16_TILES_ID) {
            @Override
            public boolean sharesBits() {
                return false;
            }

            @Override
            public void run(MemorySegment packed, MemorySegment b, long bStride, MemorySegment c, long cStride, int n,
                    float alpha, float beta, long begin, long end, MemorySegment scratch) {
                NativeStatus.check("filigree_" + BF16_TILES_ID, Filigree.filigree_nm_packed_bf16_amx(
                    packed, b, bStride, c, cStride, n, alpha, beta, begin, end, scratch));
            }
        };
    }
}
