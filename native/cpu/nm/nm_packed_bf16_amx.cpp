/*
 * C = activation(alpha * A * B + beta * C + bias), A N:M sparse (rows x cols, packed), all bf16, sums in f32, where the
 * rows of a group share their positions or n = m: the products of the AVX-512 kernel by AMX tiles.
 *
 *   feature-major   B[cols][n], C[rows][n]
 *   token-major     B[n][cols], C[n][rows]
 *
 * Panels, passes, blocks and the compressed tokens are those of nm_packed_bf16_avx512. They are tiles as they lie: 16
 * pairs of a group's values are words[16 pairs][16 rows], as many of 16 tokens [16 tokens][16 pairs], and the group's
 * sums [16 tokens][16 rows]. Up to 15 pairs that are left of a block are added by vdpbf16ps, and so is all of up to four
 * tokens, for which the bytes of the values bound the time.
 *
 * Two groups x 32 tokens are four tiles of sums. 32 columns of them take four loads of a tile, about 10 clocks each,
 * and four multiplications of 16. With fewer loads a multiplication it is bound by these.
 */
#if !defined(__AVX512BF16__) || !defined(__AVX512VBMI__)
#error "this file must be compiled for AVX512_BF16 and AVX512_VBMI, which every processor with AMX has"
#endif

#include "cpu/common/amx.h"
#include "cpu/nm/nm_rows_bf16_avx512.h"

namespace filigree {
namespace {

constexpr int64_t kFewestTokens = 5;

/* Registers: sums of group g and part t of the tokens are 2 g + t, then the parts of tokens, then the groups. */
constexpr int kTokens = 4, kValues = 6;

template <int T> FILIGREE_INLINE void begin_sums(const float *sums, int64_t sums_apart, bool fresh, int groups) {
    constexpr int64_t bytes = kLanes * sizeof(float);
    fresh ? tile_zero<T>() : tile_load<T>(sums, bytes);
    if (groups == 2) fresh ? tile_zero<T + 2>() : tile_load<T + 2>(sums + sums_apart, bytes);
}

template <int T> FILIGREE_INLINE void end_sums(float *sums, int64_t sums_apart, int groups) {
    constexpr int64_t bytes = kLanes * sizeof(float);
    tile_store<T>(sums, bytes);
    if (groups == 2) tile_store<T + 2>(sums + sums_apart, bytes);
}

/*
 * sums += of G groups, `apart` vectors from each other, and T parts of the tokens, which begin `second` tokens apart.
 * All sums are loaded before any is stored, so that the parts may overlap: what they share is computed twice.
 */
template <int G, int T>
FILIGREE_INLINE void add_tiles(const __m512i *values, int64_t apart, int64_t steps, const uint16_t *x, int64_t pitch,
                               int64_t second, float *sums, int64_t sums_apart, bool fresh) {
    const int64_t x_bytes = pitch * int64_t{sizeof(uint16_t)};
    begin_sums<0>(sums, sums_apart, fresh, G);
    if constexpr (T == 2) begin_sums<1>(sums + second * kLanes, sums_apart, fresh, G);
    for (int64_t step = 0; step < steps; ++step, values += kTileRows, x += Bf16::kWindow) {
        tile_load<kValues>(values, kTileRowBytes);
        tile_load<kTokens>(x, x_bytes);
        tile_add_bf16<0, kTokens, kValues>();
        if constexpr (T == 2) {
            tile_load<kTokens + 1>(x + second * pitch, x_bytes);
            tile_add_bf16<1, kTokens + 1, kValues>();
        }
        if constexpr (G == 2) {
            tile_load<kValues + 1>(values + apart, kTileRowBytes);
            tile_add_bf16<2, kTokens, kValues + 1>();
            if constexpr (T == 2) tile_add_bf16<3, kTokens + 1, kValues + 1>();
        }
    }
    end_sums<0>(sums, sums_apart, G);
    if constexpr (T == 2) end_sums<1>(sums + second * kLanes, sums_apart, G);
}

/* G groups that follow each other, and all tokens of the panel. */
template <int G>
void add_groups(const Panel &p, const BlockRows<Bf16> &rows, int64_t group, const uint16_t *x, int64_t pitch,
                float *sums) {
    const __m512i *values = rows.values_of_group(group);
    const int64_t apart = rows.vectors, sums_apart = p.width * kLanes;
    const int64_t steps = rows.vectors / kTileRows, rest = rows.vectors % kTileRows;
    if (steps > 0) {
        /* Parts are alike, so the last ends with the panel. The one that it overlaps is added with it. */
        const int64_t parts = (p.width + kTileRows - 1) / kTileRows, last = p.width - smaller(p.width, kTileRows);
        int64_t part = 0;
        if (parts % 2 == 1)
            add_tiles<G, 1>(values, apart, steps, x, pitch, 0, sums, sums_apart, rows.fresh), part = 1;
        for (; part < parts; part += 2) {
            const int64_t t = part * kTileRows, second = smaller(t + kTileRows, last) - t;
            add_tiles<G, 2>(values, apart, steps, x + t * pitch, pitch, second, sums + t * kLanes, sums_apart,
                            rows.fresh);
        }
    }
    if (rest > 0)
        for_tokens<12>(p.width, [&](auto count, int64_t t) __attribute__((always_inline)) {
            add_dense<G, decltype(count)::value>(values + steps * kTileRows, apart, rest,
                                                 x + t * pitch + steps * Bf16::kWindow, pitch, sums + t * kLanes,
                                                 sums_apart, rows.fresh && steps == 0);
        });
}

void add_by_tiles(const Panel &p, const BlockRows<Bf16> &rows, int64_t group, int64_t end, const uint16_t *x,
                  int64_t pitch, float *sums) {
    for (; end - group >= 2; group += 2, sums += 2 * p.width * kLanes) add_groups<2>(p, rows, group, x, pitch, sums);
    if (group < end) add_groups<1>(p, rows, group, x, pitch, sums);
}

} // namespace

void nm_packed_bf16_amx(const Nm16Call &call) {
    for_panels(call, [&](const Panel &p, int64_t begin, int64_t end) {
        const bool few = p.width < kFewestTokens;
        const Tiles tiles(smaller(p.width, kTileRows), kValues);
        multiply_rows(p, begin, end, [&](int64_t block, int64_t pass, int64_t pass_end) {
            add_shared_groups(p, block, pass, pass_end, few ? add_by_dot_products : add_by_tiles);
        });
    });
}

} // namespace filigree
