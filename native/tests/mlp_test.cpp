/* Every mlp kernel against the sums of mlp_cases.h, bit for bit. `mlp_test [seed [count]]` replays another draw. */
#include "mlp_cases.h"

#include <cinttypes>

using namespace filigree_test;

namespace {

MlpCase random_case(uint64_t seed, int64_t dtype) {
    Random random(seed * 77 + 5);
    MlpCase c{};
    c.rows = random.between(1, random.chance(0.3) ? 200 : 70);
    c.cols = random.between(1, random.chance(0.2) ? 2500 : 200);
    c.list = random.chance(0.7), c.count = random.between(0, c.list ? 90 : c.rows);
    c.tokens = random.between(1, random.chance(0.3) ? 1 : FILIGREE_MLP_TOKENS);
    c.padding = random.chance(0.5) ? 0 : random.between(1, 9);
    c.dtype = dtype;
    c.masks = random.chance(0.5), c.mask_bits = random.between(0, 16);
    c.bias = random.chance(0.5), c.factors = random.chance(0.5);
    c.in_place = random.chance(0.5);
    c.activation = static_cast<int32_t>(random.between(0, FILIGREE_ACTIVATION_SILU));
    return c;
}

bool refused(int32_t status) { return status == FILIGREE_INVALID_ARGUMENT; }

/* A call that cannot be meant is refused before anything is written. */
void check_refusals(DotKernel dot, AxpyKernel axpy, int64_t dtype) {
    Random random(1);
    MlpCase c{};
    c.rows = 40, c.cols = 100, c.dtype = dtype;
    const Rows w(c, random, Guarded::kEnd);
    filigree_row_matrix *h = w.header();
    const filigree_row_matrix good = *h;
    alignas(64) float x[2 * 128] = {}, out[2 * 128], coefficients[2 * 48] = {}, sums[FILIGREE_MLP_SUMS];
    for (float &y : out) y = -5.0f;
    const float *factors = nullptr;
    int64_t factor_stride = 0;
    int32_t activation = 0;
    const auto dots = [&](int64_t count, int64_t tokens, int64_t stride, int64_t begin, int64_t end) {
        return dot(h, nullptr, nullptr, count, x, tokens, nullptr, factors, factor_stride, activation, out, stride,
                   begin, end);
    };
    const auto axpys = [&](int64_t count, int64_t tokens, int64_t stride, int64_t begin, int64_t end) {
        return axpy(h, nullptr, nullptr, count, coefficients, 48, tokens, nullptr, factors, factor_stride, activation,
                    out, stride, begin, end, sums);
    };
    CHECK(refused(dot(nullptr, nullptr, nullptr, 40, x, 1, nullptr, nullptr, 0, 0, out, 48, 0, 1)));
    CHECK(refused(dot(h, nullptr, nullptr, 40, nullptr, 1, nullptr, nullptr, 0, 0, out, 48, 0, 1)));
    CHECK(refused(dot(h, nullptr, nullptr, 40, x + 1, 1, nullptr, nullptr, 0, 0, out, 48, 0, 1)));
    CHECK(refused(dot(h, nullptr, nullptr, 40, x, 1, nullptr, nullptr, 0, 0, nullptr, 48, 0, 1)));
    CHECK(refused(dots(41, 1, 48, 0, 1)) && refused(dots(-1, 1, 48, 0, 0)) && refused(dots(40, 0, 48, 0, 1)));
    CHECK(refused(dots(40, 17, 48, 0, 1)) && refused(dots(40, 1, 32, 0, 1)) && refused(dots(40, 1, 56, 0, 1)));
    CHECK(refused(dots(40, 1, 48, -1, 1)) && refused(dots(40, 1, 48, 2, 1)) && refused(dots(40, 1, 48, 0, 4)));
    CHECK(refused(axpy(nullptr, nullptr, nullptr, 40, coefficients, 48, 1, nullptr, nullptr, 0, 0, out, 100, 0, 1, sums)));
    CHECK(refused(axpy(h, nullptr, nullptr, 40, nullptr, 48, 1, nullptr, nullptr, 0, 0, out, 100, 0, 1, sums)));
    CHECK(refused(axpy(h, nullptr, nullptr, 40, coefficients, 39, 2, nullptr, nullptr, 0, 0, out, 100, 0, 1, sums)));
    CHECK(refused(axpy(h, nullptr, nullptr, 40, coefficients, 48, 1, nullptr, nullptr, 0, 0, nullptr, 100, 0, 1, sums)));
    CHECK(refused(axpy(h, nullptr, nullptr, 40, coefficients, 48, 1, nullptr, nullptr, 0, 0, out, 100, 0, 1, nullptr)));
    CHECK(refused(axpy(h, nullptr, nullptr, 40, coefficients, 48, 1, nullptr, nullptr, 0, 0, out, 100, 0, 1, sums + 1)));
    CHECK(refused(axpys(41, 1, 100, 0, 1)) && refused(axpys(40, 0, 100, 0, 1)) && refused(axpys(40, 17, 100, 0, 1)));
    CHECK(refused(axpys(40, 2, 99, 0, 1)) && refused(axpys(40, 1, 100, 0, 3)) && refused(axpys(40, 1, 100, 1, 0)));
    const auto with = [&](auto change) {
        *h = good;
        change(*h);
        const bool both = refused(dots(40, 1, 48, 0, 1)) && refused(axpys(40, 1, 100, 0, 1));
        *h = good;
        return both;
    };
    CHECK(with([](auto &m) { m.magic ^= 1; }));
    CHECK(with([](auto &m) { m.dtype ^= 1; }));
    CHECK(with([](auto &m) { m.rows += 1; }));
    CHECK(with([](auto &m) { m.rows = -1; }));
    CHECK(with([](auto &m) { m.cols = m.stride + 1; }));
    CHECK(with([](auto &m) { m.stride += 16; }));
    CHECK(with([](auto &m) { m.values = 32; }));
    CHECK(with([](auto &m) { m.values = 96; }));
    CHECK(with([](auto &m) { m.bytes -= 64; }));
    activation = FILIGREE_ACTIVATION_SILU + 1;
    CHECK(refused(dots(40, 1, 48, 0, 1)) && refused(axpys(40, 1, 100, 0, 1)));
    activation = 0, factors = x, factor_stride = 32;
    CHECK(refused(dots(40, 1, 48, 0, 1)) && refused(axpys(40, 1, 100, 0, 1)));
    for (const float y : out) CHECK(y == -5.0f);
    factors = nullptr;
    CHECK(dots(40, 1, 48, 0, 1) == FILIGREE_OK && axpys(40, 1, 100, 0, 1) == FILIGREE_OK);
}

/* A row that is not listed, or masked out, never meets a coefficient. */
void check_skipped_nan(DotKernel dot, AxpyKernel axpy, int64_t dtype) {
    Random random(2);
    MlpCase c{};
    c.rows = 24, c.cols = 70, c.dtype = dtype;
    const Rows w(c, random, Guarded::kEnd);
    for (int64_t r = 0; r < c.rows; r += 2)
        for (int64_t k = 0; k < c.cols; ++k)
            if (dtype == FILIGREE_DTYPE_F32)
                reinterpret_cast<float *>(w.header())[16 + r * w.stride + k] = NAN;
            else
                reinterpret_cast<uint16_t *>(w.header())[32 + r * w.stride + k] = 0x7fc0;
    int32_t list[12], all[24];
    uint16_t masks[24];
    for (int32_t i = 0; i < 24; ++i) all[i] = i, masks[i] = i % 2 != 0 ? 3 : 0, list[i / 2] = i;
    alignas(64) float x[2 * 96] = {}, out[2 * 96], sums[FILIGREE_MLP_SUMS];
    float coefficients[2 * 24];
    for (float &y : coefficients) y = 1.0f;
    CHECK(dot(w.header(), list, nullptr, 12, x, 2, nullptr, nullptr, 0, 0, out, 16, 0, 1) == FILIGREE_OK);
    for (int64_t t = 0; t < 2; ++t)
        for (int64_t p = 0; p < 12; ++p) CHECK(out[t * 16 + p] == 0.0f);
    CHECK(dot(w.header(), all, masks, 24, x, 2, nullptr, nullptr, 0, 0, out, 32, 0, 2) == FILIGREE_OK);
    for (int64_t t = 0; t < 2; ++t)
        for (int64_t p = 0; p < 24; ++p) CHECK(out[t * 32 + p] == 0.0f);
    CHECK(axpy(w.header(), all, masks, 24, coefficients, 24, 2, nullptr, nullptr, 0, 0, out, 70, 0, 2, sums) == FILIGREE_OK);
    for (int64_t i = 0; i < 140; ++i) CHECK(out[i] == out[i]);
}

} // namespace

