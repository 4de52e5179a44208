/* What the attention tests share: random packed masks and operands, and the expected bits, straight from
 * filigree.h. */
#ifndef FILIGREE_TESTS_ATTENTION_CASES_H
#define FILIGREE_TESTS_ATTENTION_CASES_H

#include "testing.h"

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
    AttentionShape(const AttentionCase &c, Random &random) {
        const int64_t heads = c.group * c.kv_heads;
        h.batch = c.batch, h.heads = heads, h.kv_heads = c.kv_heads, h.dim = c.dim;
        h.pair_count = c.batch * c.kv_heads;
        h.q = h.out = strides(heads, c.queries, c.dim, c.padding);
        h.k = h.v = strides(c.kv_heads, c.keys, c.dim, c.padding);
        h.scale = 0.3f, h.soft_cap = c.soft_cap;
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

    static int64_t floats(const filigree_attention_strides &s, int64_t batch, int64_t heads, int64_t rows,
                          int64_t dim) {
        return (batch - 1) * s.batch + (heads - 1) * s.head + (rows - 1) * s.row + dim;
    }

    filigree_attention_shape h{};
    std::vector<int32_t> lengths;
    std::vector<float> slopes;
    std::vector<char> bytes;
};

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
};

inline ExpectedRow expect_row(const AttentionCase &c, const PackedMask &mask, const AttentionShape &shape,
                              const float *q, const float *k, const float *v, ExpectedRow start, int64_t b,
                              int64_t head, int64_t tile, int64_t i) {
    const filigree_attention_shape &s = shape.h;
    const int64_t kv = head / c.group, list = (c.per_head ? head * mask.h.tile_count : 0) + tile;
    ExpectedRow r = std::move(start);
    struct Score {
        float s;
        int64_t key;
    };
    int64_t entry = mask.list_starts[list], end = mask.list_starts[list + 1];
    while (entry < end && mask.units[entry] * c.unit_keys < shape.lengths[b]) {
        std::vector<Score> step;
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
                    x = 0;
                    for (int64_t d = 0; d < c.dim; ++d)
                        x = std::fma(s.scale * q[b * s.q.batch + head * s.q.head + i * s.q.row + d],
                                     k[b * s.k.batch + kv * s.k.head + j * s.k.row + d], x);
                    if (c.soft_cap != 0) x = c.soft_cap * filigree::tanh(x * (1.0f / c.soft_cap));
                    if (c.slopes)
                        x = std::fma(shape.slopes[head], static_cast<float>(j - (i + c.keys - c.queries)), x);
                }
                max = x > max ? x : max;
                step.push_back({x, j});
            }
        }
        max += 0.0f;
        const float alpha = max == r.m || r.m == -INFINITY ? 1.0f : filigree::exp(r.m - max);
        for (float &x : r.l) x *= alpha;
        if (alpha != 1)
            for (float &x : r.acc) x *= alpha;
        for (const Score &score : step) {
            const float p = filigree::exp(score.s - (max == -INFINITY ? 0.0f : max));
            r.l[score.key % 16] += p;
            for (int64_t d = 0; d < c.dim; ++d) {
                const bool is_there = score.key < shape.lengths[b];
                const float x = is_there ? v[b * s.v.batch + kv * s.v.head + score.key * s.v.row + d] : 0.0f;
                r.acc[d] = std::fma(p, x, r.acc[d]);
            }
        }
        r.m = max;
    }
    if (c.state) return r;
    for (int64_t half = 8; half > 0; half /= 2)
        for (int64_t x = 0; x < half; ++x) r.l[x] += r.l[x + half];
    for (float &x : r.acc) x *= r.l[0] == 0 ? 0.0f : 1.0f / r.l[0];
    r.m = filigree::log_sum_exp(r.m, r.l[0]);
    return r;
}

using AttentionKernel = decltype(&filigree_attention_block_f32_avx512);

/* Runs a case with every operand flush against an inaccessible page, and compares every float of the outputs.
 */
