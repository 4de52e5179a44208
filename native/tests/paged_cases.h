/* What the tests of attention over a paged cache share: random caches and selections, and the expected bits, straight
 * from filigree.h. */
#ifndef FILIGREE_TESTS_PAGED_CASES_H
#define FILIGREE_TESTS_PAGED_CASES_H

#include "testing.h"

#include "cpu/common/bf16.h"
#include "cpu/common/math.h"
#include "filigree.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace filigree_test {

struct PagedCase {
    int64_t sequences, group, kv_heads, dim, padding;
    int64_t page_rows, block_keys, list_heads, most_keys;
    bool slopes;
    float soft_cap;
    double density;
};

/* The header and its tables in their own memory. */
class PagedShape {
public:
    PagedShape(const PagedCase &c, Random &random) {
        const int64_t pairs = c.sequences * c.kv_heads, row = c.dim + c.padding;
        h.sequences = c.sequences, h.heads = c.group * c.kv_heads, h.kv_heads = c.kv_heads, h.dim = c.dim;
        h.page_rows = c.page_rows, h.block_keys = c.block_keys, h.list_heads = c.list_heads;
        h.q = h.out = {h.heads * row, row, 0};
        h.cache = {c.kv_heads * c.page_rows * row, c.page_rows * row, row};
        h.scale = 0.3f, h.soft_cap = c.soft_cap;
        h.page_table_stride = (c.most_keys + c.page_rows - 1) / c.page_rows;
        pages = c.sequences * h.page_table_stride;
        for (int64_t i = 0; i < pages; ++i) page_table.push_back(static_cast<int32_t>(i));
        for (int64_t i = pages; i-- > 1;) std::swap(page_table[i], page_table[random.between(0, i)]);
        for (int64_t b = 0; b < c.sequences; ++b)
            lengths.push_back(static_cast<int32_t>(random.chance(0.1) ? 0 : random.between(1, c.most_keys)));
        list_starts.push_back(0);
        for (int64_t list = 0; list < c.sequences * c.list_heads; ++list) {
            for (int64_t i = 0; i * c.block_keys < lengths[list / c.list_heads]; ++i)
                if (random.chance(c.density)) lists.push_back(static_cast<int32_t>(i));
            list_starts.push_back(static_cast<int64_t>(lists.size()));
        }
        split_starts.push_back(0);
        for (int64_t pair = 0; pair < pairs; ++pair) {
            tokens.push_back(tokens_of(c, pair));
            selected.push_back(static_cast<int64_t>(tokens.back().size()));
            split_starts.push_back(split_starts.back() + (selected.back() + FILIGREE_PAGED_SPLIT_KEYS - 1) /
                                                             FILIGREE_PAGED_SPLIT_KEYS);
        }
        for (int64_t i = 0; i < h.heads; ++i) slopes.push_back(random.value() * 0.001f);
        bytes.resize(sizeof h);
        h.page_table = append(page_table), h.lengths = append(lengths), h.list_starts = append(list_starts);
        h.lists = append(lists), h.selected = append(selected), h.split_starts = append(split_starts);
        h.slopes = c.slopes ? append(slopes) : 0;
        bytes.resize((bytes.size() + 7) / 8 * 8); /* flush with a guard page, and aligned */
        std::memcpy(bytes.data(), &h, sizeof h);
    }

    filigree_paged_shape h{};
    int64_t pages;
    std::vector<int32_t> page_table, lengths, lists;
    std::vector<int64_t> list_starts, selected, split_starts;
    std::vector<std::vector<int64_t>> tokens; /* of each pair */
    std::vector<float> slopes;
    std::vector<char> bytes;

private:
    std::vector<int64_t> tokens_of(const PagedCase &c, int64_t pair) const {
        std::vector<int64_t> result;
        const int64_t length = lengths[pair / c.kv_heads];
        if (c.list_heads == 0)
            for (int64_t t = 0; t < length; ++t) result.push_back(t);
        const int64_t list = c.list_heads == 1 ? pair / c.kv_heads : pair;
        for (int64_t i = c.list_heads == 0 ? 0 : list_starts[list]; c.list_heads != 0 && i < list_starts[list + 1];
             ++i)
            for (int64_t t = lists[i] * c.block_keys; t < std::min(length, (lists[i] + 1) * c.block_keys); ++t)
                result.push_back(t);
        return result;
    }

