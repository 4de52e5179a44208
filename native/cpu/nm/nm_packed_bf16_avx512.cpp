/*
 * C = activation(alpha * A * B + beta * C + bias), A N:M sparse (rows x cols, packed), all bf16, sums in f32.
 *
 *   feature-major   B[cols][n], C[rows][n]
 *   token-major     B[n][cols], C[n][rows]
 *
 * filigree.h has the packed format and the order of sums. A vector of 16 lanes is 16 rows of A, one group:
 * the words of a vector of values are pairs of entries, and vdpbf16ps adds the products of 16 pairs. What
 * they meet are pairs of elements of a token, as a row of B lies when token-major.
 *
 * For each panel of up to 64 tokens:
 *   for each pass of pass_groups groups, for each block of columns of A:
 *     copy block x panel of B to scratch, token by token, zero padded
 *     for each group: sums[token][16 rows] += the group's values x the token's block
 *   after the last block: epilogue, into C
 *
 * What a group's values meet depends on how its rows choose their positions.
 *   Each row its own, m <= 16: the 32 elements of a window of columns are one register of a token, and a
 * permutation by the pairs' indices picks what the lanes meet: a permutation and a vdpbf16ps for 16 pairs of
 * one token. The indices are unpacked once a group and block and serve all tokens. Each row its own,
 * otherwise: gathers. Shared by 16 rows or more: a token's elements are compressed to those that the rows
 * keep, once for all groups that share them; from there it is a dense product. Where n = m, they are all
 * kept, and nothing is compressed.
 *
 * Dense: two groups x 12 tokens are 24 sums; a pair of columns is 2 loads of values and 12 broadcasts for 24
 * vdpbf16ps, which two a clock take 12 clocks for, and two loads a clock 7. With one token, values are read
 * once, as they lie: their bytes bound the time.
 */
#ifndef __AVX512BF16__
#error "this file must be compiled for AVX512_BF16"
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

/* ---- rows with positions of their own: gathers ---- */

__attribute__((noinline)) void add_group_by_gathers(const Panel &p, const BlockRows<Bf16> &rows, int64_t group,
                                                    float *sums) {
    const filigree_nm_packed &a = *p.a;
    const int64_t slots = rows.slots, streams = streams_of(a);
    const uint8_t *run = rows.run(group);
    const int32_t *first_columns = table<int32_t>(&a, a.first_columns);
    auto *columns = static_cast<int32_t *>(p.indices);
    for (int64_t i = 0; i * kLanes < slots * streams; ++i)
        _mm512_store_si512(
            columns + i * kLanes,
            _mm512_add_epi32(unpack_16(run, i, a.index_bits), _mm512_load_si512(first_columns + i * kLanes)));
    /* Lane r meets the stream of its row. */
    const __m512i row = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i stream = streams == kLanes ? row : _mm512_srli_epi32(row, 3);
    const __m512i *values = rows.values_of_group(group);
    for (int64_t t = 0; t < p.width; ++t) {
        const uint16_t *x = p.tile + t * p.pitch;
        __m512 s = rows.fresh ? _mm512_setzero_ps() : _mm512_load_ps(sums + t * kLanes);
        for (int64_t slot = 0; slot < slots; slot += 2) {
            const int32_t *at = columns + slot * streams;
            const __m512i odd =
                _mm512_i32gather_epi32(_mm512_permutexvar_epi32(stream, _mm512_loadu_si512(at)), x, 2);
            const __m512i even = _mm512_i32gather_epi32(
                _mm512_permutexvar_epi32(stream, _mm512_loadu_si512(at + streams)), x, 2);
            const __m512i pair = _mm512_mask_blend_epi16(0xaaaaaaaa, even, _mm512_slli_epi32(odd, 16));
            s = dot_pairs(_mm512_load_si512(values + slot / 2), pair, s);
        }
        _mm512_store_ps(sums + t * kLanes, s);
    }
}

/* ---- rows that share their positions ---- */

