/*
 * A panel of C as the avx512 spmm kernels hold it: Z = 1..4 vectors a row, and what becomes of a finished
 * sum.
 */
#ifndef FILIGREE_CPU_SPMM_SPMM_PANEL_AVX512_H
#define FILIGREE_CPU_SPMM_SPMM_PANEL_AVX512_H

#ifndef __AVX512F__
#error "this header needs AVX-512"
#endif

#include "cpu/common/math.h"
#include "cpu/common/transpose_avx512.h"
#include "cpu/spmm/spmm.h"

#include <immintrin.h>

#define FILIGREE_INLINE inline __attribute__((always_inline))

namespace filigree {
namespace {

constexpr int64_t kLanes = 16;

/* What does not change within a call, and the panel at hand. */
struct Panel {
    const SpmmCall *call;
    const filigree_spmm_packed *a;
    const int64_t *row_starts;
    const filigree_spmm_entry *entries;
    const int32_t *targets;
    const float *bias; /* null: none */
    float *tile;
    float *accumulators; /* Z vectors a virtual row of the pass */
    float *partials;     /* of this panel */
    int64_t partial_stride;
    int64_t first;  /* column of B and C, or token */
    int64_t width;  /* 1..64 */
    __mmask16 tail; /* lanes of the last vector */
};

template <class T> const T *table(const filigree_spmm_packed *a, int64_t offset) {
    return reinterpret_cast<const T *>(reinterpret_cast<const char *>(a) + offset);
}

int64_t smaller(int64_t x, int64_t y) { return x < y ? x : y; }

Panel panel_of(const SpmmCall &call, int64_t index) {
    const filigree_spmm_packed *a = call.a;
    Panel p{};
    p.call = &call;
    p.a = a;
    p.row_starts = table<int64_t>(a, a->row_starts);
    p.entries = table<filigree_spmm_entry>(a, a->entries);
    p.targets = table<int32_t>(a, a->targets);
    p.bias = a->bias != 0 ? table<float>(a, a->bias) : nullptr;
    p.first = index * FILIGREE_SPMM_PANEL;
    p.width = smaller(FILIGREE_SPMM_PANEL, call.n - p.first);
    p.tail = first_lanes((p.width - 1) % kLanes + 1);
    p.partials = call.partials != nullptr ? call.partials + p.first : nullptr;
    p.partial_stride = (call.n + FILIGREE_SPMM_PANEL - 1) / FILIGREE_SPMM_PANEL * FILIGREE_SPMM_PANEL;
    return p;
}

/* ---- sums of one virtual row ---- */

/* Named members: gcc spills an array of vectors in every iteration. Those past Z are dead. */
template <int Z> struct Sums {
    __m512 v0 = _mm512_setzero_ps(), v1 = _mm512_setzero_ps(), v2 = _mm512_setzero_ps(),
           v3 = _mm512_setzero_ps();
};

template <int Z> FILIGREE_INLINE void load(Sums<Z> &s, const float *from) {
    s.v0 = _mm512_loadu_ps(from);
    if constexpr (Z > 1) s.v1 = _mm512_loadu_ps(from + 16);
    if constexpr (Z > 2) s.v2 = _mm512_loadu_ps(from + 32);
    if constexpr (Z > 3) s.v3 = _mm512_loadu_ps(from + 48);
}

template <int Z> FILIGREE_INLINE void store(const Sums<Z> &s, float *to) {
    _mm512_storeu_ps(to, s.v0);
    if constexpr (Z > 1) _mm512_storeu_ps(to + 16, s.v1);
    if constexpr (Z > 2) _mm512_storeu_ps(to + 32, s.v2);
    if constexpr (Z > 3) _mm512_storeu_ps(to + 48, s.v3);
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

FILIGREE_INLINE __m512 finish(const Panel &p, __m512 sum, const float *c, __mmask16 lanes, __m512 bias) {
    const SpmmCall &call = *p.call;
    __m512 y = _mm512_mul_ps(_mm512_set1_ps(call.alpha), sum);
    if (call.beta != 0.0f) y = _mm512_fmadd_ps(_mm512_set1_ps(call.beta), _mm512_maskz_loadu_ps(lanes, c), y);
    if (p.bias != nullptr) y = _mm512_add_ps(y, bias);
    if (p.a->activation == FILIGREE_ACTIVATION_RELU) y = relu(y);
    return y;
}

/* A whole row of C, feature-major. */
template <int Z> FILIGREE_INLINE void finish_row(const Panel &p, const Sums<Z> &s, int64_t row) {
    constexpr __mmask16 all = 0xffff;
    float *c = p.call->c + row * p.call->c_stride + p.first;
    const __m512 bias = p.bias != nullptr ? _mm512_set1_ps(p.bias[row]) : _mm512_setzero_ps();
    _mm512_mask_storeu_ps(c, Z == 1 ? p.tail : all, finish(p, s.v0, c, Z == 1 ? p.tail : all, bias));
    if constexpr (Z > 1) {
        const __mmask16 lanes = Z == 2 ? p.tail : all;
        _mm512_mask_storeu_ps(c + 16, lanes, finish(p, s.v1, c + 16, lanes, bias));
    }
    if constexpr (Z > 2) {
        const __mmask16 lanes = Z == 3 ? p.tail : all;
        _mm512_mask_storeu_ps(c + 32, lanes, finish(p, s.v2, c + 32, lanes, bias));
    }
    if constexpr (Z > 3) _mm512_mask_storeu_ps(c + 48, p.tail, finish(p, s.v3, c + 48, p.tail, bias));
}

/* `count` <= 16 consecutive rows of A from `row` on, token-major: their sums lie in `sums`, Z vectors a row.
 */
template <int Z> void finish_tokens(const Panel &p, const float *sums, int64_t row, int64_t count) {
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