int main(int count, char **arguments) {
    filigree_features features{};
    CHECK(filigree_get_features(&features) == FILIGREE_OK);
    if (!FILIGREE_HAVE_AVX512 || (features.usable & FILIGREE_AVX512) == 0) skip("no AVX-512 here");
    const uint64_t seed = count > 1 ? std::strtoull(arguments[1], nullptr, 10) : 1;
    const uint64_t cases = count > 2 ? std::strtoull(arguments[2], nullptr, 10) : 300;
    for (const int64_t dtype : {FILIGREE_DTYPE_F32, FILIGREE_DTYPE_BF16}) {
        const bool f32 = dtype == FILIGREE_DTYPE_F32;
        const DotKernel dot = f32 ? filigree_mlp_dot_f32_avx512 : filigree_mlp_dot_bf16_avx512;
        const AxpyKernel axpy = f32 ? filigree_mlp_axpy_f32_avx512 : filigree_mlp_axpy_bf16_avx512;
        check_refusals(dot, axpy, dtype);
        check_skipped_nan(dot, axpy, dtype);
        for (uint64_t i = seed; i < seed + cases; ++i) {
            char text[64];
            std::snprintf(text, sizeof text, "seed %" PRIu64 ", dtype %d", i, static_cast<int>(dtype));
            check_dot(dot, random_case(i, dtype), i, Guarded::kEnd, text);
            check_axpy(axpy, random_case(i, dtype), i, Guarded::kEnd, text);
        }
    }
    std::printf("%" PRIu64 " cases a kernel: ok\n", cases);
    return 0;
}
