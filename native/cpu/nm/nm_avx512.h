#ifndef FILIGREE_CPU_NM_NM_AVX512_H
#define FILIGREE_CPU_NM_NM_AVX512_H

/* Where things are in a packed N:M matrix, and how its indices are unpacked: what the kernels of all types
 * share. */
#ifndef __AVX512F__
#error "this header needs AVX-512"
#endif

#include "filigree.h"

#include <cstring>
#include <immintrin.h>

#define FILIGREE_INLINE inline __attribute__((always_inline))

namespace filigree {
namespace {

constexpr int64_t kLanes = 16;

inline int64_t smaller(int64_t x, int64_t y) { return x < y ? x : y; }

/* The table at an offset of a packed matrix. */
template <class T> const T *table(const filigree_nm_packed *a, int64_t offset) {
    return reinterpret_cast<const T *>(reinterpret_cast<const char *>(a) + offset);
}

/* Index streams of a group: one for each set of rows that share their positions. */
inline int64_t streams_of(const filigree_nm_packed &a) { return a.vector >= kLanes ? 1 : kLanes / a.vector; }

/* Groups that share a run of indices. */
inline int64_t groups_a_run(const filigree_nm_packed &a) {
    return a.vector <= kLanes ? 1 : a.vector / kLanes;
}

/* The columns of a block that exist. */
inline int64_t depth_of(const filigree_nm_packed &a, int64_t block) {
    return smaller(a.block_depth, a.cols - block * a.block_depth);
}

inline int64_t slots_of(const filigree_nm_packed &a, int64_t block) {
    return a.block_count == 0 ? 0 : (depth_of(a, block) + a.unit - 1) / a.unit * (a.unit / a.m * a.n);
}

/* The values of a block and group; V is float, or uint16_t of bf16. */
template <class V> const V *values_of(const filigree_nm_packed &a, int64_t block, int64_t group) {
    return table<V>(&a, a.values) +
           (block * slots_of(a, 0) * a.group_count + group * slots_of(a, block)) * kLanes;
}

inline const uint8_t *indices_of(const filigree_nm_packed &a, int64_t block, int64_t group) {
    const int64_t bits = streams_of(a) * a.index_bits, per_run = groups_a_run(a);
    const int64_t runs = (a.group_count + per_run - 1) / per_run;
    const int64_t run_bytes = (slots_of(a, block) * bits + 7) / 8;
    return table<uint8_t>(&a, a.indices) + block * runs * ((slots_of(a, 0) * bits + 7) / 8) +
           group / per_run * run_bytes;
}

/* Fields [16 i, 16 i + 16) of up to 6 bits: they begin at a byte, and lane l's lies within the 32 bits of
 * which the byte that it begins in is the first. */
FILIGREE_INLINE __m512i unpack_16(const uint8_t *run, int64_t i, int32_t bits) {
    uint64_t low = 0, high = 0;
    std::memcpy(&low, run + i * 2 * bits, sizeof low);
    if (bits > 4) std::memcpy(&high, run + i * 2 * bits + bits, sizeof high);
    const __m512i lane = _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7);
    const __m512i shift = _mm512_mullo_epi64(lane, _mm512_set1_epi64(bits));
    const __m512i first = _mm512_srlv_epi64(_mm512_set1_epi64(static_cast<int64_t>(low)), shift);
    /* Up to 4 bits, the first word has all 16 fields; beyond, the upper eight begin `bits` bytes later. */
    const __m512i second = bits > 4 ? _mm512_srlv_epi64(_mm512_set1_epi64(static_cast<int64_t>(high)), shift)
                                    : _mm512_srlv_epi64(_mm512_set1_epi64(static_cast<int64_t>(low)),
                                                        _mm512_add_epi64(shift, _mm512_set1_epi64(8 * bits)));
    const __m512i fields = _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi64_epi32(first)),
                                              _mm512_cvtepi64_epi32(second), 1);
    return _mm512_and_si512(fields, _mm512_set1_epi32((1 << bits) - 1));
}

} // namespace
} // namespace filigree

#endif
