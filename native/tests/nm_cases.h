/*
 * N:M matrices for the nm tests: a packer of the format in filigree.h and the scalar sums in the order that
 * filigree.h writes down. Neither shares code with the library.
 */
#ifndef FILIGREE_TESTS_NM_CASES_H
#define FILIGREE_TESTS_NM_CASES_H

#include "cpu/common/bf16.h"
#include "cpu/common/math.h"
#include "filigree.h"
#include "testing.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace filigree_test {

/* What elements of B and C are in a test, and back. */
inline float as_float(float x) { return x; }
inline float as_float(uint16_t x) { return filigree::bf16_to_float(x); }
inline void set_element(float &to, float x) { to = x; }
inline void set_element(uint16_t &to, float x) { to = filigree::bf16_from_float(x); }

struct NmOptions {
    bool bf16 = false;
    int64_t rows = 0, cols = 0;
    int32_t n = 2, m = 4, vector = 1;
    int64_t block_groups = 1; /* units of columns in a block */
    int64_t pass_groups = 1, chunk_groups = 1;
    int32_t layout = FILIGREE_FEATURE_MAJOR;
    int32_t activation = FILIGREE_ACTIVATION_NONE;
    bool has_bias = false;
    bool tiles = false; /* whether the kernel uses AMX tiles, whose sums have an order of their own */

    int64_t unit() const { return bf16 && n % 2 == 1 ? 2 * m : m; }
    int64_t padded_cols() const { return (cols + unit() - 1) / unit() * unit(); }
};

class Nm {
public:
    Nm(const NmOptions &options, Random &random) : o(options) {
        slots = o.padded_cols() / o.m * o.n;
        for (int64_t r = 0; r < o.rows; ++r) {
            columns.push_back(r % o.vector == 0 ? random_columns(random) : columns.back());
            values.emplace_back();
            for (int64_t s = 0; s < slots; ++s) {
                float value = columns.back()[s] < o.cols ? random.value() : 0.0f;
                if (o.bf16) value = as_float(filigree::bf16_from_float(value));
                values.back().push_back(value);
            }
        }
        pack(random);
    }

    /* Row r, column j of the product to the bit; of bf16, before it is rounded. */
    template <class E>
    float expect(const E *b, int64_t b_stride, float c, float alpha, float beta, int64_t r, int64_t j) const {
        return finish(sum(b, b_stride, r, j), c, alpha, beta, r);
    }

    /* How far from it an element in bf16 may be whose sum is in another order. */
    float tolerance(const uint16_t *b, int64_t b_stride, float c, float alpha, float beta, int64_t r,
                    int64_t j) const {
        double magnitude = 0;
        for (int64_t s = 0; s < slots; ++s)
            magnitude += std::fabs(double{values[r][s]} * double{element(b, b_stride, r, j, s)});
        const double terms = static_cast<double>(slots);
        const auto bound =
            static_cast<float>((8 + 2 * std::sqrt(terms)) * 0x1p-24 * magnitude + terms * 0x1p-126);
        const float acc = sum(b, b_stride, r, j), y = finish(acc, c, alpha, beta, r);
        return std::fabs(finish(acc + bound, c, alpha, beta, r) - y) +
               std::fabs(finish(acc - bound, c, alpha, beta, r) - y) + 0x1p-8f * std::fabs(y);
    }

    NmOptions o;
    int64_t slots; /* of a row */
    std::vector<std::vector<int64_t>> columns;
    std::vector<std::vector<float>> values;
    std::vector<float> bias;
    std::vector<char> bytes; /* not aligned: copy before use */
    filigree_nm_packed header{};

private:
    /* What slot s of row r meets in column j of the product. */
    template <class E> float element(const E *b, int64_t b_stride, int64_t r, int64_t j, int64_t s) const {
        const int64_t k = columns[r][s];
        return k >= o.cols                          ? 0.0f
               : o.layout == FILIGREE_FEATURE_MAJOR ? as_float(b[k * b_stride + j])
                                                    : as_float(b[j * b_stride + k]);
    }

    template <class E> float sum(const E *b, int64_t b_stride, int64_t r, int64_t j) const {
        float acc = 0;
        const auto at = [&](int64_t s) { return element(b, b_stride, r, j, s); };
        for (int64_t s = 0; s < slots && !o.bf16; ++s) acc = std::fma(values[r][s], at(s), acc);
        for (int64_t s = 0; s < slots && o.bf16; s += 2)
            acc = filigree::multiply_add(pair(values[r][s], values[r][s + 1]), pair(at(s), at(s + 1)), acc);
        return acc;
    }

    float finish(float acc, float c, float alpha, float beta, int64_t r) const {
        float y = alpha * acc;
        if (beta != 0) y = std::fma(beta, c, y);
        if (o.has_bias) y = y + bias[r];
        return filigree::activate(o.activation, y);
    }

    static uint32_t pair(float even, float odd) {
        return filigree::bf16_from_float(even) | uint32_t{filigree::bf16_from_float(odd)} << 16;
    }

