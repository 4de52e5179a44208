/*
 * out = softmax(scale * q k^T) v for one query of each sequence over selected keys of a paged cache, f32 or bf16.
 *
 *   q, out  (sequence, head, dim)      keys, values  (page, kv_head, row, dim)
 *
 * filigree.h has the tables, the splits and the order of sums, which makes the result the same bits as every other
 * kernel of this operation.
 *
 * The query heads that share a key head are the rows of a tile. Per step of up to 128 keys: scores, row of keys by row
 * of keys; weights = exp(scores - maximum); sums += weights * values. In both products lanes are head dimensions; a
 * key's sixteen sums are added when those of sixteen keys are there.
 *
 * All of it has to hide behind the reading of keys and values, each once. Memory is fast for those who always have
 * enough lines under way. So the values of a step and the keys of the next one are read side by side, a few rows of
 * each by turns: two streams. And each line that is worked on asks for a line to come: memory is slower for those who
 * ask for whole rows at once. Rows of the usual head dimensions, 64 and 128, are unrolled; with one or two queries a
 * key head they leave time to spare, and two halves of a call's splits go side by side, which makes four streams.
 */
#ifndef __AVX512F__
#error "this file must be compiled for AVX-512"
#endif

#include "cpu/attention/attention.h"
#include "cpu/attention/attention_tile_avx512.h"
#include "cpu/common/bf16.h"

