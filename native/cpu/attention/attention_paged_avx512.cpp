/*
 * out = softmax(scale * q k^T) v for one query of each sequence over selected keys of a paged cache, f32 or bf16.
 *
 *   q, out  (sequence, head, dim)      keys, values  (page, kv_head, row, dim)
 *
 * filigree.h has the tables, the splits and the order of sums, which makes the result the same bits as every other
 * kernel of this operation.
 *
 * The query heads that share a key head are the rows of a tile. Per step of up to 128 keys: scores, row of keys by row
 * of keys; weights = exp(scores - maximum); sums += weights * values. Keys and values are read once, in the order in
 * which they lie, while the rows to come are fetched: all that is computed hides behind the reading. In both products
 * lanes are head dimensions; a key's sixteen sums are added when those of sixteen keys are there.
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

template <class T> struct Step {
    int64_t count; /* of keys */
    const T *keys[kStep];
    const T *values[kStep];
    int32_t tokens[kStep];
};

template <class T> struct Split {
    const PagedCall<T> *call;
    const filigree_paged_shape *shape;
    int64_t sequence, kv_head, next, end; /* of the pair's selected keys */
};

constexpr int64_t kPageBytes = 4096;

/* Has the translation of each page of memory looked up: a walk takes as long as many lines, and stops prefetchers. */
template <class T> FILIGREE_INLINE void touch(const T *from, int64_t elements) {
    const char *at = reinterpret_cast<const char *>(from);
    for (int64_t i = 0; i < elements * static_cast<int64_t>(sizeof(T)); i += kPageBytes)
        _mm_prefetch(at + i, _MM_HINT_T1);
}

/* Finds the rows of the next keys of a split. */
template <class T> void find(Split<T> &split, Step<T> &step) {
    const filigree_paged_shape &s = *split.shape;
    const int64_t pair = split.sequence * s.kv_heads + split.kv_head;
    const int64_t list = s.list_heads == 1 ? split.sequence : pair;
    const int32_t *blocks =
        s.list_heads == 0 ? nullptr : table<int32_t>(&s, s.lists) + table<int64_t>(&s, s.list_starts)[list];
    const int32_t *pages = table<int32_t>(&s, s.page_table) + split.sequence * s.page_table_stride;
    const T *keys = split.call->keys, *values = split.call->values;
    step.count = smaller(kStep, split.end - split.next);
    for (int64_t i = 0; i < step.count;) {
        const int64_t key = split.next + i, in_block = key % s.block_keys;
        int64_t token = blocks == nullptr ? key : blocks[key / s.block_keys] * s.block_keys + in_block;
        /* Consecutive tokens up to the end of the block and of the page. */
        const int64_t in_page = token % s.page_rows;
        int64_t run = smaller(step.count - i, s.page_rows - in_page);
        if (blocks != nullptr) run = smaller(run, s.block_keys - in_block);
        int64_t row = pages[token / s.page_rows] * s.cache.batch + split.kv_head * s.cache.head +
                      in_page * s.cache.row;
        touch(keys + row, run * s.cache.row), touch(values + row, run * s.cache.row);
        for (const int64_t stop = i + run; i < stop; ++i, ++token, row += s.cache.row) {
            step.keys[i] = keys + row, step.values[i] = values + row;
            step.tokens[i] = static_cast<int32_t>(token);
        }
    }
    split.next += step.count;
}

/*
 * Asks for the rows to come in the order of their use, the keys of a step, its values, the next step: so far ahead that
 * memory answers in time, and so near that they are still in L1 then.
 */
template <class T> class Fetch {
public:
    Fetch(const Step<T> &step, const Step<T> &next, int64_t dim)
        : lines_((dim * static_cast<int64_t>(sizeof(T)) + kLine - 1) / kLine) {
        int64_t row = -((kLead + lines_ * kLine - 1) / (lines_ * kLine));
        const auto append = [&](const T *const *rows, int64_t count) __attribute__((always_inline)) {
            for (int64_t i = 0; i < count && row < 2 * kStep; ++i, ++row)
                if (row >= 0) rows_[row] = rows[i];
        };
        append(step.keys, step.count), append(step.values, step.count);
        append(next.keys, next.count), append(next.values, next.count);
        /* Nothing follows: what is at hand costs least. */
        for (row = row < 0 ? 0 : row; row < 2 * kStep; ++row) rows_[row] = step.values[step.count - 1];
    }

    /* A row for each that is worked on. */
    FILIGREE_INLINE void row() {
        const char *line = reinterpret_cast<const char *>(rows_[next_++]);
        for (int64_t i = 0; i < lines_; ++i, line += kLine) _mm_prefetch(line, _MM_HINT_T0);
    }

private:
    static constexpr int64_t kLine = 64, kLead = 4096;

    const T *rows_[2 * kStep];
    int64_t lines_, next_ = 0;
};

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

