#ifndef FILIGREE_CPU_ATTENTION_ATTENTION_BLOCK_AVX512_H
#define FILIGREE_CPU_ATTENTION_ATTENTION_BLOCK_AVX512_H

/*
 * out = softmax(scale * q k^T) v over the blocks of scores that a mask lists, of f32 or bf16: what both have in common.
 *
 *   q, out  (batch, heads, queries, dim)      k, v  (batch, kv_heads, keys, dim)      any strides but the last
 *
 * filigree.h has the packed mask, the packed keys and values and the order of sums, which makes the result the same
 * bits as every other kernel of this operation and type.
 *
 * A tile of up to 64 query rows of a head stays in scratch, with its scores and sums, while the units of keys that its
 * list names stream by. Per step of up to 128 keys: scores = queries * keys^T; weights = exp(scores - maximum); sums +=
 * weights * values. Both products are the same loop over words, of one float or a pair of bf16: four rows by up to four
 * panels of 16 columns in registers, so that eight loads (four of B, four broadcasts of A) feed sixteen multiply-adds.
 * Lanes are keys in the first product and head dimensions in the second; nothing is added across lanes but at the end
 * of a row.
 *
 * A class T has what differs:
 *   Element, kPerWord              the type of operands; elements of a word
 *   kScalesScores                  scores are scaled; else queries are
 *   multiply_add, weigh            as F32Words has them
 *   load_queries(tile, q, stride, depth, scale)
 *   value_words(v, stride, j, rows, lanes)            the j-th row of a panel of values, of `rows` keys
 *   store_row(row, factor, dim, dtype, out, at)       a row, multiplied, to element `at` of the output
 */
#ifndef __AVX512F__
#error "this header needs AVX-512"
#endif

#include "cpu/attention/attention.h"
#include "cpu/attention/attention_tile_avx512.h"