namespace filigree {
namespace {

/* ---- elements ---- */

FILIGREE_INLINE __m512 widened(const float *from) { return _mm512_loadu_ps(from); }

FILIGREE_INLINE __m512 widened(const uint16_t *from) {
    return bf16_to_float(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(from)));
}

FILIGREE_INLINE __m512 widened(const float *from, __mmask16 lanes) { return _mm512_maskz_loadu_ps(lanes, from); }

FILIGREE_INLINE __m512 widened(const uint16_t *from, __mmask16 lanes) {
    return bf16_to_float(_mm256_maskz_loadu_epi16(lanes, from));
}

/* ---- the rows of a step ---- */

/* The most rows that are asked for ahead of their use. */
constexpr int64_t kAhead = 16;

template <class T> struct Step {
    int64_t count = 0; /* of keys */
    const T *keys[kStep + kAhead]; /* those of the next step behind them, to ask for */
    const T *values[kStep + kAhead];
    int32_t tokens[kStep];

    /* What comes after this step; where nothing does, what was at hand costs least. */
    void append(const Step &next) {
        const Step &from = next.count > 0 ? next : *this;
        for (int64_t i = 0; i < kAhead; ++i) {
            const int64_t row = smaller(i, from.count - 1);
            keys[count + i] = from.keys[row], values[count + i] = from.values[row];
        }
    }
};

/* Selected keys of a pair: those of consecutive splits. */
template <class T> struct Selection {
    const PagedCall<T> *call;
    const filigree_paged_shape *shape;
    int64_t sequence, kv_head, next, end;
};

constexpr __mmask16 kAllLanes = 0xffff;

constexpr int64_t kPageBytes = 4096;

/* Has the translation of each page of memory looked up: a walk takes as long as many lines, and stops prefetchers. */
template <class T> FILIGREE_INLINE void touch(const T *from, int64_t elements) {
    const char *at = reinterpret_cast<const char *>(from);
    for (int64_t i = 0; i < elements * static_cast<int64_t>(sizeof(T)); i += kPageBytes)
        _mm_prefetch(at + i, _MM_HINT_T1);
}

/* Finds the rows of the next keys. Where N is 2, the other part keeps memory busy while a translation is looked up. */
template <int N, class T> void find(Selection<T> &selection, Step<T> &step) {
    const filigree_paged_shape &s = *selection.shape;
    const int64_t pair = selection.sequence * s.kv_heads + selection.kv_head;
    const int64_t list = s.list_heads == 1 ? selection.sequence : pair;
    const int32_t *blocks =
        s.list_heads == 0 ? nullptr : table<int32_t>(&s, s.lists) + table<int64_t>(&s, s.list_starts)[list];
    const int32_t *pages = table<int32_t>(&s, s.page_table) + selection.sequence * s.page_table_stride;
    const T *keys = selection.call->keys, *values = selection.call->values;
    step.count = smaller(kStep, selection.end - selection.next);
    for (int64_t i = 0; i < step.count;) {
        const int64_t key = selection.next + i, in_block = key % s.block_keys;
        int64_t token = blocks == nullptr ? key : blocks[key / s.block_keys] * s.block_keys + in_block;
        /* Consecutive tokens up to the end of the block and of the page. */
        const int64_t in_page = token % s.page_rows;
        int64_t run = smaller(step.count - i, s.page_rows - in_page);
        if (blocks != nullptr) run = smaller(run, s.block_keys - in_block);
        int64_t row = pages[token / s.page_rows] * s.cache.batch + selection.kv_head * s.cache.head +
                      in_page * s.cache.row;
        if constexpr (N == 1) touch(keys + row, run * s.cache.row), touch(values + row, run * s.cache.row);
        for (const int64_t stop = i + run; i < stop; ++i, ++token, row += s.cache.row) {
            step.keys[i] = keys + row, step.values[i] = values + row;
            step.tokens[i] = static_cast<int32_t>(token);
        }
    }
    selection.next += step.count;
}

constexpr int64_t kSplitSteps = FILIGREE_PAGED_SPLIT_KEYS / kStep;
static_assert(FILIGREE_PAGED_SPLIT_KEYS % kStep == 0, "no step has keys of two splits");

/*
 * Rows to work on. With each line of one, a line of the rows `ahead` rows later is asked for: so far ahead that memory
 * answers in time, and so near that it is still in L1 then.
 */
template <class T> struct Rows {
    const T *const *at;
    int64_t count, ahead;

    FILIGREE_INLINE const T *operator[](int64_t i) const { return at[i]; }
    FILIGREE_INLINE void fetch(int64_t i, int64_t d) const { _mm_prefetch(at[i + ahead] + d, _MM_HINT_T0); }
};

/* Elements of a line. */
template <class T> constexpr int64_t kLine = 64 / static_cast<int64_t>(sizeof(T));

/* Of each stream, where N parts go side by side. */
template <int N> constexpr int64_t kLeadBytes = N == 1 ? 8192 : 2048;

template <int N, class T> int64_t rows_ahead(int64_t dim) {
    const int64_t rows = kLeadBytes<N> / (dim * static_cast<int64_t>(sizeof(T)));
    return rows < kAhead ? rows : kAhead;
}

/* ---- scores ---- */

/* The sums of 16 vectors, each by halves. */
__m512 halving_sums(const float *rows) {
    __m512 fours[4];
    for (int64_t i = 0; i < 4; ++i) {
        const __m512 r0 = _mm512_load_ps(rows + i * kLanes), r1 = _mm512_load_ps(rows + (i + 4) * kLanes);
        const __m512 r2 = _mm512_load_ps(rows + (i + 8) * kLanes), r3 = _mm512_load_ps(rows + (i + 12) * kLanes);
        const __m512 r01 = _mm512_add_ps(_mm512_shuffle_f32x4(r0, r1, 0x44), _mm512_shuffle_f32x4(r0, r1, 0xee));
        const __m512 r23 = _mm512_add_ps(_mm512_shuffle_f32x4(r2, r3, 0x44), _mm512_shuffle_f32x4(r2, r3, 0xee));
        fours[i] = _mm512_add_ps(_mm512_shuffle_f32x4(r01, r23, 0x88), _mm512_shuffle_f32x4(r01, r23, 0xdd));
    }
    /* Quarter q of fours[i] is what is left of row 4 q + i. */
    const auto halve = [](__m512 a, __m512 b) __attribute__((always_inline)) {
        const __m512d x = _mm512_castps_pd(a), y = _mm512_castps_pd(b);
        return _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(x, y)),
                             _mm512_castpd_ps(_mm512_unpackhi_pd(x, y)));
    };
    const __m512 low = halve(fours[0], fours[1]), high = halve(fours[2], fours[3]);
    return _mm512_add_ps(_mm512_shuffle_ps(low, high, 0x88), _mm512_shuffle_ps(low, high, 0xdd));
}

