#ifndef FILIGREE_CPU_NM_NM_ROWS_BF16_AVX512_H
#define FILIGREE_CPU_NM_NM_ROWS_BF16_AVX512_H

/*
 * What the bf16 kernels of N:M products share: elements and panels, and rows that share their positions, whose tokens
 * are compressed to the elements that the rows keep.
 */
#ifndef __AVX512BF16__
#error "this header needs AVX512_BF16"
#endif

#include "cpu/common/bf16.h"
#include "cpu/nm/nm_rows_avx512.h"

namespace filigree {
namespace {

struct Bf16 {
    using Element = uint16_t;
    static constexpr int64_t kWindow = 32, kSlots = 2;

    static int64_t pitch(const filigree_nm_packed &a) { return a.block_depth + kWindow; }

    static FILIGREE_INLINE __m512i permute(__m512i index, __m512i elements) {
        return _mm512_permutexvar_epi16(index, elements);
    }
    static FILIGREE_INLINE __m512 add(__m512i value, __m512i elements, __m512 sum) {
        return dot_pairs(value, elements, sum);
    }
    static FILIGREE_INLINE __m512 load(const uint16_t *c, __mmask16 lanes) {
        return bf16_to_float(_mm256_maskz_loadu_epi16(lanes, c));
    }
    static FILIGREE_INLINE void store(uint16_t *c, __mmask16 lanes, __m512 y) {
        _mm256_mask_storeu_epi16(c, lanes, bf16_from_float(y));
    }
    static void transpose(const RowsPanel<Bf16> &p, int64_t first_row, int64_t depth);
};

using Panel = RowsPanel<Bf16>;

/* tile[t][k] = B[first_row + k][first + t], two rows in the halves of a word, 16 words by 16 tokens at a
 * time. */
void Bf16::transpose(const Panel &p, int64_t first_row, int64_t depth) {
    alignas(64) uint32_t words[16 * kLanes];
    const int64_t stride = p.call->b_stride;
    for (int64_t token = 0; token < p.width; token += kLanes) {
        const int64_t tokens = smaller(kLanes, p.width - token);
        const __mmask16 lanes = first_lanes(tokens);
        for (int64_t k = 0; k < depth; k += kWindow) {
            const uint16_t *from = p.call->b + (first_row + k) * stride + p.first + token;
            const auto row = [&](int64_t i) __attribute__((always_inline)) {
                return k + i < depth
                           ? _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(lanes, from + i * stride))
                           : _mm512_setzero_si512();
            };
            for (int64_t i = 0; i < 16; ++i)
                _mm512_store_si512(words + i * kLanes,
                                   _mm512_or_si512(row(2 * i), _mm512_slli_epi32(row(2 * i + 1), 16)));
            transpose_16x16(reinterpret_cast<float *>(words), kLanes, 16, tokens,
                            reinterpret_cast<float *>(p.tile + token * p.pitch + k), p.pitch / 2);
        }
    }
}

/* ---- rows that share their positions ---- */

/*
 * Elements of a window by their places. A permutation of bytes is one step where one of words is two (Intel), but not
 * every processor with vdpbf16ps has it.
 */
#ifdef __AVX512VBMI__
inline __m256i window_places(__m256i columns) {
    const __m256i even = _mm256_and_si256(_mm256_slli_epi16(columns, 1), _mm256_set1_epi16(0x3e));
    return _mm256_or_si256(even, _mm256_slli_epi16(_mm256_or_si256(even, _mm256_set1_epi16(1)), 8));
}
FILIGREE_INLINE __m512i pick(__m512i places, __m512i elements) { return _mm512_permutexvar_epi8(places, elements); }
#else
inline __m256i window_places(__m256i columns) { return columns; }
FILIGREE_INLINE __m512i pick(__m512i places, __m512i elements) { return _mm512_permutexvar_epi16(places, elements); }
#endif

/* compressed[t][slot ^ 1] = the token's element in the slot's column: pairs as words of values meet them. */
void compress_tokens(const Panel &p, const BlockRows<Bf16> &rows, int64_t group, uint16_t *compressed,
                     int64_t pitch) {
    const filigree_nm_packed &a = *p.a;
    const int64_t slots = rows.slots;
    const uint8_t *run = rows.run(group / groups_a_run(a));
    const int32_t *first_columns = table<int32_t>(&a, a.first_columns);
    auto *columns = static_cast<uint16_t *>(p.indices);
    const bool windows = Bf16::kWindow % a.unit == 0;
    for (int64_t i = 0; i * kLanes < slots; ++i) {
        const __m512i column =
            _mm512_add_epi32(unpack_16(run, i, a.index_bits), _mm512_load_si512(first_columns + i * kLanes));
        const __m256i pairs = _mm512_cvtepi32_epi16(_mm512_shuffle_epi32(column, _MM_PERM_CDAB));
        _mm256_store_si256(reinterpret_cast<__m256i *>(columns + i * kLanes), windows ? window_places(pairs) : pairs);
    }
    const int64_t step = 2 * window_vectors<Bf16>(a);
    for (int64_t t = 0; t < p.width; ++t) {
        const uint16_t *x = p.tile + t * p.pitch;
        uint16_t *to = compressed + t * pitch;
        if (windows) {
            /* Each store writes what follows its window's slots, too, which the next one overwrites. */
            for (int64_t slot = 0; slot < slots; slot += step, x += Bf16::kWindow)
                _mm512_storeu_si512(to + slot,
                                    pick(_mm512_loadu_si512(columns + slot), _mm512_loadu_si512(x)));
        } else {
            for (int64_t slot = 0; slot < slots; ++slot) to[slot] = x[columns[slot]];
        }
    }
}

/* sums += of S groups that lie `apart` from each other and T tokens, whose words meet the pairs one by one. */
template <int S, int T>
FILIGREE_INLINE void add_dense(const __m512i *values, int64_t apart, int64_t pairs, const uint16_t *x,
                               int64_t pitch, float *sums, int64_t sums_apart, bool fresh) {
    __m512 s[S][T];
#pragma GCC unroll 4
    for (int g = 0; g < S; ++g)
#pragma GCC unroll 16
        for (int t = 0; t < T; ++t)
            s[g][t] = fresh ? _mm512_setzero_ps() : _mm512_load_ps(sums + g * sums_apart + t * kLanes);
    for (int64_t i = 0; i < pairs; ++i) {
        __m512i value[S];
#pragma GCC unroll 4
        for (int g = 0; g < S; ++g) {
            prefetch_ahead<T>(values + g * apart + i, pairs);
            value[g] = _mm512_load_si512(values + g * apart + i);
        }
#pragma GCC unroll 16
        for (int t = 0; t < T; ++t) {
            int32_t pair;
            std::memcpy(&pair, x + t * pitch + 2 * i, sizeof pair);
            const __m512i b = _mm512_set1_epi32(pair);
#pragma GCC unroll 4
            for (int g = 0; g < S; ++g) s[g][t] = dot_pairs(value[g], b, s[g][t]);
        }
    }
#pragma GCC unroll 4
    for (int g = 0; g < S; ++g)
#pragma GCC unroll 16
        for (int t = 0; t < T; ++t) _mm512_store_ps(sums + g * sums_apart + t * kLanes, s[g][t]);
}

/* Groups [group, end) that meet the same tokens. */
template <int S, int kMostTokens>
__attribute__((noinline)) void add_dense_groups(const Panel &p, const BlockRows<Bf16> &rows, int64_t group,
                                                int64_t end, const uint16_t *x, int64_t pitch, float *sums) {
    const int64_t step = p.width * kLanes, apart = (end - group) / S;
    for (int64_t i = 0; i < apart; ++i)
        for_tokens<kMostTokens>(p.width, [&](auto count, int64_t t) __attribute__((always_inline)) {
            add_dense<S, decltype(count)::value>(rows.values_of_group(group + i), apart * rows.vectors,
                                                 rows.vectors, x + t * pitch, pitch,
                                                 sums + i * step + t * kLanes, apart * step, rows.fresh);
        });
    if constexpr (S > 1)
        if (group + apart * S < end)
            add_dense_groups<1, kMostTokens>(p, rows, group + apart * S, end, x, pitch, sums + apart * S * step);
}

/* Whether the rows of a group all meet the same elements of a token. */
inline bool shares_positions(const filigree_nm_packed &a) { return a.vector >= kLanes || a.index_bits == 0; }

/*
 * Groups [pass, end) of a pass. add(p, rows, group, run_end, x, pitch, sums) adds those from `group` on that meet
 * the same elements, x.
 */
template <class Add>
void add_shared_groups(const Panel &p, int64_t block, int64_t pass, int64_t end, const Add &add) {
    const filigree_nm_packed &a = *p.a;
    const BlockRows<Bf16> rows(a, block);
    const bool dense = a.index_bits == 0;
    const int64_t per_run = groups_a_run(a), pitch = dense ? p.pitch : slots_of(a, 0) + Bf16::kWindow;
    const auto *x = dense ? p.tile : static_cast<const uint16_t *>(p.work);
    for (int64_t group = pass; group < end;) {
        const int64_t run_end = dense ? end : smaller(end, (group / per_run + 1) * per_run);
        if (!dense) compress_tokens(p, rows, group, static_cast<uint16_t *>(p.work), pitch);
        add(p, rows, group, run_end, x, pitch, p.sums + (group - pass) * p.width * kLanes);
        group = run_end;
    }
}

/* Adds groups by vdpbf16ps. */
inline void add_by_dot_products(const Panel &p, const BlockRows<Bf16> &rows, int64_t group, int64_t end,
                                const uint16_t *x, int64_t pitch, float *sums) {
    if (streams_for(p.width) == 4) {
        add_dense_groups<4, 4>(p, rows, group, end, x, pitch, sums);
    } else {
        add_dense_groups<2, 12>(p, rows, group, end, x, pitch, sums);
    }
}

/* multiply(panel, begin, end) for the panels of a call and their groups. */
template <class Multiply> void for_panels(const Nm16Call &call, const Multiply &multiply) {
    const filigree_nm_packed &a = *call.a;
    for (int64_t item = call.begin; item < call.end;) {
        const int64_t index = item / a.chunk_count;
        const int64_t chunk = item - index * a.chunk_count;
        const int64_t chunk_end = smaller(call.end - index * a.chunk_count, a.chunk_count);
        multiply(rows_panel_of<Bf16>(call, index), chunk * a.chunk_groups,
                 smaller(chunk_end * a.chunk_groups, a.group_count));
        item += chunk_end - chunk;
    }
}

} // namespace
} // namespace filigree

#endif
