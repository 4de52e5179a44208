/*
 * out = softmax(scale * q k^T) v over the blocks of scores that a mask lists, bf16 with f32 sums: the kernel of
 * attention_block_bf16_avx512.h with both products by AMX tiles.
 *
 * Operands are tiles as they lie: queries and weights are rows of words, packed keys and values panels of 16 columns by
 * a word a row. Depth that is left of 16 words is added by vdpbf16ps, and so is all that a tile of fewer than 16 query
 * rows needs.
 */
#if !defined(__AVX512BF16__)
#error "this file must be compiled for AVX512_BF16, which every processor with AMX has"
#endif

#include "cpu/attention/attention_block_bf16_avx512.h"
#include "cpu/common/amx.h"

namespace filigree {
namespace {

struct TileBlock : Bf16Block {};

void product(TileBlock, const float *a, int64_t rows, int64_t depth, const float *b, int64_t panel_words,
             int64_t panels, const Sums &sums, Ahead &ahead) {
    const int64_t steps = depth / kTileRows, done = steps * kTileRows;
    if (steps == 0 || rows < kTileRows)
        return product(Bf16Block{}, a, rows, depth, b, panel_words, panels, sums, ahead);
    const int64_t turns = (panels + 1) / 2, shares = (rows / kGroup + turns - 1) / turns;
    int64_t panel = 0;
    const auto at_hand = [&] {
        for (int64_t i = 0; i < shares; ++i) ahead.fetch_share();
        return TileProduct{reinterpret_cast<const char *>(a), kStride * kWord,
                           reinterpret_cast<const char *>(b + panel * panel_words), panel_words * kWord,
                           reinterpret_cast<char *>(sums.at + panel * kLanes), sums.stride * kWord, kLanes * kWord,
                           steps, sums.fresh};
    };
    for (; panel + 2 <= panels; panel += 2) add_rows<2>(at_hand(), rows);
    if (panel < panels) add_rows<1>(at_hand(), rows);
    if (done < depth)
        product(Bf16Block{}, a + done, rows, depth - done, b + done * kLanes, panel_words, panels,
                Sums{sums.at, sums.stride, false, 1.0f}, ahead);
    if (sums.fresh && sums.factor != 1.0f)
        for (int64_t r = 0; r < rows; ++r) multiply_row(sums.at + r * sums.stride, panels * kLanes, sums.factor);
}

} // namespace

void attention_block_bf16_amx(const BlockCall<uint16_t> &call) {
    const Tiles tiles(kTileRows);
    run_items<TileBlock>(call);
}

} // namespace filigree