/* Sixteen sums for each of R queries and two keys of V vectors, or of any dimension where V is 0. */
template <int R, int V, bool Fetches, class T>
FILIGREE_INLINE void two_keys(const float *q, int64_t width, int64_t dim, const Rows<T> &rows, int64_t j,
                              int64_t k, float *sums) {
    const T *const first = rows[j], *const second = rows[k];
    Row<R> a, b;
    const auto products = [&](int64_t d, __m512 x, __m512 y) __attribute__((always_inline)) {
        const __m512 q0 = _mm512_load_ps(q + d);
        a.v0 = _mm512_fmadd_ps(q0, x, a.v0), b.v0 = _mm512_fmadd_ps(q0, y, b.v0);
        if constexpr (R > 1) {
            const __m512 q1 = _mm512_load_ps(q + width + d);
            a.v1 = _mm512_fmadd_ps(q1, x, a.v1), b.v1 = _mm512_fmadd_ps(q1, y, b.v1);
        }
        if constexpr (R > 2) {
            const __m512 q2 = _mm512_load_ps(q + 2 * width + d);
            a.v2 = _mm512_fmadd_ps(q2, x, a.v2), b.v2 = _mm512_fmadd_ps(q2, y, b.v2);
        }
        if constexpr (R > 3) {
            const __m512 q3 = _mm512_load_ps(q + 3 * width + d);
            a.v3 = _mm512_fmadd_ps(q3, x, a.v3), b.v3 = _mm512_fmadd_ps(q3, y, b.v3);
        }
    };
    const auto line = [&](int64_t d) __attribute__((always_inline)) {
        products(d, widened(first + d), widened(second + d));
        if constexpr (kLine<T> > kLanes)
            products(d + kLanes, widened(first + d + kLanes), widened(second + d + kLanes));
    };
    if constexpr (V > 0) {
#pragma GCC unroll 16
        for (int64_t d = 0; d < V * kLanes; d += kLine<T>) {
            /* One row after the other: memory prefers lines that lie side by side. */
            const int64_t row = 2 * d < V * kLanes ? j : k, at = 2 * d % (V * kLanes);
            if (Fetches) rows.fetch(row, at), rows.fetch(row, at + kLine<T>);
            line(d);
        }
    } else {
        int64_t d = 0;
        for (; d + kLine<T> <= dim; d += kLine<T>) {
            if (Fetches) rows.fetch(j, d), rows.fetch(k, d);
            line(d);
        }
        if (Fetches && d < dim) rows.fetch(j, d), rows.fetch(k, d);
        for (; d < dim; d += kLanes) {
            const __mmask16 lanes = first_lanes(smaller(kLanes, dim - d));
            products(d, widened(first + d, lanes), widened(second + d, lanes));
        }
    }
    constexpr int64_t query = kLanes * kLanes;
    _mm512_store_ps(sums, a.v0), _mm512_store_ps(sums + kLanes, b.v0);
    if constexpr (R > 1) _mm512_store_ps(sums + query, a.v1), _mm512_store_ps(sums + query + kLanes, b.v1);
    if constexpr (R > 2) _mm512_store_ps(sums + 2 * query, a.v2), _mm512_store_ps(sums + 2 * query + kLanes, b.v2);
    if constexpr (R > 3) _mm512_store_ps(sums + 3 * query, a.v3), _mm512_store_ps(sums + 3 * query + kLanes, b.v3);
}

/* Scores of R queries and up to 16 keys. */
template <int R, int V, bool Fetches, class T>
void score_keys(const float *q, int64_t width, int64_t dim, const Rows<T> &rows, float *scores) {
    alignas(64) float sums[R * kLanes * kLanes];
    for (int64_t j = 0; j < rows.count; j += 2)
        two_keys<R, V, Fetches>(q, width, dim, rows, j, j + 1 < rows.count ? j + 1 : j, sums + j * kLanes);
    for (int64_t r = 0; r < R; ++r)
        _mm512_store_ps(scores + r * kStride, halving_sums(sums + r * kLanes * kLanes));
}