    std::vector<int64_t> random_columns(Random &random) const {
        std::vector<int64_t> result;
        for (int64_t first = 0; first < o.padded_cols(); first += o.m) {
            std::vector<int64_t> group;
            for (int32_t i = 0; i < o.m; ++i) group.push_back(first + i);
            /* Existing columns first: padding is stored only where there is nothing else. */
            const int64_t real = std::min<int64_t>(o.m, o.cols - first);
            for (int64_t i = real; i > 1; --i) std::swap(group[i - 1], group[random.between(0, i - 1)]);
            std::sort(group.begin(), group.begin() + o.n);
            result.insert(result.end(), group.begin(), group.begin() + o.n);
        }
        return result;
    }

    template <class T> int64_t put(const std::vector<T> &table) {
        bytes.resize((bytes.size() + 63) / 64 * 64);
        const size_t offset = bytes.size();
        bytes.resize(offset + table.size() * sizeof(T));
        if (!table.empty()) std::memcpy(bytes.data() + offset, table.data(), table.size() * sizeof(T));
        return static_cast<int64_t>(offset);
    }

    void pack(Random &random) {
        filigree_nm_packed &h = header;
        const int64_t streams = o.vector >= 16 ? 1 : 16 / o.vector,
                      run_groups = o.vector > 16 ? o.vector / 16 : 1;
        const int64_t block_slots = o.block_groups * o.unit() / o.m * o.n;
        /* The entry of a slot, counted in ascending columns. */
        const auto entry = [&](int64_t slot) { return o.bf16 ? slot ^ 1 : slot; };
        h.magic = FILIGREE_NM_MAGIC;
        h.rows = o.rows, h.cols = o.cols, h.n = o.n, h.m = o.m, h.vector = o.vector;
        while (o.n < o.m && (1 << h.index_bits) < o.m) ++h.index_bits;
        h.block_depth = o.block_groups * o.unit();
        h.dtype = o.bf16 ? FILIGREE_DTYPE_BF16 : FILIGREE_DTYPE_F32, h.unit = static_cast<int32_t>(o.unit());
        h.block_count = (o.cols + h.block_depth - 1) / h.block_depth;
        h.group_count = (o.rows + 15) / 16;
        h.pass_groups = o.pass_groups, h.chunk_groups = o.chunk_groups;
        h.chunk_count = (h.group_count + o.chunk_groups - 1) / o.chunk_groups;
        const int64_t entries = (block_slots * streams + 15) / 16 * 16;
        h.sums = std::max<int64_t>(o.bf16 ? 32 : 8, (h.block_depth + 15) / 16 * 16) * 256;
        h.columns = h.sums + o.pass_groups * 16 * 256;
        h.work = h.columns + (o.bf16 ? block_slots * 16 : entries) * 4;
        h.old_values = h.stage = h.work + (o.bf16 ? 128 * (block_slots + 32) : 0);
        h.scratch_bytes = h.stage;
        h.layout = o.layout, h.activation = o.activation;

        bytes.resize(sizeof h);
        if (o.has_bias) {
            for (int64_t r = 0; r < h.group_count * 16; ++r) bias.push_back(random.value());
            h.bias = put(bias);
        }
        std::vector<int32_t> first_columns;
        for (int64_t e = 0; e < entries; ++e) {
            const int64_t slot = entry(e / streams);
            first_columns.push_back(static_cast<int32_t>(h.index_bits == 0 ? slot : slot / o.n * o.m));
        }
        h.first_columns = put(first_columns);

        std::vector<uint8_t> indices;
        std::vector<float> packed_values;
        std::vector<uint16_t> packed_pairs;
        for (int64_t first = 0; first < slots; first += block_slots) {
            const int64_t count = std::min(block_slots, slots - first);
            for (int64_t g = 0; g < h.group_count; ++g) {
                const auto row_of = [&](int64_t stream) {
                    return std::min(o.rows - 1, g * 16 + stream * 16 / streams);
                };
                if (g % run_groups == 0) {
                    std::vector<bool> bits;
                    for (int64_t s = first; s < first + count; ++s)
                        for (int64_t stream = 0; stream < streams; ++stream)
                            for (int32_t bit = 0; bit < h.index_bits; ++bit)
                                bits.push_back((columns[row_of(stream)][entry(s)] % o.m >> bit & 1) != 0);
                    const size_t at = indices.size();
                    indices.resize(at + (bits.size() + 7) / 8);
                    for (size_t i = 0; i < bits.size(); ++i)
                        indices[at + i / 8] = static_cast<uint8_t>(indices[at + i / 8] | bits[i] << i % 8);
                }
                for (int64_t s = first; s < first + count && !o.bf16; ++s)
                    for (int64_t r = g * 16; r < g * 16 + 16; ++r)
                        packed_values.push_back(r < o.rows ? values[r][s] : 0.0f);
                for (int64_t s = first; s < first + count && o.bf16; s += 2)
                    for (int64_t r = g * 16; r < g * 16 + 16; ++r)
                        for (int64_t half = 0; half < 2; ++half)
                            packed_pairs.push_back(
                                filigree::bf16_from_float(r < o.rows ? values[r][s + half] : 0.0f));
            }
        }
        h.indices = put(indices);
        h.values = o.bf16 ? put(packed_pairs) : put(packed_values);
        /* The 64 readable bytes, and a size that can be both flush and aligned. */
        bytes.resize((bytes.size() + 63) / 64 * 64 + 64);
        h.bytes = static_cast<int64_t>(bytes.size());
        std::memcpy(bytes.data(), &h, sizeof h);
    }
};

