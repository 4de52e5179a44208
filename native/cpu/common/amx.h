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

/* Tiles of as many rows as there are tokens, and full ones, from construction to destruction. */
class Tiles {
public:
    /* Registers below `first_full` have `rows` rows, those from there on 16. */
    Tiles(int64_t rows, int first_full) {
        TileConfiguration c;
        for (int tile = 0; tile < 8; ++tile) {
            c.row_bytes[tile] = kTileRowBytes;
            c.rows[tile] = static_cast<uint8_t>(tile < first_full ? rows : kTileRows);
        }
        configure_tiles(c);
    }
    /* A thread that leaves tiles in use makes every switch of threads save them. */
    ~Tiles() { release_tiles(); }
    Tiles(const Tiles &) = delete;
    Tiles &operator=(const Tiles &) = delete;
};

} // namespace
} // namespace filigree

#endif