template <int R, int V, class T>
void score_keys(const TileRows &t, int64_t r, int64_t dim, const Rows<T> &rows, float *scores) {
    const int64_t width = round_up(dim, kLanes);
    if (r == 0) {
        score_keys<R, V, true>(t.queries, width, dim, rows, scores);
    } else {
        score_keys<R, V, false>(t.queries + r * width, width, dim, rows, scores + r * kStride);
    }
}

/* Of up to sixteen keys. */
template <int V, class T> void score(const TileRows &t, const Rows<T> &rows, int64_t dim, float *scores) {
    for (int64_t r = 0; r < t.rows; r += kGroup) {
        switch (t.rows - r) {
        case 1: score_keys<1, V>(t, r, dim, rows, scores); break;
        case 2: score_keys<2, V>(t, r, dim, rows, scores); break;
        case 3: score_keys<3, V>(t, r, dim, rows, scores); break;
        default: score_keys<4, V>(t, r, dim, rows, scores); break;
        }
    }
}

/* ---- values ---- */

/* P vectors of a row from d on, the last of which has some lanes. */
template <int P, bool Fetches, class T>
FILIGREE_INLINE Row<P> vectors(const Rows<T> &rows, int64_t j, int64_t d, __mmask16 lanes) {
    const T *const from = rows[j] + d;
    if constexpr (Fetches)
        for (int64_t i = 0; i < P * kLanes; i += kLine<T>) rows.fetch(j, d + i);
    Row<P> x;
    x.v0 = P == 1 ? widened(from, lanes) : widened(from);
    if constexpr (P > 1) x.v1 = P == 2 ? widened(from + 16, lanes) : widened(from + 16);
    if constexpr (P > 2) x.v2 = P == 3 ? widened(from + 32, lanes) : widened(from + 32);
    if constexpr (P > 3) x.v3 = lanes == 0xffff ? widened(from + 48) : widened(from + 48, lanes);
    return x;
}

/* acc += weights * values for R queries and P vectors of head dimensions. */
template <int R, int P, bool Fetches, class T>
void add_values(const float *weights, const Rows<T> &rows, int64_t d, __mmask16 lanes, float *acc, int64_t width) {
    Row<P> r0, r1, r2, r3;
    load(r0, acc);
    if constexpr (R > 1) load(r1, acc + width);
    if constexpr (R > 2) load(r2, acc + 2 * width);
    if constexpr (R > 3) load(r3, acc + 3 * width);
    for (int64_t j = 0; j < rows.count; ++j, ++weights) {
        const Row<P> x = vectors<P, Fetches>(rows, j, d, lanes);
        add(r0, weights, x);
        if constexpr (R > 1) add(r1, weights + kStride, x);
        if constexpr (R > 2) add(r2, weights + 2 * kStride, x);
        if constexpr (R > 3) add(r3, weights + 3 * kStride, x);
    }
    store(r0, acc);
    if constexpr (R > 1) store(r1, acc + width);
    if constexpr (R > 2) store(r2, acc + 2 * width);
    if constexpr (R > 3) store(r3, acc + 3 * width);
}

/* The same of eight vectors for so few queries that registers hold all sums: rows are read once, whole. */
template <int R, bool Fetches, class T>
void add_whole_values(const float *weights, const Rows<T> &rows, float *acc) {
    static_assert(R <= 2, "more sums than registers");
    constexpr int64_t half = 4 * kLanes, width = 2 * half;
    Row<4> r0, r1, s0, s1;
    load(r0, acc), load(s0, acc + half);
    if constexpr (R > 1) load(r1, acc + width), load(s1, acc + width + half);
    for (int64_t j = 0; j < rows.count; ++j, ++weights) {
        const Row<4> x = vectors<4, Fetches>(rows, j, 0, kAllLanes);
        add(r0, weights, x);
        if constexpr (R > 1) add(r1, weights + kStride, x);
        const Row<4> y = vectors<4, Fetches>(rows, j, half, kAllLanes);
        add(s0, weights, y);
        if constexpr (R > 1) add(s1, weights + kStride, y);
    }
    store(r0, acc), store(s0, acc + half);
    if constexpr (R > 1) store(r1, acc + width), store(s1, acc + width + half);
}

