/*
 * Every attention kernel over blocks against the sums of attention_cases.h, bit for bit, or with tiles nearly.
 * `attention_test [seed [count]]` replays another draw. attention_amx_test is the same with simulated tiles.
 */
#include "attention_cases.h"

#include <cinttypes>

using namespace filigree_test;

namespace {

int64_t pick(Random &random, std::initializer_list<int64_t> from) {
    return from.begin()[random.between(0, static_cast<int64_t>(from.size()) - 1)];
}

AttentionCase random_case(uint64_t seed) {
    Random random(seed * 77 + 5);
    AttentionCase c{};
    c.queries = random.between(1, 150), c.keys = random.between(1, 150);
    c.unit_keys = pick(random, {16, 32, 48, 64, 128});
    c.block_cols = c.unit_keys * random.between(1, 2);
    c.block_rows = 16 * random.between(1, 8);
    c.tile_rows = std::min<int64_t>(c.block_rows, 64);
    c.batch = random.between(1, 2), c.group = random.between(1, 2), c.kv_heads = random.between(1, 2);
    c.dim = random.chance(0.1) ? pick(random, {136, 200, 256}) : 8 * random.between(1, 10);
    c.padding = random.chance(0.5) ? 0 : random.between(1, 9);
    c.per_head = random.chance(0.5), c.lengths = random.chance(0.4), c.slopes = random.chance(0.3);
    c.state = random.chance(0.2), c.f32_out = random.chance(0.3);
    c.soft_cap = random.chance(0.3) ? 2.5f : 0.0f;
    c.density = random.uniform();
    return c;
}

template <class T> void check_refusals(AttentionKernel<T> kernel) {
    alignas(64) T memory[64] = {};
    alignas(64) float floats[64] = {};
    filigree_attention_mask mask{};
    filigree_attention_shape shape{};
    CHECK(kernel(nullptr, &shape, memory, memory, memory, memory, floats, nullptr, memory, 0, 1, memory) ==
          FILIGREE_INVALID_ARGUMENT);
    CHECK(kernel(&mask, &shape, memory, memory, memory, memory, floats, nullptr, memory, 0, 1, memory) ==
          FILIGREE_INVALID_ARGUMENT);
}

template <class T>
void check_kernel(AttentionKernel<T> kernel, const char *name, bool tiles, uint64_t seed, uint64_t cases) {
    check_refusals(kernel);
    for (uint64_t i = seed; i < seed + cases; ++i) {
        char text[64];
        std::snprintf(text, sizeof text, "%s, seed %" PRIu64, name, i);
        AttentionCase c = random_case(i);
        c.tiles = tiles;
        check_attention(kernel, c, i, i % 2 == 0 ? Guarded::kEnd : Guarded::kStart, text);
    }
    std::printf("%" PRIu64 " cases of %s: ok\n", cases, name);
}

} // namespace

int main(int count, char **arguments) {
    filigree_features features{};
    CHECK(filigree_get_features(&features) == FILIGREE_OK);
    if (!FILIGREE_HAVE_AVX512 || (features.usable & FILIGREE_AVX512) == 0) skip("no AVX-512 here");
    const uint64_t seed = count > 1 ? std::strtoull(arguments[1], nullptr, 10) : 1;
    const uint64_t cases = count > 2 ? std::strtoull(arguments[2], nullptr, 10) : 150;
    check_kernel<float>(attention_block_f32, "f32", false, seed, cases);
    if (FILIGREE_HAVE_AVX512_BF16 && (features.usable & FILIGREE_AVX512_BF16) != 0)
        check_kernel<uint16_t>(filigree_attention_block_bf16_avx512, "bf16", false, seed, cases);
    /* Tiles are refused until the process has asked for them. */
    CHECK(filigree_attention_block_bf16_amx(nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr,
                                            nullptr, 0, 0, nullptr) == FILIGREE_UNSUPPORTED_ISA);
    if (FILIGREE_HAVE_AMX && filigree_request_amx() == FILIGREE_OK) {
        check_kernel<uint16_t>(filigree_attention_block_bf16_amx, "bf16 with tiles", true, seed, cases);
    } else {
        std::printf("bf16 with tiles: no AMX here; attention_amx_test simulates it\n");
    }
    return 0;
}
