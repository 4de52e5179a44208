#ifndef FILIGREE_CPU_ATTENTION_ATTENTION_TILE_AVX512_H
#define FILIGREE_CPU_ATTENTION_ATTENTION_TILE_AVX512_H

/*
 * A tile of query rows in scratch, with their scores and sums, and what every attention kernel does with it: products,
 * the step of the online softmax, and the end of a row. Lanes are keys in the first product and head dimensions in the
 * second; nothing is added across lanes but at the end of a row.
 */
#ifndef __AVX512F__
#error "this header needs AVX-512"
#endif

#include "cpu/common/math.h"
#include "cpu/common/transpose_avx512.h"
#include "filigree.h"

#include <immintrin.h>

#define FILIGREE_INLINE inline __attribute__((always_inline))

/* Internal linkage throughout: a copy that the linker could pick for other code would carry AVX-512 there. */
namespace filigree {
namespace {

constexpr int64_t kLanes = FILIGREE_ATTENTION_LANES;
constexpr int64_t kStride = FILIGREE_ATTENTION_ROW_STRIDE;
constexpr int64_t kStep = FILIGREE_ATTENTION_STEP_KEYS;
constexpr int64_t kGroup = FILIGREE_ATTENTION_ROW_GROUP;

inline int64_t smaller(int64_t x, int64_t y) { return x < y ? x : y; }

inline int64_t round_up(int64_t value, int64_t multiple) {
    return (value + multiple - 1) / multiple * multiple;
}

template <class T, class H> const T *table(const H *header, int64_t offset) {
    return reinterpret_cast<const T *>(reinterpret_cast<const char *>(header) + offset);
}

struct TileRows {
    int64_t rows, padded; /* to a multiple of four */
    float *queries, *scores, *acc, *sums, *max, *alpha;
};

/* Places a tile in scratch; returns the first float behind it. */
inline float *place(TileRows &t, int64_t rows, int64_t dim, float *scratch) {
    t.rows = rows, t.padded = round_up(rows, kGroup);
    t.queries = scratch;
    t.scores = t.queries + t.padded * kStride * ((dim + kStep - 1) / kStep);
    t.acc = t.scores + t.padded * kStride;
    t.sums = t.acc + t.padded * round_up(dim, kLanes);
    t.max = t.sums + t.padded * kLanes;
    t.alpha = t.max + round_up(t.padded, kLanes);
    return t.alpha + round_up(t.padded, kLanes);
}

inline void clear(float *from, int64_t count) {
    for (int64_t i = 0; i < count; i += kLanes) _mm512_store_ps(from + i, _mm512_setzero_ps());
}

/* No keys yet: l and m alone, or acc, too. */
inline void clear_weights(const TileRows &t) {
    clear(t.sums, t.padded * kLanes);
    for (int64_t r = 0; r < round_up(t.padded, kLanes); ++r) t.max[r] = -__builtin_inff();
}

inline void clear_sums(const TileRows &t, int64_t dim) {
    clear(t.acc, t.padded * round_up(dim, kLanes));
    clear_weights(t);
}

/* acc, l and m of each row, as a state has them. */
inline void store_sums(const TileRows &t, int64_t dim, float *state) {
    for (int64_t r = 0; r < t.rows; ++r, state += dim + kLanes + 1) {
        __builtin_memcpy(state, t.acc + r * round_up(dim, kLanes), dim * sizeof(float));
        __builtin_memcpy(state + dim, t.sums + r * kLanes, kLanes * sizeof(float));
        state[dim + kLanes] = t.max[r];
    }
}

/*
 * What comes next, asked for early: lists jump, so no hardware prefetcher knows. Whoever works meanwhile asks for a
 * share of the lines now and then, to L2, where they do not push out what is at hand.
 */
class Ahead {
public:
    Ahead() = default;

    /* Some bytes, in so many shares. */
    static Ahead of(const void *begin, int64_t bytes, int64_t shares) {
        const int64_t lines = (bytes + kLine * shares - 1) / (kLine * shares);
        return {begin, shares, lines, lines * kLine};
    }

    /* Rows of some bytes each, `stride` bytes apart: a row is a share. */
    static Ahead of_rows(const void *begin, int64_t rows, int64_t bytes, int64_t stride) {
        return {begin, rows, (bytes + kLine - 1) / kLine, stride};
    }

    FILIGREE_INLINE void fetch_share() {
        if (shares_ == 0) return;
        const char *const end = at_ + lines_ * kLine;
        for (const char *line = at_; line < end; line += kLine) _mm_prefetch(line, _MM_HINT_T1);
        at_ += stride_, --shares_;
    }

private:
    static constexpr int64_t kLine = 64;

    Ahead(const void *begin, int64_t shares, int64_t lines, int64_t stride)
        : at_(static_cast<const char *>(begin)), shares_(shares), lines_(lines), stride_(stride) {}

