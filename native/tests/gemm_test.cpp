/*
 * Every gemm kernel against the scalar sums of gemm_cases.h: bit for bit, and within the library's one
 * tolerance of a double reference. `gemm_test [seed]` replays another draw.
 */
#include "gemm_cases.h"

#include <cinttypes>

using namespace filigree_test;

namespace {

struct Case {
    uint64_t seed;
    int64_t rows, cols, n;
    GemmPackOptions pack;
    int64_t b_padding, c_padding;
    float alpha, beta;
};

std::string describe(const Case &k) {
    char text[300];
    std::snprintf(text, sizeof text,
                  "seed %" PRIu64 ": %" PRId64 " x %" PRId64 ", n %" PRId64 ", layout %d, depth %" PRId64
                  ", pass %" PRId64 ", chunk %" PRId64 ", activation %d, bias %d, padding %" PRId64
                  " %" PRId64 ", alpha %g, beta %g",
                  k.seed, k.rows, k.cols, k.n, k.pack.layout, k.pack.block_depth, k.pack.pass_rows,
                  k.pack.chunk_rows, k.pack.activation, k.pack.has_bias, k.b_padding, k.c_padding, k.alpha,
                  k.beta);
    return text;
}

void check_case(GemmKernel kernel, const Case &k) {
    Random random(k.seed);
    const GemmMatrix m = random_gemm_matrix(random, k.rows, k.cols, k.pack);
    const Shape shape = gemm_shape(m, k.n, k.b_padding, k.c_padding);

    Aligned a(m.bytes.size());
    std::memcpy(a.get(), m.bytes.data(), m.bytes.size());
    std::vector<float> b(shape.b_floats()), c(shape.c_floats());
    for (float &x : b) x = random.value();
    /* What lies between the rows must stay, and with beta = 0 nothing in C may be read. */
    for (float &x : c) x = k.beta == 0 ? NAN : random.value();
    const std::vector<float> before = c;
    Aligned scratch(m.header.scratch_bytes);
    std::memset(scratch.get(), 0xff, m.header.scratch_bytes);

    run_items(kernel,
              {static_cast<filigree_gemm_packed *>(a.get()), b.data(), c.data(), scratch.get(), k.n, k.alpha,
               k.beta},
              shape, random);

    for (int64_t i = 0; i < shape.c_floats(); ++i) {
        const int64_t line = i / shape.c_stride, place = i % shape.c_stride;
        if (place >= shape.c_width) {
            if (!same_bits(c[i], before[i]))
                fail("padding of C at %" PRId64 " written; %s", i, describe(k).c_str());
            continue;
        }
        const bool by_feature = k.pack.layout == FILIGREE_FEATURE_MAJOR;
        const int64_t row = by_feature ? line : place, column = by_feature ? place : line;
        const Expected e = expect(m, b.data(), shape.b_stride, before[i], k.alpha, k.beta, row, column);
        if (!same_bits(c[i], e.value))
            fail("row %" PRId64 ", column %" PRId64 ": %a instead of %a; %s", row, column, c[i], e.value,
                 describe(k).c_str());
        if (k.pack.activation > FILIGREE_ACTIVATION_RELU) continue; /* math_test has their errors */
        const double terms = static_cast<double>(m.cols + 2);
        const double tolerance = (8 + 2 * std::sqrt(terms)) * 0x1p-24 * e.magnitude + terms * 0x1p-126;
        const double exact = k.pack.activation == FILIGREE_ACTIVATION_RELU ? std::fmax(e.exact, 0) : e.exact;
        if (!(std::fabs(c[i] - exact) <= tolerance))
            fail("row %" PRId64 ", column %" PRId64 ": %.9g, exactly %.17g; %s", row, column, c[i], exact,
                 describe(k).c_str());
    }
}

/* One block and several of which the last is short, passes that end inside a chunk, both layouts: each for
 * every width from one lane of one panel to a lane in the third panel, with every tail of six rows in turn.
 */
int check_every_tail(GemmKernel kernel, uint64_t seed) {
    int cases = 0;
    GemmPackOptions one_block;
    one_block.block_depth = 29, one_block.pass_rows = 12, one_block.chunk_rows = 18;
    GemmPackOptions blocks = one_block;
    blocks.block_depth = 12;
    GemmPackOptions one_block_tokens = one_block, blocks_tokens = blocks;
    one_block_tokens.layout = blocks_tokens.layout = FILIGREE_TOKEN_MAJOR;
    for (const GemmPackOptions &pack : {one_block, blocks, one_block_tokens, blocks_tokens}) {
        for (int64_t n = 1; n <= 130; ++n, ++cases)
            check_case(kernel, {seed + n, 19 + n % 6, 29, n, pack, n % 3, n % 2, 1.0f, 0.0f});
    }
    return cases;
}

int check_random(GemmKernel kernel, uint64_t seed, int count) {
    for (int i = 0; i < count; ++i) {
        Random random(seed + i);
        Case k{};
        k.seed = seed + i;
        k.rows = random.chance(0.05) ? 0 : random.between(1, 60);
        k.cols = random.chance(0.05) ? 0 : random.between(1, 90);
        k.n = random.chance(0.03) ? 0 : random.chance(0.5) ? random.between(1, 20) : random.between(1, 200);
        k.pack.layout = random.chance(0.5) ? FILIGREE_TOKEN_MAJOR : FILIGREE_FEATURE_MAJOR;
        k.pack.block_depth = random.between(1, 100);
        k.pack.pass_rows = 6 * random.between(1, 12);
        k.pack.chunk_rows = 6 * random.between(1, 8);
        k.pack.activation =
            static_cast<int32_t>(random.between(FILIGREE_ACTIVATION_NONE, FILIGREE_ACTIVATION_SILU));
        k.pack.has_bias = random.chance(0.5);
        k.b_padding = random.chance(0.5) ? 0 : random.between(1, 40);
        k.c_padding = random.chance(0.5) ? 0 : random.between(1, 40);
        k.alpha = random.chance(0.5) ? 1.0f : random.value();
        k.beta = random.chance(0.5) ? 0.0f : random.chance(0.5) ? 1.0f : random.value();
        check_case(kernel, k);
    }
    return count;
}

/* A call that cannot be meant is refused before anything is written. */
void check_refusals(GemmKernel kernel) {
    Random random(13);
    GemmPackOptions pack;
    pack.block_depth = 4;
    const GemmMatrix m = random_gemm_matrix(random, 8, 8, pack);
    Aligned memory(m.bytes.size()), scratch(m.header.scratch_bytes);
    std::memcpy(memory.get(), m.bytes.data(), m.bytes.size());
    filigree_gemm_packed *a = static_cast<filigree_gemm_packed *>(memory.get());
    const filigree_gemm_packed good = *a;
    const int64_t n = 8, items = a->chunk_count;
    std::vector<float> b(64, 1.0f), c(64, -5.0f);
    const auto call = [&](const filigree_gemm_packed *matrix, int64_t b_stride, int64_t c_stride,
                          int64_t columns, int64_t begin, int64_t end, void *work) {
        return kernel(matrix, b.data(), b_stride, c.data(), c_stride, columns, 1, 0, begin, end, work);
    };
    const auto refused = [](int32_t status) { return status == FILIGREE_INVALID_ARGUMENT; };
    CHECK(refused(call(nullptr, n, n, n, 0, 1, scratch.get())));
    CHECK(refused(call(a, n, n, -1, 0, 0, scratch.get())));
    CHECK(refused(call(a, n - 1, n, n, 0, 1, scratch.get())));
    CHECK(refused(call(a, n, n - 1, n, 0, 1, scratch.get())));
    CHECK(refused(call(a, n, n, n, -1, 1, scratch.get())));
    CHECK(refused(call(a, n, n, n, 1, 0, scratch.get())));
    CHECK(refused(call(a, n, n, n, items, items + 1, scratch.get())));
    CHECK(refused(call(a, n, n, n, 0, 1, nullptr)));
    CHECK(refused(call(a, n, n, n, 0, 1, static_cast<char *>(scratch.get()) + 4)));
    CHECK(refused(kernel(a, nullptr, n, c.data(), n, n, 1, 0, 0, 1, scratch.get())));
    CHECK(refused(kernel(a, b.data(), n, nullptr, n, n, 1, 0, 0, 1, scratch.get())));
    const auto with = [&](auto change) {
        *a = good;
        change(*a);
        return call(a, n, n, n, 0, 1, scratch.get());
    };
    CHECK(refused(with([](auto &h) { h.magic ^= 1; })));
    CHECK(refused(with([](auto &h) { h.layout = 2; })));
    CHECK(refused(with([](auto &h) { h.activation = 6; })));
    CHECK(refused(with([](auto &h) { h.pass_rows = 0; })));
    CHECK(refused(with([](auto &h) { h.chunk_rows = 5; })));
    CHECK(refused(with([](auto &h) { h.chunk_count += 1; })));
    CHECK(refused(with([](auto &h) { h.block_count += 1; })));
    CHECK(refused(with([](auto &h) { h.scratch_bytes -= 64; })));
    for (const float x : c) CHECK(x == -5.0f);
    CHECK(with([](auto &) {}) == FILIGREE_OK);
}

} // namespace

int main(int argc, char **argv) {
    const uint64_t seed = argc > 1 ? std::strtoull(argv[1], nullptr, 0) : 20250301;
    filigree_features features{};
    CHECK(filigree_get_features(&features) == FILIGREE_OK);
    const GemmKernel kernel = filigree_gemm_packed_f32_avx512;
    if (kernel(nullptr, nullptr, 0, nullptr, 0, 0, 1, 0, 0, 0, nullptr) == FILIGREE_UNSUPPORTED_ISA) {
        CHECK((features.usable & FILIGREE_AVX512) == 0 || !FILIGREE_HAVE_AVX512);
        skip("filigree_gemm_packed_f32_avx512 needs AVX-512, which is not usable here");
    }
    check_refusals(kernel);
    const int cases = check_every_tail(kernel, seed) + check_random(kernel, seed, 400);
    std::printf("filigree_gemm_packed_f32_avx512: %d cases agree, seed %" PRIu64 "\n", cases, seed);
    return 0;
}
