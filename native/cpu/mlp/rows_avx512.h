#ifndef FILIGREE_CPU_MLP_ROWS_AVX512_H
#define FILIGREE_CPU_MLP_ROWS_AVX512_H

/*
 * What both mlp kernels share: how a cache line of a row is read, and what becomes of a finished sum. Weights in bf16
 * widen to f32 and are multiplied as such, because few tokens are bound by the bytes of the weights: a shift or a mask
 * a vector costs nothing then, x keeps all of its bits, and no denormal is flushed.
 */
#ifndef __AVX512F__
#error "this header needs AVX-512"
#endif

#include "cpu/common/math.h"
#include "cpu/mlp/mlp.h"

#include <immintrin.h>

#define FILIGREE_INLINE inline __attribute__((always_inline))

namespace filigree {
namespace {

constexpr int64_t kLanes = 16;
constexpr int64_t kLineBytes = 64;

int64_t smaller(int64_t x, int64_t y) { return x < y ? x : y; }

/* A line is a vector of f32. */
struct F32 {
    static constexpr int64_t kParts = 1;
    static FILIGREE_INLINE __m512 part(__m512i line, int64_t) { return _mm512_castsi512_ps(line); }
};

/* A line is a vector of the even columns and one of the odd ones. */
struct Bf16 {
    static constexpr int64_t kParts = 2;
    static FILIGREE_INLINE __m512 part(__m512i line, int64_t i) {
        return _mm512_castsi512_ps(i == 0 ? _mm512_maskz_slli_epi32(0xffff, line, 16)
                                          : _mm512_and_si512(line, _mm512_set1_epi32(static_cast<int>(0xffff0000))));
    }
};

/* Columns of a line. */
template <class D> constexpr int64_t kColumns = D::kParts * kLanes;

template <class D> FILIGREE_INLINE const char *row_of(const filigree_row_matrix *w, const int32_t *list, int64_t p) {
    const int64_t row = list != nullptr ? list[p] : p;
    return reinterpret_cast<const char *>(w) + w->values + row * w->stride * (kLineBytes / kColumns<D>);
}

/* The first `count` of 16 lanes, 0 <= count <= 16. */
FILIGREE_INLINE __mmask16 first_lanes(int64_t count) {
    return static_cast<__mmask16>((uint32_t{1} << count) - 1);
}

FILIGREE_INLINE __m512i load_line(const char *at) { return _mm512_load_si512(at); }

FILIGREE_INLINE void prefetch(const char *at) { _mm_prefetch(at, _MM_HINT_T0); }

/* y = factor * activation(sum + bias) */
FILIGREE_INLINE __m512 finish(const Epilogue &e, __m512 sum, __m512 bias, const float *factors,
                              __mmask16 lanes) {
    __m512 y = e.bias != nullptr ? _mm512_add_ps(sum, bias) : sum;
    if (e.activation != FILIGREE_ACTIVATION_NONE) y = activate(e.activation, y);
    if (e.factors != nullptr) y = _mm512_mul_ps(_mm512_maskz_loadu_ps(lanes, factors), y);
    return y;
}

} // namespace
} // namespace filigree

#endif
