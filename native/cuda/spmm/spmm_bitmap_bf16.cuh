/*
 * C = activation(alpha * A * B + beta * C + bias), A sparse, all in bf16, for few columns (tokens): the kernels.
 *
 * spmm_bitmap_bf16  loads sparse, computes dense. A block takes a strip of 16 rows of A and up to kTokens tokens; its
 *                   warps take consecutive shares of the strip's tiles, which come through a ring in shared memory, and
 *                   turn masks and nonzeros into operand A of mma.m16n8k16 in registers. Sums of the warps are added in
 *                   their order. X is read as it lies: 16 consecutive columns of a token are what a lane needs in a tile.
 * spmm_turn_bf16    X of feature-major products.
 *
 * A tile's nonzeros begin after those before them: the lanes of a warp count the bits of a mask word each and add up;
 * a lane then counts the bits before its own two in one word.
 *
 * Roofline: (2 * nnz + rows * cols / 8) bytes of A, of which H200's memory delivers 4.3 TB/s: 1.78, 2.8 and 6.2 times as
 * fast as dense at 50, 70 and 90 %. Some 12 instructions a lane for 2 elements of a square let a multiprocessor unpack
 * about 21 elements a clock, 2.3 times as many as a dense kernel is fed from memory: from 65 % on that is the limit.
 *
 * An infinity or a NaN in X would meet zeros that are not stored. Lanes look for them on the way, and a block that found
 * one computes its results again, element by element.
 */
#ifndef FILIGREE_CUDA_SPMM_BITMAP_BF16_CUH
#define FILIGREE_CUDA_SPMM_BITMAP_BF16_CUH

#include "cuda/common/bf16.h"
#include "cuda/common/thread.h"

namespace filigree::cuda::bitmap {

constexpr int kRows = 16;
constexpr int kCols = 64;
/* mma.m16n8k16 to a tile, and registers of its operand A. */
constexpr int kSteps = kCols / 16;
constexpr int kRegisters = 4;
constexpr int kSquares = kSteps * kRegisters;
constexpr int kWords = 2 * kSquares;
constexpr int kMaskBytes = kWords * 4;
constexpr int kMostTileBytes = kMaskBytes + kRows * kCols * 2;

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kWarp;
/* Tiles on their way or at work, of each warp. */
constexpr int kStages = 4;
/* Behind a tile lie what a lane without nonzeros reads, and where the nonzeros of each mask word begin. */
constexpr int kSlack = 16;
constexpr int kStageBytes = kMostTileBytes + kSlack;
constexpr int kWarpBytes = kStages * kStageBytes + kWords * 4;

struct BitmapTask {
    const uint32_t *tile_starts;
    const unsigned char *tiles;
    int64_t tile_count;
    int64_t rows;
    int64_t cols;
    const uint16_t *x; /* tokens x cols */
    int64_t x_stride;
    bool x_aligned; /* every row is, to 16 bytes */
    int64_t tokens;
    uint16_t *c;
    int64_t row_step;   /* from an element of C to that of the next row of A */
    int64_t token_step; /* and of the next token */
    const float *bias;
    float alpha;
    float beta;
    int32_t activation;
};

struct TurnTask {
    const uint16_t *b; /* cols x tokens */
    int64_t b_stride;
    uint16_t *x; /* tokens x cols */
    int64_t x_stride;
    int64_t cols;
    int64_t tokens;
};

__host__ __device__ constexpr size_t shared_bytes(int tokens) {
    const size_t sums = sizeof(float) * kWarps * kRows * static_cast<size_t>(tokens);
    const size_t ring = kWarps * kWarpBytes;
    return (sums > ring ? sums : ring) + sizeof(int);
}

/* ---- addresses -------------------------------------------------------------------------------------------- */

/* The square that bit counting, and the nonzeros, go through as number w / 2, and its half w % 2: where its word lies. */
__device__ constexpr int word_place(int w) { return w / 8 * 8 + w % 2 * 4 + w / 2 % 4; }

/* In a tile, the column of bit `bit` of square (step, r); its row is 8 * (r % 2) + bit / 8. */
__device__ constexpr int column_of(int step, int r, int bit) {
    return bit % 8 / 2 * 16 + step * 4 + r / 2 * 2 + bit % 2;
}

/* ---- the ring --------------------------------------------------------------------------------------------- */

class Ring {
public:
    __device__ Ring(const BitmapTask &t, unsigned char *memory, int64_t first, int64_t end, int lane)
        : starts_(t.tile_starts), tiles_(t.tiles), memory_(memory), next_(first), end_(end), lane_(lane) {}

    /* Submits the next tile; an empty group when there is none, so that groups count tiles. */
    __device__ void submit() {
        if (next_ < end_) {
            const int64_t begin = __ldg(starts_ + next_);
            const int chunks = static_cast<int>(__ldg(starts_ + next_ + 1) - begin);
            unsigned char *const to = memory_ + submitted_ * kStageBytes;
            for (int chunk = lane_; chunk < chunks; chunk += kWarp)
                copy_async(to + 16 * chunk, tiles_ + 16 * (begin + chunk));
            ++next_;
        }
        commit_copies();
        submitted_ = submitted_ + 1 == kStages ? 0 : submitted_ + 1;
    }

