/*
 * The CUDA kernels of SpMM in f32 and their launcher, on a simulated device or a real one: the same bits as the written
 * order of sums, within the bound of the exact sum, and not a byte outside the operands.
 *   spmm_csr_f32_test [cases]
 */
#include "filigree_cuda.h"
#include "on_device.h"
#include "spmm_cases.h"

#include <initializer_list>

using namespace filigree_test;

namespace {

/* Around the widths of teams, 8 x 1 to 32 x 4, and their tails. */
constexpr int64_t kColumns[] = {1, 2, 3, 4, 5, 7, 8, 9, 12, 16, 28, 31, 32, 33, 36, 60, 63, 64, 65, 68, 100, 127, 128,
                                129, 132, 200, 260};
/* Of A; teams a block are 8, 16 and 32. */
constexpr int64_t kRows[] = {1, 2, 7, 8, 9, 16, 31, 33, 70};
/* Around the entries of a step, 8, 16 and 32. */
constexpr int64_t kDepths[] = {0, 1, 7, 8, 9, 16, 17, 31, 32, 33, 64, 65, 150};

template <size_t N> int64_t pick(Random &random, const int64_t (&from)[N]) {
    return from[random.between(0, static_cast<int64_t>(N) - 1)];
}

struct Case {
    Csr m;
    PackOptions options;
    int64_t n = 1;
    float alpha = 1, beta = 0;
    int64_t b_padding = 0, c_padding = 0;
};

Case random_case(Random &random) {
    Case c;
    c.m = random_csr(random, pick(random, kRows), pick(random, kDepths), random.uniform());
    c.options.ordered = true;
    c.options.block_depth = std::max<int64_t>(1, c.m.cols);
    if (random.chance(0.4)) c.options.row_limit = random.between(1, 40);
    c.options.layout = static_cast<int32_t>(random.between(0, 1));
    c.options.activation = static_cast<int32_t>(random.between(0, 5));
    c.options.has_bias = random.chance(0.5);
    c.n = pick(random, kColumns);
    if (random.chance(0.5)) c.alpha = random.value();
    if (random.chance(0.5)) c.beta = random.value();
    if (random.chance(0.3)) c.b_padding = random.between(1, 9);
    if (random.chance(0.3)) c.c_padding = random.between(1, 9);
    return c;
}

void fill(OnDevice &memory, Random &random) {
    float *const x = memory.host<float>();
    for (int64_t i = 0; i < memory.bytes() / 4; ++i) x[i] = random.value();
}

int64_t run(const Case &test, Random &random, uint64_t seed) {
    Packer packer(test.m, test.options, random);
    const Packed packed = packer.take();
    OnDevice a(static_cast<int64_t>(packed.bytes.size()), 64);
    std::memcpy(a.host<char>(), packed.bytes.data(), packed.bytes.size());
    const Shape shape(test.m, test.n, test.options.layout, test.b_padding, test.c_padding);
    OnDevice b(shape.b_floats() * 4, 4), c(shape.c_floats() * 4, 4);
    fill(b, random);
    if (test.beta != 0) fill(c, random);
    const std::vector<float> old(c.host<float>(), c.host<float>() + shape.c_floats());

    a.upload(), b.upload(), c.upload();
    const int32_t status =
        filigree_cuda_spmm_csr_f32(&packed.header, a.device<void>(), b.device<float>(), shape.b_stride, c.device<float>(),
                                   shape.c_stride, test.n, test.alpha, test.beta, nullptr);
    if (status != FILIGREE_CUDA_OK) fail("status %d: %s", status, filigree_cuda_status_text(status));

    c.download();

    const bool by_feature = test.options.layout == FILIGREE_FEATURE_MAJOR;
    int64_t checked = 0;
    for (int64_t r = 0; r < test.m.rows; ++r) {
        const int64_t k = test.m.offsets[r + 1] - test.m.offsets[r];
        for (int64_t j = 0; j < test.n; ++j, ++checked) {
            const int64_t at = by_feature ? r * shape.c_stride + j : j * shape.c_stride + r;
            const Expected want = expect(test.m, packed, b.host<float>(), shape.b_stride, old[at], test.alpha, test.beta, r, j);
            const float got = c.host<float>()[at];
            if (!same_bits(got, want.value))
                fail("seed %llu: %lld x %lld, n %lld, layout %d: row %lld, column %lld is %a, not %a",
                     (unsigned long long)seed, (long long)test.m.rows, (long long)test.m.cols, (long long)test.n,
                     test.options.layout, (long long)r, (long long)j, got, want.value);
            if (test.options.activation == FILIGREE_ACTIVATION_NONE)
                CHECK(std::fabs(got - want.exact) <= (8 + 2 * std::sqrt(double(k))) * 0x1p-24 * want.magnitude + double(k) * 0x1p-126);
        }
    }
    /* What lies between the rows is not the kernel's. */
    for (int64_t i = 0; i < shape.c_floats(); ++i)
        if (i % shape.c_stride >= shape.c_width)
            CHECK(std::memcmp(&old[i], c.host<float>() + i, sizeof(float)) == 0);
#if defined(FILIGREE_CUDA_SIM)
    CHECK(filigree_cuda_sim::live_allocations() == 0);
#endif
    return checked;
}

#if defined(FILIGREE_CUDA_SIM)

/* A small matrix with a split row. */
Case split_case(int32_t layout) {
    Random random(7);
    Case c;
    c.m = random_csr(random, 9, 40, 0.9);
    c.options.ordered = true;
    c.options.block_depth = 40;
    c.options.row_limit = 10;
    c.options.layout = layout;
    c.n = 33;
    return c;
}

void test_exhausted_memory() {
    for (const int32_t layout : {FILIGREE_FEATURE_MAJOR, FILIGREE_TOKEN_MAJOR}) {
        const Case test = split_case(layout);
        Random random(8);
        Packer packer(test.m, test.options, random);
        const Packed packed = packer.take();
        Aligned a(packed.bytes.size());
        std::memcpy(a.get(), packed.bytes.data(), packed.bytes.size());
        const std::vector<float> b(40 * 33, 1.0f);
        std::vector<float> c(9 * 33, -1.0f);
        const int64_t launches = filigree_cuda_sim::launches();
        filigree_cuda_sim::limit_memory(100);
        const int32_t status = filigree_cuda_spmm_csr_f32(
            &packed.header, a.get(), b.data(), layout == FILIGREE_FEATURE_MAJOR ? 33 : 40, c.data(),
            layout == FILIGREE_FEATURE_MAJOR ? 33 : 9, 33, 1, 0, nullptr);
        filigree_cuda_sim::limit_memory(INT64_MAX);
        CHECK(status == FILIGREE_CUDA_ERROR + cudaErrorMemoryAllocation);
        CHECK(filigree_cuda_sim::launches() == launches && filigree_cuda_sim::live_allocations() == 0);
        for (const float x : c) CHECK(x == -1.0f);
    }
}

void test_arguments() {
    const Case test = split_case(FILIGREE_FEATURE_MAJOR);
    Random random(9);
    Packer packer(test.m, test.options, random);
    const Packed packed = packer.take();
    Aligned a(packed.bytes.size());
    std::memcpy(a.get(), packed.bytes.data(), packed.bytes.size());
    std::vector<float> b(40 * 33), c(9 * 33);
    const auto status = [&](const filigree_spmm_packed *h, const void *packed_a, const float *x, int64_t b_stride,
                            float *y, int64_t c_stride, int64_t n) {
        return filigree_cuda_spmm_csr_f32(h, packed_a, x, b_stride, y, c_stride, n, 1, 0, nullptr);
    };
    const auto refuses = [&](void (*spoil)(filigree_spmm_packed &)) {
        filigree_spmm_packed h = packed.header;
        spoil(h);
        return status(&h, a.get(), b.data(), 33, c.data(), 33, 33) == FILIGREE_CUDA_INVALID_ARGUMENT;
    };
    using H = filigree_spmm_packed;
    CHECK(status(&packed.header, a.get(), b.data(), 33, c.data(), 33, 33) == FILIGREE_CUDA_OK);
    CHECK(refuses([](H &h) { h.magic = 0; }) && refuses([](H &h) { h.rows = -1; }) && refuses([](H &h) { h.cols = -1; }));
    CHECK(refuses([](H &h) { h.group = 4; }) && refuses([](H &h) { h.block_count = 2; }));
    CHECK(refuses([](H &h) { h.order = 0; }) && refuses([](H &h) { h.virtual_rows = 1; }));
    CHECK(refuses([](H &h) { h.layout = 2; }) && refuses([](H &h) { h.split_count = -1; }));
    CHECK(status(nullptr, a.get(), b.data(), 33, c.data(), 33, 33) == FILIGREE_CUDA_INVALID_ARGUMENT);
    CHECK(status(&packed.header, nullptr, b.data(), 33, c.data(), 33, 33) == FILIGREE_CUDA_INVALID_ARGUMENT);
    CHECK(status(&packed.header, a.get(), nullptr, 33, c.data(), 33, 33) == FILIGREE_CUDA_INVALID_ARGUMENT);
    CHECK(status(&packed.header, a.get(), b.data(), 32, c.data(), 33, 33) == FILIGREE_CUDA_INVALID_ARGUMENT);
    CHECK(status(&packed.header, a.get(), b.data(), 33, nullptr, 33, 33) == FILIGREE_CUDA_INVALID_ARGUMENT);
    CHECK(status(&packed.header, a.get(), b.data(), 33, c.data(), 32, 33) == FILIGREE_CUDA_INVALID_ARGUMENT);
    CHECK(status(&packed.header, a.get(), b.data(), 33, c.data(), 33, -1) == FILIGREE_CUDA_INVALID_ARGUMENT);
    CHECK(status(&packed.header, a.get(), nullptr, 33, nullptr, 33, 0) == FILIGREE_CUDA_OK);
}

#endif

} // namespace

int main(int argc, char **argv) {
#if defined(FILIGREE_CUDA_SIM)
    test_arguments();
    test_exhausted_memory();
#endif
    const int cases = argc > 1 && std::atoi(argv[1]) > 0 ? std::atoi(argv[1]) : 200;
    int64_t checked = 0;
    for (uint64_t seed = 1; seed <= static_cast<uint64_t>(cases); ++seed) {
        Random random(seed);
        const Case test = random_case(random);
        checked += run(test, random, seed);
    }
    std::printf("%lld elements have the bits of the written order\n", (long long)checked);
    CHECK(checked > 100 * cases);
    return 0;
}
