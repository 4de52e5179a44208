/* What the mlp tests share: random row matrices, lists and masks, and the expected bits, straight from filigree.h. */
#ifndef FILIGREE_TESTS_MLP_CASES_H
#define FILIGREE_TESTS_MLP_CASES_H

#include "testing.h"

#include "cpu/common/bf16.h"
#include "cpu/common/math.h"
#include "filigree.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace filigree_test {

using DotKernel = decltype(&filigree_mlp_dot_f32_avx512);
using AxpyKernel = decltype(&filigree_mlp_axpy_f32_avx512);

struct MlpCase {
    int64_t rows, cols, count, tokens, padding;
    int64_t dtype;
    bool list, masks, bias, factors, in_place;
    int64_t mask_bits; /* of 16: how many a mask has about */
    int32_t activation;
};

/* Of 16 bits, each set with a probability of bits / 16. */
inline uint16_t random_mask(Random &random, int64_t bits) {
    uint32_t mask = 0;
    for (int t = 0; t < 16; ++t) mask |= static_cast<uint32_t>(random.between(1, 16) <= bits) << t;
    return static_cast<uint16_t>(mask);
}

inline int64_t round_up(int64_t value, int64_t to) { return (value + to - 1) / to * to; }

/* A row matrix flush against an inaccessible page. */
class Rows {
public:
    Rows(const MlpCase &c, Random &random, Guarded::Side side)
        : stride(round_up(c.cols, FILIGREE_MLP_ROW_STEP)), is_f32_(c.dtype == FILIGREE_DTYPE_F32),
          memory_(64 + c.rows * stride * (is_f32_ ? 4 : 2) + 64, side, 64) {
        filigree_row_matrix h{};
        h.magic = FILIGREE_ROW_MATRIX_MAGIC, h.bytes = memory_.bytes();
        h.rows = c.rows, h.cols = c.cols, h.stride = stride, h.dtype = c.dtype, h.values = 64;
        std::memcpy(memory_.as<char>(), &h, sizeof h);
        for (int64_t r = 0; r < c.rows; ++r)
            for (int64_t k = 0; k < stride; ++k) {
                const float v = k < c.cols ? random.value() : 0.0f;
                if (is_f32_)
                    memory_.as<float>()[16 + r * stride + k] = v;
                else
                    memory_.as<uint16_t>()[32 + r * stride + k] = filigree::bf16_from_float(v);
            }
    }

    float at(int64_t r, int64_t k) const {
        return is_f32_ ? memory_.as<float>()[16 + r * stride + k]
                       : filigree::bf16_to_float(memory_.as<uint16_t>()[32 + r * stride + k]);
    }

    filigree_row_matrix *header() const { return memory_.as<filigree_row_matrix>(); }

    const int64_t stride;

private:
    bool is_f32_;
    Guarded memory_;
};

/* The operands of both functions. */
struct MlpOperands {
    MlpOperands(const MlpCase &c, Random &random, Guarded::Side side, int64_t bias_count, int64_t factor_width)
        : list(c.list ? c.count * 4 : 0, side), masks(c.masks ? c.count * 2 : 0, side, 2),
          bias(c.bias ? bias_count * 4 : 0, side), factor_stride(factor_width + c.padding),
          factors(((c.tokens - 1) * factor_stride + factor_width) * 4, side) {
        for (int64_t p = 0; p < c.count && c.list; ++p)
            list.as<int32_t>()[p] = static_cast<int32_t>(random.between(0, c.rows - 1));
        for (int64_t p = 0; p < c.count && c.masks; ++p)
            masks.as<uint16_t>()[p] = random_mask(random, c.mask_bits);
        for (int64_t i = 0; i < bias_count && c.bias; ++i) bias.as()[i] = random.value();
        for (int64_t i = 0; i < factors.bytes() / 4; ++i) factors.as()[i] = random.value();
    }

    int64_t row(const MlpCase &c, int64_t p) const { return c.list ? list.as<int32_t>()[p] : p; }

    bool counts(const MlpCase &c, int64_t p, int64_t token) const {
        return !c.masks || (masks.as<uint16_t>()[p] >> token & 1) != 0;
    }

    float finish(const MlpCase &c, float sum, int64_t bias_at, int64_t token, int64_t place) const {
        float y = c.bias ? sum + bias.as()[bias_at] : sum;
        y = filigree::activate(c.activation, y);
        return c.factors ? factors.as()[token * factor_stride + place] * y : y;
    }

    Guarded list, masks, bias;
    int64_t factor_stride;
    Guarded factors;
};

inline float halve(float (&l)[16]) {
    for (int half = 8; half > 0; half /= 2)
        for (int i = 0; i < half; ++i) l[i] += l[i + half];
    return l[0];
}

/* Runs all items, in two calls when there are several. */
template <class Run> void run_items(int64_t items, Random &random, Run run) {
    const int64_t cut = items > 1 ? random.between(0, items) : 0;
    CHECK(run(cut, items) == FILIGREE_OK);
    CHECK(run(0, cut) == FILIGREE_OK);
}

