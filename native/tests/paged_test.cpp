/*
 * Attention over a paged cache against the sums of paged_cases.h, bit for bit. `paged_test [seed [count]]` replays
 * another draw.
 */
#include "paged_cases.h"

#include <cinttypes>

using namespace filigree_test;

namespace {

PagedCase random_case(uint64_t seed) {
    Random random(seed * 77 + 5);
    PagedCase c{};
    c.sequences = random.between(1, 3), c.group = random.between(1, 6), c.kv_heads = random.between(1, 2);
    /* The unrolled ones are 64 and 128. */
    c.dim = random.chance(0.3)   ? 64 * random.between(1, 2)
            : random.chance(0.1) ? 8 * random.between(17, 32)
                                 : 8 * random.between(1, 17);
    c.padding = random.chance(0.5) ? 0 : random.between(1, 9);
    c.page_rows = random.between(1, 40);
    c.block_keys = random.chance(0.3) ? 1 : random.between(2, 70);
    c.list_heads = random.chance(0.3) ? 0 : random.chance(0.5) ? 1 : c.kv_heads;
    /* One in ten has several splits. */
    c.most_keys = random.chance(0.1) ? random.between(1000, 2500) : random.between(1, 300);
    c.slopes = random.chance(0.3);
    c.soft_cap = random.chance(0.3) ? 2.5f : 0.0f;
    c.density = random.uniform();
    /* Where two halves of a call's splits go side by side, several of them. */
    if (random.chance(0.1)) {
        c.dim = 64 * random.between(1, 2), c.group = random.between(1, 2);
        c.most_keys = random.between(2000, 3000), c.list_heads = random.chance(0.5) ? 0 : c.list_heads;
    }
    return c;
}

template <class T> void check_refusals(PagedKernel<T> kernel) {
    alignas(64) float memory[64] = {};
    const Aligned scratch(8192);
    const T *cache = reinterpret_cast<const T *>(memory);
    struct {
        filigree_paged_shape shape;
        int64_t splits[2];
    } s{};
    const auto run = [&](int64_t begin, int64_t end, float *out) {
        return kernel(&s.shape, memory, cache, cache, out, memory, memory, begin, end, scratch.get());
    };
    CHECK(kernel(nullptr, memory, cache, cache, memory, memory, memory, 0, 1, scratch.get()) ==
          FILIGREE_INVALID_ARGUMENT);
    CHECK(run(0, 1, memory) == FILIGREE_INVALID_ARGUMENT);
    s.shape.sequences = s.shape.heads = s.shape.kv_heads = s.shape.page_rows = s.shape.block_keys = 1;
    s.shape.dim = 8, s.shape.split_starts = sizeof s.shape;
    CHECK(run(0, 0, memory) == FILIGREE_OK);
    CHECK(run(0, 1, memory) == FILIGREE_OK); /* combines nothing */
    CHECK(memory[0] == -INFINITY);           /* the lse */
    CHECK(run(0, 1, nullptr) == FILIGREE_INVALID_ARGUMENT);
    CHECK(run(0, 2, memory) == FILIGREE_INVALID_ARGUMENT);
    CHECK(run(-1, 1, memory) == FILIGREE_INVALID_ARGUMENT);
    s.splits[1] = 1;
    CHECK(run(0, 2, memory) == FILIGREE_INVALID_ARGUMENT); /* both kinds of items */
    s.shape.dim = 12;
    CHECK(run(1, 2, memory) == FILIGREE_INVALID_ARGUMENT);
    s.shape.dim = 8, s.shape.list_heads = 2;
    CHECK(run(1, 2, memory) == FILIGREE_INVALID_ARGUMENT);
}

template <class T> void check_kernel(PagedKernel<T> kernel, uint64_t first, uint64_t count) {
    for (uint64_t seed = first; seed < first + count; ++seed) {
        char text[64];
        std::snprintf(text, sizeof text, "%s, seed %" PRIu64, sizeof(T) == 4 ? "f32" : "bf16", seed);
        check_paged(kernel, random_case(seed), seed, Guarded::kEnd, text);
    }
    check_refusals(kernel);
}

} // namespace

int main(int argc, char **argv) {
    filigree_features features{};
    CHECK(filigree_get_features(&features) == FILIGREE_OK);
    if (!FILIGREE_HAVE_AVX512 || (features.usable & FILIGREE_AVX512) == 0) skip("no AVX-512 here");
    const uint64_t first = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1;
    const uint64_t count = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : argc > 1 ? 1 : 150;
    check_kernel<float>(filigree_attention_paged_f32_avx512, first, count);
    check_kernel<uint16_t>(filigree_attention_paged_bf16_avx512, first, count);
    std::printf("paged_test: %" PRIu64 " cases from seed %" PRIu64 "\n", count, first);
    return 0;
}
