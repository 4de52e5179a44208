#ifndef FILIGREE_CPU_ATTENTION_ATTENTION_BLOCK_BF16_AVX512_H
#define FILIGREE_CPU_ATTENTION_ATTENTION_BLOCK_BF16_AVX512_H

/* What the kernels over blocks of bf16 share: attention_block_avx512.h says what each member is for. */
#ifndef __AVX512BF16__
#error "this header needs AVX512_BF16"
#endif

#include "cpu/attention/attention_block_avx512.h"
#include "cpu/common/bf16.h"

namespace filigree {
namespace {

struct Bf16Block {
    using Element = uint16_t;
    static constexpr int64_t kPerWord = 2;
    static constexpr bool kScalesScores = true;

    static FILIGREE_INLINE __m512 multiply_add(__m512 a, __m512 b, __m512 sum) {
        return dot_pairs(_mm512_castps_si512(a), _mm512_castps_si512(b), sum);
    }

    /* In place, two vectors of scores to one of pairs. A weight is 0 or normal: the instruction rounds like
     * bf16_from_float. */
    static FILIGREE_INLINE __m512 weigh(float *scores, int64_t columns, __m512 reference, __m512 sum) {
        const __m512i ones = _mm512_set1_epi32(0x3f803f80);
        int64_t j = 0;
        for (; j + 4 * kLanes <= columns; j += 4 * kLanes) {
            Row<4> w;
            load(w, scores + j);
            filigree::weigh(w, reference);
            const auto first = (__m512i)_mm512_cvtne2ps_pbh(w.v1, w.v0);
            const auto second = (__m512i)_mm512_cvtne2ps_pbh(w.v3, w.v2);
            _mm512_storeu_si512(scores + j / 2, first), _mm512_storeu_si512(scores + j / 2 + kLanes, second);
            sum = dot_pairs(second, ones, dot_pairs(first, ones, sum));
        }
        for (; j < columns; j += 2 * kLanes) {
            const __m512 low = exp_nonpositive(_mm512_sub_ps(_mm512_loadu_ps(scores + j), reference));
            const __m512 high =
                j + kLanes < columns
                    ? exp_nonpositive(_mm512_sub_ps(_mm512_loadu_ps(scores + j + kLanes), reference))
                    : _mm512_setzero_ps();
            const auto weights = (__m512i)_mm512_cvtne2ps_pbh(high, low);
            _mm512_storeu_si512(scores + j / 2, weights);
            sum = dot_pairs(weights, ones, sum);
        }
        return sum;
    }

    /* As they are. All words of a head fit one chunk. */
    static void load_queries(const TileRows &t, const uint16_t *q, int64_t stride, int64_t depth, float) {
        for (int64_t r = 0; r < t.padded; ++r) {
            for (int64_t d = 0; d < depth; d += kLanes) {
                const __mmask16 lanes = r < t.rows ? first_lanes(smaller(kLanes, depth - d)) : __mmask16{0};
                const uint16_t *from = r < t.rows ? q + r * stride + d * kPerWord : q;
                _mm512_store_ps(t.queries + r * kStride + d, _mm512_maskz_loadu_ps(lanes, from));
            }
        }
    }

    static FILIGREE_INLINE __m512 value_words(const uint16_t *v, int64_t stride, int64_t j, int64_t rows,
                                              __mmask16 lanes) {
        const auto row = [=](int64_t i) __attribute__((always_inline)) {
            return i < rows ? _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(lanes, v + i * stride))
                            : _mm512_setzero_si512();
        };
        return _mm512_castsi512_ps(_mm512_or_si512(row(2 * j), _mm512_slli_epi32(row(2 * j + 1), 16)));
    }

    static void store_row(const float *row, float factor, int64_t dim, int64_t dtype, void *out, int64_t at) {
        if (dtype == FILIGREE_DTYPE_F32) return store_multiplied(row, factor, dim, static_cast<float *>(out) + at);
        auto *to = static_cast<uint16_t *>(out) + at;
        for (int64_t d = 0; d < dim; d += kLanes)
            _mm256_mask_storeu_epi16(
                to + d, first_lanes(smaller(kLanes, dim - d)),
                bf16_from_float(_mm512_mul_ps(_mm512_load_ps(row + d), _mm512_set1_ps(factor))));
    }
};

static_assert(256 / Bf16Block::kPerWord <= kStep, "the words of a head are one chunk");

} // namespace
} // namespace filigree

#endif