/* compressed[t][slot ^ 1] = the token's element in the slot's column: pairs as words of values meet them. */
void compress_tokens(const Panel &p, const BlockRows<Bf16> &rows, int64_t group, uint16_t *compressed,
                     int64_t pitch) {
    const filigree_nm_packed &a = *p.a;
    const int64_t slots = rows.slots;
    const uint8_t *run = rows.run(group / groups_a_run(a));
    const int32_t *first_columns = table<int32_t>(&a, a.first_columns);
    auto *columns = static_cast<uint16_t *>(p.indices);
    for (int64_t i = 0; i * kLanes < slots; ++i) {
        const __m512i column =
            _mm512_add_epi32(unpack_16(run, i, a.index_bits), _mm512_load_si512(first_columns + i * kLanes));
        _mm256_store_si256(reinterpret_cast<__m256i *>(columns + i * kLanes),
                           _mm512_cvtepi32_epi16(_mm512_shuffle_epi32(column, _MM_PERM_CDAB)));
    }
    const bool windows = Bf16::kWindow % a.unit == 0;
    const int64_t step = 2 * window_vectors<Bf16>(a);
    for (int64_t t = 0; t < p.width; ++t) {
        const uint16_t *x = p.tile + t * p.pitch;
        uint16_t *to = compressed + t * pitch;
        if (windows) {
            /* Each store writes what follows its window's slots, too, which the next one overwrites. */
            for (int64_t slot = 0; slot < slots; slot += step, x += Bf16::kWindow)
                _mm512_storeu_si512(to + slot, _mm512_permutexvar_epi16(_mm512_loadu_si512(columns + slot),
                                                                        _mm512_loadu_si512(x)));
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

/* Groups [pass, end) of a pass. */
void add_shared_groups(const Panel &p, int64_t block, int64_t pass, int64_t end) {
    const filigree_nm_packed &a = *p.a;
    const BlockRows<Bf16> rows(a, block);
    const bool dense = a.index_bits == 0;
    const int64_t per_run = groups_a_run(a), pitch = dense ? p.pitch : slots_of(a, 0) + Bf16::kWindow;
    const auto *x = dense ? p.tile : static_cast<const uint16_t *>(p.work);
    for (int64_t group = pass; group < end;) {
        const int64_t run_end = dense ? end : smaller(end, (group / per_run + 1) * per_run);
        if (!dense) compress_tokens(p, rows, group, static_cast<uint16_t *>(p.work), pitch);
        float *sums = p.sums + (group - pass) * p.width * kLanes;
        if (streams_for(p.width) == 4) {
            add_dense_groups<4, 4>(p, rows, group, run_end, x, pitch, sums);
        } else {
            add_dense_groups<2, 12>(p, rows, group, run_end, x, pitch, sums);
        }
        group = run_end;
    }
}

} // namespace

void nm_packed_bf16_avx512(const Nm16Call &call) {
    const filigree_nm_packed &a = *call.a;
    for (int64_t item = call.begin; item < call.end;) {
        const int64_t index = item / a.chunk_count;
        const int64_t chunk = item - index * a.chunk_count;
        const int64_t chunk_end = smaller(call.end - index * a.chunk_count, a.chunk_count);
        const int64_t begin = chunk * a.chunk_groups,
                      end = smaller(chunk_end * a.chunk_groups, a.group_count);
        const Panel p = rows_panel_of<Bf16>(call, index);
        if (a.vector >= kLanes || a.index_bits == 0) {
            multiply_rows(p, begin, end, [&](int64_t block, int64_t pass, int64_t pass_end) {
                add_shared_groups(p, block, pass, pass_end);
            });
        } else if (has_windows<Bf16>(a)) {
            multiply_windows(p, begin, end);
        } else {
            multiply_rows(p, begin, end, [&](int64_t block, int64_t pass, int64_t pass_end) {
                const BlockRows<Bf16> rows(a, block);
                for (int64_t group = pass; group < pass_end; ++group)
                    add_group_by_gathers(p, rows, group, p.sums + (group - pass) * p.width * kLanes);
            });
        }
        item += chunk_end - chunk;
    }
}

} // namespace filigree
