/*
 * Every spmm kernel against the scalar sums of spmm_cases.h: bit for bit, and within the library's one
 * tolerance of a double reference. `spmm_test [seed]` replays another draw.
 */
#include "spmm_cases.h"

#include <cinttypes>

using namespace filigree_test;

namespace {

struct Case {
    uint64_t seed;
    int64_t rows, cols, n;
    double density;
    PackOptions pack;
    int64_t b_padding, c_padding;
    float alpha, beta;
};

std::string describe(const Case &k) {
    char text[400];
    std::snprintf(text, sizeof text,
                  "seed %" PRIu64 ": %" PRId64 " x %" PRId64 ", density %g, n %" PRId64
                  ", layout %d, tiled %d, group %" PRId64 ", depth %" PRId64 ", limit %" PRId64 ", pass %" PRId64
                  ", chunk %" PRId64 ", activation %d, bias %d, padding %" PRId64 " %" PRId64
                  ", alpha %g, beta %g",
                  k.seed, k.rows, k.cols, k.density, k.n, k.pack.layout, k.pack.tiled, k.pack.group,
                  k.pack.block_depth, k.pack.row_limit, k.pack.pass_rows, k.pack.chunk_rows, k.pack.activation, k.pack.has_bias,
                  k.b_padding, k.c_padding, k.alpha, k.beta);
    return text;
}

void check_case(SpmmKernel kernel, const Case &k) {
    Random random(k.seed);
    const Csr m = random_csr(random, k.rows, k.cols, k.density);
    const Packed packed = Packer(m, k.pack, random).take();
    const filigree_spmm_packed &h = packed.header;
    const Shape shape(m, k.n, k.pack.layout, k.b_padding, k.c_padding);

    Aligned a(packed.bytes.size());
    std::memcpy(a.get(), packed.bytes.data(), packed.bytes.size());
    std::vector<float> b(shape.b_floats()), c(shape.c_floats());
    for (float &x : b) x = random.value();
    /* What lies between the rows must stay, and with beta = 0 nothing in C may be read. */
    for (float &x : c) x = k.beta == 0 ? NAN : random.value();
    const std::vector<float> before = c;
    const int64_t partial_stride = (k.n + 63) / 64 * 64;
    std::vector<float> partials(h.partial_count * partial_stride, NAN);
    Aligned scratch(h.scratch_bytes);
    std::memset(scratch.get(), 0xff, h.scratch_bytes);

    const SpmmOperands operands{static_cast<filigree_spmm_packed *>(a.get()),
                                b.data(),
                                c.data(),
                                h.partial_count == 0 ? nullptr : partials.data(),
                                scratch.get(),
                                k.n,
                                k.alpha,
                                k.beta};
    run_items(kernel, operands, shape, random);

    for (int64_t i = 0; i < shape.c_floats(); ++i) {
        const int64_t line = i / shape.c_stride, place = i % shape.c_stride;
        if (place >= shape.c_width) {
            if (!same_bits(c[i], before[i]))
                fail("padding of C at %" PRId64 " written; %s", i, describe(k).c_str());
            continue;
        }
        const bool by_feature = k.pack.layout == FILIGREE_FEATURE_MAJOR;
        const int64_t row = by_feature ? line : place, column = by_feature ? place : line;
        const Expected e =
            expect(m, packed, b.data(), shape.b_stride, before[i], k.alpha, k.beta, row, column);
        if (!same_bits(c[i], e.value))
            fail("row %" PRId64 ", column %" PRId64 ": %a instead of %a; %s", row, column, c[i], e.value,
                 describe(k).c_str());
        if (k.pack.activation > FILIGREE_ACTIVATION_RELU) continue; /* math_test has their errors */
        const double terms = static_cast<double>(m.offsets[row + 1] - m.offsets[row] + 2);
        const double tolerance = (8 + 2 * std::sqrt(terms)) * 0x1p-24 * e.magnitude + terms * 0x1p-126;
        const double exact = k.pack.activation == FILIGREE_ACTIVATION_RELU ? std::fmax(e.exact, 0) : e.exact;
        if (!(std::fabs(c[i] - exact) <= tolerance))
            fail("row %" PRId64 ", column %" PRId64 ": %.9g, exactly %.17g; %s", row, column, c[i], exact,
                 describe(k).c_str());
    }
}

/* B in place and as one tile; tiles in several blocks of which the last is short, with passes that end inside
 * a chunk; rows one by one and in turns; both layouts. Each for every width of a last panel, of up to three. */
int check_every_tail(SpmmKernel kernel, uint64_t seed) {
    int cases = 0;
    PackOptions in_place;
    in_place.tiled = false, in_place.block_depth = 29, in_place.pass_rows = 64, in_place.chunk_rows = 9;
    PackOptions one_tile = in_place;
    one_tile.tiled = true, one_tile.pass_rows = 5;
    PackOptions blocks = one_tile;
    blocks.block_depth = 12, blocks.row_limit = 11;
    PackOptions one_tile_tokens = one_tile, blocks_tokens = blocks;
    one_tile_tokens.layout = blocks_tokens.layout = FILIGREE_TOKEN_MAJOR;
    one_tile_tokens.pass_rows = blocks_tokens.pass_rows = 21;
    PackOptions turns = one_tile, blocks_turns = blocks, blocks_turns_tokens = blocks_tokens;
    turns.group = blocks_turns.group = blocks_turns_tokens.group = FILIGREE_SPMM_INTERLEAVED;
    for (const PackOptions &pack :
         {in_place, one_tile, blocks, one_tile_tokens, blocks_tokens, turns, blocks_turns, blocks_turns_tokens}) {
        for (int64_t n = 1; n <= 194; ++n, ++cases)
            check_case(kernel, {seed + n, 23, 29, n, 0.3, pack, n % 3, n % 2, 1.0f, 0.0f});
    }
    return cases;
}

int check_random(SpmmKernel kernel, uint64_t seed, int count) {
    for (int i = 0; i < count; ++i) {
        Random random(seed + i);
        Case k{};
        k.seed = seed + i;
        k.rows = random.chance(0.05) ? 0 : random.between(1, 60);
        k.cols = random.chance(0.05) ? 0 : random.between(1, 90);
        k.n = random.chance(0.03) ? 0 : random.chance(0.5) ? random.between(1, 20) : random.between(1, 200);
        k.density = random.chance(0.1) ? 0 : random.chance(0.1) ? 1 : random.uniform() * random.uniform();
        k.pack.layout = random.chance(0.5) ? FILIGREE_TOKEN_MAJOR : FILIGREE_FEATURE_MAJOR;
        k.pack.tiled = (k.pack.layout == FILIGREE_TOKEN_MAJOR && k.cols > 0) || random.chance(0.7);
        k.pack.block_depth =
            k.pack.tiled && random.chance(0.6) ? random.between(1, 40) : std::max<int64_t>(k.cols, 1);
        k.pack.group = !k.pack.tiled || random.chance(0.5) ? 1 : FILIGREE_SPMM_INTERLEAVED;
        k.pack.row_limit = random.chance(0.5) ? INT64_MAX : random.between(1, 30);
        k.pack.pass_rows = random.between(1, 80);
        k.pack.chunk_rows = random.between(1, 40);
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

/* Columns of A without a nonzero never meet what B holds there. */
void check_skipped_zeros(SpmmKernel kernel) {
    Random random(7);
    Csr m;
    m.rows = 5, m.cols = 6;
    m.columns = {1, 3, 3, 1}, m.values = {2, -1, 0.5f, 4};
    m.offsets = {0, 2, 2, 3, 3, 4};
    PackOptions pack;
    pack.block_depth = 2, pack.pass_rows = 5, pack.chunk_rows = 5;
    for (const int32_t layout : {FILIGREE_FEATURE_MAJOR, FILIGREE_TOKEN_MAJOR}) {
        pack.layout = layout;
        const Packed packed = Packer(m, pack, random).take();
        Aligned a(packed.bytes.size()), scratch(packed.header.scratch_bytes);
        std::memcpy(a.get(), packed.bytes.data(), packed.bytes.size());
        const int64_t n = 19;
        const Shape shape(m, n, layout, 0, 0);
        std::vector<float> b(shape.b_floats(), NAN), c(shape.c_floats(), NAN);
        for (int64_t j = 0; j < n; ++j)
            for (const int64_t col : {1, 3})
                b[layout == FILIGREE_FEATURE_MAJOR ? col * n + j : j * m.cols + col] = static_cast<float>(j);
        b[layout == FILIGREE_FEATURE_MAJOR ? 0 : 2] = INFINITY;
        run_items(kernel,
                  {static_cast<filigree_spmm_packed *>(a.get()), b.data(), c.data(), nullptr, scratch.get(),
                   n, 1, 0},
                  shape, random);
        const float factors[] = {1, 0, 0.5f, 0, 4};
        for (int64_t r = 0; r < m.rows; ++r)
            for (int64_t j = 0; j < n; ++j)
                CHECK(c[layout == FILIGREE_FEATURE_MAJOR ? r * n + j : j * m.rows + r] ==
                      factors[r] * static_cast<float>(j));
    }
}

/* Offsets beyond 2^31 floats and 2^32 bytes; only the pages that are touched take memory. */
void check_huge_strides(SpmmKernel kernel) {
    const int64_t stride = (int64_t{1} << 30) + 17;
    const int64_t bytes = (2 * stride + 64) * int64_t{sizeof(float)};
    void *b_map =
        mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    void *c_map =
        mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    CHECK(b_map != MAP_FAILED && c_map != MAP_FAILED);
    float *b = static_cast<float *>(b_map), *c = static_cast<float *>(c_map);
    Random random(11);
    for (const int32_t layout : {FILIGREE_FEATURE_MAJOR, FILIGREE_TOKEN_MAJOR}) {
        for (const bool tiled : {true, false}) {
            if (layout == FILIGREE_TOKEN_MAJOR && !tiled) continue;
            const int64_t n = 3; /* as many rows as B and C have, whichever way they lie */
            const Csr m = random_csr(random, 3, 3, 1);
            PackOptions pack;
            pack.layout = layout, pack.tiled = tiled, pack.block_depth = 3, pack.pass_rows = 3,
            pack.chunk_rows = 3;
            const Packed packed = Packer(m, pack, random).take();
            Aligned a(packed.bytes.size()), scratch(packed.header.scratch_bytes);
            std::memcpy(a.get(), packed.bytes.data(), packed.bytes.size());
            const Shape shape(m, n, layout, stride - 3, stride - 3);
            for (int64_t i = 0; i < 3; ++i)
                for (int64_t j = 0; j < 3; ++j) b[i * stride + j] = random.value(), c[i * stride + j] = NAN;
            run_items(kernel,
                      {static_cast<filigree_spmm_packed *>(a.get()), b, c, nullptr, scratch.get(), n, 1, 0},
                      shape, random);
            for (int64_t r = 0; r < 3; ++r) {
                for (int64_t j = 0; j < n; ++j) {
                    const float got = c[layout == FILIGREE_FEATURE_MAJOR ? r * stride + j : j * stride + r];
                    CHECK(same_bits(got, expect(m, packed, b, stride, 0, 1, 0, r, j).value));
                }
            }
        }
    }
    munmap(b_map, bytes);
    munmap(c_map, bytes);
}

/* A call that cannot be meant is refused before anything is written. */
void check_refusals(SpmmKernel kernel) {
    Random random(13);
    const Csr m = random_csr(random, 8, 8, 0.9);
    PackOptions pack;
    pack.block_depth = 4, pack.pass_rows = 8, pack.chunk_rows = 4, pack.row_limit = 3;
    const Packed packed = Packer(m, pack, random).take();
    Aligned memory(packed.bytes.size()), scratch(packed.header.scratch_bytes);
    std::memcpy(memory.get(), packed.bytes.data(), packed.bytes.size());
    filigree_spmm_packed *a = static_cast<filigree_spmm_packed *>(memory.get());
    const filigree_spmm_packed good = *a;
    const int64_t n = 8, items = a->chunk_count + a->split_count;
    std::vector<float> b(64, 1.0f), c(64, -5.0f), partials(a->partial_count * 64);
    const auto call = [&](const filigree_spmm_packed *matrix, int64_t b_stride, int64_t c_stride,
                          int64_t columns, float *slots, int64_t begin, int64_t end, void *work) {
        return kernel(matrix, b.data(), b_stride, c.data(), c_stride, columns, 1, 0, slots, begin, end, work);
    };
    const auto refused = [](int32_t status) { return status == FILIGREE_INVALID_ARGUMENT; };
    CHECK(refused(call(nullptr, n, n, n, partials.data(), 0, 1, scratch.get())));
    CHECK(refused(call(a, n, n, -1, partials.data(), 0, 0, scratch.get())));
    CHECK(refused(call(a, n - 1, n, n, partials.data(), 0, 1, scratch.get())));
    CHECK(refused(call(a, n, n - 1, n, partials.data(), 0, 1, scratch.get())));
    CHECK(refused(call(a, n, n, n, nullptr, 0, 1, scratch.get())));
    CHECK(refused(call(a, n, n, n, partials.data(), -1, 1, scratch.get())));
    CHECK(refused(call(a, n, n, n, partials.data(), 1, 0, scratch.get())));
    CHECK(refused(call(a, n, n, n, partials.data(), items, items + 1, scratch.get())));
    CHECK(refused(call(a, n, n, n, partials.data(), a->chunk_count - 1, a->chunk_count + 1, scratch.get())));
    CHECK(refused(call(a, n, n, n, partials.data(), 0, 1, nullptr)));
    CHECK(refused(call(a, n, n, n, partials.data(), 0, 1, static_cast<char *>(scratch.get()) + 4)));
    const auto with = [&](auto change) {
        *a = good;
        change(*a);
        return call(a, n, n, n, partials.data(), 0, 1, scratch.get());
    };
    CHECK(refused(with([](auto &h) { h.magic ^= 1; })));
    CHECK(refused(with([](auto &h) { h.layout = 2; })));
    CHECK(refused(with([](auto &h) { h.activation = 6; })));
    CHECK(refused(with([](auto &h) { h.tiled = 0; })));
    CHECK(refused(with([](auto &h) { h.pass_rows = 0; })));
    CHECK(refused(with([](auto &h) { h.group = 2; })));
    CHECK(refused(with([](auto &h) { h.group = FILIGREE_SPMM_INTERLEAVED, h.pass_rows = 6; })));
    CHECK(refused(with([](auto &h) {
        h.group = FILIGREE_SPMM_INTERLEAVED, h.block_depth = h.cols = 1 << 16, h.block_count = 1, h.scratch_bytes = 1 << 30;
    })));
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
    const SpmmKernel kernel = filigree_spmm_csr_f32_avx512;
    if (kernel(nullptr, nullptr, 0, nullptr, 0, 0, 1, 0, nullptr, 0, 0, nullptr) ==
        FILIGREE_UNSUPPORTED_ISA) {
        CHECK((features.usable & FILIGREE_AVX512) == 0 || !FILIGREE_HAVE_AVX512);
        skip("filigree_spmm_csr_f32_avx512 needs AVX-512, which is not usable here");
    }
    check_refusals(kernel);
    check_skipped_zeros(kernel);
    check_huge_strides(kernel);
    const int cases = check_every_tail(kernel, seed) + check_random(kernel, seed, 600);
    std::printf("filigree_spmm_csr_f32_avx512: %d cases agree, seed %" PRIu64 "\n", cases, seed);
    return 0;
}