inline void check_attention(AttentionKernel kernel, const AttentionCase &c, uint64_t seed, Guarded::Side side,
                            const char *text) {
    Random random(seed);
    const PackedMask mask(c, random);
    const AttentionShape shape(c, random);
    const int64_t heads = shape.h.heads, rows = c.batch * heads * c.queries, row_state = c.dim + 17;
    Guarded m(mask.h.bytes, side, 64), s(static_cast<int64_t>(shape.bytes.size()), side);
    std::memcpy(m.as<char>(), mask.bytes.data(), mask.bytes.size());
    std::memcpy(s.as<char>(), shape.bytes.data(), shape.bytes.size());
    const int64_t q_floats = AttentionShape::floats(shape.h.q, c.batch, heads, c.queries, c.dim);
    const int64_t k_floats = AttentionShape::floats(shape.h.k, c.batch, c.kv_heads, c.keys, c.dim);
    Guarded q(q_floats * 4, side), k(k_floats * 4, side), v(k_floats * 4, side), out(q_floats * 4, side),
        lse(rows * 4, side), state(c.state ? rows * row_state * 4 : 0, side),
        packed(packed_floats(c, mask) * 4, side, 64), scratch(scratch_floats(c) * 4, side, 64);
    for (Guarded *each : {&q, &k, &v})
        for (int64_t i = 0; i < each->bytes() / 4; ++i) each->as()[i] = random.value() * 0.1f;
    for (int64_t i = 0; i < state.bytes() / 4; ++i)
        state.as()[i] = i % row_state < c.dim ? random.value() : std::fabs(random.value());
    const std::vector<float> before(state.as(), state.as() + state.bytes() / 4);
    const std::vector<float> untouched(out.as(), out.as() + q_floats);

    const int64_t packing = shape.h.pair_count * mask.h.used_count;
    const int64_t items = packing + c.batch * heads * mask.h.tile_count;
    for (const auto &[low, high] : {std::pair(int64_t{0}, packing), std::pair(packing, items)}) {
        for (int64_t begin = low; begin < high;) {
            const int64_t end = std::min(high, begin + random.between(1, 5));
            CHECK(kernel(m.as<filigree_attention_mask>(), s.as<filigree_attention_shape>(), q.as(), k.as(),
                         v.as(), c.state ? nullptr : out.as(), c.state ? nullptr : lse.as(),
                         c.state ? state.as() : nullptr, packed.as(), begin, end,
                         scratch.as<void>()) == FILIGREE_OK);
            begin = end;
        }
    }

    std::vector<bool> written(q_floats);
    for (int64_t row = 0; row < rows; ++row) {
        const int64_t i = row % c.queries, head = row / c.queries % heads, b = row / c.queries / heads;
        const int64_t tile = std::upper_bound(mask.tile_starts.begin(), mask.tile_starts.end(), i) -
                             mask.tile_starts.begin() - 1;
        ExpectedRow start{std::vector<float>(c.dim), std::vector<float>(16), -INFINITY};
        if (c.state) {
            const float *old = before.data() + row * row_state;
            start = {{old, old + c.dim}, {old + c.dim, old + c.dim + 16}, old[c.dim + 16]};
        }
        const ExpectedRow e = expect_row(c, mask, shape, q.as(), k.as(), v.as(), start, b, head, tile, i);
        const int64_t at = b * shape.h.out.batch + head * shape.h.out.head + i * shape.h.out.row;
        const float *acc = c.state ? state.as() + row * row_state : out.as() + at;
        for (int64_t d = 0; d < c.dim; ++d) {
            if (!same_bits(acc[d], e.acc[d]))
                fail("row %lld, dim %lld: %a instead of %a; %s", static_cast<long long>(row),
                     static_cast<long long>(d), acc[d], e.acc[d], text);
            written[at + d] = !c.state;
        }
        for (int64_t x = 0; c.state && x < 16; ++x) CHECK(same_bits(acc[c.dim + x], e.l[x]));
        if (!same_bits(c.state ? acc[c.dim + 16] : lse.as()[row], e.m))
            fail("row %lld: maximum or lse; %s", static_cast<long long>(row), text);
    }
    for (int64_t i = 0; i < q_floats; ++i)
        if (!written[i] && std::memcmp(&untouched[i], out.as() + i, 4) != 0) fail("a gap written; %s", text);
}

} // namespace filigree_test

#endif
