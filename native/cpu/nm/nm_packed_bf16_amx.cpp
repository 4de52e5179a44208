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
 */
#if !defined(__AVX512BF16__) || !defined(__AVX512VBMI__)
#error "this file must be compiled for AVX512_BF16 and AVX512_VBMI, which every processor with AMX has"
#endif

#include "cpu/common/amx.h"
#include "cpu/nm/nm_rows_bf16_avx512.h"

namespace filigree {
namespace {

constexpr int64_t kFewestTokens = 5;

/* G groups that follow each other, and all tokens of the panel. */
template <int G>
void add_groups(const Panel &p, const BlockRows<Bf16> &rows, int64_t group, const uint16_t *x, int64_t pitch,
                float *sums) {
    constexpr int64_t kFloat = sizeof(float), kVector = sizeof(__m512i);
    const __m512i *values = rows.values_of_group(group);
    const int64_t sums_apart = p.width * kLanes;
    const int64_t steps = rows.vectors / kTileRows, rest = rows.vectors % kTileRows;
    if (steps > 0)
        add_rows<G>(TileProduct{reinterpret_cast<const char *>(x), pitch * int64_t{sizeof *x},
                                reinterpret_cast<const char *>(values), rows.vectors * kVector,
                                reinterpret_cast<char *>(sums), kLanes * kFloat, sums_apart * kFloat, steps,
                                rows.fresh},
                    p.width);
    if (rest > 0)
        for_tokens<12>(p.width, [&](auto count, int64_t t) __attribute__((always_inline)) {
            add_dense<G, decltype(count)::value>(values + steps * kTileRows, rows.vectors, rest,
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
        const Tiles tiles(smaller(p.width, kTileRows));
        multiply_rows(p, begin, end, [&](int64_t block, int64_t pass, int64_t pass_end) {
            add_shared_groups(p, block, pass, pass_end, few ? add_by_dot_products : add_by_tiles);
        });
    });
}

} // namespace filigree
