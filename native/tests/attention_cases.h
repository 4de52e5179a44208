/* What the attention tests share: random packed masks and operands of f32 or bf16, and the expected bits, straight from
 * filigree.h. */
#ifndef FILIGREE_TESTS_ATTENTION_CASES_H
#define FILIGREE_TESTS_ATTENTION_CASES_H

#include "testing.h"

#include "cpu/common/bf16.h"
#include "cpu/common/math.h"
#include "filigree.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace filigree_test {

struct AttentionCase {
    int64_t queries, keys, block_rows, block_cols, tile_rows, unit_keys;
    int64_t batch, group, kv_heads, dim, padding;
    bool per_head, lengths, slopes, state;
    bool f32_out; /* of a bf16 kernel */
    bool tiles;   /* whether the kernel uses AMX tiles, whose sums have an order of their own */
    float soft_cap;
    double density;
};

/* A packed mask in its own memory: the header, then the tables. */
class PackedMask {
public:
    PackedMask(const AttentionCase &c, Random &random) {
        h.magic = FILIGREE_ATTENTION_MAGIC;
        h.queries = c.queries, h.keys = c.keys;
        h.mask_heads = c.per_head ? c.group * c.kv_heads : 1;
        h.block_rows = c.block_rows, h.block_cols = c.block_cols;
        h.tile_rows = c.tile_rows, h.unit_keys = c.unit_keys;
        h.step_units = FILIGREE_ATTENTION_STEP_KEYS / c.unit_keys;
        for (int64_t block = 0; block < c.queries; block += c.block_rows)
            for (int64_t r = block; r < std::min(c.queries, block + c.block_rows); r += c.tile_rows)
                tile_starts.push_back(static_cast<int32_t>(r));
        h.tile_count = static_cast<int64_t>(tile_starts.size());
        tile_starts.push_back(static_cast<int32_t>(c.queries));
        const int64_t pattern_words = c.block_rows * c.block_cols / 16;
        for (int64_t i = 0; i < kPatterns * pattern_words; ++i)
            words.push_back(static_cast<uint16_t>(random.next() & random.next()));
        list_starts.push_back(0);
        std::vector<bool> is_used(unit_count());
        for (int64_t list = 0; list < h.mask_heads * h.tile_count; ++list) {
            for (int64_t u = 0; u < unit_count(); ++u) {
                if (!random.chance(c.density)) continue;
                units.push_back(static_cast<int32_t>(u));
                patterns.push_back(static_cast<int32_t>(random.between(-kPatterns, kPatterns - 1)));
                patterns.back() = std::max(patterns.back(), -1);
                is_used[u] = true;
            }
            list_starts.push_back(static_cast<int64_t>(units.size()));
        }
        for (int64_t u = 0; u < unit_count(); ++u)
            if (is_used[u]) used.push_back(static_cast<int32_t>(u));
        h.used_count = static_cast<int64_t>(used.size());
        /* Any order will do for the result: the reverse. */
        for (int64_t head = 0; head < h.mask_heads; ++head)
            for (int64_t t = h.tile_count; t-- > 0;) order.push_back(static_cast<int32_t>(t));
        bytes.resize(sizeof h);
        h.tile_starts = append(tile_starts), h.order = append(order), h.list_starts = append(list_starts);
        h.units = append(units), h.patterns = append(patterns), h.words = append(words),
        h.used = append(used);
        bytes.resize((bytes.size() + 63) / 64 * 64 + 64);
        h.bytes = static_cast<int64_t>(bytes.size());
        std::memcpy(bytes.data(), &h, sizeof h);
    }

    int64_t unit_count() const { return (h.keys + h.unit_keys - 1) / h.unit_keys; }

    bool counts(int64_t pattern, int64_t i, int64_t j) const {
        if (pattern < 0) return true;
        const int64_t row = pattern * h.block_rows + i % h.block_rows;
        return (words[row * (h.block_cols / 16) + j % h.block_cols / 16] >> (j % 16) & 1) != 0;
    }

    filigree_attention_mask h{};
    std::vector<int32_t> tile_starts, order, units, patterns, used;
    std::vector<int64_t> list_starts;
    std::vector<uint16_t> words;
    std::vector<char> bytes;

private:
    static constexpr int64_t kPatterns = 3;