    template <class T> int64_t append(const std::vector<T> &table) {
        const size_t at = (bytes.size() + 7) / 8 * 8;
        bytes.resize(at + table.size() * sizeof(T));
        if (!table.empty()) std::memcpy(bytes.data() + at, table.data(), table.size() * sizeof(T));
        return static_cast<int64_t>(at);
    }
};

inline float cached(float x) { return x; }
inline float cached(uint16_t x) { return filigree::bf16_to_float(x); }
inline void set_cached(float &x, float value) { x = value; }
inline void set_cached(uint16_t &x, float value) { x = filigree::bf16_from_float(value); }

struct PagedRow {
    std::vector<float> acc, l;
    float m;
};

template <class T>
PagedRow expect_split(const PagedCase &c, const PagedShape &shape, const float *q, const T *keys, const T *values,
                      int64_t pair, int64_t head, int64_t first, int64_t end) {
    const filigree_paged_shape &s = shape.h;
    const int64_t b = pair / c.kv_heads, kv = pair % c.kv_heads;
    const std::vector<int64_t> &tokens = shape.tokens[pair];
    const auto row = [&](int64_t token) {
        return shape.page_table[b * s.page_table_stride + token / c.page_rows] * s.cache.batch + kv * s.cache.head +
               token % c.page_rows * s.cache.row;
    };
    PagedRow r{std::vector<float>(c.dim), std::vector<float>(16), -INFINITY};
    for (int64_t from = first; from < end; from += FILIGREE_ATTENTION_STEP_KEYS) {
        const int64_t to = std::min<int64_t>(end, from + FILIGREE_ATTENTION_STEP_KEYS);
        std::vector<float> scores;
        float max = r.m;
        for (int64_t i = from; i < to; ++i) {
            float sums[16] = {};
            for (int64_t d = 0; d < c.dim; ++d)
                sums[d % 16] = std::fma(s.scale * q[b * s.q.batch + head * s.q.head + d],
                                        cached(keys[row(tokens[i]) + d]), sums[d % 16]);
            for (int64_t half = 8; half > 0; half /= 2)
                for (int64_t lane = 0; lane < half; ++lane) sums[lane] += sums[lane + half];
            float x = sums[0];
            if (c.soft_cap != 0) x = c.soft_cap * filigree::tanh(x * (1.0f / c.soft_cap));
            if (c.slopes)
                x = std::fma(shape.slopes[head], static_cast<float>(tokens[i] - (shape.lengths[b] - 1)), x);
            max = x > max ? x : max;
            scores.push_back(x);
        }
        max += 0.0f;
        const float alpha = max == r.m || r.m == -INFINITY ? 1.0f : filigree::exp(r.m - max);
        for (float &x : r.l) x *= alpha;
        if (alpha != 1)
            for (float &x : r.acc) x *= alpha;
        for (int64_t i = from; i < to; ++i) {
            const float p = filigree::exp(scores[i - from] - (max == -INFINITY ? 0.0f : max));
            r.l[(i - from) % 16] += p;
            for (int64_t d = 0; d < c.dim; ++d)
                r.acc[d] = std::fma(p, cached(values[row(tokens[i]) + d]), r.acc[d]);
        }
        r.m = max;
    }
    return r;
}

/* The output of a head, and in m its lse. */
template <class T>
PagedRow expect_head(const PagedCase &c, const PagedShape &shape, const float *q, const T *keys, const T *values,
                     int64_t pair, int64_t head) {
    std::vector<PagedRow> splits;
    PagedRow r{std::vector<float>(c.dim), std::vector<float>(16), -INFINITY};
    for (int64_t first = 0; first < shape.selected[pair]; first += FILIGREE_PAGED_SPLIT_KEYS) {
        const int64_t end = std::min<int64_t>(shape.selected[pair], first + FILIGREE_PAGED_SPLIT_KEYS);
        splits.push_back(expect_split(c, shape, q, keys, values, pair, head, first, end));
        r.m = splits.back().m > r.m ? splits.back().m : r.m;
    }
    for (const PagedRow &split : splits) {
        const float factor = split.m == r.m ? 1.0f : filigree::exp(split.m - r.m);
        for (int64_t i = 0; i < 16; ++i) r.l[i] = std::fma(split.l[i], factor, r.l[i]);
        for (int64_t d = 0; d < c.dim; ++d) r.acc[d] = std::fma(split.acc[d], factor, r.acc[d]);
    }
    for (int64_t half = 8; half > 0; half /= 2)
        for (int64_t x = 0; x < half; ++x) r.l[x] += r.l[x + half];
    for (float &x : r.acc) x *= r.l[0] == 0 ? 0.0f : 1.0f / r.l[0];
    r.m = filigree::log_sum_exp(r.m, r.l[0]);
    return r;
}