template <int R, int V, bool Fetches, class T>
void add_values(const float *weights, const Rows<T> &rows, int64_t dim, float *acc) {
    if constexpr (R <= 2 && V == 8) return add_whole_values<R, Fetches>(weights, rows, acc);
    const int64_t width = round_up(dim, kLanes);
    for (int64_t d = 0; d < dim; d += 4 * kLanes) {
        const int64_t left = smaller(4 * kLanes, dim - d), count = (left + kLanes - 1) / kLanes;
        const __mmask16 lanes = first_lanes(left - (count - 1) * kLanes);
        switch (count) {
        case 1: add_values<R, 1, Fetches>(weights, rows, d, lanes, acc + d, width); break;
        case 2: add_values<R, 2, Fetches>(weights, rows, d, lanes, acc + d, width); break;
        case 3: add_values<R, 3, Fetches>(weights, rows, d, lanes, acc + d, width); break;
        default: add_values<R, 4, Fetches>(weights, rows, d, lanes, acc + d, width); break;
        }
    }
}

template <int R, int V, class T>
void add_values(const TileRows &t, int64_t r, int64_t dim, const Rows<T> &rows, const float *weights) {
    if (r == 0) {
        add_values<R, V, true>(weights, rows, dim, t.acc);
    } else {
        add_values<R, V, false>(weights + r * kStride, rows, dim, t.acc + r * round_up(dim, kLanes));
    }
}

/* Of up to sixteen keys, whose values stay in L1 for all queries. */
template <int V, class T> void add_values(const TileRows &t, const Rows<T> &rows, int64_t dim, const float *weights) {
    for (int64_t r = 0; r < t.rows; r += kGroup) {
        switch (t.rows - r) {
        case 1: add_values<1, V>(t, r, dim, rows, weights); break;
        case 2: add_values<2, V>(t, r, dim, rows, weights); break;
        case 3: add_values<3, V>(t, r, dim, rows, weights); break;
        default: add_values<4, V>(t, r, dim, rows, weights); break;
        }
    }
}

/* ---- both side by side ---- */

/* Rows of values, then as many keys: fewer make sums come and go more often, more make the streams one. */
template <int N> constexpr int64_t kTurn = N == 1 ? 8 : 4;

/* The most queries a key head for which two parts go side by side: the sums of more would come and go too often. */
constexpr int64_t kFewQueries = 2;

/* Up to sixteen values to add and as many keys to score, whose scores take the place of the weights. */
template <class T> struct Work {
    const TileRows &tile;
    Rows<T> values, keys;
    float *at;

    bool is_whole() const { return values.count == kLanes && keys.count == kLanes; }
};

/* Whole work on N tiles of R queries, by turns. */
template <int R, int V, int N, class T> void add_and_score(const Work<T> *parts, int64_t dim) {
    const int64_t width = round_up(dim, kLanes);
    alignas(64) float sums[N][R * kLanes * kLanes];
    for (int64_t j = 0; j < kLanes; j += kTurn<N>)
        for (int n = 0; n < N; ++n) {
            const Work<T> &w = parts[n];
            add_values<R, V, true>(w.at + j, Rows<T>{w.values.at + j, kTurn<N>, w.values.ahead}, dim, w.tile.acc);
            for (int64_t k = j; k < j + kTurn<N>; k += 2)
                two_keys<R, V, true>(w.tile.queries, width, dim, w.keys, k, k + 1, sums[n] + k * kLanes);
        }
    for (int n = 0; n < N; ++n)
        for (int64_t r = 0; r < R; ++r)
            _mm512_store_ps(parts[n].at + r * kStride, halving_sums(sums[n] + r * kLanes * kLanes));
}

