#ifndef FILIGREE_CPU_COMMON_AMX_SIMULATED_H
#define FILIGREE_CPU_COMMON_AMX_SIMULATED_H

/*
 * AMX tiles in plain C++, for tests on processors without them: what the instructions compute, in their order, and an
 * abort where they would fault.
 */
#include "cpu/common/bf16.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace filigree {
namespace {

class SimulatedTiles {
public:
    void configure(int palette, const uint16_t *row_bytes, const uint8_t *rows) {
        require(palette == 1, "the palette is 1");
        for (int tile = 0; tile < 8; ++tile) {
            require(rows[tile] >= 1 && rows[tile] <= 16, "a tile has 1 to 16 rows");
            require(row_bytes[tile] >= 4 && row_bytes[tile] <= 64 && row_bytes[tile] % 4 == 0,
                    "a row has 1 to 16 words");
            tiles_[tile] = {rows[tile], row_bytes[tile], {}};
        }
        configured_ = true;
    }

    void release() { configured_ = false; }

    void load(int tile, const void *from, int64_t stride) {
        Tile &t = at(tile);
        std::memset(t.words, 0, sizeof t.words);
        for (int64_t r = 0; r < t.rows; ++r)
            std::memcpy(t.words[r], static_cast<const char *>(from) + r * stride, t.row_bytes);
    }

    void store(int tile, void *to, int64_t stride) {
        const Tile &t = at(tile);
        for (int64_t r = 0; r < t.rows; ++r)
            std::memcpy(static_cast<char *>(to) + r * stride, t.words[r], t.row_bytes);
    }

    void zero(int tile) { std::memset(at(tile).words, 0, sizeof at(tile).words); }

    /* tdpbf16ps: even and odd products have sums of their own, which are added to each other, then to C. */
    void add_bf16(int c_tile, int a_tile, int b_tile) {
        Tile &c = at(c_tile);
        const Tile &a = at(a_tile), &b = at(b_tile);
        require(c.rows == a.rows && c.row_bytes == b.row_bytes && a.row_bytes == 4 * b.rows, "tiles that fit");
        for (int m = 0; m < c.rows; ++m)
            for (int n = 0; n < c.row_bytes / 4; ++n) {
                float even = 0, odd = 0;
                for (int k = 0; k < b.rows; ++k) {
                    const uint32_t x = a.words[m][k], y = b.words[k][n];
                    even = multiply_add_step(float_of(x << 16), float_of(y << 16), even);
                    odd = multiply_add_step(float_of(x & 0xffff0000), float_of(y & 0xffff0000), odd);
                }
                const float sum = zero_if_denormal(even + odd);
                c.words[m][n] = bits_of(zero_if_denormal(zero_if_denormal(float_of(c.words[m][n])) + sum));
            }
    }

private:
    struct Tile {
        int rows, row_bytes;
        uint32_t words[16][16];
    };

    static void require(bool holds, const char *what) {
        if (holds) return;
        std::fprintf(stderr, "FAILED: an AMX instruction would fault: not %s\n", what);
        std::abort();
    }

    Tile &at(int tile) {
        require(configured_, "configured");
        require(tile >= 0 && tile < 8, "one of eight tiles");
        return tiles_[tile];
    }

    bool configured_ = false;
    Tile tiles_[8] = {};
};

thread_local SimulatedTiles simulated_tiles;

} // namespace
} // namespace filigree

#endif