/* Sixteen sums for each of R queries and two keys. */
template <int R, class T>
FILIGREE_INLINE void two_keys(const float *q, int64_t width, int64_t dim, const T *first, const T *second,
                              float *sums) {
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
    int64_t d = 0;
    for (; d + kLanes <= dim; d += kLanes) products(d, widened(first + d), widened(second + d));
    if (d < dim) {
        const __mmask16 lanes = first_lanes(dim - d);
        products(d, widened(first + d, lanes), widened(second + d, lanes));
    }
    constexpr int64_t query = kLanes * kLanes;
    _mm512_store_ps(sums, a.v0), _mm512_store_ps(sums + kLanes, b.v0);
    if constexpr (R > 1) _mm512_store_ps(sums + query, a.v1), _mm512_store_ps(sums + query + kLanes, b.v1);
    if constexpr (R > 2) _mm512_store_ps(sums + 2 * query, a.v2), _mm512_store_ps(sums + 2 * query + kLanes, b.v2);
    if constexpr (R > 3) _mm512_store_ps(sums + 3 * query, a.v3), _mm512_store_ps(sums + 3 * query + kLanes, b.v3);
}

/* Scores of R queries and up to 16 keys. */
template <int R, class T>
void score_keys(const float *q, int64_t width, int64_t dim, const T *const *rows, int64_t count, float *scores,
                Fetch<T> *ahead) {
    alignas(64) float sums[R * kLanes * kLanes];
    for (int64_t j = 0; j < count; j += 2) {
        if (ahead != nullptr) ahead->row(), ahead->row();
        two_keys<R>(q, width, dim, rows[j], rows[j + 1 < count ? j + 1 : j], sums + j * kLanes);
    }
    for (int64_t r = 0; r < R; ++r)
        _mm512_store_ps(scores + r * kStride, halving_sums(sums + r * kLanes * kLanes));
}

template <class T> void score(const TileRows &t, const Step<T> &step, int64_t dim, Fetch<T> &ahead) {
    const int64_t width = round_up(dim, kLanes);
    for (int64_t j = 0; j < step.count; j += kLanes) {
        const T *const *rows = step.keys + j;
        const int64_t count = smaller(kLanes, step.count - j);
        for (int64_t r = 0; r < t.rows; r += kGroup) {
            const float *q = t.queries + r * width;
            float *scores = t.scores + r * kStride + j;
            Fetch<T> *first = r == 0 ? &ahead : nullptr;
            switch (t.rows - r) {
            case 1: score_keys<1>(q, width, dim, rows, count, scores, first); break;
            case 2: score_keys<2>(q, width, dim, rows, count, scores, first); break;
            case 3: score_keys<3>(q, width, dim, rows, count, scores, first); break;
            default: score_keys<4>(q, width, dim, rows, count, scores, first); break;
            }
        }
    }
}

/* ---- values ---- */