    template <class T> int64_t append(const std::vector<T> &table) {
        const size_t at = (bytes.size() + 63) / 64 * 64;
        bytes.resize(at + table.size() * sizeof(T));
        if (!table.empty()) std::memcpy(bytes.data() + at, table.data(), table.size() * sizeof(T));
        return static_cast<int64_t>(at);
    }
};

inline filigree_attention_strides strides(int64_t heads, int64_t rows, int64_t dim, int64_t padding) {
    const int64_t row = dim + padding;
    return {heads * rows * row, rows * row, row};
}

/* The shape of a call, and the sizes that follow from it. */
class AttentionShape {
public:
    AttentionShape(const AttentionCase &c, int64_t out_dtype, Random &random) {
        const int64_t heads = c.group * c.kv_heads;
        h.batch = c.batch, h.heads = heads, h.kv_heads = c.kv_heads, h.dim = c.dim;
        h.pair_count = c.batch * c.kv_heads;
        h.q = h.out = strides(heads, c.queries, c.dim, c.padding);
        h.k = h.v = strides(c.kv_heads, c.keys, c.dim, c.padding);
        h.scale = 0.3f, h.soft_cap = c.soft_cap, h.out_dtype = out_dtype;
        for (int64_t b = 0; b < c.batch; ++b)
            lengths.push_back(static_cast<int32_t>(c.lengths ? random.between(0, c.keys) : c.keys));
        for (int64_t i = 0; i < heads; ++i) slopes.push_back(c.slopes ? random.value() * 0.001f : 0.0f);
        bytes.resize((sizeof h + lengths.size() * 4 + slopes.size() * 4 + 7) / 8 * 8);
        if (c.lengths) h.key_lengths = sizeof h;
        if (c.slopes) h.slopes = static_cast<int64_t>(sizeof h + lengths.size() * 4);
        std::memcpy(bytes.data(), &h, sizeof h);
        std::memcpy(bytes.data() + sizeof h, lengths.data(), lengths.size() * 4);
        std::memcpy(bytes.data() + sizeof h + lengths.size() * 4, slopes.data(), slopes.size() * 4);
    }

    static int64_t elements(const filigree_attention_strides &s, int64_t batch, int64_t heads, int64_t rows,
                          int64_t dim) {
        return (batch - 1) * s.batch + (heads - 1) * s.head + (rows - 1) * s.row + dim;
    }

    filigree_attention_shape h{};
    std::vector<int32_t> lengths;
    std::vector<float> slopes;
    std::vector<char> bytes;
};

/* Of f32; half as many words of bf16. */
inline int64_t packed_floats(const AttentionCase &c, const PackedMask &m) {
    return c.batch * c.kv_heads * m.unit_count() * c.unit_keys * (c.dim + (c.dim + 15) / 16 * 16);
}

inline int64_t scratch_floats(const AttentionCase &c) {
    const int64_t rows = (c.tile_rows + 3) / 4 * 4, width = (c.dim + 15) / 16 * 16;
    const int64_t tile = rows * (((c.dim + 127) / 128 + 1) * FILIGREE_ATTENTION_ROW_STRIDE + width + 32) +
                         2 * ((rows + 15) / 16 * 16);
    return std::max(c.unit_keys * c.dim, tile);
}

/* What a query row must come to: acc (or out), l and m (or L and lse). */
struct ExpectedRow {
    std::vector<float> acc, l;
    float m;
    std::vector<float> magnitude; /* of acc's terms */
    float score_error = 0;        /* of a sum in another order: the largest bound */
};

inline float value_of(float x) { return x; }
inline float value_of(uint16_t x) { return filigree::bf16_to_float(x); }

inline uint32_t pair_of(uint16_t even, uint16_t odd) { return even | uint32_t{odd} << 16; }

/* The scaled score of a query and a key. */
inline float score_of(const float *q, const float *k, int64_t dim, float scale) {
    float x = 0;
    for (int64_t d = 0; d < dim; ++d) x = std::fma(scale * q[d], k[d], x);
    return x;
}

inline float score_of(const uint16_t *q, const uint16_t *k, int64_t dim, float scale) {
    float x = 0;
    for (int64_t d = 0; d < dim; d += 2)
        x = filigree::multiply_add(pair_of(q[d], q[d + 1]), pair_of(k[d], k[d + 1]), x);
    return x * scale;
}

