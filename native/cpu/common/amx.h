#ifndef FILIGREE_CPU_COMMON_AMX_H
#define FILIGREE_CPU_COMMON_AMX_H

/*
 * AMX tiles: eight registers of up to 16 rows of 64 bytes. A bf16 product C += A * B takes
 *
 *   A   rows x 32 bf16, row by row
 *   B   16 x 16 words, each a pair of bf16: word (k, n) meets pair k of A's rows
 *   C   rows x 16 floats
 *
 * Not the compiler's intrinsics: gcc's do not say that a load reads memory, so a store before it may move behind it,
 * and they take no template parameter for a register.
 *
 * With FILIGREE_AMX_SIMULATED these are plain C++: tests run the kernels on any processor.
 */
#include <cstdint>

#ifdef FILIGREE_AMX_SIMULATED
#include "cpu/common/amx_simulated.h"
#endif

namespace filigree {
namespace {

constexpr int64_t kTileRows = 16, kTileRowBytes = 64;

/* What ldtilecfg reads. */
struct alignas(64) TileConfiguration {
    uint8_t palette = 1;
    uint8_t start_row = 0;
    uint8_t reserved[14] = {};
    uint16_t row_bytes[16] = {};
    uint8_t rows[16] = {};
};
static_assert(sizeof(TileConfiguration) == 64, "the instruction reads 64 bytes");

#ifdef FILIGREE_AMX_SIMULATED

inline void configure_tiles(const TileConfiguration &c) { simulated_tiles.configure(c.palette, c.row_bytes, c.rows); }
inline void release_tiles() { simulated_tiles.release(); }

template <int Tile> void tile_load(const void *from, int64_t stride) { simulated_tiles.load(Tile, from, stride); }
template <int Tile> void tile_store(void *to, int64_t stride) { simulated_tiles.store(Tile, to, stride); }
template <int Tile> void tile_zero() { simulated_tiles.zero(Tile); }
template <int C, int A, int B> void tile_add_bf16() { simulated_tiles.add_bf16(C, A, B); }

#else

inline void configure_tiles(const TileConfiguration &c) { __asm__ volatile("ldtilecfg %0" ::"m"(c)); }
inline void release_tiles() { __asm__ volatile("tilerelease"); }

template <int Tile> inline __attribute__((always_inline)) void tile_load(const void *from, int64_t stride) {
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(from), "r"(stride), "n"(Tile) : "memory");
}

template <int Tile> inline __attribute__((always_inline)) void tile_store(void *to, int64_t stride) {
    __asm__ volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(to), "r"(stride), "n"(Tile) : "memory");
}

template <int Tile> inline __attribute__((always_inline)) void tile_zero() {
    __asm__ volatile("tilezero %%tmm%c0" ::"n"(Tile));
}

/* C += A * B */
template <int C, int A, int B> inline __attribute__((always_inline)) void tile_add_bf16() {
    __asm__ volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"n"(C), "n"(A), "n"(B));
}

#endif

/* ---- products ---- */

/* Registers of a product: sums of panel p of B and part t of A's rows are 2 p + t, then the parts, then the panels. */
constexpr int kPartTiles = 4, kPanelTiles = 6;

/* Tiles that are configured for products, from construction to destruction. */
class Tiles {
public:
    /* The sums of a product and its parts of A have `rows` rows, the panels of B 16. */
    explicit Tiles(int64_t rows) {
        TileConfiguration c;
        for (int tile = 0; tile < 8; ++tile) {
            c.row_bytes[tile] = kTileRowBytes;
            c.rows[tile] = static_cast<uint8_t>(tile < kPanelTiles ? rows : kTileRows);
        }
        configure_tiles(c);
    }
    /* A thread that leaves tiles in use makes every switch of threads save them. */
    ~Tiles() { release_tiles(); }
    Tiles(const Tiles &) = delete;
    Tiles &operator=(const Tiles &) = delete;
};

/* C = (C or 0) + A * B, where A has rows of words and B panels of 16 columns, a word a row. Strides and steps between
 * panels are bytes. */
struct TileProduct {
    const char *a;
    int64_t a_stride;
    const char *b;
    int64_t b_apart; /* to the next panel */
    char *c;
    int64_t c_stride, c_apart; /* c_apart: to the next panel's sums */
    int64_t steps;             /* of 16 words of A's rows */
    bool fresh;                /* sums start from 0 */
};

template <int Tile> inline __attribute__((always_inline)) void begin_tile(const TileProduct &p, const char *c) {
    p.fresh ? tile_zero<Tile>() : tile_load<Tile>(c, p.c_stride);
}

/*
 * P panels, and T parts of the rows, from row `first` and from row `second` on. All sums are loaded before any is
 * stored, so that the parts may overlap: what they share is computed twice. 16 words of two parts and two panels take
 * four loads of a tile, about 10 clocks each, and four multiplications of 16.
 */
template <int P, int T>
inline __attribute__((always_inline)) void add_parts(const TileProduct &p, int64_t first, int64_t second) {
    const char *a0 = p.a + first * p.a_stride, *a1 = p.a + second * p.a_stride, *b = p.b;
    char *const c0 = p.c + first * p.c_stride, *const c1 = p.c + second * p.c_stride;
    begin_tile<0>(p, c0);
    if constexpr (T == 2) begin_tile<1>(p, c1);
    if constexpr (P == 2) begin_tile<2>(p, c0 + p.c_apart);
    if constexpr (P == 2 && T == 2) begin_tile<3>(p, c1 + p.c_apart);
    for (int64_t step = 0; step < p.steps; ++step) {
        tile_load<kPanelTiles>(b, kTileRowBytes);
        tile_load<kPartTiles>(a0, p.a_stride);
        tile_add_bf16<0, kPartTiles, kPanelTiles>();
        if constexpr (T == 2) {
            tile_load<kPartTiles + 1>(a1, p.a_stride);
            tile_add_bf16<1, kPartTiles + 1, kPanelTiles>();
        }
        if constexpr (P == 2) {
            tile_load<kPanelTiles + 1>(b + p.b_apart, kTileRowBytes);
            tile_add_bf16<2, kPartTiles, kPanelTiles + 1>();
            if constexpr (T == 2) tile_add_bf16<3, kPartTiles + 1, kPanelTiles + 1>();
        }
        a0 += kTileRowBytes, a1 += kTileRowBytes, b += kTileRows * kTileRowBytes;
    }
    tile_store<0>(c0, p.c_stride);
    if constexpr (T == 2) tile_store<1>(c1, p.c_stride);
    if constexpr (P == 2) tile_store<2>(c0 + p.c_apart, p.c_stride);
    if constexpr (P == 2 && T == 2) tile_store<3>(c1 + p.c_apart, p.c_stride);
}

/* P panels and all rows; fewer than 16 are what the tiles are configured for. Parts are alike, so the last one ends
 * with the rows. The one that it overlaps is added with it. */
template <int P> void add_rows(const TileProduct &p, int64_t rows) {
    const int64_t parts = (rows + kTileRows - 1) / kTileRows, last = rows < kTileRows ? 0 : rows - kTileRows;
    int64_t part = 0;
    if (parts % 2 == 1) add_parts<P, 1>(p, 0, 0), part = 1;
    for (; part < parts; part += 2) {
        const int64_t first = part * kTileRows, next = first + kTileRows;
        add_parts<P, 2>(p, first, next < last ? next : last);
    }
}

} // namespace
} // namespace filigree

#endif