    const char *at_ = nullptr;
    int64_t shares_ = 0, lines_ = 0, stride_ = 0;
};

/* ---- rows of registers ---- */

/* Sums of one row by P vectors. Named members: gcc spills an array of vectors in every iteration. */
template <int P> struct Row {
    __m512 v0 = _mm512_setzero_ps(), v1 = _mm512_setzero_ps(), v2 = _mm512_setzero_ps(),
           v3 = _mm512_setzero_ps();
};

template <int P> FILIGREE_INLINE void load(Row<P> &r, const float *from) {
    r.v0 = _mm512_loadu_ps(from);
    if constexpr (P > 1) r.v1 = _mm512_loadu_ps(from + 16);
    if constexpr (P > 2) r.v2 = _mm512_loadu_ps(from + 32);
    if constexpr (P > 3) r.v3 = _mm512_loadu_ps(from + 48);
}

template <int P> FILIGREE_INLINE void store(const Row<P> &r, float *to) {
    _mm512_storeu_ps(to, r.v0);
    if constexpr (P > 1) _mm512_storeu_ps(to + 16, r.v1);
    if constexpr (P > 2) _mm512_storeu_ps(to + 32, r.v2);
    if constexpr (P > 3) _mm512_storeu_ps(to + 48, r.v3);
}

/* Scores to weights. */
FILIGREE_INLINE void weigh(Row<4> &r, __m512 reference) {
    r.v0 = _mm512_sub_ps(r.v0, reference), r.v1 = _mm512_sub_ps(r.v1, reference);
    r.v2 = _mm512_sub_ps(r.v2, reference), r.v3 = _mm512_sub_ps(r.v3, reference);
    exp_nonpositive(r.v0, r.v1, r.v2, r.v3);
}

/* What is done with words and weights of f32. */
struct F32Words {
    static FILIGREE_INLINE __m512 multiply_add(__m512 a, __m512 b, __m512 sum) { return _mm512_fmadd_ps(a, b, sum); }

    /* Scores to weights in place; returns the sums with the weights added. */
    static FILIGREE_INLINE __m512 weigh(float *scores, int64_t columns, __m512 reference, __m512 sum) {
        int64_t j = 0;
        for (; j + 4 * kLanes <= columns; j += 4 * kLanes) {
            Row<4> w;
            load(w, scores + j);
            filigree::weigh(w, reference);
            store(w, scores + j);
            sum = _mm512_add_ps(_mm512_add_ps(_mm512_add_ps(_mm512_add_ps(sum, w.v0), w.v1), w.v2), w.v3);
        }
        for (; j < columns; j += kLanes) {
            const __m512 weight = exp_nonpositive(_mm512_sub_ps(_mm512_loadu_ps(scores + j), reference));
            _mm512_storeu_ps(scores + j, weight);
            sum = _mm512_add_ps(sum, weight);
        }
        return sum;
    }
};

template <class Words = F32Words, int P> FILIGREE_INLINE void add(Row<P> &r, const float *a, const Row<P> &b) {
    const __m512 x = _mm512_set1_ps(*a);
    r.v0 = Words::multiply_add(x, b.v0, r.v0);
    if constexpr (P > 1) r.v1 = Words::multiply_add(x, b.v1, r.v1);
    if constexpr (P > 2) r.v2 = Words::multiply_add(x, b.v2, r.v2);
    if constexpr (P > 3) r.v3 = Words::multiply_add(x, b.v3, r.v3);
}

/* ---- scores ---- */
inline void cap_scores(const TileRows &t, float *scores, int64_t columns, float cap) {
    const __m512 factor = _mm512_set1_ps(cap), inverse = _mm512_set1_ps(1.0f / cap);
    for (int64_t r = 0; r < t.padded; ++r)
        for (int64_t j = 0; j < columns; j += kLanes) {
            float *at = scores + r * kStride + j;
            _mm512_storeu_ps(at, _mm512_mul_ps(factor, tanh(_mm512_mul_ps(_mm512_loadu_ps(at), inverse))));
        }
}

/* ---- weights ---- */

/* Of four rows: lane 4 l + i holds the largest of quarter l of row i. */
FILIGREE_INLINE __m512 largest_of_four(const float *rows, int64_t columns) {
    const __m512 lowest = _mm512_set1_ps(-__builtin_inff());
    __m512 r0 = lowest, r1 = lowest, r2 = lowest, r3 = lowest;
    for (int64_t j = 0; j < columns; j += kLanes, rows += kLanes) {
        r0 = _mm512_max_ps(_mm512_loadu_ps(rows), r0);
        r1 = _mm512_max_ps(_mm512_loadu_ps(rows + kStride), r1);
        r2 = _mm512_max_ps(_mm512_loadu_ps(rows + 2 * kStride), r2);
        r3 = _mm512_max_ps(_mm512_loadu_ps(rows + 3 * kStride), r3);
    }
    const __m512d r01 =
        _mm512_castps_pd(_mm512_max_ps(_mm512_unpacklo_ps(r0, r1), _mm512_unpackhi_ps(r0, r1)));
    const __m512d r23 =
        _mm512_castps_pd(_mm512_max_ps(_mm512_unpacklo_ps(r2, r3), _mm512_unpackhi_ps(r2, r3)));
    return _mm512_max_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(r01, r23)),
                         _mm512_castpd_ps(_mm512_unpackhi_pd(r01, r23)));
}

