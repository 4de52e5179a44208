/*
 * Sparse matrices for the spmm tests: a packer of the format in filigree.h and the scalar sums in the order
 * that filigree.h writes down. Neither shares code with the library.
 */
#ifndef FILIGREE_TESTS_SPMM_CASES_H
#define FILIGREE_TESTS_SPMM_CASES_H

#include "cpu/common/math.h"
#include "filigree.h"
#include "testing.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

namespace filigree_test {

struct Csr {
    int64_t rows = 0, cols = 0;
    std::vector<int64_t> offsets{0};
    std::vector<int32_t> columns;
    std::vector<float> values;

    int64_t nnz() const { return static_cast<int64_t>(columns.size()); }
};

/* Every tenth row or so is empty, and now and then one is dense. */
inline Csr random_csr(Random &random, int64_t rows, int64_t cols, double density) {
    Csr m;
    m.rows = rows, m.cols = cols;
    for (int64_t r = 0; r < rows; ++r) {
        const double kind = random.uniform();
        const double row_density = kind < 0.1 ? 0 : kind > 0.97 ? 1 : density;
        for (int64_t c = 0; c < cols; ++c) {
            if (!random.chance(row_density)) continue;
            m.columns.push_back(static_cast<int32_t>(c));
            m.values.push_back(random.value());
        }
        m.offsets.push_back(m.nnz());
    }
    return m;
}

struct PackOptions {
    int64_t group = 1;             /* virtual rows whose entries lie in turns; needs a tile */
    int64_t row_limit = INT64_MAX; /* nonzeros of a virtual row */
    int64_t block_depth = 1;       /* columns of a block */
    bool tiled = true;
    int64_t pass_rows = 1;
    int64_t chunk_rows = 1; /* virtual rows of a work item */
    int32_t layout = FILIGREE_FEATURE_MAJOR;
    int32_t activation = FILIGREE_ACTIVATION_NONE;
    bool has_bias = false;
    bool ordered = false; /* with the table of rows by length */
};

struct Packed {
    PackOptions options;
    std::vector<char> bytes; /* not aligned: copy() before use */
    std::vector<float> bias;
    filigree_spmm_packed header{};
};

class Packer {
public:
    Packer(const Csr &m, const PackOptions &options, Random &random) : m_(m), options_(options) {
        /* Work items and passes begin with a group. */
        options_.pass_rows = (options.pass_rows + options.group - 1) / options.group * options.group;
        options_.chunk_rows = (options.chunk_rows + options.group - 1) / options.group * options.group;
        cut_rows();
        packed_.options = options_;
        filigree_spmm_packed &h = packed_.header;
        h.magic = FILIGREE_SPMM_MAGIC;
        h.rows = m.rows, h.cols = m.cols, h.nnz = m.nnz();
        h.virtual_rows = static_cast<int64_t>(targets_.size());
        h.block_depth = options.block_depth;
        h.block_count = (m.cols + options.block_depth - 1) / options.block_depth;
        h.tiled = options.tiled;
        h.group = options.group;
        h.pass_rows = options_.pass_rows;
        h.split_count = static_cast<int64_t>(splits_.size()) / 2;
        h.partial_count = slots_;
        h.layout = options.layout;
        h.activation = options.activation;
        splits_.push_back(static_cast<int32_t>(m.rows));
        splits_.push_back(static_cast<int32_t>(slots_));

        std::vector<int64_t> chunk_starts{0};
        while (chunk_starts.back() < h.virtual_rows)
            chunk_starts.push_back(std::min(chunk_starts.back() + options_.chunk_rows, h.virtual_rows));
        h.chunk_count = static_cast<int64_t>(chunk_starts.size()) - 1;

        const int64_t tile_rows = !options.tiled     ? 0
                                  : options.group > 1 ? options.block_depth + 1
                                                      : std::min(options.block_depth, m.cols);
        const int64_t group_rows = (h.virtual_rows + options.group - 1) / options.group * options.group;
        const int64_t sum_rows = std::min(options_.pass_rows, group_rows);
        h.scratch_bytes = (tile_rows + sum_rows) * FILIGREE_SPMM_WIDEST_PANEL * int64_t{sizeof(float)};

        shuffle_places(chunk_starts, group_rows, random);
        sort_into_blocks();
        packed_.bytes.resize(sizeof h);
        if (options.has_bias) {
            for (int64_t r = 0; r < m.rows; ++r) packed_.bias.push_back(random.value());
            h.bias = put(packed_.bias);
        }
        h.chunk_starts = put(chunk_starts);
        h.targets = put(targets_);
        h.splits = put(splits_);
        h.group_starts = put(group_starts_);
        if (options.group > 1) h.places = put(places_);
        h.columns = options.group > 1 ? put(std::vector<uint16_t>(columns_.begin(), columns_.end())) : put(columns_);
        h.values = put(values_);
        if (options.ordered) h.order = put(longest_first());
        /* The 64 readable bytes, and a size that can be both flush and aligned. */
        packed_.bytes.resize((packed_.bytes.size() + 63) / 64 * 64 + 64);
        h.bytes = static_cast<int64_t>(packed_.bytes.size());
        std::memcpy(packed_.bytes.data(), &h, sizeof h);
    }

