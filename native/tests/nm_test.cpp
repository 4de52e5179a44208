/*
 * Every nm kernel against the scalar sums of nm_cases.h, bit for bit, or with tiles within the tolerance of all
 * results. `nm_test [seed [cases]]` replays another draw. nm_amx_test is the same with simulated tiles.
 */
#include "nm_cases.h"

#include <cinttypes>

using namespace filigree_test;

namespace {

constexpr int32_t kPatterns[][3] = {{2, 4, 1},  {1, 4, 1},  {4, 8, 1},  {1, 8, 1},   {1, 16, 1}, {1, 32, 1},
                                    {1, 64, 1}, {3, 5, 1},  {4, 4, 1},  {1, 1, 1},   {2, 4, 8},  {1, 16, 8},
                                    {2, 4, 16}, {3, 7, 16}, {1, 8, 32}, {1, 16, 64}, {5, 5, 8},  {33, 64, 1},
                                    {3, 4, 1},  {15, 16, 1}, {7, 8, 8}};

/* Whose rows share their positions. */
constexpr int32_t kTilePatterns[][3] = {{4, 4, 1},  {1, 1, 1},  {5, 5, 8},  {2, 4, 16},
                                        {3, 7, 16}, {1, 8, 32}, {1, 16, 64}};

template <class E> void check_random(NmKernel<E> kernel, bool tiles, uint64_t seed, int cases) {
    for (int i = 0; i < cases; ++i) {
        Random random(seed + i);
        NmOptions o;
        o.bf16 = sizeof(E) == 2, o.tiles = tiles;
        const auto &pattern = tiles ? kTilePatterns[random.between(0, std::size(kTilePatterns) - 1)]
                                    : kPatterns[random.between(0, std::size(kPatterns) - 1)];
        o.n = pattern[0], o.m = pattern[1], o.vector = pattern[2];
        o.rows = random.between(0, random.chance(0.3) ? 160 : 20);
        o.cols = random.between(0, random.chance(0.3) ? 200 : 40);
        o.block_groups = random.between(1, tiles ? 120 : 12);
        o.pass_groups = random.between(1, 3), o.chunk_groups = random.between(1, 3);
        o.layout = random.chance(0.5) ? FILIGREE_FEATURE_MAJOR : FILIGREE_TOKEN_MAJOR;
        o.activation = static_cast<int32_t>(random.between(0, FILIGREE_ACTIVATION_SILU));
        o.has_bias = random.chance(0.5);
        const int64_t n = random.between(0, random.chance(0.5) ? 8 : 70);
        const Nm m(o, random);
        char what[200];
        std::snprintf(what, sizeof what,
                      "seed %" PRIu64 ": %" PRId64 " x %" PRId64 ", %d:%d:%d, n %" PRId64
                      ", layout %d, blocks of %" PRId64,
                      seed + i, o.rows, o.cols, o.vector, o.n, o.m, n, o.layout, o.block_groups);
        check_nm(kernel, m, n, random.between(0, 3), random.value(), random.chance(0.5) ? 0 : random.value(),
                 i % 2 == 0 ? Guarded::kEnd : Guarded::kStart, random, what);
    }
}

/* An element of B that no entry names is never read into a sum. */
template <class E> void check_skipped_nan(NmKernel<E> kernel, bool tiles) {
    for (const int32_t vector : {1, 8, 16}) {
        if (tiles && vector < 16) continue;
        Random random(5);
        NmOptions o;
        o.bf16 = sizeof(E) == 2;
        o.rows = 16, o.cols = 80, o.vector = vector, o.block_groups = 18, o.pass_groups = 1;
        const Nm m(o, random);
        for (const int64_t n : {1, 20}) {
            E nan, one;
            set_element(nan, NAN), set_element(one, 1.0f);
            std::vector<E> b(o.cols * n, nan), c(16 * n);
            for (int64_t s = 0; s < m.slots; ++s)
                for (int64_t j = 0; j < n; ++j) b[m.columns[0][s] * n + j] = one;
            Guarded a(m.header.bytes, Guarded::kEnd, 64), scratch(m.header.scratch_bytes, Guarded::kEnd, 64);
            std::memcpy(a.as<char>(), m.bytes.data(), m.bytes.size());
            CHECK(kernel(a.as<filigree_nm_packed>(), b.data(), n, c.data(), n, n, 1, 0, 0, 1,
                         scratch.as<void>()) == FILIGREE_OK);
            for (int64_t j = 0; j < n; ++j) {
                E wanted;
                set_element(wanted, m.expect(b.data(), n, 0, 1, 0, 0, j));
                CHECK(!std::isnan(as_float(wanted)) && !std::isnan(as_float(c[j])) && (tiles || c[j] == wanted));
            }
        }
    }
}

/* A call that cannot be meant is refused before anything is written. */
template <class E> void check_refusals(NmKernel<E> kernel, bool tiles) {
    Random random(13);
    NmOptions o;
    o.bf16 = sizeof(E) == 2;
    o.rows = 40, o.cols = 16, o.chunk_groups = 2, o.vector = tiles ? 16 : 1;
    const Nm m(o, random);
    Guarded memory(m.header.bytes, Guarded::kEnd, 64), scratch(m.header.scratch_bytes, Guarded::kEnd, 64);
    std::memcpy(memory.as<char>(), m.bytes.data(), m.bytes.size());
    auto *a = memory.as<filigree_nm_packed>();
    const filigree_nm_packed good = *a;
    const int64_t n = 8;
    E one, old;
    set_element(one, 1.0f), set_element(old, -5.0f);
    std::vector<E> b(16 * n, one), c(40 * n, old);
    const auto call = [&](const filigree_nm_packed *matrix, int64_t b_stride, int64_t c_stride,
                          int64_t columns, int64_t begin, int64_t end, void *work) {
        return kernel(matrix, b.data(), b_stride, c.data(), c_stride, columns, 1, 0, begin, end, work);
    };
    const auto refused = [](int32_t status) { return status == FILIGREE_INVALID_ARGUMENT; };
    char *work = scratch.as<char>();
    CHECK(refused(call(nullptr, n, n, n, 0, 1, work)));
    CHECK(refused(call(a, n, n, -1, 0, 0, work)));
    CHECK(refused(call(a, n - 1, n, n, 0, 1, work)));
    CHECK(refused(call(a, n, n - 1, n, 0, 1, work)));
    CHECK(refused(call(a, n, n, n, -1, 1, work)));
    CHECK(refused(call(a, n, n, n, 1, 0, work)));
    CHECK(refused(call(a, n, n, n, 0, a->chunk_count + 1, work)));
    CHECK(refused(call(a, n, n, n, 0, 1, nullptr)));
    CHECK(refused(call(a, n, n, n, 0, 1, work + 4)));
    const auto with = [&](auto change) {
        *a = good;
        change(*a);
        return call(a, n, n, n, 0, 1, work);
    };
    CHECK(refused(with([](auto &h) { h.magic ^= 1; })));
    CHECK(refused(with([](auto &h) { h.layout = 2; })));
    CHECK(refused(with([](auto &h) { h.activation = 6; })));
    CHECK(refused(with([](auto &h) { h.n = 5; })));
    CHECK(refused(with([](auto &h) { h.m = 65; })));
    CHECK(refused(with([](auto &h) { h.vector = 4; })));
    CHECK(refused(with([](auto &h) { h.index_bits = 1; })));
    if (tiles) CHECK(refused(with([](auto &h) { h.vector = 8; })));
    CHECK(refused(with([](auto &h) { h.block_depth += 1; })));
    CHECK(refused(with([](auto &h) { h.block_count += 1; })));
    CHECK(refused(with([](auto &h) { h.dtype ^= 1; })));
    CHECK(refused(with([](auto &h) { h.dtype = 2; })));
    CHECK(refused(with([](auto &h) { h.unit += h.m; })));
    CHECK(refused(with([](auto &h) { h.group_count += 1; })));
    CHECK(refused(with([](auto &h) { h.chunk_count += 1; })));
    CHECK(refused(with([](auto &h) { h.pass_groups = 0; })));
    CHECK(refused(with([](auto &h) { h.pass_groups += 1; })));
    CHECK(refused(with([](auto &h) { h.scratch_bytes -= 64; })));
    for (const E x : c) CHECK(x == old);
    CHECK(with([](auto &) {}) == FILIGREE_OK);
}

/* Returns whether the kernel can run here. */
template <class E>
bool check(NmKernel<E> kernel, const char *name, bool tiles, bool usable, uint64_t seed, int cases) {
    if (kernel(nullptr, nullptr, 0, nullptr, 0, 0, 1, 0, 0, 0, nullptr) == FILIGREE_UNSUPPORTED_ISA) {
        CHECK(!usable);
        return false;
    }
    check_refusals(kernel, tiles);
    check_skipped_nan(kernel, tiles);
    check_random(kernel, tiles, seed, cases);
    std::printf("%s: %d cases agree, seed %" PRIu64 "\n", name, cases, seed);
    return true;
}

} // namespace

