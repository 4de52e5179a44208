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

#include "cpu/nm/nm_rows_bf16_avx512.h"

namespace filigree {
namespace {

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

} // namespace

void nm_packed_bf16_avx512(const Nm16Call &call) {
    const filigree_nm_packed &a = *call.a;
    for_panels(call, [&](const Panel &p, int64_t begin, int64_t end) {
        if (shares_positions(a)) {
            multiply_rows(p, begin, end, [&](int64_t block, int64_t pass, int64_t pass_end) {
                add_shared_groups(p, block, pass, pass_end, add_by_dot_products);
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
    });
}

} // namespace filigree
