/*
 * No kernel reads or writes outside its operands. Each operand in turn lies flush against an inaccessible
 * page, at its end and at its start, for every tail length. Every row of kernels.def must have a case here.
 */
#include "attention_cases.h"
#include "gemm_cases.h"
#include "mlp_cases.h"
#include "nm_cases.h"
#include "paged_cases.h"
#include "spmm_cases.h"

#include <cinttypes>
#include <csignal>

using namespace filigree_test;

namespace {

/* What the signal handler prints. */
char current[256] = "";

void on_fault(int) {
    const char text[] = "FAILED: an access outside the operands; ";
    ssize_t ignored = write(STDERR_FILENO, text, sizeof text - 1);
    ignored = write(STDERR_FILENO, current, std::strlen(current));
    ignored = write(STDERR_FILENO, "\n", 1);
    (void)ignored;
    _exit(1);
}

void guard_spmm(SpmmKernel kernel, Guarded::Side side) {
    PackOptions in_place;
    in_place.tiled = false, in_place.block_depth = 21, in_place.pass_rows = 64, in_place.chunk_rows = 8;
    in_place.has_bias = true, in_place.row_limit = 10;
    PackOptions tiled = in_place;
    tiled.tiled = true, tiled.block_depth = 20, tiled.pass_rows = 7;
    PackOptions tokens = tiled;
    tokens.layout = FILIGREE_TOKEN_MAJOR;
    PackOptions one_tile = tokens;
    one_tile.block_depth = 21;
    PackOptions in_turns = tiled, in_turns_tokens = one_tile;
    in_turns.group = in_turns_tokens.group = FILIGREE_SPMM_INTERLEAVED;

    Random random(3);
    /* Not a multiple of 16 either way, so that token-major blocks have tails too. */
    const Csr m = random_csr(random, 19, 21, 0.35);
    for (PackOptions pack : {in_place, tiled, tokens, one_tile, in_turns, in_turns_tokens}) {
        for (int64_t n = 1; n <= 178; ++n) {
            pack.activation = static_cast<int32_t>(n % (FILIGREE_ACTIVATION_SILU + 1));
            const Packed packed = Packer(m, pack, random).take();
            const filigree_spmm_packed &h = packed.header;
            const int64_t padding = n % 2 == 0 ? 0 : 5;
            const Shape shape(m, n, pack.layout, padding, padding);
            const float beta = n % 3 == 0 ? 0.0f : 0.5f;
            std::snprintf(current, sizeof current,
                          "spmm, %s of the operands, layout %d, tiled %d, group %" PRId64 ", depth %" PRId64
                          ", n %" PRId64,
                          side == Guarded::kEnd ? "end" : "start", pack.layout, pack.tiled, pack.group,
                          pack.block_depth, n);

            Guarded a(h.bytes, side, 64);
            std::memcpy(a.as<char>(), packed.bytes.data(), packed.bytes.size());
            Guarded b(shape.b_floats() * 4, side), c(shape.c_floats() * 4, side);
            Guarded partials(h.partial_count * ((n + 63) / 64 * 64) * 4, side),
                scratch(h.scratch_bytes, side, 64);
            for (int64_t i = 0; i < shape.b_floats(); ++i) b.as()[i] = random.value();
            std::vector<float> before(shape.c_floats());
            for (int64_t i = 0; i < shape.c_floats(); ++i) before[i] = c.as()[i] = random.value();

            run_items(kernel,
                      {a.as<filigree_spmm_packed>(), b.as(), c.as(), partials.as(), scratch.as<void>(), n,
                       2.0f, beta},
                      shape, random);

            for (int64_t i = 0; i < shape.c_floats(); ++i) {
                const int64_t line = i / shape.c_stride, place = i % shape.c_stride;
                const bool by_feature = pack.layout == FILIGREE_FEATURE_MAJOR;
                const float wanted = place >= shape.c_width
                                         ? before[i]
                                         : expect(m, packed, b.as(), shape.b_stride, before[i], 2.0f, beta,
                                                  by_feature ? line : place, by_feature ? place : line)
                                               .value;
                if (!same_bits(c.as()[i], wanted)) fail("wrong value at %" PRId64 " of C; %s", i, current);
            }
        }
    }
}

void guard_gemm(GemmKernel kernel, Guarded::Side side) {
    GemmPackOptions one_block;
    one_block.block_depth = 21, one_block.pass_rows = 12, one_block.chunk_rows = 6, one_block.has_bias = true;
    GemmPackOptions blocks = one_block;
    blocks.block_depth = 20;
    GemmPackOptions one_block_tokens = one_block, blocks_tokens = blocks;
    one_block_tokens.layout = blocks_tokens.layout = FILIGREE_TOKEN_MAJOR;

    Random random(5);
    for (GemmPackOptions pack : {one_block, blocks, one_block_tokens, blocks_tokens}) {
        for (int64_t n = 1; n <= 130; ++n) {
            pack.activation = static_cast<int32_t>(n % (FILIGREE_ACTIVATION_SILU + 1));
            const GemmMatrix m = random_gemm_matrix(random, 13 + n % 6, 21, pack);
            const int64_t padding = n % 2 == 0 ? 0 : 5;
            const Shape shape = gemm_shape(m, n, padding, padding);
            const float beta = n % 3 == 0 ? 0.0f : 0.5f;
            std::snprintf(current, sizeof current,
                          "gemm, %s of the operands, layout %d, depth %" PRId64 ", n %" PRId64,
                          side == Guarded::kEnd ? "end" : "start", pack.layout, pack.block_depth, n);

            Guarded a(m.header.bytes, side, 64);
            std::memcpy(a.as<char>(), m.bytes.data(), m.bytes.size());
            Guarded b(shape.b_floats() * 4, side), c(shape.c_floats() * 4, side);
            Guarded scratch(m.header.scratch_bytes, side, 64);
            for (int64_t i = 0; i < shape.b_floats(); ++i) b.as()[i] = random.value();
            std::vector<float> before(shape.c_floats());
            for (int64_t i = 0; i < shape.c_floats(); ++i) before[i] = c.as()[i] = random.value();

            run_items(kernel,
                      {a.as<filigree_gemm_packed>(), b.as(), c.as(), scratch.as<void>(), n, 2.0f, beta},
                      shape, random);

            for (int64_t i = 0; i < shape.c_floats(); ++i) {
                const int64_t line = i / shape.c_stride, place = i % shape.c_stride;
                const bool by_feature = pack.layout == FILIGREE_FEATURE_MAJOR;
                const float wanted = place >= shape.c_width
                                         ? before[i]
                                         : expect(m, b.as(), shape.b_stride, before[i], 2.0f, beta,
                                                  by_feature ? line : place, by_feature ? place : line)
                                               .value;
                if (!same_bits(c.as()[i], wanted)) fail("wrong value at %" PRId64 " of C; %s", i, current);
            }
        }
    }
}

template <class E> void guard_nm(NmKernel<E> kernel, Guarded::Side side, bool tiles = false) {
    /* Permuted by one register and by two, shared by half a group and by two; groups and blocks with tails.
     */
    const int32_t patterns[][3] = {{2, 4, 1}, {1, 32, 1}, {3, 5, 1}, {1, 4, 8}, {2, 4, 32}, {3, 3, 1}};
    Random random(4);
    for (const auto &pattern : patterns) {
        /* Tiles serve rows that share their positions. */
        if (tiles && pattern[2] < 16 && pattern[0] < pattern[1]) continue;
        for (const int32_t layout : {FILIGREE_FEATURE_MAJOR, FILIGREE_TOKEN_MAJOR}) {
            for (int64_t n = 1; n <= 130; n += n < 66 ? 1 : 9) {
                NmOptions o;
                o.bf16 = sizeof(E) == 2, o.tiles = tiles;
                o.rows = 37, o.cols = tiles ? 203 : 43;
                o.n = pattern[0], o.m = pattern[1], o.vector = pattern[2];
                o.block_groups = (tiles ? 33 : 1) + n % 4, o.pass_groups = 2, o.chunk_groups = 1;
                o.layout = layout, o.has_bias = true;
                o.activation = static_cast<int32_t>(n % (FILIGREE_ACTIVATION_SILU + 1));
                std::snprintf(current, sizeof current,
                              "nm, %s of the operands, %d:%d:%d, layout %d, n %" PRId64,
                              side == Guarded::kEnd ? "end" : "start", o.vector, o.n, o.m, layout, n);
                check_nm(kernel, Nm(o, random), n, n % 2 == 0 ? 0 : 5, 2.0f, n % 3 == 0 ? 0.0f : 0.5f, side,
                         random, current);
            }
        }
    }
}

/* Every head dimension, and keys and queries around every boundary of groups, panels, units and tiles. */
template <class T> void guard_attention(AttentionKernel<T> kernel, Guarded::Side side, bool tiles = false) {
    for (int64_t i = 1; i <= 32; ++i) {
        AttentionCase c{};
        c.tiles = tiles;
        c.queries = i % 7 == 0 ? 64 + i : i, c.keys = i % 5 == 0 ? 128 + i : i + 15;
        c.block_rows = i % 2 == 0 ? 16 : 80, c.tile_rows = i % 2 == 0 ? 16 : 64;
        c.unit_keys = i % 3 == 0 ? 48 : 16, c.block_cols = 2 * c.unit_keys;
        c.batch = 1 + i % 2, c.group = 1 + i % 3 / 2, c.kv_heads = 1, c.dim = 8 * i, c.padding = i % 4;
        c.per_head = i % 2 == 1, c.lengths = i % 4 == 0, c.slopes = i % 4 == 1, c.state = i % 8 == 3;
        c.soft_cap = i % 4 == 2 ? 3.0f : 0.0f, c.density = 0.7;
        std::snprintf(current, sizeof current, "attention, %s of the operands, head dimension %" PRId64,
                      side == Guarded::kEnd ? "end" : "start", c.dim);
        check_attention(kernel, c, static_cast<uint64_t>(i), side, current);
    }
}

/* Every tail of a row and of a list, and every number of tokens. */
template <class Check> void guard_mlp(const char *what, int64_t dtype, Guarded::Side side, Check check) {
    for (int64_t i = 1; i <= 130; ++i) {
        MlpCase c{};
        c.rows = 1 + i % 40, c.cols = i, c.list = i % 3 != 0, c.count = c.list ? i % 50 : c.rows;
        c.tokens = 1 + i % FILIGREE_MLP_TOKENS, c.padding = i % 4, c.dtype = dtype;
        c.masks = i % 5 < 3, c.mask_bits = i % 17, c.bias = i % 2 == 0, c.factors = i % 7 < 3, c.in_place = i % 7 == 1;
        c.activation = static_cast<int32_t>(i % (FILIGREE_ACTIVATION_SILU + 1));
        std::snprintf(current, sizeof current, "%s, %s of the operands, %" PRId64 " columns", what,
                      side == Guarded::kEnd ? "end" : "start", i);
        check(c, static_cast<uint64_t>(i));
    }
}

void guard_dot(DotKernel kernel, int64_t dtype, Guarded::Side side) {
    guard_mlp("dot", dtype, side,
              [&](const MlpCase &c, uint64_t seed) { check_dot(kernel, c, seed, side, current); });
}

void guard_axpy(AxpyKernel kernel, int64_t dtype, Guarded::Side side) {
    guard_mlp("axpy", dtype, side,
              [&](const MlpCase &c, uint64_t seed) { check_axpy(kernel, c, seed, side, current); });
}

/* Every head dimension, with steps and splits that end everywhere, and blocks of one token, of some, of all. */
template <class T> void guard_paged(PagedKernel<T> kernel, Guarded::Side side) {
    for (int64_t i = 1; i <= 32; ++i) {
        PagedCase c{};
        c.sequences = 1 + i % 3, c.group = 1 + i % 5, c.kv_heads = 1 + i % 2, c.dim = 8 * i, c.padding = i % 4;
        c.page_rows = i % 3 == 0 ? 16 : i, c.block_keys = i % 4 == 0 ? 1 : 3 * i;
        c.list_heads = i % 3 == 0 ? 0 : i % 2 == 0 ? 1 : c.kv_heads;
        c.most_keys = i % 8 == 5 ? 1100 : 140 + i, c.slopes = i % 4 == 1, c.soft_cap = i % 4 == 2 ? 3.0f : 0.0f;
        c.density = 0.7;
        std::snprintf(current, sizeof current, "attention over pages, %s of the operands, head dimension %" PRId64,
                      side == Guarded::kEnd ? "end" : "start", c.dim);
        check_paged(kernel, c, static_cast<uint64_t>(i), side, current);
    }
}

struct GuardCase {
    const char *symbol;
    void (*run)(Guarded::Side side);
};

const GuardCase kCases[] = {
    {"filigree_nm_packed_f32_avx512",
     [](Guarded::Side side) { guard_nm<float>(filigree_nm_packed_f32_avx512, side); }},
    {"filigree_nm_packed_bf16_avx512",
     [](Guarded::Side side) { guard_nm<uint16_t>(filigree_nm_packed_bf16_avx512, side); }},
    {"filigree_nm_packed_bf16_amx",
     [](Guarded::Side side) { guard_nm<uint16_t>(filigree_nm_packed_bf16_amx, side, true); }},
    {"filigree_spmm_csr_f32_avx512",
     [](Guarded::Side side) { guard_spmm(filigree_spmm_csr_f32_avx512, side); }},
    {"filigree_gemm_packed_f32_avx512",
     [](Guarded::Side side) { guard_gemm(filigree_gemm_packed_f32_avx512, side); }},
    {"filigree_attention_block_f32_avx512",
     [](Guarded::Side side) { guard_attention<float>(attention_block_f32, side); }},
    {"filigree_attention_block_bf16_avx512",
     [](Guarded::Side side) { guard_attention<uint16_t>(filigree_attention_block_bf16_avx512, side); }},
    {"filigree_attention_block_bf16_amx",
     [](Guarded::Side side) { guard_attention<uint16_t>(filigree_attention_block_bf16_amx, side, true); }},
    {"filigree_mlp_dot_f32_avx512",
     [](Guarded::Side side) { guard_dot(filigree_mlp_dot_f32_avx512, FILIGREE_DTYPE_F32, side); }},
    {"filigree_mlp_dot_bf16_avx512",
     [](Guarded::Side side) { guard_dot(filigree_mlp_dot_bf16_avx512, FILIGREE_DTYPE_BF16, side); }},
    {"filigree_mlp_axpy_f32_avx512",
     [](Guarded::Side side) { guard_axpy(filigree_mlp_axpy_f32_avx512, FILIGREE_DTYPE_F32, side); }},
    {"filigree_mlp_axpy_bf16_avx512",
     [](Guarded::Side side) { guard_axpy(filigree_mlp_axpy_bf16_avx512, FILIGREE_DTYPE_BF16, side); }},
    {"filigree_attention_paged_f32_avx512",
     [](Guarded::Side side) { guard_paged<float>(filigree_attention_paged_f32_avx512, side); }},
    {"filigree_attention_paged_bf16_avx512",
     [](Guarded::Side side) { guard_paged<uint16_t>(filigree_attention_paged_bf16_avx512, side); }},
};

struct KernelRow {
    const char *symbol;
    const char *isa;
    int32_t required;
};

const KernelRow kKernels[] = {
#define FILIGREE_KERNEL(symbol, operation, format, dtype, isa, tile, required_bits)                          \
    {#symbol, isa, required_bits},
#include "cpu/kernels.def"
#undef FILIGREE_KERNEL
};

} // namespace

int main() {
    std::signal(SIGSEGV, on_fault);
    std::signal(SIGBUS, on_fault);
    filigree_features features{};
    CHECK(filigree_get_features(&features) == FILIGREE_OK);
    /* A compiler without the flags left the kernels out. */
    const int32_t usable = features.usable & (FILIGREE_HAVE_AVX512 ? ~0 : ~FILIGREE_AVX512) &
                           (FILIGREE_HAVE_AVX512_BF16 ? ~0 : ~FILIGREE_AVX512_BF16) &
                           (FILIGREE_HAVE_AMX && filigree_request_amx() == FILIGREE_OK ? ~0 : ~FILIGREE_AMX_BF16);
    int ran = 0;
    std::string left_out;
    for (const KernelRow &kernel : kKernels) {
        const auto found = std::find_if(std::begin(kCases), std::end(kCases), [&](const GuardCase &c) {
            return std::strcmp(c.symbol, kernel.symbol) == 0;
        });
        if (found == std::end(kCases))
            fail("kernels.def has %s, for which there is no guard-page case", kernel.symbol);
        if ((usable & kernel.required) != kernel.required) {
            /* Simulated tiles meet guard pages in programs of their own. */
            if (std::strcmp(kernel.isa, "amx") == 0) continue;
            left_out += std::string(left_out.empty() ? "" : ", ") + kernel.symbol + " (" + kernel.isa + ")";
            continue;
        }
        found->run(Guarded::kEnd);
        found->run(Guarded::kStart);
        std::printf("%s: ok\n", kernel.symbol);
        ++ran;
    }
    /* One kernel that did not run is one that was not tested. */
    if (!left_out.empty()) skip("%d kernels ran; not usable here: %s", ran, left_out.c_str());
    return 0;
}