/* The tolerance of all results, of a score. */
template <class T> float error_bound(const T *q, const T *k, int64_t dim, float scale) {
    float magnitude = 0;
    for (int64_t d = 0; d < dim; ++d) magnitude += std::fabs(value_of(q[d]) * value_of(k[d]));
    return (8 + 2 * std::sqrt(static_cast<float>(dim))) * 0x1p-24f * magnitude * scale;
}

/* A step's weights join l, and acc its weighted values; value(i, d) is element d of the i-th key. */
template <class Value>
void add_weights(float, const std::vector<float> &weights, const Value &value, std::vector<float> &l,
                 std::vector<float> &acc) {
    for (size_t i = 0; i < weights.size(); ++i) {
        l[i % 16] += weights[i];
        for (size_t d = 0; d < acc.size(); ++d) acc[d] = std::fma(weights[i], value(i, d), acc[d]);
    }
}

template <class Value>
void add_weights(uint16_t, std::vector<float> weights, const Value &value, std::vector<float> &l,
                 std::vector<float> &acc) {
    const size_t count = weights.size();
    weights.resize((count + 31) / 32 * 32);
    for (size_t i = 0; i < weights.size(); i += 2) {
        const uint32_t p =
            pair_of(filigree::bf16_from_float(weights[i]), filigree::bf16_from_float(weights[i + 1]));
        l[i / 2 % 16] = filigree::multiply_add(p, 0x3f803f80, l[i / 2 % 16]);
        for (size_t d = 0; d < acc.size() && i < count; ++d)
            acc[d] = filigree::multiply_add(p, pair_of(value(i, d), value(i + 1, d)), acc[d]);
    }
}

template <class T>
ExpectedRow expect_row(const AttentionCase &c, const PackedMask &mask, const AttentionShape &shape, const T *q,
                       const T *k, const T *v, ExpectedRow start, int64_t b, int64_t head, int64_t tile,
                       int64_t i) {
    const filigree_attention_shape &s = shape.h;
    const int64_t kv = head / c.group, list = (c.per_head ? head * mask.h.tile_count : 0) + tile;
    const T *query = q + b * s.q.batch + head * s.q.head + i * s.q.row;
    const T *keys = k + b * s.k.batch + kv * s.k.head, *values = v + b * s.v.batch + kv * s.v.head;
    ExpectedRow r = std::move(start);
    int64_t entry = mask.list_starts[list], end = mask.list_starts[list + 1];
    while (entry < end && mask.units[entry] * c.unit_keys < shape.lengths[b]) {
        std::vector<float> scores;
        std::vector<int64_t> step;
        float max = r.m;
        for (int64_t u = 0; u < mask.h.step_units && entry < end; ++u, ++entry) {
            const int64_t first = mask.units[entry] * c.unit_keys;
            if (first >= shape.lengths[b]) {
                entry = end;
                break;
            }
            for (int64_t j = first; j < first + c.unit_keys; ++j) {
                float x = -INFINITY;
                if (j < shape.lengths[b] && mask.counts(mask.patterns[entry], i, j)) {
                    x = score_of(query, keys + j * s.k.row, c.dim, s.scale);
                    r.score_error = std::max(r.score_error, error_bound(query, keys + j * s.k.row, c.dim, s.scale));
                    if (c.soft_cap != 0) x = c.soft_cap * filigree::tanh(x * (1.0f / c.soft_cap));
                    if (c.slopes)
                        x = std::fma(shape.slopes[head], static_cast<float>(j - (i + c.keys - c.queries)), x);
                }
                max = x > max ? x : max;
                scores.push_back(x), step.push_back(j);
            }
        }
        max += 0.0f;
        const float alpha = max == r.m || r.m == -INFINITY ? 1.0f : filigree::exp(r.m - max);
        for (float &x : r.l) x *= alpha;
        if (alpha != 1)
            for (float &x : r.acc) x *= alpha;
        for (float &x : scores) x = filigree::exp(x - (max == -INFINITY ? 0.0f : max));
        const auto value = [&](size_t n, size_t d) -> T {
            const bool is_there = step[n] < shape.lengths[b];
            return is_there ? values[step[n] * s.v.row + static_cast<int64_t>(d)] : T{0};
        };
        add_weights(T{0}, scores, value, r.l, r.acc);
        for (size_t d = 0; d < r.acc.size(); ++d) {
            r.magnitude[d] *= alpha;
            for (size_t n = 0; n < step.size(); ++n) r.magnitude[d] += scores[n] * std::fabs(value_of(value(n, d)));
        }
        r.m = max;
    }
    if (c.state) return r;
    for (int64_t half = 8; half > 0; half /= 2)
        for (int64_t x = 0; x < half; ++x) r.l[x] += r.l[x + half];
    for (float &x : r.acc) x *= r.l[0] == 0 ? 0.0f : 1.0f / r.l[0];
    for (float &x : r.magnitude) x *= r.l[0] == 0 ? 0.0f : 1.0f / r.l[0];
    r.m = filigree::log_sum_exp(r.m, r.l[0]);
    return r;
}