    Packed take() { return std::move(packed_); }

private:
    void cut_rows() {
        for (int64_t r = 0; r < m_.rows; ++r) {
            const int64_t begin = m_.offsets[r], end = m_.offsets[r + 1];
            if (end - begin <= options_.row_limit) {
                targets_.push_back(static_cast<int32_t>(r));
                starts_.push_back(begin), ends_.push_back(end);
                continue;
            }
            splits_.push_back(static_cast<int32_t>(r));
            splits_.push_back(static_cast<int32_t>(slots_));
            for (int64_t i = begin; i < end; i += options_.row_limit) {
                targets_.push_back(static_cast<int32_t>(~slots_++));
                starts_.push_back(i), ends_.push_back(std::min(end, i + options_.row_limit));
            }
        }
    }

    /* Any order will do within a pass and a work item. */
    void shuffle_places(const std::vector<int64_t> &chunk_starts, int64_t group_rows, Random &random) {
        for (int64_t v = 0; v < group_rows; ++v) places_.push_back(static_cast<int32_t>(v));
        if (options_.group == 1) return;
        for (size_t chunk = 1; chunk < chunk_starts.size(); ++chunk) {
            const bool is_last = chunk + 1 == chunk_starts.size();
            const int64_t chunk_end = is_last ? group_rows : chunk_starts[chunk];
            for (int64_t begin = chunk_starts[chunk - 1], end; begin < chunk_end; begin = end) {
                end = std::min(chunk_end, (begin / options_.pass_rows + 1) * options_.pass_rows);
                for (int64_t i = end; i > begin + 1; --i)
                    std::swap(places_[i - 1], places_[random.between(begin, i - 1)]);
            }
        }
    }

    /* Row by row, or the rows of a group in turns, the shorter ones padded with zeros. */
    void sort_into_blocks() {
        const int64_t rows = static_cast<int64_t>(targets_.size()), group = options_.group;
        for (int64_t k = 0; k < packed_.header.block_count; ++k) {
            const int64_t low = k * options_.block_depth, high = low + options_.block_depth;
            for (int64_t first = 0; first < rows; first += group) {
                std::vector<std::vector<int64_t>> members(group);
                size_t longest = 0;
                for (int64_t m = 0; m < group; ++m) {
                    const int64_t v = places_[first + m];
                    if (v >= rows) continue;
                    for (int64_t i = starts_[v]; i < ends_[v]; ++i)
                        if (m_.columns[i] >= low && m_.columns[i] < high) members[m].push_back(i);
                    longest = std::max(longest, members[m].size());
                }
                group_starts_.push_back(static_cast<int64_t>(columns_.size()));
                for (size_t turn = 0; turn < longest; ++turn) {
                    for (const std::vector<int64_t> &member : members) {
                        const bool has = turn < member.size();
                        columns_.push_back(
                            static_cast<int32_t>(has ? m_.columns[member[turn]] - low : options_.block_depth));
                        values_.push_back(has ? m_.values[member[turn]] : 0);
                    }
                }
            }
            group_starts_.push_back(static_cast<int64_t>(columns_.size()));
        }
    }

    std::vector<int32_t> longest_first() const {
        std::vector<int32_t> order(targets_.size());
        for (size_t v = 0; v < order.size(); ++v) order[v] = static_cast<int32_t>(v);
        std::stable_sort(order.begin(), order.end(),
                         [&](int32_t x, int32_t y) { return ends_[x] - starts_[x] > ends_[y] - starts_[y]; });
        return order;
    }

    template <class T> int64_t put(const std::vector<T> &table) {
        std::vector<char> &bytes = packed_.bytes;
        bytes.resize((bytes.size() + 63) / 64 * 64);
        const size_t offset = bytes.size();
        bytes.resize(offset + table.size() * sizeof(T));
        if (!table.empty()) std::memcpy(bytes.data() + offset, table.data(), table.size() * sizeof(T));
        return static_cast<int64_t>(offset);
    }

