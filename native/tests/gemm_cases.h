/*
 * Dense matrices for the gemm tests: a packer of the format in filigree.h and the scalar sums in the order
 * that filigree.h writes down. Neither shares code with the library.
 */
#ifndef FILIGREE_TESTS_GEMM_CASES_H
#define FILIGREE_TESTS_GEMM_CASES_H

#include "spmm_cases.h"

namespace filigree_test {

struct GemmPackOptions {
    int64_t block_depth = 256;
    int64_t pass_rows = 6;
    int64_t chunk_rows = 6;
    int32_t layout = FILIGREE_FEATURE_MAJOR;
    int32_t activation = FILIGREE_ACTIVATION_NONE;
    bool has_bias = false;
};

/* Row-major, and packed. */
struct GemmMatrix {
    int64_t rows, cols;
    GemmPackOptions options;
    std::vector<float> values, bias;
    std::vector<char> bytes; /* not aligned: copy() before use */
    filigree_gemm_packed header{};
};

inline GemmMatrix random_gemm_matrix(Random &random, int64_t rows, int64_t cols,
                                     const GemmPackOptions &options) {
    GemmMatrix m{rows, cols, options, {}, {}, {}};
    for (int64_t i = 0; i < rows * cols; ++i) m.values.push_back(random.chance(0.2) ? 0.0f : random.value());
    if (options.has_bias)
        for (int64_t r = 0; r < rows; ++r) m.bias.push_back(random.value());

    const int64_t groups = (rows + 5) / 6;
    std::vector<float> packed;
    for (int64_t first = 0; first < cols; first += options.block_depth) {
        const int64_t end = std::min(cols, first + options.block_depth);
        for (int64_t g = 0; g < groups; ++g)
            for (int64_t k = first; k < end; ++k)
                for (int64_t r = 6 * g; r < 6 * g + 6; ++r)
                    packed.push_back(r < rows ? m.values[r * cols + k] : 0.0f);
    }

    filigree_gemm_packed &h = m.header;
    h.magic = FILIGREE_GEMM_MAGIC;
    h.rows = rows, h.cols = cols;
    h.block_depth = options.block_depth;
    h.block_count = (cols + options.block_depth - 1) / options.block_depth;
    h.pass_rows = options.pass_rows;
    h.chunk_rows = options.chunk_rows;
    h.chunk_count = (rows + options.chunk_rows - 1) / options.chunk_rows;
    h.scratch_bytes = (std::min(options.block_depth, cols) + std::min(options.pass_rows, 6 * groups)) *
                      FILIGREE_GEMM_PANEL * int64_t{sizeof(float)};
    h.layout = options.layout;
    h.activation = options.activation;
    const int64_t bias_at = (int64_t{sizeof h} + 63) / 64 * 64;
    h.bias = options.has_bias ? bias_at : 0;
    h.values = options.has_bias ? (bias_at + 4 * rows + 63) / 64 * 64 : bias_at;
    /* The 64 readable bytes, and a size that can be both flush and aligned. */
    h.bytes = (h.values + 4 * static_cast<int64_t>(packed.size()) + 63) / 64 * 64 + 64;
    m.bytes.resize(h.bytes);
    std::memcpy(m.bytes.data(), &h, sizeof h);
    if (!m.bias.empty()) std::memcpy(m.bytes.data() + h.bias, m.bias.data(), 4 * m.bias.size());
    if (!packed.empty()) std::memcpy(m.bytes.data() + h.values, packed.data(), 4 * packed.size());
    return m;
}

inline Shape gemm_shape(const GemmMatrix &m, int64_t n, int64_t b_padding, int64_t c_padding) {
    Csr shape;
    shape.rows = m.rows, shape.cols = m.cols;
    return Shape(shape, n, m.options.layout, b_padding, c_padding);
}

inline Expected expect(const GemmMatrix &m, const float *b, int64_t b_stride, float c, float alpha,
                       float beta, int64_t r, int64_t j) {
    float acc = 0;
    double exact = 0, magnitude = 0;
    for (int64_t k = 0; k < m.cols; ++k) {
        const float x =
            m.options.layout == FILIGREE_FEATURE_MAJOR ? b[k * b_stride + j] : b[j * b_stride + k];
        const float a = m.values[r * m.cols + k];
        acc = std::fma(a, x, acc);
        exact += double{a} * x;
        magnitude += std::fabs(double{a} * x);
    }
    float y = alpha * acc;
    exact *= alpha, magnitude *= std::fabs(alpha);
    if (beta != 0) {
        y = std::fma(beta, c, y);
        exact += double{beta} * c, magnitude += std::fabs(double{beta} * c);
    }
    if (m.options.has_bias) {
        y = y + m.bias[r];
        exact += m.bias[r], magnitude += std::fabs(double{m.bias[r]});
    }
    return {filigree::activate(m.options.activation, y), exact, magnitude};
}

using GemmKernel = decltype(&filigree_gemm_packed_f32_avx512);

/* The operands of a run besides the strides. */
struct GemmOperands {
    const filigree_gemm_packed *a;
    const float *b;
    float *c;
    void *scratch;
    int64_t n;
    float alpha, beta;
};

/* All work items, in ranges of random length and in random order. */
inline void run_items(GemmKernel kernel, const GemmOperands &o, const Shape &shape, Random &random) {
    const int64_t items = (o.n + FILIGREE_GEMM_PANEL - 1) / FILIGREE_GEMM_PANEL * o.a->chunk_count;
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
        CHECK(kernel(o.a, o.b, shape.b_stride, o.c, shape.c_stride, o.n, o.alpha, o.beta, begin, end,
                     o.scratch) == FILIGREE_OK);
}

} // namespace filigree_test

#endif