/* Any of the kernels: of f32, and of bf16. */
template <class T>
using AttentionKernel = int32_t (*)(const filigree_attention_mask *, const filigree_attention_shape *, const T *,
                                    const T *, const T *, void *, float *, float *, void *, int64_t, int64_t,
                                    void *);

inline int32_t attention_block_f32(const filigree_attention_mask *mask, const filigree_attention_shape *shape,
                                   const float *q, const float *k, const float *v, void *out, float *lse,
                                   float *state, void *packed, int64_t begin, int64_t end, void *scratch) {
    return filigree_attention_block_f32_avx512(mask, shape, q, k, v, static_cast<float *>(out), lse, state,
                                               static_cast<float *>(packed), begin, end, scratch);
}

/*
 * Whether a result of scores in another order is as it may be. A weight moves by as much of itself as its score and the
 * largest one together, which may be what rounds it to the next bf16.
 */
inline bool is_near(float x, float expected, float magnitude, float score_error) {
    return std::fabs(x - expected) <= (0x1p-7f + 4 * score_error) * magnitude + 0x1p-20f;
}

inline float output(const char *at, int64_t dtype) {
    if (dtype == FILIGREE_DTYPE_F32) {
        float x;
        std::memcpy(&x, at, sizeof x);
        return x;
    }
    uint16_t x;
    std::memcpy(&x, at, sizeof x);
    return value_of(x);
}

/* An element of the output that is `expected` in f32. */
inline bool same_output(const char *at, int64_t dtype, float expected) {
    return same_bits(output(at, dtype), dtype == FILIGREE_DTYPE_F32
                                            ? expected
                                            : value_of(filigree::bf16_from_float(expected)));
}

inline void fill(Random &random, Guarded &operand, float) {
    for (int64_t i = 0; i < operand.bytes() / 4; ++i) operand.as()[i] = random.value() * 0.1f;
}

inline void fill(Random &random, Guarded &operand, uint16_t) {
    for (int64_t i = 0; i < operand.bytes() / 2; ++i)
        operand.as<uint16_t>()[i] = filigree::bf16_from_float(random.value() * 0.1f);
}