    /* Waits for the oldest tile and puts another on its way: into the place of the one before. */
    __device__ const unsigned char *take() {
        wait_for_copies<kStages - 2>();
        __syncwarp();
        submit();
        const unsigned char *const tile = memory_ + taken_ * kStageBytes;
        taken_ = taken_ + 1 == kStages ? 0 : taken_ + 1;
        return tile;
    }

private:
    const uint32_t *starts_;
    const unsigned char *tiles_;
    unsigned char *memory_;
    int64_t next_, end_;
    int lane_;
    int submitted_ = 0, taken_ = 0;
};

/* ---- operand B -------------------------------------------------------------------------------------------- */

/* What a lane has of 8 tokens in a tile: 16 columns of one of them. */
struct Columns {
    uint32_t x[kCols / 8];
};

__device__ inline Columns load_columns(const BitmapTask &t, int64_t token, int64_t col) {
    Columns out{};
    if (token >= t.tokens || col >= t.cols) return out;
    const uint16_t *const from = t.x + token * t.x_stride + col;
    if (t.x_aligned && col + 16 <= t.cols) {
        const uint4 low = __ldg(reinterpret_cast<const uint4 *>(from));
        const uint4 high = __ldg(reinterpret_cast<const uint4 *>(from) + 1);
        return {{low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w}};
    }
    const int64_t left = t.cols - col;
#pragma unroll
    for (int i = 0; i < 8; ++i) {
        if (2 * i < left) out.x[i] = __ldg(from + 2 * i);
        if (2 * i + 1 < left) out.x[i] |= static_cast<uint32_t>(__ldg(from + 2 * i + 1)) << 16;
    }
    return out;
}

/* ---- operand A -------------------------------------------------------------------------------------------- */

/*
 * Says where the nonzeros of each mask word begin, in `begins`, which lies as the masks do. Taking a tile is a barrier:
 * nobody reads what the tile before left there any more.
 */
__device__ inline void count_nonzeros(const unsigned char *tile, int *begins, int lane) {
    const int place = word_place(lane);
    const int count = __popc(reinterpret_cast<const uint32_t *>(tile)[place]);
    begins[place] = warp_sums(count) - count;
    __syncwarp();
}

/* A lane's two elements of a square, the first in the low half, from the half of the mask where their bits are. */
__device__ inline uint32_t unpack(const uint16_t *values, uint32_t mask, int begin, int shift) {
    const uint32_t two = mask >> shift & 3u;
    const uint16_t *const from = values + begin + __popc(mask & ((1u << shift) - 1u));
    const uint32_t first = from[0], second = from[1];
    return two == 3u ? first | second << 16 : two == 1u ? first : two == 2u ? first << 16 : 0u;
}

/* ---- the end ---------------------------------------------------------------------------------------------- */

__device__ inline void write(const BitmapTask &t, int64_t row, int64_t token, float sum) {
    uint16_t *const to = t.c + row * t.row_step + token * t.token_step;
    float y = t.alpha * sum;
    if (t.beta != 0.0f) y = __builtin_fmaf(t.beta, from_bf16(*to), y);
    if (t.bias != nullptr) y = y + t.bias[row];
    *to = to_bf16(activate(t.activation, y));
}

/* One element, nonzero by nonzero. */
__device__ inline float exact_sum(const BitmapTask &t, int64_t strip, int row, int64_t token) {
    float sum = 0.0f;
    for (int64_t tile = 0; tile < t.tile_count; ++tile) {
        const unsigned char *const at = t.tiles + 16 * static_cast<int64_t>(t.tile_starts[strip * t.tile_count + tile]);
        const auto *const masks = reinterpret_cast<const uint32_t *>(at);
        const auto *values = reinterpret_cast<const uint16_t *>(at + kMaskBytes);
#pragma unroll 1
        for (int w = 0; w < kWords; ++w) {
            const uint32_t mask = masks[word_place(w)];
            const int step = w / 2 / kRegisters, r = w / 2 % kRegisters;
#pragma unroll 1
            for (int bit = 0; bit < 32; ++bit) {
                const bool stored = (mask >> bit & 1u) != 0;
                if (stored && 8 * (r % 2) + 4 * (w % 2) + bit / 8 == row) {
                    const int64_t col = tile * kCols + column_of(step, r, bit);
                    sum = __builtin_fmaf(from_bf16(*values), from_bf16(t.x[token * t.x_stride + col]), sum);
                }
                if (stored) ++values;
            }
        }
    }
    return sum;
}

/* Grid: strips along x, kGroups groups of 8 tokens along y. */
template <int kGroups> __global__ void __launch_bounds__(kThreads) spmm_bitmap_bf16(const BitmapTask t) {
    constexpr int kTokens = 8 * kGroups;
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const int warp = static_cast<int>(threadIdx.x) / kWarp;
    const int64_t strip = blockIdx.x;
    const int64_t first_token = static_cast<int64_t>(blockIdx.y) * kTokens;
    auto *const memory = static_cast<unsigned char *>(shared_memory());
    int *const spoiled = reinterpret_cast<int *>(memory + shared_bytes(kTokens) - sizeof(int));
    if (threadIdx.x == 0) *spoiled = 0;

    unsigned char *const mine = memory + warp * kWarpBytes;
    int *const begins = reinterpret_cast<int *>(mine + kStages * kStageBytes);
    const int64_t first = t.tile_count * warp / kWarps, end = t.tile_count * (warp + 1) / kWarps;
    Ring ring(t, mine, strip * t.tile_count + first, strip * t.tile_count + end, lane);
    for (int stage = 0; stage < kStages - 1; ++stage) ring.submit();

    const int half = lane / 16;      /* of a square's mask: the lane's bits are 2 * lane and the next */
    const int shift = lane % 16 * 2; /* in that half */
    uint32_t odd = 0;
    float sums[kGroups][4] = {};
    for (int64_t tile = first; tile < end; ++tile) {
        Columns columns[kGroups];
#pragma unroll
        for (int group = 0; group < kGroups; ++group)
            columns[group] = load_columns(t, first_token + 8 * group + lane / 4, tile * kCols + lane % 4 * 16);
        const unsigned char *const at = ring.take();
        count_nonzeros(at, begins, lane);
        const auto *const values = reinterpret_cast<const uint16_t *>(at + kMaskBytes);
#pragma unroll
        for (int step = 0; step < kSteps; ++step) {
            const uint4 m = reinterpret_cast<const uint4 *>(at)[2 * step + half];
            const uint4 b = reinterpret_cast<const uint4 *>(begins)[2 * step + half];
            const uint32_t a[kRegisters] = {unpack(values, m.x, static_cast<int>(b.x), shift),
                                            unpack(values, m.y, static_cast<int>(b.y), shift),
                                            unpack(values, m.z, static_cast<int>(b.z), shift),
                                            unpack(values, m.w, static_cast<int>(b.w), shift)};
#pragma unroll
            for (int group = 0; group < kGroups; ++group) {
                const uint32_t b0 = columns[group].x[2 * step], b1 = columns[group].x[2 * step + 1];
                odd |= infinite_or_nan(b0) | infinite_or_nan(b1);
                mma_m16n8k16(sums[group], a, b0, b1);
            }
        }
    }
    wait_for_copies<0>();
    __syncthreads(); /* sums take the place of the rings */
    if (odd != 0) *spoiled = 1;
    auto *const all = reinterpret_cast<float *>(memory);
#pragma unroll
    for (int group = 0; group < kGroups; ++group)
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const int row = lane / 4 + 8 * (i / 2), token = 8 * group + lane % 4 * 2 + i % 2;
            all[(warp * kRows + row) * kTokens + token] = sums[group][i];
        }
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < kRows * kTokens; i += kThreads) {
        /* Neighbours write to neighbouring elements, whichever way C lies. */
        const int row = t.row_step == 1 ? i % kRows : i / kTokens, token = t.row_step == 1 ? i / kRows : i % kTokens;
        if (strip * kRows + row >= t.rows || first_token + token >= t.tokens) continue;
        float sum = 0.0f;
        if (*spoiled != 0) {
            sum = exact_sum(t, strip, row, first_token + token);
        } else {
#pragma unroll
            for (int w = 0; w < kWarps; ++w) sum = sum + all[(w * kRows + row) * kTokens + token];
        }
        write(t, strip * kRows + row, first_token + token, sum);
    }
}

/* Grid: 32 x 32 squares of B, columns of A along x, tokens along y as often as they go. */
__global__ void __launch_bounds__(256) spmm_turn_bf16(const TurnTask t) {
    constexpr int kSide = 32, kStride = kSide + 2; /* odd in words: no two threads of a warp meet in a bank */
    auto *const square = static_cast<uint16_t *>(shared_memory());
    const int lane = static_cast<int>(threadIdx.x) % kSide, first = static_cast<int>(threadIdx.x) / kSide;
    const int64_t col = static_cast<int64_t>(blockIdx.x) * kSide;
    for (int64_t token = static_cast<int64_t>(blockIdx.y) * kSide; token < t.tokens; token += gridDim.y * int64_t{kSide}) {
        for (int i = first; i < kSide; i += 8)
            if (col + i < t.cols && token + lane < t.tokens)
                square[i * kStride + lane] = __ldg(t.b + (col + i) * t.b_stride + token + lane);
        __syncthreads();
        for (int i = first; i < kSide; i += 8)
            if (token + i < t.tokens && col + lane < t.cols)
                t.x[(token + i) * t.x_stride + col + lane] = square[lane * kStride + i];
        __syncthreads();
    }
}

} // namespace filigree::cuda::bitmap

#endif
