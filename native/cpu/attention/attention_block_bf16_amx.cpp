/*
 * out = softmax(scale * q k^T) v over the blocks of scores that a mask lists, bf16 with f32 sums: the kernel of
 * attention_block_bf16_avx512.h with both products by AMX tiles.
 *
 * Operands are tiles as they lie: queries and weights are rows of words, packed keys and values panels of 16 columns by
 * a word a row. Two parts of 16 rows by two panels are four tiles of sums; 16 words of depth take four loads of a tile,
 * about 10 clocks each, and four multiplications of 16. Depth that is left is added by vdpbf16ps, and so is all that a
 * tile of fewer than 16 query rows needs.
 */
#if !defined(__AVX512BF16__)
#error "this file must be compiled for AVX512_BF16, which every processor with AMX has"
#endif

#include "cpu/attention/attention_block_bf16_avx512.h"
#include "cpu/common/amx.h"

namespace filigree {
namespace {

struct TileBlock : Bf16Block {};

/* Registers: sums of panel p and part t of the rows are 2 p + t, then the parts of rows, then the panels. */
constexpr int kRows = 4, kPanels = 6;

/* A product's operands at some panels and rows. */
struct Part {
    const float *a, *b;
    float *c;
    int64_t c_stride;    /* in bytes, as the next two */
    int64_t second_rows; /* from the first part of A to the second, and of C in rows */
    int64_t panel_words;
    int64_t steps;
    bool fresh;
};

template <int Tile> FILIGREE_INLINE void begin_sums(const Part &p, const float *c) {
    p.fresh ? tile_zero<Tile>() : tile_load<Tile>(c, p.c_stride);
}

/* C = (C or 0) + A * B of P panels and T parts of the rows. All of C is loaded before any is stored, so that parts may
 * overlap: what they share is computed twice. */
template <int P, int T> FILIGREE_INLINE void add_tiles(const Part &p) {
    constexpr int64_t row_bytes = kStride * kWord;
    const float *a = p.a, *b = p.b;
    const float *const second = a + p.second_rows * kStride;
    float *const c_second = p.c + p.second_rows * p.c_stride / kWord;
    begin_sums<0>(p, p.c);
    if constexpr (T == 2) begin_sums<1>(p, c_second);
    if constexpr (P == 2) begin_sums<2>(p, p.c + kLanes);
    if constexpr (P == 2 && T == 2) begin_sums<3>(p, c_second + kLanes);
    for (int64_t step = 0; step < p.steps; ++step) {
        const int64_t word = step * kTileRows;
        tile_load<kPanels>(b + word * kLanes, kTileRowBytes);
        tile_load<kRows>(a + word, row_bytes);
        tile_add_bf16<0, kRows, kPanels>();
        if constexpr (T == 2) {
            tile_load<kRows + 1>(second + word, row_bytes);
            tile_add_bf16<1, kRows + 1, kPanels>();
        }
        if constexpr (P == 2) {
            tile_load<kPanels + 1>(b + p.panel_words + word * kLanes, kTileRowBytes);
            tile_add_bf16<2, kRows, kPanels + 1>();
            if constexpr (T == 2) tile_add_bf16<3, kRows + 1, kPanels + 1>();
        }
    }
    tile_store<0>(p.c, p.c_stride);
    if constexpr (T == 2) tile_store<1>(c_second, p.c_stride);
    if constexpr (P == 2) tile_store<2>(p.c + kLanes, p.c_stride);
    if constexpr (P == 2 && T == 2) tile_store<3>(c_second + kLanes, p.c_stride);
}

/* All rows. Parts are alike, so the last ends with the rows; the one that it overlaps is added with it. */
template <int P> void add_panels(Part p, int64_t rows, Ahead &ahead) {
    const int64_t parts = (rows + kTileRows - 1) / kTileRows, last = rows - kTileRows;
    const Part whole = p;
    const auto begin_at = [&](int64_t row) {
        for (int64_t i = 0; i < kTileRows / kGroup; ++i) ahead.fetch_share();
        p.a = whole.a + row * kStride, p.c = whole.c + row * p.c_stride / kWord;
    };
    int64_t part = 0;
    if (parts % 2 == 1) begin_at(0), add_tiles<P, 1>(p), part = 1;
    for (; part < parts; part += 2) {
        const int64_t row = part * kTileRows;
        begin_at(row);
        p.second_rows = smaller(row + kTileRows, last) - row;
        add_tiles<P, 2>(p);
    }
}

void product(TileBlock, const float *a, int64_t rows, int64_t depth, const float *b, int64_t panel_words,
             int64_t panels, const Sums &sums, Ahead &ahead) {
    const int64_t steps = depth / kTileRows, done = steps * kTileRows;
    if (steps == 0 || rows < kTileRows)
        return product(Bf16Block{}, a, rows, depth, b, panel_words, panels, sums, ahead);
    int64_t panel = 0;
    const auto part = [&] {
        return Part{a, b + panel * panel_words, sums.at + panel * kLanes, sums.stride * kWord, 0, panel_words, steps,
                    sums.fresh};
    };
    for (; panel + 2 <= panels; panel += 2) add_panels<2>(part(), rows, ahead);
    if (panel < panels) add_panels<1>(part(), rows, ahead);
    if (done < depth)
        product(Bf16Block{}, a + done, rows, depth - done, b + done * kLanes, panel_words, panels,
                Sums{sums.at, sums.stride, false, 1.0f}, ahead);
    if (sums.fresh && sums.factor != 1.0f)
        for (int64_t r = 0; r < rows; ++r) multiply_row(sums.at + r * sums.stride, panels * kLanes, sums.factor);
}

} // namespace

void attention_block_bf16_amx(const BlockCall<uint16_t> &call) {
    const Tiles tiles(kTileRows, 0);
    run_items<TileBlock>(call);
}

} // namespace filigree