/* acc += weights * values for R queries and P vectors of head dimensions, the last of which has some lanes. */
template <int R, int P, class T>
void add_values(const float *weights, const T *const *rows, int64_t count, int64_t d, __mmask16 lanes, float *acc,
                int64_t width, Fetch<T> *ahead) {
    Row<P> r0, r1, r2, r3;
    load(r0, acc);
    if constexpr (R > 1) load(r1, acc + width);
    if constexpr (R > 2) load(r2, acc + 2 * width);
    if constexpr (R > 3) load(r3, acc + 3 * width);
    for (int64_t j = 0; j < count; ++j, ++weights) {
        if (ahead != nullptr) ahead->row();
        const T *from = rows[j] + d;
        Row<P> x;
        x.v0 = P == 1 ? widened(from, lanes) : widened(from);
        if constexpr (P > 1) x.v1 = P == 2 ? widened(from + 16, lanes) : widened(from + 16);
        if constexpr (P > 2) x.v2 = P == 3 ? widened(from + 32, lanes) : widened(from + 32);
        if constexpr (P > 3) x.v3 = widened(from + 48, lanes);
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

template <int R, class T>
void add_values(const float *weights, const T *const *rows, int64_t count, int64_t dim, float *acc,
                Fetch<T> *ahead) {
    const int64_t width = round_up(dim, kLanes);
    for (int64_t d = 0; d < dim; d += 4 * kLanes) {
        const int64_t left = smaller(4 * kLanes, dim - d), vectors = (left + kLanes - 1) / kLanes;
        const __mmask16 lanes = first_lanes(left - (vectors - 1) * kLanes);
        Fetch<T> *first = d == 0 ? ahead : nullptr;
        switch (vectors) {
        case 1: add_values<R, 1>(weights, rows, count, d, lanes, acc + d, width, first); break;
        case 2: add_values<R, 2>(weights, rows, count, d, lanes, acc + d, width, first); break;
        case 3: add_values<R, 3>(weights, rows, count, d, lanes, acc + d, width, first); break;
        default: add_values<R, 4>(weights, rows, count, d, lanes, acc + d, width, first); break;
        }
    }
}

/* Sixteen keys at a time, whose values stay in L1 for all queries. */
template <class T> void add_values(const TileRows &t, const Step<T> &step, int64_t dim, Fetch<T> &ahead) {
    const int64_t width = round_up(dim, kLanes);
    for (int64_t j = 0; j < step.count; j += kLanes) {
        const T *const *rows = step.values + j;
        const int64_t count = smaller(kLanes, step.count - j);
        for (int64_t r = 0; r < t.rows; r += kGroup) {
            const float *weights = t.scores + r * kStride + j;
            float *acc = t.acc + r * width;
            Fetch<T> *first = r == 0 ? &ahead : nullptr;
            switch (t.rows - r) {
            case 1: add_values<1>(weights, rows, count, dim, acc, first); break;
            case 2: add_values<2>(weights, rows, count, dim, acc, first); break;
            case 3: add_values<3>(weights, rows, count, dim, acc, first); break;
            default: add_values<4>(weights, rows, count, dim, acc, first); break;
            }
        }
    }
}

/* ---- splits ---- */

/* Slopes, and the end of the keys. */
template <class T> void modify(const Split<T> &split, const TileRows &t, const Step<T> &step) {
    const filigree_paged_shape &s = *split.shape;
    const int64_t columns = round_up(step.count, kLanes);
    if (s.soft_cap != 0.0f) cap_scores(t, t.scores, columns, s.soft_cap);
    if (s.slopes != 0) {
        const float *slopes = table<float>(&s, s.slopes) + split.kv_head * t.rows;
        const int32_t last = table<int32_t>(&s, s.lengths)[split.sequence] - 1;
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

template <class T> Split<T> split_of(const PagedCall<T> &call, int64_t item) {
    const filigree_paged_shape &s = *call.shape;
    const int64_t *starts = table<int64_t>(&s, s.split_starts);
    const int64_t pair = pair_of(starts, s.sequences * s.kv_heads, item);
    const int64_t first = (item - starts[pair]) * FILIGREE_PAGED_SPLIT_KEYS;
    const int64_t end = smaller(first + FILIGREE_PAGED_SPLIT_KEYS, table<int64_t>(&s, s.selected)[pair]);
    return {&call, &s, pair / s.kv_heads, pair % s.kv_heads, first, end};
}

/* `following` is the split after this one, or null: its first rows are fetched during the last step. */
template <class T> void attend(Split<T> &split, const TileRows &t, const Split<T> *following) {
    const int64_t dim = split.shape->dim;
    Step<T> steps[3];
    find(split, steps[0]);
    for (int64_t now = 0; steps[now].count > 0; now ^= 1) {
        const Step<T> &step = steps[now];
        Step<T> &next = steps[now ^ 1], &after = steps[2];
        find(split, next);
        after.count = 0;
        if (next.count == 0 && following != nullptr) {
            Split<T> copy = *following;
            find(copy, after);
        }
        Fetch<T> ahead(step, next.count > 0 ? next : after, dim);
        Ahead nothing;
        score(t, step, dim, ahead);
        modify(split, t, step);
        normalise(t, round_up(step.count, kLanes), nothing);
        rescale(t, round_up(dim, kLanes));
        add_values(t, step, dim, ahead);
    }
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

template <class T> void run_split(const PagedCall<T> &call, int64_t item, const Split<T> *following) {
    const filigree_paged_shape &s = *call.shape;
    const int64_t group = s.heads / s.kv_heads;
    Split<T> split = split_of(call, item);
    TileRows t;
    place(t, group, s.dim, call.scratch);
    load_queries(t, call.q + split.sequence * s.q.batch + split.kv_head * group * s.q.head, s);
    clear_sums(t, s.dim);
    attend(split, t, following);
    store_sums(t, s.dim, call.partials + item * group * (s.dim + kLanes + 1));
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

template <class T> void run(const PagedCall<T> &call) {
    const filigree_paged_shape &s = *call.shape;
    const int64_t splits = table<int64_t>(&s, s.split_starts)[s.sequences * s.kv_heads];
    if (call.begin >= splits) {
        for (int64_t item = call.begin; item < call.end; ++item) combine(call, item - splits);
        return;
    }
    for (int64_t item = call.begin; item + 1 < call.end; ++item) {
        const Split<T> following = split_of(call, item + 1);
        run_split(call, item, &following);
    }
    run_split<T>(call, call.end - 1, nullptr);
}

} // namespace

void attention_paged_f32_avx512(const PagedCall<float> &call) { run(call); }

void attention_paged_bf16_avx512(const PagedCall<uint16_t> &call) { run(call); }

} // namespace filigree