int main(int argc, char **argv) {
    const uint64_t seed = argc > 1 ? std::strtoull(argv[1], nullptr, 0) : 20250301;
    const int cases = argc > 2 ? std::atoi(argv[2]) : 600;
    filigree_features features{};
    CHECK(filigree_get_features(&features) == FILIGREE_OK);
    if (!check<float>(filigree_nm_packed_f32_avx512, "filigree_nm_packed_f32_avx512", false,
                      FILIGREE_HAVE_AVX512 && (features.usable & FILIGREE_AVX512) != 0, seed, cases))
        skip("the nm kernels need AVX-512, which is not usable here");
    if (!check<uint16_t>(filigree_nm_packed_bf16_avx512, "filigree_nm_packed_bf16_avx512", false,
                         FILIGREE_HAVE_AVX512_BF16 && (features.usable & FILIGREE_AVX512_BF16) != 0, seed,
                         cases))
        skip("filigree_nm_packed_bf16_avx512 needs AVX512_BF16, which is not usable here");
    /* Tiles are refused until the process has asked for them. */
    CHECK(filigree_nm_packed_bf16_amx(nullptr, nullptr, 0, nullptr, 0, 0, 1, 0, 0, 0, nullptr) ==
          FILIGREE_UNSUPPORTED_ISA);
    const bool granted = filigree_request_amx() == FILIGREE_OK;
    if (!check<uint16_t>(filigree_nm_packed_bf16_amx, "filigree_nm_packed_bf16_amx", true,
                         FILIGREE_HAVE_AMX && granted, seed, cases))
        std::printf("filigree_nm_packed_bf16_amx: no AMX here; nm_amx_test simulates it\n");
    return 0;
}