/* Runs a case with every operand flush against an inaccessible page, and compares every element of the outputs. */
template <class T>
void check_attention(AttentionKernel<T> kernel, const AttentionCase &c, uint64_t seed, Guarded::Side side,
                     const char *text) {
    Random random(seed);
    const int64_t size = sizeof(T), dtype = size == 4 || c.f32_out ? FILIGREE_DTYPE_F32 : FILIGREE_DTYPE_BF16;
    const int64_t out_size = dtype == FILIGREE_DTYPE_F32 ? 4 : 2;
    const PackedMask mask(c, random);
    const AttentionShape shape(c, dtype, random);
    const int64_t heads = shape.h.heads, rows = c.batch * heads * c.queries, row_state = c.dim + 17;
    Guarded m(mask.h.bytes, side, 64), s(static_cast<int64_t>(shape.bytes.size()), side);
    std::memcpy(m.as<char>(), mask.bytes.data(), mask.bytes.size());
    std::memcpy(s.as<char>(), shape.bytes.data(), shape.bytes.size());
    const int64_t q_elements = AttentionShape::elements(shape.h.q, c.batch, heads, c.queries, c.dim);
    const int64_t k_elements = AttentionShape::elements(shape.h.k, c.batch, c.kv_heads, c.keys, c.dim);
    Guarded q(q_elements * size, side, size), k(k_elements * size, side, size), v(k_elements * size, side, size),
        out(q_elements * out_size, side, out_size), lse(rows * 4, side), state(c.state ? rows * row_state * 4 : 0, side),
        packed(packed_floats(c, mask) * size, side, 64), scratch(scratch_floats(c) * 4, side, 64);
    for (Guarded *each : {&q, &k, &v}) fill(random, *each, T{0});
    for (int64_t i = 0; i < state.bytes() / 4; ++i)
        state.as()[i] = i % row_state < c.dim ? random.value() : std::fabs(random.value());
    const std::vector<float> before(state.as(), state.as() + state.bytes() / 4);
    const std::vector<char> untouched(out.as<char>(), out.as<char>() + out.bytes());

    const int64_t packing = shape.h.pair_count * mask.h.used_count;
    const int64_t items = packing + c.batch * heads * mask.h.tile_count;
    for (const auto &[low, high] : {std::pair(int64_t{0}, packing), std::pair(packing, items)}) {
        for (int64_t begin = low; begin < high;) {
            const int64_t end = std::min(high, begin + random.between(1, 5));
            CHECK(kernel(m.as<filigree_attention_mask>(), s.as<filigree_attention_shape>(), q.as<T>(), k.as<T>(),
                         v.as<T>(), c.state ? nullptr : out.as<void>(), c.state ? nullptr : lse.as(),
                         c.state ? state.as() : nullptr, packed.as<void>(), begin, end,
                         scratch.as<void>()) == FILIGREE_OK);
            begin = end;
        }
    }

    std::vector<bool> written(q_elements);
    for (int64_t row = 0; row < rows; ++row) {
        const int64_t i = row % c.queries, head = row / c.queries % heads, b = row / c.queries / heads;
        const int64_t tile = std::upper_bound(mask.tile_starts.begin(), mask.tile_starts.end(), i) -
                             mask.tile_starts.begin() - 1;
        ExpectedRow start{std::vector<float>(c.dim), std::vector<float>(16), -INFINITY, std::vector<float>(c.dim), 0};
        if (c.state) {
            const float *old = before.data() + row * row_state;
            start = {{old, old + c.dim}, {old + c.dim, old + c.dim + 16}, old[c.dim + 16], start.magnitude, 0};
            for (int64_t d = 0; d < c.dim; ++d) start.magnitude[d] = std::fabs(old[d]);
        }
        const ExpectedRow e =
            expect_row(c, mask, shape, q.as<T>(), k.as<T>(), v.as<T>(), start, b, head, tile, i);
        const int64_t at = b * shape.h.out.batch + head * shape.h.out.head + i * shape.h.out.row;
        const float *left = c.state ? state.as() + row * row_state : nullptr;
        for (int64_t d = 0; d < c.dim; ++d) {
            const char *const place = out.as<char>() + (at + d) * out_size;
            const bool same = c.state ? same_bits(left[d], e.acc[d]) : same_output(place, dtype, e.acc[d]);
            if (!same && !(c.tiles && is_near(c.state ? left[d] : output(place, dtype), e.acc[d], e.magnitude[d],
                                             e.score_error)))
                fail("row %lld, dim %lld: not %a; %s", static_cast<long long>(row), static_cast<long long>(d),
                     e.acc[d], text);
            written[at + d] = !c.state;
        }
        for (int64_t x = 0; c.state && x < 16; ++x)
            CHECK(same_bits(left[c.dim + x], e.l[x]) ||
                  (c.tiles && is_near(left[c.dim + x], e.l[x], e.l[x], e.score_error)));
        const float m = c.state ? left[c.dim + 16] : lse.as()[row];
        if (!same_bits(m, e.m) && !(c.tiles && is_near(m, e.m, 1.0f, e.score_error)))
            fail("row %lld: maximum or lse; %s", static_cast<long long>(row), text);
    }
    for (int64_t i = 0; i < q_elements; ++i)
        if (!written[i] &&
            std::memcmp(untouched.data() + i * out_size, out.as<char>() + i * out_size, out_size) != 0)
            fail("a gap written; %s", text);
}

} // namespace filigree_test

#endif
