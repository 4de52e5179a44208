/*
 * out = softmax(scale * q k^T) v over the blocks of scores that a mask lists, f32.
 *
 *   q, out  (batch, heads, queries, dim)      k, v  (batch, kv_heads, keys, dim)      any strides but the
 * last
 *
 * filigree.h has the packed mask, the packed keys and values and the order of sums, which makes the result
 * the same bits as every other f32 kernel of this operation.
 *
 * A tile of up to 64 query rows of a head stays in scratch, with its scores and sums, while the units of keys
 * that its list names stream by. Per step of up to 128 keys: scores = queries * keys^T; weights = exp(scores
 * - maximum); sums += weights * values. Both products are the same loop: four rows by up to four panels of 16
 * columns in registers, so that eight loads (four of B, four broadcasts of A) feed sixteen multiply-adds.
 * Lanes are keys in the first product and head dimensions in the second; nothing is added across lanes but at
 * the end of a row.
 */
#ifndef __AVX512F__
#error "this file must be compiled for AVX-512"
#endif

#include "cpu/attention/attention.h"
#include "cpu/common/math.h"
#include "cpu/common/transpose_avx512.h"

#include <immintrin.h>

#define FILIGREE_INLINE inline __attribute__((always_inline))

namespace filigree {
namespace {

constexpr int64_t kLanes = FILIGREE_ATTENTION_LANES;
constexpr int64_t kStride = FILIGREE_ATTENTION_ROW_STRIDE;
constexpr int64_t kStep = FILIGREE_ATTENTION_STEP_KEYS;
constexpr int64_t kGroup = FILIGREE_ATTENTION_ROW_GROUP;
constexpr __mmask16 kAll = 0xffff;

int64_t smaller(int64_t x, int64_t y) { return x < y ? x : y; }

int64_t round_up(int64_t value, int64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

template <class T, class H> const T *table(const H *header, int64_t offset) {
    return reinterpret_cast<const T *>(reinterpret_cast<const char *>(header) + offset);
}

/* What does not change within a call. */
struct Plan {
    const AttentionCall *call;
    const filigree_attention_mask *mask;
    const filigree_attention_shape *shape;
    int64_t dim, width; /* width: dim in whole panels */
    int64_t key_floats, pair_floats;
    float *scratch;
};

Plan plan_of(const AttentionCall &call) {
    const int64_t covered = round_up(call.mask->keys, call.mask->unit_keys);
    const int64_t dim = call.shape->dim, width = round_up(dim, kLanes);
    return {&call, call.mask, call.shape, dim, width, covered * dim, covered * (dim + width), call.scratch};
}

int64_t key_length(const Plan &p, int64_t batch) {
    return p.shape->key_lengths == 0 ? p.mask->keys : table<int32_t>(p.shape, p.shape->key_lengths)[batch];
}

int64_t offset(const filigree_attention_strides &s, int64_t batch, int64_t head, int64_t row) {
    return batch * s.batch + head * s.head + row * s.row;
}

/*
 * What comes next, asked for early: lists jump, so no hardware prefetcher knows. Whoever works meanwhile asks for a
 * share of the lines now and then, to L2, where they do not push out what is at hand.
 */
class Ahead {
public:
    Ahead() = default;

    /* Rows of some floats each, in so many shares. */
    Ahead(const float *begin, int64_t rows, int64_t floats, int64_t stride, int64_t shares)
        : row_(begin), rows_(rows), floats_(floats), stride_(stride),
          share_((rows * round_up(floats, kLanes) / kLanes + shares - 1) / shares) {}

    FILIGREE_INLINE void fetch_share() {
        for (int64_t i = 0; i < share_ && rows_ > 0; ++i) {
            _mm_prefetch(reinterpret_cast<const char *>(row_ + at_), _MM_HINT_T1);
            at_ += kLanes;
            if (at_ >= floats_) at_ = 0, row_ += stride_, --rows_;
        }
    }

private:
    const float *row_ = nullptr;
    int64_t rows_ = 0, floats_ = 0, stride_ = 0, share_ = 0, at_ = 0;
};

/* ---- packing ---- */

void pack_keys(const float *from, int64_t stride, int64_t rows, const Plan &p, float *to) {
    for (int64_t panel = 0; panel < p.mask->unit_keys; panel += kLanes, to += p.dim * kLanes) {
        const int64_t count = smaller(kLanes, rows - panel);
        for (int64_t d = 0; d < p.dim; d += kLanes) {
            const int64_t columns = smaller(kLanes, p.dim - d);
            if (count > 0) {
                transpose_16x16(from + panel * stride + d, stride, count, columns, to + d * kLanes, kLanes);
            } else {
                for (int64_t i = 0; i < columns; ++i)
                    _mm512_store_ps(to + (d + i) * kLanes, _mm512_setzero_ps());
            }
        }
    }
}

/* Panel by panel: panels of 64 keys are a page apart, and stores to all of them in turn would evict each other. */
void pack_values(const float *from, int64_t stride, int64_t rows, const Plan &p, float *to) {
    for (int64_t d = 0; d < p.dim; d += kLanes) {
        const __mmask16 lanes = first_lanes(smaller(kLanes, p.dim - d));
        for (int64_t j = 0; j < p.mask->unit_keys; ++j, to += kLanes)
            _mm512_store_ps(to, j < rows ? _mm512_maskz_loadu_ps(lanes, from + j * stride + d)
                                         : _mm512_setzero_ps());
    }
}

void pack(const Plan &p, int64_t item) {
    const filigree_attention_shape &s = *p.shape;
    const int64_t index = item / p.mask->used_count, pair = s.first_pair + index;
    const int64_t batch = pair / s.kv_heads, head = pair % s.kv_heads;
    const int64_t unit = table<int32_t>(p.mask, p.mask->used)[item % p.mask->used_count];
    const int64_t first = unit * p.mask->unit_keys;
    const int64_t rows = smaller(p.mask->unit_keys, key_length(p, batch) - first);
    float *keys = p.call->packed + index * p.pair_floats + first * p.dim;
    float *values = p.call->packed + index * p.pair_floats + p.key_floats + first * p.width;
    pack_keys(p.call->k + offset(s.k, batch, head, first), s.k.row, rows, p, keys);
    pack_values(p.call->v + offset(s.v, batch, head, first), s.v.row, rows, p, values);
}

/* ---- products ---- */

/* Sums of one row by P panels. Named members: gcc spills an array of vectors in every iteration. */
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

template <int P> FILIGREE_INLINE void add(Row<P> &r, const float *a, const Row<P> &b) {
    const __m512 x = _mm512_set1_ps(*a);
    r.v0 = _mm512_fmadd_ps(x, b.v0, r.v0);
    if constexpr (P > 1) r.v1 = _mm512_fmadd_ps(x, b.v1, r.v1);
    if constexpr (P > 2) r.v2 = _mm512_fmadd_ps(x, b.v2, r.v2);
    if constexpr (P > 3) r.v3 = _mm512_fmadd_ps(x, b.v3, r.v3);
}

/* C = (C or +0) + A * B for four rows, P panels of B. */
template <int P>
void four_rows(const float *a, int64_t depth, const float *b, int64_t panel_floats, float *c,
               int64_t c_stride, bool fresh) {
    Row<P> r0, r1, r2, r3;
    if (!fresh) {
        load(r0, c), load(r1, c + c_stride), load(r2, c + 2 * c_stride), load(r3, c + 3 * c_stride);
    }
    for (int64_t k = 0; k < depth; ++k, ++a, b += kLanes) {
        Row<P> x;
        x.v0 = _mm512_load_ps(b);
        if constexpr (P > 1) x.v1 = _mm512_load_ps(b + panel_floats);
        if constexpr (P > 2) x.v2 = _mm512_load_ps(b + 2 * panel_floats);
        if constexpr (P > 3) x.v3 = _mm512_load_ps(b + 3 * panel_floats);
        add(r0, a, x), add(r1, a + kStride, x), add(r2, a + 2 * kStride, x), add(r3, a + 3 * kStride, x);
    }
    store(r0, c), store(r1, c + c_stride), store(r2, c + 2 * c_stride), store(r3, c + 3 * c_stride);
}

template <int P>
void columns_of(const float *a, int64_t rows, int64_t depth, const float *b, int64_t panel_floats, float *c,
                int64_t c_stride, bool fresh, Ahead &ahead) {
    for (int64_t r = 0; r < rows; r += kGroup) {
        ahead.fetch_share();
        four_rows<P>(a + r * kStride, depth, b, panel_floats, c + r * c_stride, c_stride, fresh);
    }
}

/* C = (C or +0) + A * B; rows is a multiple of four. The panels at hand stay in L1 while the rows pass. */
void product(const float *a, int64_t rows, int64_t depth, const float *b, int64_t panel_floats,
             int64_t panels, float *c, int64_t c_stride, bool fresh, Ahead &ahead) {
    int64_t panel = 0;
    for (; panel + 4 <= panels; panel += 4)
        columns_of<4>(a, rows, depth, b + panel * panel_floats, panel_floats, c + panel * kLanes, c_stride,
                      fresh, ahead);
    b += panel * panel_floats, c += panel * kLanes;
    switch (panels - panel) {
    case 1: columns_of<1>(a, rows, depth, b, panel_floats, c, c_stride, fresh, ahead); break;
    case 2: columns_of<2>(a, rows, depth, b, panel_floats, c, c_stride, fresh, ahead); break;
    case 3: columns_of<3>(a, rows, depth, b, panel_floats, c, c_stride, fresh, ahead); break;
    default: break;
    }
}

/* ---- one tile ---- */

struct Tile {
    int64_t index, batch, head; /* index: of the pair in the call */
    int64_t first, rows, padded;
    int64_t keys;       /* that count */
    int64_t entry, end; /* of its list */
    float *queries, *scores, *acc, *sums, *max, *alpha;
};

Tile tile_of(const Plan &p, int64_t item) {
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
    t.first = starts[0], t.rows = starts[1] - starts[0], t.padded = round_up(t.rows, kGroup);
    const int64_t *list = table<int64_t>(&m, m.list_starts) + lists + tile;
    t.entry = list[0], t.end = list[1];
    /* Units ascend: those beyond the key length are the last. */
    const int32_t *units = table<int32_t>(&m, m.units);
    while (t.end > t.entry && units[t.end - 1] * m.unit_keys >= t.keys) --t.end;
    return t;
}

/* Places a tile in scratch. */
void place(const Plan &p, Tile &t) {
    t.queries = p.scratch;
    t.scores = t.queries + t.padded * kStride * ((p.dim + kStep - 1) / kStep);
    t.acc = t.scores + t.padded * kStride;
    t.sums = t.acc + t.padded * p.width;
    t.max = t.sums + t.padded * kLanes;
    t.alpha = t.max + round_up(t.padded, kLanes);
}

const float *queries_of(const Plan &p, const Tile &t) {
    return p.call->q + offset(p.shape->q, t.batch, t.head, t.first);
}

/* Scaled queries, in chunks of 128 columns. */
void load_queries(const Plan &p, const Tile &t) {
    const float *q = queries_of(p, t);
    const __m512 scale = _mm512_set1_ps(p.shape->scale);
    for (int64_t r = 0; r < t.padded; ++r) {
        for (int64_t d = 0; d < p.dim; d += kLanes) {
            const __mmask16 lanes = r < t.rows ? first_lanes(smaller(kLanes, p.dim - d)) : __mmask16{0};
            const float *from = r < t.rows ? q + r * p.shape->q.row + d : q;
            _mm512_store_ps(t.queries + (d / kStep * t.padded + r) * kStride + d % kStep,
                            _mm512_mul_ps(_mm512_maskz_loadu_ps(lanes, from), scale));
        }
    }
}

float *state_of(const Plan &p, const Tile &t) {
    return p.call->state +
           ((t.batch * p.shape->heads + t.head) * p.mask->queries + t.first) * (p.dim + kLanes + 1);
}

void begin_sums(const Plan &p, const Tile &t) {
    for (int64_t i = 0; i < t.padded * (p.width + kLanes); i += kLanes)
        _mm512_store_ps(t.acc + i, _mm512_setzero_ps());
    for (int64_t r = 0; r < round_up(t.padded, kLanes); ++r) t.max[r] = -__builtin_inff();
    if (p.call->state == nullptr) return;
    const float *state = state_of(p, t);
    for (int64_t r = 0; r < t.rows; ++r, state += p.dim + kLanes + 1) {
        __builtin_memcpy(t.acc + r * p.width, state, p.dim * sizeof(float));
        __builtin_memcpy(t.sums + r * kLanes, state + p.dim, kLanes * sizeof(float));
        t.max[r] = state[p.dim + kLanes];
    }
}

void leave_sums(const Plan &p, const Tile &t) {
    float *state = state_of(p, t);
    for (int64_t r = 0; r < t.rows; ++r, state += p.dim + kLanes + 1) {
        __builtin_memcpy(state, t.acc + r * p.width, p.dim * sizeof(float));
        __builtin_memcpy(state + p.dim, t.sums + r * kLanes, kLanes * sizeof(float));
        state[p.dim + kLanes] = t.max[r];
    }
}

/* The scores of a unit, when something is done to them. */
void cap_scores(const Tile &t, float *scores, int64_t columns, float cap) {
    const __m512 factor = _mm512_set1_ps(cap), inverse = _mm512_set1_ps(1.0f / cap);
    for (int64_t r = 0; r < t.padded; ++r)
        for (int64_t j = 0; j < columns; j += kLanes) {
            float *at = scores + r * kStride + j;
            _mm512_storeu_ps(at, _mm512_mul_ps(factor, tanh(_mm512_mul_ps(_mm512_loadu_ps(at), inverse))));
        }
}

void bias_scores(const Tile &t, float *scores, int64_t columns, float slope, int64_t distance) {
    const __m512 lane = _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (int64_t r = 0; r < t.padded; ++r)
        for (int64_t j = 0; j < columns; j += kLanes) {
            float *at = scores + r * kStride + j;
            const __m512 away = _mm512_add_ps(lane, _mm512_set1_ps(static_cast<float>(distance + j - r)));
            _mm512_storeu_ps(at, _mm512_fmadd_ps(_mm512_set1_ps(slope), away, _mm512_loadu_ps(at)));
        }
}

void mask_scores(const Tile &t, float *scores, int64_t columns, const uint16_t *words, int64_t row_words,
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

void modify(const Plan &p, const Tile &t, int64_t entry, float *scores) {
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

/* ---- weights ---- */

/* The largest of each row, lane by lane. */
FILIGREE_INLINE __m512 largest_lanes(const float *row, int64_t columns) {
    __m512 lanes = _mm512_set1_ps(-__builtin_inff());
    for (int64_t j = 0; j < columns; j += kLanes) lanes = _mm512_max_ps(_mm512_loadu_ps(row + j), lanes);
    return lanes;
}

/* Of four rows: lane 4 l + i holds the largest of quarter l of row i. */
FILIGREE_INLINE __m512 largest_of_four(const float *rows, int64_t columns) {
    const __m512 r0 = largest_lanes(rows, columns), r1 = largest_lanes(rows + kStride, columns);
    const __m512 r2 = largest_lanes(rows + 2 * kStride, columns);
    const __m512 r3 = largest_lanes(rows + 3 * kStride, columns);
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

/* Scores to weights. Maxima of 16 rows at a time: row by row, each would wait for a chain across lanes. */
void normalise(const Tile &t, int64_t columns, Ahead &ahead) {
    const __m512 lowest = _mm512_set1_ps(-__builtin_inff());
    for (int64_t first = 0; first < t.padded; first += kLanes) {
        const int64_t rows = smaller(kLanes, t.padded - first);
        const __m512 old = _mm512_load_ps(t.max + first);
        const __m512 max = _mm512_add_ps(
            _mm512_max_ps(largest_of(t.scores + first * kStride, rows, columns), old), _mm512_setzero_ps());
        const __mmask16 keeps =
            _mm512_cmp_ps_mask(max, old, _CMP_EQ_OQ) | _mm512_cmp_ps_mask(old, lowest, _CMP_EQ_OQ);
        alignas(64) float reference[kLanes];
        _mm512_store_ps(reference, _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(max, lowest, _CMP_NEQ_UQ), max));
        _mm512_store_ps(t.max + first, max);
        _mm512_store_ps(t.alpha + first, _mm512_mask_blend_ps(keeps, exp_nonpositive(_mm512_sub_ps(old, max)),
                                                              _mm512_set1_ps(1.0f)));
        for (int64_t r = first; r < first + rows; ++r) {
            ahead.fetch_share();
            float *s = t.scores + r * kStride;
            const __m512 subtrahend = _mm512_set1_ps(reference[r - first]);
            __m512 sum = _mm512_mul_ps(_mm512_load_ps(t.sums + r * kLanes), _mm512_set1_ps(t.alpha[r]));
            for (int64_t j = 0; j < columns; j += kLanes) {
                const __m512 weight = exp_nonpositive(_mm512_sub_ps(_mm512_loadu_ps(s + j), subtrahend));
                _mm512_storeu_ps(s + j, weight);
                sum = _mm512_add_ps(sum, weight);
            }
            _mm512_store_ps(t.sums + r * kLanes, sum);
        }
    }
}

void multiply_row(float *row, int64_t width, float factor) {
    for (int64_t d = 0; d < width; d += kLanes)
        _mm512_store_ps(row + d, _mm512_mul_ps(_mm512_load_ps(row + d), _mm512_set1_ps(factor)));
}

/* Scores of some units, their weights, and the weighted values; `next` is the tile after this one, or null. */
void step(const Plan &p, const Tile &t, int64_t units, const Tile *next) {
    const filigree_attention_mask &m = *p.mask;
    const int32_t *list = table<int32_t>(&m, m.units);
    const int32_t *unit = list + t.entry;
    const float *keys = p.call->packed + t.index * p.pair_floats, *values = keys + p.key_floats;
    const int64_t key_floats = m.unit_keys * p.dim, value_floats = m.unit_keys * p.width;
    const int64_t groups = t.padded / kGroup;
    /* After this step comes another one of this tile, or the first one of the next tile. */
    const bool is_last = t.entry + units == t.end;
    const Tile *after = is_last ? next : &t;
    const int64_t entry_after = is_last ? (next == nullptr ? 0 : next->entry) : t.entry + units;

    for (int64_t u = 0; u < units; ++u) {
        float *scores = t.scores + u * m.unit_keys;
        Ahead ahead(values + unit[u] * value_floats, 1, value_floats, 0, groups);
        for (int64_t d = 0; d < p.dim; d += kStep)
            product(t.queries + d / kStep * t.padded * kStride, t.padded, smaller(kStep, p.dim - d),
                    keys + unit[u] * key_floats + d * kLanes, p.dim * kLanes, m.unit_keys / kLanes, scores,
                    kStride, d == 0, ahead);
        modify(p, t, t.entry + u, scores);
    }
    Ahead queries;
    if (is_last && next != nullptr)
        queries = Ahead(queries_of(p, *next), next->rows, p.dim, p.shape->q.row, t.padded);
    normalise(t, units * m.unit_keys, queries);
    for (int64_t r = 0; r < t.rows; ++r)
        if (t.alpha[r] != 1.0f) multiply_row(t.acc + r * p.width, p.width, t.alpha[r]);
    for (int64_t u = 0; u < units; ++u) {
        Ahead ahead;
        if (after != nullptr && entry_after + u < after->end)
            ahead = Ahead(p.call->packed + after->index * p.pair_floats + list[entry_after + u] * key_floats,
                          1, key_floats, 0, groups);
        product(t.scores + u * m.unit_keys, t.padded, m.unit_keys, values + unit[u] * value_floats,
                m.unit_keys * kLanes, p.width / kLanes, t.acc, p.width, false, ahead);
    }
}

float halving_sum(const float *sums) {
    alignas(64) float l[kLanes];
    _mm512_store_ps(l, _mm512_load_ps(sums));
    for (int64_t half = kLanes / 2; half > 0; half /= 2)
        for (int64_t i = 0; i < half; ++i) l[i] += l[i + half];
    return l[0];
}

void finish(const Plan &p, const Tile &t) {
    float *out = p.call->out + offset(p.shape->out, t.batch, t.head, t.first);
    for (int64_t r = 0; r < t.rows; ++r, out += p.shape->out.row) {
        const float sum = halving_sum(t.sums + r * kLanes);
        float *row = t.acc + r * p.width;
        multiply_row(row, p.width, sum == 0.0f ? 0.0f : 1.0f / sum);
        __builtin_memcpy(out, row, p.dim * sizeof(float));
        if (p.call->lse != nullptr)
            p.call->lse[(t.batch * p.shape->heads + t.head) * p.mask->queries + t.first + r] =
                log_sum_exp(t.max[r], sum);
    }
}

void attend(const Plan &p, Tile &t, const Tile *next) {
    place(p, t);
    load_queries(p, t);
    begin_sums(p, t);
    while (t.entry < t.end) {
        const int64_t units = smaller(p.mask->step_units, t.end - t.entry);
        step(p, t, units, next);
        t.entry += units;
    }
    if (p.call->state != nullptr) {
        leave_sums(p, t);
    } else {
        finish(p, t);
    }
}

} // namespace

void attention_block_f32_avx512(const AttentionCall &call) {
    const Plan p = plan_of(call);
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

} // namespace filigree