inline void check_dot(DotKernel kernel, const MlpCase &c, uint64_t seed, Guarded::Side side, const char *what) {
    Random random(seed);
    const Rows w(c, random, side);
    const int64_t padded = round_up(c.count, FILIGREE_MLP_BLOCK), out_stride = padded + c.padding * 16;
    const MlpOperands o(c, random, side, c.rows, padded);
    Guarded x(c.tokens * w.stride * 4, side, 64), out(((c.tokens - 1) * out_stride + padded) * 4, side, 64);
    std::vector<float> plain(c.tokens * w.stride);
    for (int64_t t = 0; t < c.tokens; ++t)
        for (int64_t k = 0; k < w.stride; ++k) {
            plain[t * w.stride + k] = k < c.cols ? random.value() : 0.0f;
            const int64_t line = k / 32 * 32, at = c.dtype == FILIGREE_DTYPE_F32 ? k : line + k % 2 * 16 + k % 32 / 2;
            x.as()[t * w.stride + at] = plain[t * w.stride + k];
        }
    for (int64_t i = 0; i < out.bytes() / 4; ++i) out.as()[i] = -5.0f;
    const float *bias = c.bias ? o.bias.as() : nullptr, *factors = c.factors ? o.factors.as() : nullptr;
    int64_t factor_stride = o.factor_stride;
    if (c.in_place && c.factors) {
        factors = out.as(), factor_stride = out_stride;
        for (int64_t t = 0; t < c.tokens; ++t)
            for (int64_t p = 0; p < padded; ++p)
                out.as()[t * out_stride + p] = o.factors.as()[t * o.factor_stride + p];
    }
    run_items(padded / FILIGREE_MLP_BLOCK, random, [&](int64_t begin, int64_t end) {
        return kernel(w.header(), c.list ? o.list.as<int32_t>() : nullptr, c.masks ? o.masks.as<uint16_t>() : nullptr,
                      c.count, x.as(), c.tokens, bias, factors, factor_stride, c.activation, out.as(), out_stride,
                      begin, end);
    });
    for (int64_t t = 0; t < c.tokens; ++t) {
        for (int64_t p = 0; p < c.count; ++p) {
            const int64_t row = o.row(c, p), each = c.dtype == FILIGREE_DTYPE_F32 ? 1 : 2;
            float l[16] = {};
            for (int64_t k = 0; k < w.stride; ++k) {
                float &lane = l[k / each % 16];
                lane = std::fmaf(w.at(row, k), plain[t * w.stride + k], lane);
            }
            const float wanted = o.counts(c, p, t) ? o.finish(c, halve(l), row, t, p) : 0.0f;
            const float found = out.as()[t * out_stride + p];
            if (!same_bits(wanted, found))
                fail("dot, token %lld, position %lld: %a, expected %a; %s", static_cast<long long>(t),
                     static_cast<long long>(p), static_cast<double>(found), static_cast<double>(wanted), what);
        }
        for (int64_t p = padded; p < out_stride && t + 1 < c.tokens; ++p)
            CHECK(out.as()[t * out_stride + p] == -5.0f);
    }
}

inline void check_axpy(AxpyKernel kernel, const MlpCase &c, uint64_t seed, Guarded::Side side, const char *what) {
    Random random(seed);
    const Rows w(c, random, side);
    const MlpOperands o(c, random, side, c.cols, c.cols);
    const int64_t out_stride = c.cols + c.padding, stride = c.count + c.padding;
    Guarded out(((c.tokens - 1) * out_stride + c.cols) * 4, side), scratch(FILIGREE_MLP_SUMS * 4, side, 64),
        coefficients(std::max<int64_t>(0, (c.tokens - 1) * stride + c.count) * 4, side);
    for (int64_t i = 0; i < coefficients.bytes() / 4; ++i) coefficients.as()[i] = random.value();
    for (int64_t i = 0; i < out.bytes() / 4; ++i) out.as()[i] = -5.0f;
    const float *bias = c.bias ? o.bias.as() : nullptr, *factors = c.factors ? o.factors.as() : nullptr;
    int64_t factor_stride = o.factor_stride;
    if (c.in_place && c.factors) {
        factors = out.as(), factor_stride = out_stride;
        for (int64_t t = 0; t < c.tokens; ++t)
            for (int64_t k = 0; k < c.cols; ++k)
                out.as()[t * out_stride + k] = o.factors.as()[t * o.factor_stride + k];
    }
    run_items(round_up(c.cols, FILIGREE_MLP_STRIP) / FILIGREE_MLP_STRIP, random, [&](int64_t begin, int64_t end) {
        return kernel(w.header(), c.list ? o.list.as<int32_t>() : nullptr,
                      c.masks ? o.masks.as<uint16_t>() : nullptr, c.count, coefficients.as(), stride, c.tokens, bias,
                      factors, factor_stride, c.activation, out.as(), out_stride, begin, end, scratch.as<void>());
    });
    for (int64_t t = 0; t < c.tokens; ++t) {
        for (int64_t k = 0; k < c.cols; ++k) {
            float sum = 0.0f;
            for (int64_t p = 0; p < c.count; ++p)
                if (o.counts(c, p, t))
                    sum = std::fmaf(coefficients.as()[t * stride + p], w.at(o.row(c, p), k), sum);
            const float wanted = o.finish(c, sum, k, t, k), found = out.as()[t * out_stride + k];
            if (!same_bits(wanted, found))
                fail("axpy, token %lld, column %lld: %a, expected %a; %s", static_cast<long long>(t),
                     static_cast<long long>(k), static_cast<double>(found), static_cast<double>(wanted), what);
        }
        for (int64_t k = c.cols; k < out_stride && t + 1 < c.tokens; ++k)
            CHECK(out.as()[t * out_stride + k] == -5.0f);
    }
}

} // namespace filigree_test

#endif