/* The largest score of each of up to 16 rows: a multiple of four. */
FILIGREE_INLINE __m512 largest_of(const float *scores, int64_t rows, int64_t columns) {
    __m512 r4[4];
    for (int64_t i = 0; i < 4; ++i)
        r4[i] = i * 4 < rows ? largest_of_four(scores + i * 4 * kStride, columns)
                             : _mm512_set1_ps(-__builtin_inff());
    const __m512 low = _mm512_max_ps(_mm512_shuffle_f32x4(r4[0], r4[1], 0x88),
                                     _mm512_shuffle_f32x4(r4[0], r4[1], 0xdd));
    const __m512 high = _mm512_max_ps(_mm512_shuffle_f32x4(r4[2], r4[3], 0x88),
                                      _mm512_shuffle_f32x4(r4[2], r4[3], 0xdd));
    return _mm512_max_ps(_mm512_shuffle_f32x4(low, high, 0x88), _mm512_shuffle_f32x4(low, high, 0xdd));
}

/* The maxima of a step, and what the sums so far are multiplied by. Sixteen rows at a time: row by row, each would wait
 * for a chain across lanes. */
FILIGREE_INLINE void raise_maxima(const TileRows &t, int64_t columns) {
    const __m512 lowest = _mm512_set1_ps(-__builtin_inff());
    for (int64_t first = 0; first < t.padded; first += kLanes) {
        const int64_t rows = smaller(kLanes, t.padded - first);
        const __m512 old = _mm512_load_ps(t.max + first);
        const __m512 max = _mm512_add_ps(
            _mm512_max_ps(largest_of(t.scores + first * kStride, rows, columns), old), _mm512_setzero_ps());
        const __mmask16 keeps =
            _mm512_cmp_ps_mask(max, old, _CMP_EQ_OQ) | _mm512_cmp_ps_mask(old, lowest, _CMP_EQ_OQ);
        _mm512_store_ps(t.max + first, max);
        _mm512_store_ps(t.alpha + first, _mm512_mask_blend_ps(keeps, exp_nonpositive(_mm512_sub_ps(old, max)),
                                                              _mm512_set1_ps(1.0f)));
    }
}

/* Scores to weights, but those of padding. All maxima come first: no weight waits for one then. */
template <class Words = F32Words>
__attribute__((noinline)) void normalise(const TileRows &t, int64_t columns, Ahead &ahead) {
    const __m512 lowest = _mm512_set1_ps(-__builtin_inff());
    raise_maxima(t, columns);
    for (int64_t r = 0; r < t.rows; ++r) {
        ahead.fetch_share();
        const __m512 max = _mm512_set1_ps(t.max[r]);
        const __m512 reference = _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(max, lowest, _CMP_NEQ_UQ), max);
        const __m512 sum = _mm512_mul_ps(_mm512_load_ps(t.sums + r * kLanes), _mm512_set1_ps(t.alpha[r]));
        _mm512_store_ps(t.sums + r * kLanes, Words::weigh(t.scores + r * kStride, columns, reference, sum));
    }
}

inline void multiply_row(float *row, int64_t width, float factor) {
    for (int64_t d = 0; d < width; d += kLanes)
        _mm512_store_ps(row + d, _mm512_mul_ps(_mm512_load_ps(row + d), _mm512_set1_ps(factor)));
}

inline void store_multiplied(const float *row, float factor, int64_t dim, float *to) {
    for (int64_t d = 0; d < dim; d += kLanes)
        _mm512_mask_storeu_ps(to + d, first_lanes(smaller(kLanes, dim - d)),
                              _mm512_mul_ps(_mm512_load_ps(row + d), _mm512_set1_ps(factor)));
}

/* What the sums were added under is lower than the new maximum: in few rows, which nobody could guess one by one. */
inline void rescale(const TileRows &t, int64_t width) {
    for (int64_t first = 0; first < t.rows; first += kLanes) {
        const __mmask16 rises = _mm512_cmp_ps_mask(_mm512_load_ps(t.alpha + first), _mm512_set1_ps(1.0f), _CMP_NEQ_UQ);
        for (uint32_t rows = rises & first_lanes(smaller(kLanes, t.rows - first)); rows != 0; rows &= rows - 1) {
            const int64_t r = first + __builtin_ctz(rows);
            multiply_row(t.acc + r * width, width, t.alpha[r]);
        }
    }
}

inline float halving_sum(const float *sums) {
    alignas(64) float l[kLanes];
    _mm512_store_ps(l, _mm512_load_ps(sums));
    for (int64_t half = kLanes / 2; half > 0; half /= 2)
        for (int64_t i = 0; i < half; ++i) l[i] += l[i + half];
    return l[0];
}

} // namespace
} // namespace filigree

#endif