template <int V, class T> void add_and_score(const Work<T> &work, int64_t dim) {
    if (work.is_whole()) {
        switch (work.tile.rows) {
        case 1: return add_and_score<1, V, 1>(&work, dim);
        case 2: return add_and_score<2, V, 1>(&work, dim);
        case 3: return add_and_score<3, V, 1>(&work, dim);
        case 4: return add_and_score<4, V, 1>(&work, dim);
        default: break;
        }
    }
    if (work.values.count > 0) add_values<V>(work.tile, work.values, dim, work.at);
    if (work.keys.count > 0) score<V>(work.tile, work.keys, dim, work.at);
}

/* The same of two tiles of few queries. */
template <int V, class T> void add_and_score(const Work<T> (&parts)[2], int64_t dim) {
    if (parts[0].is_whole() && parts[1].is_whole()) {
        static_assert(kFewQueries == 2, "a case each");
        if (parts->tile.rows == 1) return add_and_score<1, V, 2>(parts, dim);
        return add_and_score<2, V, 2>(parts, dim);
    }
    for (const Work<T> &work : parts) add_and_score<V>(work, dim);
}

/* ---- splits ---- */

/* Slopes, and the end of the keys. */
template <class T> void modify(const Selection<T> &selection, const TileRows &t, const Step<T> &step) {
    const filigree_paged_shape &s = *selection.shape;
    const int64_t columns = round_up(step.count, kLanes);
    if (s.soft_cap != 0.0f) cap_scores(t, t.scores, columns, s.soft_cap);
    if (s.slopes != 0) {
        const float *slopes = table<float>(&s, s.slopes) + selection.kv_head * t.rows;
        const int32_t last = table<int32_t>(&s, s.lengths)[selection.sequence] - 1;
        for (int64_t r = 0; r < t.rows; ++r)
            for (int64_t j = 0; j < step.count; ++j) {
                float &score = t.scores[r * kStride + j];
                score = __builtin_fmaf(slopes[r], static_cast<float>(step.tokens[j] - last), score);
            }
    }
    if (step.count < columns) {
        const __mmask16 lanes = first_lanes(step.count - (columns - kLanes));
        for (int64_t r = 0; r < t.padded; ++r) {
            float *at = t.scores + r * kStride + columns - kLanes;
            _mm512_storeu_ps(at, _mm512_mask_blend_ps(lanes, _mm512_set1_ps(-__builtin_inff()),
                                                      _mm512_loadu_ps(at)));
        }
    }
}

/* The pair that a split belongs to: the last that begins at it or before. */
int64_t pair_of(const int64_t *split_starts, int64_t pairs, int64_t split) {
    int64_t low = 0, high = pairs;
    while (high - low > 1) {
        const int64_t middle = (low + high) / 2;
        (split_starts[middle] <= split ? low : high) = middle;
    }
    return low;
}

/* Scaled queries without gaps; the scores of rows of padding are zeros. */
void load_queries(const TileRows &t, const float *q, const filigree_paged_shape &s) {
    float *to = t.queries;
    for (int64_t r = 0; r < t.rows; ++r, q += s.q.head)
        for (int64_t d = 0; d < s.dim; d += kLanes, to += kLanes)
            _mm512_store_ps(to, _mm512_mul_ps(_mm512_maskz_loadu_ps(first_lanes(smaller(kLanes, s.dim - d)), q + d),
                                              _mm512_set1_ps(s.scale)));
    for (float *row = t.scores + t.rows * kStride; row < t.scores + t.padded * kStride; row += kLanes)
        _mm512_store_ps(row, _mm512_setzero_ps());
}

/* Of the splits from an item on, those of its pair below `end`. */
template <class T> Selection<T> selection_of(const PagedCall<T> &call, int64_t item, int64_t end) {
    const filigree_paged_shape &s = *call.shape;
    const int64_t *starts = table<int64_t>(&s, s.split_starts);
    const int64_t pair = pair_of(starts, s.sequences * s.kv_heads, item);
    const int64_t stop = smaller(end, starts[pair + 1]) - starts[pair];
    return {&call, &s, pair / s.kv_heads, pair % s.kv_heads, (item - starts[pair]) * FILIGREE_PAGED_SPLIT_KEYS,
            smaller(stop * FILIGREE_PAGED_SPLIT_KEYS, table<int64_t>(&s, s.selected)[pair])};
}