template <class T>
using PagedKernel = int32_t (*)(const filigree_paged_shape *, const float *, const T *, const T *, float *, float *,
                                float *, int64_t, int64_t, void *);

/* Runs a case with every operand flush against an inaccessible page, and compares every float of the outputs. */
template <class T>
void check_paged(PagedKernel<T> kernel, const PagedCase &c, uint64_t seed, Guarded::Side side, const char *text) {
    Random random(seed);
    const PagedShape shape(c, random);
    const filigree_paged_shape &h = shape.h;
    const int64_t row = c.dim + c.padding, pairs = c.sequences * c.kv_heads, splits = shape.split_starts[pairs];
    const int64_t size = static_cast<int64_t>(sizeof(T));
    const int64_t cache = shape.pages * c.kv_heads * c.page_rows * row - c.padding;
    const int64_t rows = c.sequences * h.heads, floats = rows * row - c.padding;
    const int64_t padded = (c.group + 3) / 4 * 4, width = (c.dim + 15) / 16 * 16;
    const int64_t scratch_floats = padded * (((c.dim + 127) / 128 + 1) * FILIGREE_ATTENTION_ROW_STRIDE + width + 32) +
                                   2 * ((padded + 15) / 16 * 16) ;
    Guarded s(static_cast<int64_t>(shape.bytes.size()), side, 8), q(floats * 4, side), out(floats * 4, side),
        keys(cache * size, side, size), values(cache * size, side, size), lse(rows * 4, side),
        partials(splits * c.group * (c.dim + 17) * 4, side), scratch(scratch_floats * 4, side, 64);
    std::memcpy(s.as<char>(), shape.bytes.data(), shape.bytes.size());
    for (int64_t i = 0; i < floats; ++i) q.as()[i] = random.value() * 0.1f;
    for (int64_t i = 0; i < cache; ++i) {
        set_cached(keys.as<T>()[i], random.value() * 0.1f);
        set_cached(values.as<T>()[i], random.value());
    }
    const std::vector<float> untouched(out.as(), out.as() + floats);

    for (const auto &[low, high] : {std::pair(int64_t{0}, splits), std::pair(splits, splits + pairs)}) {
        for (int64_t begin = low; begin < high;) {
            const int64_t end = std::min(high, begin + random.between(1, 5));
            CHECK(kernel(s.as<filigree_paged_shape>(), q.as(), keys.as<T>(), values.as<T>(), out.as(), lse.as(),
                         splits == 0 ? nullptr : partials.as(), begin, end, scratch.as<void>()) == FILIGREE_OK);
            begin = end;
        }
    }

    for (int64_t r = 0; r < rows; ++r) {
        const int64_t head = r % h.heads, pair = r / h.heads * c.kv_heads + head / c.group;
        const PagedRow e = expect_head(c, shape, q.as(), keys.as<T>(), values.as<T>(), pair, head);
        for (int64_t d = 0; d < row && r * row + d < floats; ++d) {
            const float got = out.as()[r * row + d];
            if (d < c.dim ? !same_bits(got, e.acc[d]) : !same_bits(got, untouched[r * row + d]))
                fail("row %lld, dim %lld: %a instead of %a; %s", static_cast<long long>(r), static_cast<long long>(d),
                     got, d < c.dim ? e.acc[d] : untouched[r * row + d], text);
        }
        if (!same_bits(lse.as()[r], e.m)) fail("row %lld: lse %a, not %a; %s", static_cast<long long>(r), lse.as()[r], e.m, text);
    }
}

} // namespace filigree_test

#endif