/* The dense operands of a call, each exactly as large as its shape and stride make it. */
struct NmShape {
    int64_t b_rows, b_width, b_stride;
    int64_t c_rows, c_width, c_stride;

    NmShape(const NmOptions &o, int64_t n, int64_t b_padding, int64_t c_padding) {
        const bool by_feature = o.layout == FILIGREE_FEATURE_MAJOR;
        b_rows = by_feature ? o.cols : n, b_width = by_feature ? n : o.cols;
        c_rows = by_feature ? o.rows : n, c_width = by_feature ? n : o.rows;
        b_stride = b_width + b_padding, c_stride = c_width + c_padding;
    }

    static int64_t elements(int64_t rows, int64_t width, int64_t stride) {
        return rows == 0 || width == 0 ? 0 : (rows - 1) * stride + width;
    }
    int64_t b_elements() const { return elements(b_rows, b_width, b_stride); }
    int64_t c_elements() const { return elements(c_rows, c_width, c_stride); }
};

template <class E>
using NmKernel = int32_t (*)(const filigree_nm_packed *, const E *, int64_t, E *, int64_t, int64_t, float,
                             float, int64_t, int64_t, void *);

/* Runs all work items in ranges of random length and order, with every operand flush against a guard page,
 * and compares each element: bit for bit, or of tiles within the tolerance of all results. `what` tells a failure
 * from another. */
template <class E>
void check_nm(NmKernel<E> kernel, const Nm &m, int64_t n, int64_t padding, float alpha, float beta,
              Guarded::Side side, Random &random, const char *what) {
    const NmShape shape(m.o, n, padding, padding);
    Guarded a(m.header.bytes, side, 64), scratch(m.header.scratch_bytes, side, 64);
    std::memcpy(a.as<char>(), m.bytes.data(), m.bytes.size());
    constexpr int64_t size = sizeof(E);
    Guarded b(shape.b_elements() * size, side, size), c(shape.c_elements() * size, side, size);
    E *const x = b.as<E>(), *const y = c.as<E>();
    for (int64_t i = 0; i < shape.b_elements(); ++i) set_element(x[i], random.value());
    for (int64_t i = 0; i < shape.c_elements(); ++i) set_element(y[i], beta == 0 ? NAN : random.value());
    const std::vector<E> before(y, y + shape.c_elements());

    const int64_t items = (n + FILIGREE_NM_PANEL - 1) / FILIGREE_NM_PANEL * m.header.chunk_count;
    const int64_t longest = random.chance(0.5) ? std::max<int64_t>(items, 1) : 3;
    std::vector<std::pair<int64_t, int64_t>> ranges;
    for (int64_t begin = 0; begin < items;) {
        const int64_t end = std::min(items, begin + random.between(1, longest));
        ranges.emplace_back(begin, end);
        begin = end;
    }
    for (size_t i = ranges.size(); i > 1; --i)
        std::swap(ranges[i - 1], ranges[random.between(0, static_cast<int64_t>(i) - 1)]);
    for (const auto &[begin, end] : ranges)
        CHECK(kernel(a.as<filigree_nm_packed>(), x, shape.b_stride, y, shape.c_stride, n, alpha, beta, begin,
                     end, scratch.as<void>()) == FILIGREE_OK);

    for (int64_t i = 0; i < shape.c_elements(); ++i) {
        const int64_t line = i / shape.c_stride, place = i % shape.c_stride;
        const bool by_feature = m.o.layout == FILIGREE_FEATURE_MAJOR;
        const int64_t r = by_feature ? line : place, j = by_feature ? place : line;
        const float old = as_float(before[i]);
        const bool written = place < shape.c_width;
        const float exact = written ? m.expect(x, shape.b_stride, old, alpha, beta, r, j) : old;
        E wanted = before[i];
        if (written) set_element(wanted, exact);
        bool agrees = same_bits(as_float(y[i]), as_float(wanted));
        if constexpr (sizeof(E) == 2)
            if (m.o.tiles && written && !agrees)
                agrees = std::fabs(as_float(y[i]) - exact) <= m.tolerance(x, shape.b_stride, old, alpha, beta, r, j);
        if (!agrees)
            fail("%a instead of %a at %lld of C; %s", as_float(y[i]), as_float(wanted),
                 static_cast<long long>(i), what);
    }
}

} // namespace filigree_test

#endif