    const Csr &m_;
    PackOptions options_;
    Packed packed_;
    int64_t slots_ = 0;
    std::vector<int32_t> targets_, splits_, places_, columns_;
    std::vector<float> values_;
    std::vector<int64_t> starts_, ends_, group_starts_;
};

/* The dense operands of a call, each exactly as large as its shape and stride make it. */
struct Shape {
    int64_t b_rows, b_width, b_stride;
    int64_t c_rows, c_width, c_stride;

    Shape(const Csr &m, int64_t n, int32_t layout, int64_t b_padding, int64_t c_padding) {
        const bool by_feature = layout == FILIGREE_FEATURE_MAJOR;
        b_rows = by_feature ? m.cols : n, b_width = by_feature ? n : m.cols;
        c_rows = by_feature ? m.rows : n, c_width = by_feature ? n : m.rows;
        b_stride = b_width + b_padding, c_stride = c_width + c_padding;
    }

    static int64_t floats(int64_t rows, int64_t width, int64_t stride) {
        return rows == 0 || width == 0 ? 0 : (rows - 1) * stride + width;
    }
    int64_t b_floats() const { return floats(b_rows, b_width, b_stride); }
    int64_t c_floats() const { return floats(c_rows, c_width, c_stride); }
};

/* Row r, column j of the product: what every kernel must return to the bit, and what it approximates. */
struct Expected {
    float value;
    double exact;     /* without the activation */
    double magnitude; /* sum of the absolute values of what `exact` adds up */
};

inline Expected expect(const Csr &m, const Packed &packed, const float *b, int64_t b_stride, float c,
                       float alpha, float beta, int64_t r, int64_t j) {
    const PackOptions &o = packed.options;
    const int64_t begin = m.offsets[r], end = m.offsets[r + 1];
    float sum = 0, acc = 0;
    double exact = 0, magnitude = 0;
    bool has_segment = false;
    for (int64_t i = begin; i < end; ++i) {
        const int64_t col = m.columns[i];
        const float x = o.layout == FILIGREE_FEATURE_MAJOR ? b[col * b_stride + j] : b[j * b_stride + col];
        acc = std::fma(m.values[i], x, acc);
        exact += double{m.values[i]} * x;
        magnitude += std::fabs(double{m.values[i]} * x);
        if (i + 1 == end || (i + 1 - begin) % o.row_limit == 0) {
            sum = has_segment ? sum + acc : acc;
            has_segment = true;
            acc = 0;
        }
    }
    float y = alpha * sum;
    exact *= alpha, magnitude *= std::fabs(alpha);
    if (beta != 0) {
        y = std::fma(beta, c, y);
        exact += double{beta} * c, magnitude += std::fabs(double{beta} * c);
    }
    if (o.has_bias) {
        y = y + packed.bias[r];
        exact += packed.bias[r], magnitude += std::fabs(double{packed.bias[r]});
    }
    return {filigree::activate(o.activation, y), exact, magnitude};
}

using SpmmKernel = decltype(&filigree_spmm_csr_f32_avx512);

/* The operands of a run besides the matrix. */
struct SpmmOperands {
    const filigree_spmm_packed *a;
    const float *b;
    float *c;
    float *partials;
    void *scratch;
    int64_t n;
    float alpha, beta;
};

/* All work items, in ranges of random length and in random order; the combining ones last. */
inline void run_items(SpmmKernel kernel, const SpmmOperands &o, const Shape &shape, Random &random) {
    int64_t panels = o.n > 0;
    while (o.n > FILIGREE_SPMM_PANEL * (panels - 1) + FILIGREE_SPMM_WIDEST_PANEL) ++panels;
    const int64_t multiplying = panels * o.a->chunk_count;
    const int64_t items = multiplying + panels * o.a->split_count;
    for (const auto &[low, high] : {std::pair(int64_t{0}, multiplying), std::pair(multiplying, items)}) {
        const int64_t longest = random.chance(0.5) ? std::max<int64_t>(high - low, 1) : 3;
        std::vector<std::pair<int64_t, int64_t>> ranges;
        for (int64_t begin = low; begin < high;) {
            const int64_t end = std::min(high, begin + random.between(1, longest));
            ranges.emplace_back(begin, end);
            begin = end;
        }
        for (size_t i = ranges.size(); i > 1; --i)
            std::swap(ranges[i - 1], ranges[random.between(0, static_cast<int64_t>(i) - 1)]);
        for (const auto &[begin, end] : ranges)
            CHECK(kernel(o.a, o.b, shape.b_stride, o.c, shape.c_stride, o.n, o.alpha, o.beta, o.partials,
                         begin, end, o.scratch) == FILIGREE_OK);
    }
}

} // namespace filigree_test

#endif
