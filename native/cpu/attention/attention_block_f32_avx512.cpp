/* out = softmax(scale * q k^T) v over the blocks of scores that a mask lists, f32: attention_block_avx512.h has it all. */
#include "cpu/attention/attention_block_avx512.h"

namespace filigree {
namespace {

struct F32Block : F32Words {
    using Element = float;
    static constexpr int64_t kPerWord = 1;
    static constexpr bool kScalesScores = false;

    /* Scaled, in chunks of 128 columns. */
    static void load_queries(const TileRows &t, const float *q, int64_t stride, int64_t depth, float factor) {
        const __m512 scale = _mm512_set1_ps(factor);
        for (int64_t r = 0; r < t.padded; ++r) {
            for (int64_t d = 0; d < depth; d += kLanes) {
                const __mmask16 lanes = r < t.rows ? first_lanes(smaller(kLanes, depth - d)) : __mmask16{0};
                const float *from = r < t.rows ? q + r * stride + d : q;
                _mm512_store_ps(t.queries + (d / kStep * t.padded + r) * kStride + d % kStep,
                                _mm512_mul_ps(_mm512_maskz_loadu_ps(lanes, from), scale));
            }
        }
    }

    static FILIGREE_INLINE __m512 value_words(const float *v, int64_t stride, int64_t j, int64_t rows,
                                              __mmask16 lanes) {
        return j < rows ? _mm512_maskz_loadu_ps(lanes, v + j * stride) : _mm512_setzero_ps();
    }

    static void store_row(const float *row, float factor, int64_t dim, int64_t, void *out, int64_t at) {
        store_multiplied(row, factor, dim, static_cast<float *>(out) + at);
    }
};

} // namespace

void attention_block_f32_avx512(const BlockCall<float> &call) { run_items<F32Block>(call); }

} // namespace filigree