/*
 * Consecutive splits of a call, one of N parts that go side by side. While the values of a step are added, the keys of
 * the next one are scored.
 */
template <int V, int N, class T> class Part {
public:
    Part(const PagedCall<T> &call, int64_t begin, int64_t end, float *scratch)
        : call_(call), dim_(call.shape->dim), ahead_(rows_ahead<N, T>(dim_)), item_(begin), end_(end) {
        place(tile_, call.shape->heads / call.shape->kv_heads, dim_, scratch);
        if (item_ < end_) start();
    }

    /* Keys of the step at hand; 0 when all is done. */
    int64_t count() const { return item_ < end_ ? step(0).count : 0; }

    /* Scores to weights. */
    void weigh() {
        find<N>(selection_, step(2));
        if (step(1).count > 0) step(1).append(step(2).count > 0 ? step(2) : following_);
        modify(selection_, tile_, step(0));
        Ahead nothing;
        normalise(tile_, round_up(step(0).count, kLanes), nothing);
        rescale(tile_, round_up(dim_, kLanes));
    }

    /* What is to be done from key j of the step on. */
    Work<T> work(int64_t j) const {
        return {tile_, rows(step(0).values, step(0), j), rows(step(1).keys, step(1), j), tile_.scores + j};
    }

    /* To the next step. */
    void advance() {
        const bool last = step(1).count == 0;
        if (++done_ % kSplitSteps == 0 || last) {
            store_sums(tile_, dim_, call_.partials + item_++ * tile_.rows * (dim_ + kLanes + 1));
            clear_sums(tile_, dim_);
        }
        if (last && item_ < end_) start();
    }

private:
    Step<T> &step(int64_t n) { return steps_[(done_ + n) % 3]; }
    const Step<T> &step(int64_t n) const { return steps_[(done_ + n) % 3]; }

    Rows<T> rows(const T *const *from, const Step<T> &step, int64_t j) const {
        return {from + j, smaller(kLanes, step.count - j), ahead_};
    }

    /* The first scores of a pair. */
    void start() {
        const filigree_paged_shape &s = *call_.shape;
        selection_ = selection_of(call_, item_, end_);
        load_queries(tile_, call_.q + selection_.sequence * s.q.batch + selection_.kv_head * tile_.rows * s.q.head, s);
        following_.count = 0;
        const int64_t pair = selection_.sequence * s.kv_heads + selection_.kv_head;
        const int64_t stop = table<int64_t>(&s, s.split_starts)[pair + 1];
        if (stop < end_) {
            Selection<T> others = selection_of(call_, stop, end_);
            find<N>(others, following_);
        }
        done_ = 0;
        find<N>(selection_, step(0)), find<N>(selection_, step(1));
        step(0).append(step(1).count > 0 ? step(1) : following_);
        for (int64_t j = 0; j < step(0).count; j += kLanes)
            score<V>(tile_, rows(step(0).keys, step(0), j), dim_, tile_.scores + j);
        clear_sums(tile_, dim_);
    }

    const PagedCall<T> &call_;
    int64_t dim_, ahead_, item_, end_, done_ = 0; /* steps of the pair */
    TileRows tile_;
    Selection<T> selection_;
    Step<T> steps_[3], following_; /* following_: the first step of the next pair, or empty */
};

template <int V, int N, class T> void run_alone(Part<V, N, T> &part, int64_t dim) {
    while (part.count() > 0) {
        part.weigh();
        for (int64_t j = 0; j < part.count(); j += kLanes) add_and_score<V>(part.work(j), dim);
        part.advance();
    }
}

