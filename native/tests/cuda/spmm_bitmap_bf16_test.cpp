/*
 * The CUDA kernels of SpMM in bf16 and their launcher, on a real device, or on a simulated one whose mma is checked
 * against the literal table of its operands: within the bound of the exact sum, the same bits at every launch, and not a
 * byte outside the operands.
 *   spmm_bitmap_bf16_test <m16n8k16.csv> [cases]
 */
#include "bitmap_cases.h"
#include "cpu/common/math.h"
#include "on_device.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>
#include <string>
#include <tuple>

using namespace filigree_test;

namespace {

/* Strips of 16 rows, tiles of 64 columns of which a warp takes a quarter, and their tails. */
constexpr int64_t kRows[] = {1, 7, 16, 17, 33, 40};
constexpr int64_t kCols[] = {0, 1, 15, 16, 17, 63, 64, 65, 100, 128, 250, 320, 460};
/* Groups of 8, 16, 32 and 64 tokens, and more of them. */
constexpr int64_t kTokens[] = {1, 2, 5, 8, 9, 16, 17, 31, 33, 64, 65, 130};

template <size_t N> int64_t pick(Random &random, const int64_t (&from)[N]) {
    return from[random.between(0, static_cast<int64_t>(N) - 1)];
}

#if defined(FILIGREE_CUDA_SIM)

/* The simulated mma's places are those of the table, and each operand's elements are there once. */
void test_fragments(const char *file) {
    std::ifstream table(file);
    std::string line;
    CHECK(std::getline(table, line) && line == "operand,lane,register,half,row,column");
    int seen = 0;
    std::set<std::tuple<char, int, int>> places;
    while (std::getline(table, line)) {
        char operand = 0;
        int lane = 0, number = 0, half = 0, row = 0, column = 0;
        CHECK(std::sscanf(line.c_str(), "%c,%d,%d,%d,%d,%d", &operand, &lane, &number, &half, &row, &column) == 6);
        const int i = operand == 'c' ? number : 2 * number + half;
        const filigree_cuda_sim::Place place = operand == 'a'   ? filigree_cuda_sim::place_of_a(lane, i)
                                               : operand == 'b' ? filigree_cuda_sim::place_of_b(lane, i)
                                                                : filigree_cuda_sim::place_of_c(lane, i);
        CHECK(place.row == row && place.col == column);
        CHECK(places.insert({operand, row, column}).second);
        ++seen;
    }
    CHECK(seen == 16 * 16 + 16 * 8 + 16 * 8);
}

#endif

struct Case {
    Sparse m;
    std::vector<float> bias;
    int32_t layout = FILIGREE_TOKEN_MAJOR;
    int32_t activation = FILIGREE_ACTIVATION_NONE;
    int64_t n = 1;
    float alpha = 1, beta = 0;
    int64_t b_padding = 0, c_padding = 0;
    bool poisoned = false; /* infinities and NaNs where no stored element meets them */
};

Sparse random_sparse(Random &random, int64_t rows, int64_t cols, double density) {
    Sparse m;
    m.rows = rows, m.cols = cols;
    for (int64_t r = 0; r < rows; ++r) {
        const double kind = random.uniform();
        for (int64_t c = 0; c < cols; ++c) {
            m.stored.push_back(random.chance(kind < 0.1 ? 0 : kind > 0.95 ? 1 : density));
            /* A zero that is stored counts as one, and is multiplied. */
            m.values.push_back(random.chance(0.02) ? 0 : to_bf16(random.value()));
        }
    }
    return m;
}

Case random_case(Random &random) {
    Case c;
    c.m = random_sparse(random, pick(random, kRows), pick(random, kCols), random.uniform());
    c.layout = static_cast<int32_t>(random.between(0, 1));
    c.activation = static_cast<int32_t>(random.between(0, 5));
    c.n = pick(random, kTokens);
    if (random.chance(0.5))
        for (int64_t r = 0; r < c.m.rows; ++r) c.bias.push_back(random.value());
    if (random.chance(0.5)) c.alpha = random.value();
    if (random.chance(0.5)) c.beta = random.value();
    /* Rows of X that are aligned, too, with and without padding. */
    if (random.chance(0.5)) c.b_padding = random.chance(0.5) ? (8 - c.m.cols % 8) % 8 : random.between(1, 9);
    if (random.chance(0.3)) c.c_padding = random.between(1, 9);
    c.poisoned = random.chance(0.25);
    return c;
}

/* The slope that an activation has at most: gelu and silu pass 1.13, the square of relu twice its root. */
double slope(int32_t activation, double y) {
    return activation == FILIGREE_ACTIVATION_RELU_SQUARED ? 2 * std::fabs(y) + 1 : 1.2;
}

int64_t run(const Case &test, Random &random, uint64_t seed) {
    const PackedBitmap packed = pack_bitmap(test.m, test.layout, test.activation, test.bias);
    OnDevice a(static_cast<int64_t>(packed.bytes.size()), 64);
    std::memcpy(a.host<char>(), packed.bytes.data(), packed.bytes.size());
    const bool by_feature = test.layout == FILIGREE_FEATURE_MAJOR;
    const int64_t b_rows = by_feature ? test.m.cols : test.n, b_width = by_feature ? test.n : test.m.cols;
    const int64_t c_rows = by_feature ? test.m.rows : test.n, c_width = by_feature ? test.n : test.m.rows;
    const int64_t b_stride = b_width + test.b_padding, c_stride = c_width + test.c_padding;
    const auto elements = [](int64_t rows, int64_t width, int64_t stride) {
        return rows == 0 || width == 0 ? 0 : (rows - 1) * stride + width;
    };
    OnDevice b(2 * elements(b_rows, b_width, b_stride), 2);
    OnDevice c(2 * elements(c_rows, c_width, c_stride), 2);
    const auto b_at = [&](int64_t k, int64_t j) -> uint16_t & {
        return b.host<uint16_t>()[by_feature ? k * b_stride + j : j * b_stride + k];
    };
    for (int64_t k = 0; k < test.m.cols; ++k) {
        bool met = false;
        for (int64_t r = 0; r < test.m.rows; ++r) met |= test.m.has(r, k);
        for (int64_t j = 0; j < test.n; ++j)
            b_at(k, j) = test.poisoned && !met ? (j % 2 ? 0x7f80 : 0x7fc1) : to_bf16(random.value());
    }
    if (test.beta != 0)
        for (int64_t i = 0; i < c.bytes() / 2; ++i) c.host<uint16_t>()[i] = to_bf16(random.value());
    const std::vector<uint16_t> old(c.host<uint16_t>(), c.host<uint16_t>() + c.bytes() / 2);

    a.upload(), b.upload();
    const auto launch = [&] {
        c.upload();
        const int32_t status = filigree_cuda_spmm_bitmap_bf16(&packed.header, a.device<void>(), b.device<uint16_t>(),
                                                              b_stride, c.device<uint16_t>(), c_stride, test.n,
                                                              test.alpha, test.beta, nullptr);
        if (status != FILIGREE_CUDA_OK) fail("status %d: %s", status, filigree_cuda_status_text(status));
        c.download();
    };
    launch();

    int64_t checked = 0;
    for (int64_t r = 0; r < test.m.rows; ++r) {
        for (int64_t j = 0; j < test.n; ++j, ++checked) {
            double sum = 0, magnitude = 0, k = 0;
            for (int64_t col = 0; col < test.m.cols; ++col) {
                if (!test.m.has(r, col)) continue;
                const double product = double{from_bf16(test.m.at(r, col))} * from_bf16(b_at(col, j));
                sum += product, magnitude += std::fabs(product), ++k;
            }
            const int64_t at = by_feature ? r * c_stride + j : j * c_stride + r;
            sum *= test.alpha, magnitude *= std::fabs(test.alpha);
            if (test.beta != 0) {
                const double term = double{test.beta} * from_bf16(old[at]);
                sum += term, magnitude += std::fabs(term), ++k;
            }
            if (!test.bias.empty()) sum += test.bias[r], magnitude += std::fabs(test.bias[r]), ++k;
            const double want = filigree::activate(test.activation, static_cast<float>(sum));
            const double bound = ((8 + 2 * std::sqrt(k)) * 0x1p-24 * magnitude + k * 0x1p-126) * slope(test.activation, sum) +
                                 0x1p-8 * std::fabs(want) + 0x1p-22 * std::fabs(want);
            const double got = from_bf16(c.host<uint16_t>()[at]);
            if (!(std::fabs(got - want) <= bound))
                fail("seed %llu: %lld x %lld, n %lld, layout %d, activation %d: row %lld, column %lld is %g, not %g",
                     (unsigned long long)seed, (long long)test.m.rows, (long long)test.m.cols, (long long)test.n,
                     test.layout, test.activation, (long long)r, (long long)j, got, want);
        }
    }
    for (int64_t i = 0; i < c.bytes() / 2; ++i)
        if (i % c_stride >= c_width) CHECK(old[i] == c.host<uint16_t>()[i]);
#if defined(FILIGREE_CUDA_SIM)
    CHECK(filigree_cuda_sim::live_allocations() == 0);
#endif

    /* The same bits again. */
    const std::vector<uint16_t> once(c.host<uint16_t>(), c.host<uint16_t>() + c.bytes() / 2);
    std::copy(old.begin(), old.end(), c.host<uint16_t>());
    launch();
    CHECK(std::equal(once.begin(), once.end(), c.host<uint16_t>()));
    return checked;
}

#if defined(FILIGREE_CUDA_SIM)

void test_arguments() {
    Random random(3);
    const Sparse m = random_sparse(random, 20, 70, 0.5);
    const PackedBitmap packed = pack_bitmap(m, FILIGREE_TOKEN_MAJOR, 0, {});
    Aligned a(packed.bytes.size());
    std::memcpy(a.get(), packed.bytes.data(), packed.bytes.size());
    std::vector<uint16_t> b(70 * 8), c(20 * 8, 0xffff);
    const auto status = [&](void (*spoil)(filigree_cuda_bitmap_packed &), int64_t b_stride, int64_t c_stride, int64_t n) {
        filigree_cuda_bitmap_packed h = packed.header;
        spoil(h);
        return filigree_cuda_spmm_bitmap_bf16(&h, a.get(), b.data(), b_stride, c.data(), c_stride, n, 1, 0, nullptr);
    };
    using H = filigree_cuda_bitmap_packed;
    const auto as_is = [](H &) {};
    CHECK(status(as_is, 70, 20, 8) == FILIGREE_CUDA_OK);
    CHECK(status(as_is, 70, 20, 0) == FILIGREE_CUDA_OK);
    const int64_t launches = filigree_cuda_sim::launches();
    CHECK(status([](H &h) { h.magic = 0; }, 70, 20, 8) == FILIGREE_CUDA_INVALID_ARGUMENT);
    CHECK(status([](H &h) { h.rows = 33; }, 70, 40, 8) == FILIGREE_CUDA_INVALID_ARGUMENT);
    CHECK(status([](H &h) { h.cols = 64; }, 70, 20, 8) == FILIGREE_CUDA_INVALID_ARGUMENT);
    CHECK(status([](H &h) { h.tile_bytes = 2144; }, 70, 20, 8) == FILIGREE_CUDA_INVALID_ARGUMENT);
    CHECK(status([](H &h) { h.tile_bytes -= 8; }, 70, 20, 8) == FILIGREE_CUDA_INVALID_ARGUMENT);
    CHECK(status([](H &h) { h.layout = -1; }, 70, 20, 8) == FILIGREE_CUDA_INVALID_ARGUMENT);
    CHECK(status(as_is, 69, 20, 8) == FILIGREE_CUDA_INVALID_ARGUMENT);
    CHECK(status(as_is, 70, 19, 8) == FILIGREE_CUDA_INVALID_ARGUMENT);
    CHECK(status(as_is, 70, 20, -1) == FILIGREE_CUDA_INVALID_ARGUMENT);
    CHECK(filigree_cuda_sim::launches() == launches);

    /* Feature-major needs memory of its own. */
    filigree_cuda_sim::limit_memory(10);
    std::fill(c.begin(), c.end(), uint16_t{0xffff});
    CHECK(status([](H &h) { h.layout = FILIGREE_FEATURE_MAJOR; }, 8, 8, 8) ==
          FILIGREE_CUDA_ERROR + cudaErrorMemoryAllocation);
    filigree_cuda_sim::limit_memory(INT64_MAX);
    CHECK(std::all_of(c.begin(), c.end(), [](uint16_t x) { return x == 0xffff; }));
}

#endif

/* An infinity that a stored element does meet, zero or not, is in the result; one beside it, in the same pair, is not. */
void test_infinities_that_are_met() {
    Sparse m;
    m.rows = 4, m.cols = 2;
    const uint16_t minus_zero = 0x8000;
    m.values = {to_bf16(2), 0, to_bf16(3), 0, to_bf16(2), to_bf16(4), to_bf16(1), minus_zero};
    m.stored = {true, false, true, true, true, true, true, true};
    const PackedBitmap packed = pack_bitmap(m, FILIGREE_TOKEN_MAJOR, 0, {});
    OnDevice a(static_cast<int64_t>(packed.bytes.size()), 64), x(4, 2), y(8, 2);
    std::memcpy(a.host<char>(), packed.bytes.data(), packed.bytes.size());
    x.host<uint16_t>()[0] = to_bf16(1), x.host<uint16_t>()[1] = 0x7f80;
    a.upload(), x.upload();
    CHECK(filigree_cuda_spmm_bitmap_bf16(&packed.header, a.device<void>(), x.device<uint16_t>(), 2,
                                         y.device<uint16_t>(), 4, 1, 1, 0, nullptr) == FILIGREE_CUDA_OK);
    y.download();
    CHECK(from_bf16(y.host<uint16_t>()[0]) == 2.0f);
    CHECK(std::isnan(from_bf16(y.host<uint16_t>()[1])));
    CHECK(y.host<uint16_t>()[2] == 0x7f80);
    CHECK(std::isnan(from_bf16(y.host<uint16_t>()[3])));
}

} // namespace

int main(int argc, char **argv) {
    if (argc < 2) fail("usage: spmm_bitmap_bf16_test <m16n8k16.csv> [cases]");
#if defined(FILIGREE_CUDA_SIM)
    test_fragments(argv[1]);
    test_arguments();
#endif
    test_infinities_that_are_met();
    /* More tiles to a warp than it has lanes to hold their starts. */
    Random numbers(77);
    Case many;
    many.m = random_sparse(numbers, 3, 8600, 0.05);
    many.n = 2;
    int64_t checked = run(many, numbers, 77);
    const int cases = argc > 2 ? std::atoi(argv[2]) : 120;
    for (uint64_t seed = 1; seed <= static_cast<uint64_t>(cases); ++seed) {
        Random random(seed);
        const Case test = random_case(random);
        checked += run(test, random, seed);
    }
    std::printf("%lld elements are within the bound\n", (long long)checked);
    CHECK(checked > 100 * cases);
    return 0;
}