/* Internal linkage throughout: a copy that the linker could pick for other code would carry AVX-512 there. */
namespace filigree {
namespace {

constexpr __mmask16 kAll = 0xffff;
constexpr int64_t kWord = sizeof(float);

/* What does not change within a call. Packed operands are words: one float, or a pair of bf16. */
template <class T> struct Plan {
    const BlockCall<typename T::Element> *call;
    const filigree_attention_mask *mask;
    const filigree_attention_shape *shape;
    int64_t dim, width; /* width: dim in whole panels */
    int64_t depth;      /* words of a query or key */
    int64_t rows;       /* words of a panel of values, by 16 */
    int64_t key_words, pair_words;
    float *scratch;
};

template <class T> Plan<T> plan_of(const BlockCall<typename T::Element> &call) {
    const int64_t units = (call.mask->keys + call.mask->unit_keys - 1) / call.mask->unit_keys;
    const int64_t dim = call.shape->dim, width = round_up(dim, kLanes);
    const int64_t depth = dim / T::kPerWord, rows = call.mask->unit_keys / T::kPerWord;
    const int64_t key_words = units * call.mask->unit_keys * depth;
    return {&call, call.mask, call.shape, dim, width, depth, rows, key_words, key_words + units * rows * width,
            call.scratch};
}

template <class T> int64_t key_length(const Plan<T> &p, int64_t batch) {
    return p.shape->key_lengths == 0 ? p.mask->keys : table<int32_t>(p.shape, p.shape->key_lengths)[batch];
}

inline int64_t offset(const filigree_attention_strides &s, int64_t batch, int64_t head, int64_t row) {
    return batch * s.batch + head * s.head + row * s.row;
}

/* ---- packing ---- */

template <class T>
void pack_keys(const typename T::Element *from, int64_t stride, int64_t rows, const Plan<T> &p, float *to) {
    const int64_t row_bytes = stride * int64_t{sizeof(typename T::Element)};
    for (int64_t panel = 0; panel < p.mask->unit_keys; panel += kLanes, to += p.depth * kLanes) {
        const int64_t count = smaller(kLanes, rows - panel);
        for (int64_t d = 0; d < p.depth; d += kLanes) {
            const int64_t columns = smaller(kLanes, p.depth - d);
            if (count > 0) {
                transpose_words(from + panel * stride + d * T::kPerWord, row_bytes, count, columns, to + d * kLanes,
                                kLanes);
            } else {
                for (int64_t i = 0; i < columns; ++i)
                    _mm512_store_ps(to + (d + i) * kLanes, _mm512_setzero_ps());
            }
        }
    }
}

/* Panel by panel: panels of 64 keys are a page apart, and stores to all of them in turn would evict each other. */
template <class T>
void pack_values(const typename T::Element *from, int64_t stride, int64_t rows, const Plan<T> &p, float *to) {
    for (int64_t d = 0; d < p.dim; d += kLanes) {
        const __mmask16 lanes = first_lanes(smaller(kLanes, p.dim - d));
        for (int64_t j = 0; j < p.rows; ++j, to += kLanes)
            _mm512_store_ps(to, T::value_words(from + d, stride, j, rows, lanes));
    }
}

template <class T> void pack(const Plan<T> &p, int64_t item) {
    const filigree_attention_shape &s = *p.shape;
    const int64_t index = item / p.mask->used_count, pair = s.first_pair + index;
    const int64_t batch = pair / s.kv_heads, head = pair % s.kv_heads;
    const int64_t unit = table<int32_t>(p.mask, p.mask->used)[item % p.mask->used_count];
    const int64_t first = unit * p.mask->unit_keys;
    const int64_t rows = smaller(p.mask->unit_keys, key_length(p, batch) - first);
    float *keys = p.call->packed + index * p.pair_words + first * p.depth;
    float *values = p.call->packed + index * p.pair_words + p.key_words + unit * p.rows * p.width;
    pack_keys(p.call->k + offset(s.k, batch, head, first), s.k.row, rows, p, keys);
    pack_values(p.call->v + offset(s.v, batch, head, first), s.v.row, rows, p, values);
}

/* ---- products ---- */

template <int P> FILIGREE_INLINE void multiply(Row<P> &r, __m512 factor) {
    r.v0 = _mm512_mul_ps(r.v0, factor);
    if constexpr (P > 1) r.v1 = _mm512_mul_ps(r.v1, factor);
    if constexpr (P > 2) r.v2 = _mm512_mul_ps(r.v2, factor);
    if constexpr (P > 3) r.v3 = _mm512_mul_ps(r.v3, factor);
}

/* What becomes of the sums of a product. */
struct Sums {
    float *at;
    int64_t stride;
    bool fresh;   /* they start from +0 */
    float factor; /* of fresh sums, where queries are not scaled */
};

/* C = (C or +0) + A * B for four rows, P panels of B. */
template <class T, int P>
void four_rows(const float *a, int64_t depth, const float *b, int64_t panel_words, float *c, const Sums &sums) {
    const int64_t stride = sums.stride;
    Row<P> r0, r1, r2, r3;
    if (!sums.fresh) load(r0, c), load(r1, c + stride), load(r2, c + 2 * stride), load(r3, c + 3 * stride);
    for (int64_t k = 0; k < depth; ++k, ++a, b += kLanes) {
        Row<P> x;
        x.v0 = _mm512_load_ps(b);
        if constexpr (P > 1) x.v1 = _mm512_load_ps(b + panel_words);
        if constexpr (P > 2) x.v2 = _mm512_load_ps(b + 2 * panel_words);
        if constexpr (P > 3) x.v3 = _mm512_load_ps(b + 3 * panel_words);
        add<T>(r0, a, x), add<T>(r1, a + kStride, x), add<T>(r2, a + 2 * kStride, x), add<T>(r3, a + 3 * kStride, x);
    }
    if (T::kScalesScores && sums.fresh) {
        const __m512 factor = _mm512_set1_ps(sums.factor);
        multiply(r0, factor), multiply(r1, factor), multiply(r2, factor), multiply(r3, factor);
    }
    store(r0, c), store(r1, c + stride), store(r2, c + 2 * stride), store(r3, c + 3 * stride);
}

template <class T, int P>
void columns_of(const float *a, int64_t rows, int64_t depth, const float *b, int64_t panel_words, int64_t panel,
                const Sums &sums, Ahead &ahead) {
    for (int64_t r = 0; r < rows; r += kGroup) {
        ahead.fetch_share();
        four_rows<T, P>(a + r * kStride, depth, b + panel * panel_words, panel_words,
                        sums.at + r * sums.stride + panel * kLanes, sums);
    }
}

/* C = (C or +0) + A * B; rows is a multiple of four. The panels at hand stay in L1 while the rows pass. A function of
 * its own: inlined, it lacks registers. A class may have an overload. */
template <class T>
__attribute__((noinline)) void product(T, const float *a, int64_t rows, int64_t depth, const float *b,
                                       int64_t panel_words, int64_t panels, const Sums &sums, Ahead &ahead) {
    int64_t panel = 0;
    for (; panel + 4 <= panels; panel += 4)
        columns_of<T, 4>(a, rows, depth, b, panel_words, panel, sums, ahead);
    switch (panels - panel) {
    case 1: columns_of<T, 1>(a, rows, depth, b, panel_words, panel, sums, ahead); break;
    case 2: columns_of<T, 2>(a, rows, depth, b, panel_words, panel, sums, ahead); break;
    case 3: columns_of<T, 3>(a, rows, depth, b, panel_words, panel, sums, ahead); break;
    default: break;
    }
}

/* ---- one tile ---- */

struct Tile : TileRows {
    int64_t index, batch, head; /* index: of the pair in the call */
    int64_t first;
    int64_t keys;       /* that count */
    int64_t entry, end; /* of its list */
    bool fresh;         /* acc has no sums yet */
};

template <class T> Tile tile_of(const Plan<T> &p, int64_t item) {
    const filigree_attention_mask &m = *p.mask;
    const filigree_attention_shape &s = *p.shape;
    const int64_t group = s.heads / s.kv_heads;
    Tile t{};
    t.index = item / group / m.tile_count;
    t.batch = (s.first_pair + t.index) / s.kv_heads;
    t.head = (s.first_pair + t.index) % s.kv_heads * group + item % group;
    t.keys = key_length(p, t.batch);
    const int64_t lists = m.mask_heads == 1 ? 0 : t.head * m.tile_count;
    const int32_t tile = table<int32_t>(&m, m.order)[lists + item / group % m.tile_count];
    const int32_t *starts = table<int32_t>(&m, m.tile_starts) + tile;
    t.first = starts[0];
    place(t, starts[1] - starts[0], p.dim, p.scratch);
    const int64_t *list = table<int64_t>(&m, m.list_starts) + lists + tile;
    t.entry = list[0], t.end = list[1];
    /* Units ascend: those beyond the key length are the last. */
    const int32_t *units = table<int32_t>(&m, m.units);
    while (t.end > t.entry && units[t.end - 1] * m.unit_keys >= t.keys) --t.end;
    return t;
}

template <class T> const typename T::Element *queries_of(const Plan<T> &p, const Tile &t) {
    return p.call->q + offset(p.shape->q, t.batch, t.head, t.first);
}

template <class T> float *state_of(const Plan<T> &p, const Tile &t) {
    return p.call->state +
           ((t.batch * p.shape->heads + t.head) * p.mask->queries + t.first) * (p.dim + kLanes + 1);
}

/* A tile with keys has its acc written by the first of them. */
template <class T> void begin_sums(const Plan<T> &p, Tile &t) {
    t.fresh = p.call->state == nullptr && t.entry < t.end;
    if (t.fresh) return clear_weights(t);
    clear_sums(t, p.dim);
    if (p.call->state == nullptr) return;
    const float *state = state_of(p, t);
    for (int64_t r = 0; r < t.rows; ++r, state += p.dim + kLanes + 1) {
        __builtin_memcpy(t.acc + r * p.width, state, p.dim * sizeof(float));
        __builtin_memcpy(t.sums + r * kLanes, state + p.dim, kLanes * sizeof(float));
        t.max[r] = state[p.dim + kLanes];
    }
}

/* The scores of a unit, when something is done to them. */
inline void bias_scores(const Tile &t, float *scores, int64_t columns, float slope, int64_t distance) {
    const __m512 lane = _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (int64_t r = 0; r < t.padded; ++r)
        for (int64_t j = 0; j < columns; j += kLanes) {
            float *at = scores + r * kStride + j;
            const __m512 away = _mm512_add_ps(lane, _mm512_set1_ps(static_cast<float>(distance + j - r)));
            _mm512_storeu_ps(at, _mm512_fmadd_ps(_mm512_set1_ps(slope), away, _mm512_loadu_ps(at)));
        }
}

inline void mask_scores(const Tile &t, float *scores, int64_t columns, const uint16_t *words, int64_t row_words,
                 int64_t valid) {
    const __m512 lowest = _mm512_set1_ps(-__builtin_inff());
    for (int64_t r = 0; r < t.rows; ++r)
        for (int64_t j = 0; j < columns; j += kLanes) {
            const __mmask16 word = words == nullptr ? kAll : words[r * row_words + j / kLanes];
            const int64_t left = valid - j;
            const __mmask16 counts = word & (left <= 0 ? __mmask16{0} : first_lanes(smaller(kLanes, left)));
            float *at = scores + r * kStride + j;
            _mm512_storeu_ps(at, _mm512_mask_blend_ps(counts, lowest, _mm512_loadu_ps(at)));
        }
}

template <class T> void modify(const Plan<T> &p, const Tile &t, int64_t entry, float *scores) {
    const filigree_attention_mask &m = *p.mask;
    const filigree_attention_shape &s = *p.shape;
    const int64_t first_key = table<int32_t>(&m, m.units)[entry] * m.unit_keys;
    if (s.soft_cap != 0.0f) cap_scores(t, scores, m.unit_keys, s.soft_cap);
    if (s.slopes != 0)
        bias_scores(t, scores, m.unit_keys, table<float>(&s, s.slopes)[t.head],
                    first_key - t.first - (m.keys - m.queries));
    const int64_t valid = smaller(m.unit_keys, t.keys - first_key);
    const int64_t pattern = table<int32_t>(&m, m.patterns)[entry];
    if (pattern < 0 && valid == m.unit_keys) return;
    const int64_t row_words = m.block_cols / kLanes;
    const uint16_t *words = pattern < 0 ? nullptr
                                        : table<uint16_t>(&m, m.words) +
                                              (pattern * m.block_rows + t.first % m.block_rows) * row_words +
                                              first_key % m.block_cols / kLanes;
    mask_scores(t, scores, m.unit_keys, words, row_words, valid);
}

/* Scores of some units, their weights, and the weighted values; `next` is the tile after this one, or null. */
template <class T> void step(const Plan<T> &p, const Tile &t, int64_t units, const Tile *next) {
    const filigree_attention_mask &m = *p.mask;
    const int32_t *list = table<int32_t>(&m, m.units);
    const int32_t *unit = list + t.entry;
    const float *keys = p.call->packed + t.index * p.pair_words, *values = keys + p.key_words;
    const int64_t key_words = m.unit_keys * p.depth, value_words = p.rows * p.width;
    const int64_t groups = t.padded / kGroup;
    /* After this step comes another one of this tile, or the first one of the next tile. */
    const bool is_last = t.entry + units == t.end;
    const Tile *after = is_last ? next : &t;
    const int64_t entry_after = is_last ? (next == nullptr ? 0 : next->entry) : t.entry + units;

    for (int64_t u = 0; u < units; ++u) {
        float *scores = t.scores + u * m.unit_keys;
        Ahead ahead = Ahead::of(values + unit[u] * value_words, value_words * kWord, groups);
        for (int64_t d = 0; d < p.depth; d += kStep)
            product(T{}, t.queries + d / kStep * t.padded * kStride, t.padded, smaller(kStep, p.depth - d),
                    keys + unit[u] * key_words + d * kLanes, p.depth * kLanes, m.unit_keys / kLanes,
                    Sums{scores, kStride, d == 0, p.shape->scale}, ahead);
        modify(p, t, t.entry + u, scores);
    }
    Ahead queries;
    if (is_last && next != nullptr)
        queries = Ahead::of_rows(
            queries_of(p, *next), next->rows, p.depth * kWord, p.shape->q.row * kWord / T::kPerWord);
    normalise<T>(t, units * m.unit_keys, queries);
    if (!t.fresh) rescale(t, p.width);
    for (int64_t u = 0; u < units; ++u) {
        Ahead ahead;
        if (after != nullptr && entry_after + u < after->end)
            ahead = Ahead::of(p.call->packed + after->index * p.pair_words + list[entry_after + u] * key_words,
                              key_words * kWord, groups);
        product(T{}, t.scores + u * p.rows, t.padded, p.rows, values + unit[u] * value_words, p.rows * kLanes,
                p.width / kLanes, Sums{t.acc, p.width, t.fresh && u == 0, 1.0f}, ahead);
    }
}

template <class T> void finish(const Plan<T> &p, const Tile &t) {
    const int64_t at = offset(p.shape->out, t.batch, t.head, t.first);
    for (int64_t r = 0; r < t.rows; ++r) {
        const float sum = halving_sum(t.sums + r * kLanes);
        T::store_row(t.acc + r * p.width, sum == 0.0f ? 0.0f : 1.0f / sum, p.dim, p.shape->out_dtype, p.call->out,
                     at + r * p.shape->out.row);
        if (p.call->lse != nullptr)
            p.call->lse[(t.batch * p.shape->heads + t.head) * p.mask->queries + t.first + r] =
                log_sum_exp(t.max[r], sum);
    }
}

template <class T> void attend(const Plan<T> &p, Tile &t, const Tile *next) {
    T::load_queries(t, queries_of(p, t), p.shape->q.row, p.depth, p.shape->scale);
    begin_sums(p, t);
    while (t.entry < t.end) {
        const int64_t units = smaller(p.mask->step_units, t.end - t.entry);
        step(p, t, units, next);
        t.entry += units, t.fresh = false;
    }
    if (p.call->state != nullptr) {
        store_sums(t, p.dim, state_of(p, t));
    } else {
        finish(p, t);
    }
}

/* All items of a call. */
template <class T> void run_items(const BlockCall<typename T::Element> &call) {
    const Plan<T> p = plan_of<T>(call);
    const int64_t packing = p.shape->pair_count * p.mask->used_count;
    if (call.begin < packing) {
        for (int64_t item = call.begin; item < call.end; ++item) pack(p, item);
        return;
    }
    Tile t = tile_of(p, call.begin - packing);
    for (int64_t item = call.begin + 1; item < call.end; ++item) {
        Tile next = tile_of(p, item - packing);
        attend(p, t, &next);
        t = next;
    }
    attend(p, t, nullptr);
}

} // namespace
} // namespace filigree

#endif