/* Two halves of the splits. */
template <int V, class T> void run_side_by_side(const PagedCall<T> &call) {
    alignas(64) float scratch[kGroup * (2 * kStride + V * kLanes + kLanes) + 2 * kLanes];
    const int64_t dim = V * kLanes, middle = call.begin + (call.end - call.begin) / 2;
    Part<V, 2, T> first(call, call.begin, middle, call.scratch), second(call, middle, call.end, scratch);
    while (first.count() > 0 && second.count() > 0) {
        first.weigh(), second.weigh();
        for (int64_t j = 0; j < first.count() || j < second.count(); j += kLanes)
            add_and_score<V>({first.work(j), second.work(j)}, dim);
        first.advance(), second.advance();
    }
    run_alone(first, dim), run_alone(second, dim);
}

template <int V, class T> void run_splits(const PagedCall<T> &call) {
    const filigree_paged_shape &s = *call.shape;
    if constexpr (V > 0) {
        if (s.heads / s.kv_heads <= kFewQueries && call.end - call.begin > 1) return run_side_by_side<V>(call);
    }
    Part<V, 1, T> all(call, call.begin, call.end, call.scratch);
    run_alone(all, s.dim);
}

/* ---- combining ---- */

void combine_row(const float *states, int64_t splits, int64_t stride, int64_t dim, const TileRows &t) {
    const int64_t width = round_up(dim, kLanes);
    clear_sums(t, dim);
    float max = -__builtin_inff();
    for (int64_t i = 0; i < splits; ++i) {
        const float m = states[i * stride + dim + kLanes];
        max = m > max ? m : max;
    }
    for (int64_t i = 0; i < splits; ++i, states += stride) {
        const float m = states[dim + kLanes];
        const __m512 factor = _mm512_set1_ps(m == max ? 1.0f : exp(m - max));
        for (int64_t d = 0; d < width; d += kLanes) {
            const __m512 x = _mm512_maskz_loadu_ps(first_lanes(smaller(kLanes, dim - d)), states + d);
            _mm512_store_ps(t.acc + d, _mm512_fmadd_ps(x, factor, _mm512_load_ps(t.acc + d)));
        }
        _mm512_store_ps(t.sums,
                        _mm512_fmadd_ps(_mm512_loadu_ps(states + dim), factor, _mm512_load_ps(t.sums)));
    }
    t.max[0] = max;
}

template <class T> void combine(const PagedCall<T> &call, int64_t pair) {
    const filigree_paged_shape &s = *call.shape;
    const int64_t group = s.heads / s.kv_heads, state = s.dim + kLanes + 1;
    const int64_t *starts = table<int64_t>(&s, s.split_starts) + pair;
    TileRows t;
    place(t, 1, s.dim, call.scratch);
    for (int64_t g = 0; g < group; ++g) {
        const int64_t sequence = pair / s.kv_heads, head = pair % s.kv_heads * group + g;
        const float *states = call.partials == nullptr ? nullptr : call.partials + (starts[0] * group + g) * state;
        combine_row(states, starts[1] - starts[0], group * state, s.dim, t);
        const float sum = halving_sum(t.sums);
        store_multiplied(t.acc, sum == 0.0f ? 0.0f : 1.0f / sum, s.dim,
                         call.out + sequence * s.out.batch + head * s.out.head);
        if (call.lse != nullptr) call.lse[sequence * s.heads + head] = log_sum_exp(t.max[0], sum);
    }
}

template <int V, class T> void run_items(const PagedCall<T> &call) {
    const filigree_paged_shape &s = *call.shape;
    const int64_t splits = table<int64_t>(&s, s.split_starts)[s.sequences * s.kv_heads];
    if (call.begin >= splits) {
        for (int64_t item = call.begin; item < call.end; ++item) combine(call, item - splits);
        return;
    }
    run_splits<V>(call);
}

template <class T> void run(const PagedCall<T> &call) {
    switch (call.shape->dim) {
    case 4 * kLanes: return run_items<4>(call);
    case 8 * kLanes: return run_items<8>(call);
    default: return run_items<0>(call);
    }
}

} // namespace

void attention_paged_f32_avx512(const PagedCall<float> &call) { run(call); }

void attention_paged_bf16_avx512(const PagedCall<uint16_t> &call) { run(call); }

} // namespace filigree
