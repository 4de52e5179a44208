/* A packer of the tiles that filigree_cuda.h describes, for tests and benchmarks; it shares no code with kernels. */
#ifndef FILIGREE_TESTS_CUDA_BITMAP_CASES_H
#define FILIGREE_TESTS_CUDA_BITMAP_CASES_H

#include "filigree_cuda.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

namespace filigree_test {

inline float from_bf16(uint16_t x) {
    const uint32_t bits = static_cast<uint32_t>(x) << 16;
    float y;
    std::memcpy(&y, &bits, sizeof y);
    return y;
}

/* To nearest, ties to even, of a finite value. */
inline uint16_t to_bf16(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

/* A dense matrix of which some elements are stored. */
struct Sparse {
    int64_t rows = 0, cols = 0;
    std::vector<uint16_t> values;
    std::vector<bool> stored;

    bool has(int64_t row, int64_t col) const { return row < rows && col < cols && stored[row * cols + col]; }
    uint16_t at(int64_t row, int64_t col) const { return values[row * cols + col]; }
};

struct PackedBitmap {
    filigree_cuda_bitmap_packed header{};
    std::vector<unsigned char> bytes; /* not aligned: copy before use */
};

namespace detail {

/* Element by element, as the header says. */
inline void pack_tile(const Sparse &m, int64_t strip, int64_t tile, std::vector<unsigned char> *masks,
                       std::vector<uint16_t> *values) {
    uint16_t words[32] = {}, ends[8] = {};
    for (int lane = 0; lane < 32; ++lane) {
        for (int bit = 0; bit < 16; ++bit) {
            const int j = bit / 4, r = bit % 4, i = lane / 4, q = lane % 4;
            const int64_t row = strip * 16 + 8 * (r % 2) + i;
            const int64_t col = tile * 64 + 32 * (j / 2) + 8 * q + 4 * (j % 2) + 2 * (r / 2);
            if (!m.has(row, col) && !m.has(row, col + 1)) continue;
            words[lane] = static_cast<uint16_t>(words[lane] | 1u << bit);
            for (int64_t c = col; c < col + 2; ++c)
                values->push_back(!m.has(row, c) ? uint16_t{0x8000} : m.at(row, c) == 0x8000 ? uint16_t{0} : m.at(row, c));
        }
        ends[lane / 4] = static_cast<uint16_t>(values->size() / 2);
    }
    masks->resize(sizeof words + sizeof ends);
    std::memcpy(masks->data(), words, sizeof words);
    std::memcpy(masks->data() + sizeof words, ends, sizeof ends);
}

} // namespace detail

inline PackedBitmap pack_bitmap(const Sparse &m, int32_t layout, int32_t activation, const std::vector<float> &bias) {
    PackedBitmap packed;
    filigree_cuda_bitmap_packed &h = packed.header;
    h.magic = FILIGREE_CUDA_BITMAP_MAGIC;
    h.rows = m.rows, h.cols = m.cols;
    h.strip_count = (m.rows + 15) / 16, h.tile_count = (m.cols + 63) / 64;
    h.layout = layout, h.activation = activation;
    for (const bool stored : m.stored) h.nnz += stored;

    std::vector<uint32_t> starts;
    std::vector<unsigned char> tiles;
    for (int64_t strip = 0; strip < h.strip_count; ++strip) {
        for (int64_t tile = 0; tile < h.tile_count; ++tile) {
            starts.push_back(static_cast<uint32_t>(tiles.size() / 16));
            std::vector<unsigned char> masks;
            std::vector<uint16_t> values;
            detail::pack_tile(m, strip, tile, &masks, &values);
            values.resize((values.size() + 7) / 8 * 8);
            h.tile_bytes = std::max(h.tile_bytes, static_cast<int64_t>(masks.size() + 2 * values.size()));
            const auto *const bytes = reinterpret_cast<const unsigned char *>(values.data());
            tiles.insert(tiles.end(), masks.begin(), masks.end());
            tiles.insert(tiles.end(), bytes, bytes + values.size() * sizeof(uint16_t));
        }
    }
    starts.push_back(static_cast<uint32_t>(tiles.size() / 16));

    packed.bytes.resize(sizeof h);
    const auto put = [&](const void *table, size_t bytes) {
        packed.bytes.resize((packed.bytes.size() + 63) / 64 * 64);
        const auto *const from = static_cast<const unsigned char *>(table);
        const auto offset = static_cast<int64_t>(packed.bytes.size());
        packed.bytes.insert(packed.bytes.end(), from, from + bytes);
        return offset;
    };
    h.bias = bias.empty() ? 0 : put(bias.data(), bias.size() * sizeof(float));
    h.tile_starts = put(starts.data(), starts.size() * sizeof(uint32_t));
    h.tiles = put(tiles.data(), tiles.size());
    packed.bytes.resize((packed.bytes.size() + 63) / 64 * 64 + 64);
    h.bytes = static_cast<int64_t>(packed.bytes.size());
    std::memcpy(packed.bytes.data(), &h, sizeof h);
    return packed;
}

} // namespace filigree_test

#endif
