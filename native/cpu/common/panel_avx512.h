#ifndef FILIGREE_CPU_COMMON_PANEL_AVX512_H
#define FILIGREE_CPU_COMMON_PANEL_AVX512_H

/*
 * A panel of up to 112 columns of C = activation(alpha * A * B + beta * C + bias), or of as many tokens: rows
 * of Z = 1..7 vectors, the tile of B that they are made from, and what becomes of a finished sum. It is all
 * that the sparse and the dense kernels have in common.
 *
 * P stands for a kernel's own panel, which has
 *   call->b, b_stride, c, c_stride, alpha, beta   the operands
 *   a->activation, bias                           the epilogue; a null bias is none
 *   tile                                          rows of Z vectors
 *   first, width, tail                            the panel's first column or token, how many, lanes of the
 * last vector
 */
#ifndef __AVX512F__
#error "this header needs AVX-512"
#endif

#include "cpu/common/math.h"
#include "cpu/common/transpose_avx512.h"
#include "filigree.h"

#include <immintrin.h>

#define FILIGREE_INLINE inline __attribute__((always_inline))

namespace filigree {
namespace {

constexpr int64_t kLanes = 16;

/* Rows of B are a stride apart, which the hardware streamer does not follow across pages. Eight rows of four
 * lines fill the line-fill buffers twice over. */
constexpr int64_t kTileRowsAhead = 8;

/* The table at an offset of a packed matrix. */
template <class T, class Packed> const T *table(const Packed *a, int64_t offset) {
    return reinterpret_cast<const T *>(reinterpret_cast<const char *>(a) + offset);
}

constexpr int64_t smaller(int64_t x, int64_t y) { return x < y ? x : y; }

/* ---- sums of one row ---- */

/* Named members: gcc spills an array of vectors in every iteration. Those past Z are dead. */
template <int Z> struct Sums {
    __m512 v0 = _mm512_setzero_ps(), v1 = _mm512_setzero_ps(), v2 = _mm512_setzero_ps(),
           v3 = _mm512_setzero_ps(), v4 = _mm512_setzero_ps(), v5 = _mm512_setzero_ps(),
           v6 = _mm512_setzero_ps();
};

template <int Z> FILIGREE_INLINE void load(Sums<Z> &s, const float *from) {
    s.v0 = _mm512_loadu_ps(from);
    if constexpr (Z > 1) s.v1 = _mm512_loadu_ps(from + 16);
    if constexpr (Z > 2) s.v2 = _mm512_loadu_ps(from + 32);
    if constexpr (Z > 3) s.v3 = _mm512_loadu_ps(from + 48);
    if constexpr (Z > 4) s.v4 = _mm512_loadu_ps(from + 64);
    if constexpr (Z > 5) s.v5 = _mm512_loadu_ps(from + 80);
    if constexpr (Z > 6) s.v6 = _mm512_loadu_ps(from + 96);
}

template <int Z> FILIGREE_INLINE void store(const Sums<Z> &s, float *to) {
    _mm512_storeu_ps(to, s.v0);
    if constexpr (Z > 1) _mm512_storeu_ps(to + 16, s.v1);
    if constexpr (Z > 2) _mm512_storeu_ps(to + 32, s.v2);
    if constexpr (Z > 3) _mm512_storeu_ps(to + 48, s.v3);
    if constexpr (Z > 4) _mm512_storeu_ps(to + 64, s.v4);
    if constexpr (Z > 5) _mm512_storeu_ps(to + 80, s.v5);
    if constexpr (Z > 6) _mm512_storeu_ps(to + 96, s.v6);
}

/* ---- tiles ---- */

/* Z vectors that end where the operand may end. */
template <int Z> FILIGREE_INLINE void load(Sums<Z> &s, const float *from, __mmask16 tail) {
    constexpr __mmask16 all = 0xffff;
    s.v0 = _mm512_maskz_loadu_ps(Z == 1 ? tail : all, from);
    if constexpr (Z > 1) s.v1 = _mm512_maskz_loadu_ps(Z == 2 ? tail : all, from + 16);
    if constexpr (Z > 2) s.v2 = _mm512_maskz_loadu_ps(Z == 3 ? tail : all, from + 32);
    if constexpr (Z > 3) s.v3 = _mm512_maskz_loadu_ps(Z == 4 ? tail : all, from + 48);
    if constexpr (Z > 4) s.v4 = _mm512_maskz_loadu_ps(Z == 5 ? tail : all, from + 64);
    if constexpr (Z > 5) s.v5 = _mm512_maskz_loadu_ps(Z == 6 ? tail : all, from + 80);
    if constexpr (Z > 6) s.v6 = _mm512_maskz_loadu_ps(tail, from + 96);
}

/* tile[r][..] = B[first_row + r][panel] */
template <int Z, class P> void pack_tile(const P &p, int64_t first_row, int64_t rows) {
    const int64_t stride = p.call->b_stride;
    const float *from = p.call->b + first_row * stride + p.first;
    for (int64_t r = 0; r < rows; ++r) {
        const float *ahead = from + smaller(r + kTileRowsAhead, rows - 1) * stride;
        for (int64_t i = 0; i < p.width; i += kLanes)
            _mm_prefetch(reinterpret_cast<const char *>(ahead + i), _MM_HINT_T0);
        Sums<Z> row;
        load(row, from + r * stride, p.tail);
        store(row, p.tile + r * Z * kLanes);
    }
}

/* tile[r][t] = B[panel's token t][first_row + r] */
template <int Z, class P> void pack_tile_tokens(const P &p, int64_t first_row, int64_t rows) {
    const int64_t stride = p.call->b_stride;
    for (int64_t token = 0; token < p.width; token += kLanes) {
        const float *from = p.call->b + (p.first + token) * stride + first_row;
        const int64_t tokens = smaller(kLanes, p.width - token);
        for (int64_t r = 0; r < rows; r += kLanes)
            transpose_16x16(from + r, stride, tokens, smaller(kLanes, rows - r),
                            p.tile + r * Z * kLanes + token, Z * kLanes);
    }
}

/* ---- epilogue ---- */

FILIGREE_INLINE bool is_in_registers(int32_t activation) { return activation <= FILIGREE_ACTIVATION_RELU; }

/* The longer activations run over what is already in C, a row at a time: inlined, they would push sums out of
 * their registers. */
__attribute__((noinline)) void activate_row(int32_t activation, float *row, int64_t count) {
    for (int64_t i = 0; i < count; i += kLanes) {
        const __mmask16 lanes = first_lanes(smaller(kLanes, count - i));
        const __m512 y = _mm512_maskz_loadu_ps(lanes, row + i);
        _mm512_mask_storeu_ps(row + i, lanes, activate(activation, y));
    }
}

template <class P>
FILIGREE_INLINE __m512 finish(const P &p, __m512 sum, const float *c, __mmask16 lanes, __m512 bias) {
    const auto &call = *p.call;
    __m512 y = _mm512_mul_ps(_mm512_set1_ps(call.alpha), sum);
    if (call.beta != 0.0f) y = _mm512_fmadd_ps(_mm512_set1_ps(call.beta), _mm512_maskz_loadu_ps(lanes, c), y);
    if (p.bias != nullptr) y = _mm512_add_ps(y, bias);
    if (p.a->activation == FILIGREE_ACTIVATION_RELU) y = relu(y);
    return y;
}

/* A whole row of C, feature-major. */
template <int Z, class P> FILIGREE_INLINE void finish_row(const P &p, const Sums<Z> &s, int64_t row) {
    float *const first = p.call->c + row * p.call->c_stride + p.first;
    const __m512 bias = p.bias != nullptr ? _mm512_set1_ps(p.bias[row]) : _mm512_setzero_ps();
    const auto write = [&](int i, __m512 sum) __attribute__((always_inline)) {
        const __mmask16 lanes = i == Z - 1 ? p.tail : 0xffff;
        float *const c = first + 16 * i;
        _mm512_mask_storeu_ps(c, lanes, finish(p, sum, c, lanes, bias));
    };
    write(0, s.v0);
    if constexpr (Z > 1) write(1, s.v1);
    if constexpr (Z > 2) write(2, s.v2);
    if constexpr (Z > 3) write(3, s.v3);
    if constexpr (Z > 4) write(4, s.v4);
    if constexpr (Z > 5) write(5, s.v5);
    if constexpr (Z > 6) write(6, s.v6);
}

/* `count` <= 16 consecutive rows of A from `row` on, token-major: their sums lie in `sums`, Z vectors a row.
 */
template <int Z, class P> void finish_tokens(const P &p, const float *sums, int64_t row, int64_t count) {
    alignas(64) float block[kLanes * kLanes];
    const __mmask16 lanes = first_lanes(count);
    const __m512 bias = p.bias != nullptr ? _mm512_maskz_loadu_ps(lanes, p.bias + row) : _mm512_setzero_ps();
    for (int64_t token = 0; token < p.width; token += kLanes) {
        const int64_t tokens = smaller(kLanes, p.width - token);
        transpose_16x16(sums + token, Z * kLanes, count, kLanes, block, kLanes);
        for (int64_t t = 0; t < tokens; ++t) {
            float *c = p.call->c + (p.first + token + t) * p.call->c_stride + row;
            const __m512 sum = _mm512_load_ps(block + t * kLanes);
            _mm512_mask_storeu_ps(c, lanes, finish(p, sum, c, lanes, bias));
            if (!is_in_registers(p.a->activation)) activate_row(p.a->activation, c, count);
        }
    }
}

} // namespace
} // namespace filigree

#endif
