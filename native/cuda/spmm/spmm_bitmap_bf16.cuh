/*
 * C = activation(alpha * A * B + beta * C + bias), A sparse, all in bf16, for few columns (tokens): the kernels.
 *
 * spmm_bitmap_bf16  loads sparse, computes dense. A block takes a strip of 16 rows of A and up to kTokens tokens; its
 *                   warps take consecutive shares of the strip's tiles, which come through a ring in shared memory, and
 *                   turn masks and nonzeros into operand A of mma.m16n8k16 in registers. Sums of the warps are added in
 *                   their order. X is read as it lies: 16 consecutive columns of a token are what a lane needs in a tile.
 * spmm_turn_bf16    X of feature-major products.
 *
 * Elements: a tile's nonzeros begin after those before them: the lanes of a warp count the bits of a mask word each and
 * add up; a lane then counts the bits before its own two in one word. Pairs: a lane has the bits of its own 16 registers,
 * and their pairs lie one after the other.
 *
 * Roofline on an H200, whose memory delivers 4.3 TB/s, for 14336 x 4096 (27 us dense):
 *                  bytes an element   from memory   ten instructions an element's square, five a pair's
 *   50 %, elements 1.125              15.4 us       10 us
 *   70 %, elements 0.725               9.9 us       10 us
 *   90 %, elements 0.325               4.4 us       10 us: not the memory's limit, so
 *   90 %, pairs    0.443               6.0 us        6 us
 * The instructions are lanes' for the 64 elements of a register, four warps' of them a clock and multiprocessor at
 * 1.75 GHz; the launch, the first tiles and the last come on top, some 2 us.
 * X comes once a strip, of 16 tokens 2 KB a tile: from the first-level cache as long as the blocks of a multiprocessor go
 * in step; where they do not, the second level would have to deliver as much again as a dense A.
 *
 * An infinity or a NaN in X meets zeros that are not stored, which makes every sum of its token one: a sum that is not
 * finite is taken again, nonzero by nonzero.
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
/* Masks of elements, and of pairs of them. */
constexpr int kMaskBytes = kWords * 4;
constexpr int kPairMaskBytes = kWarp * 2;
constexpr int kMostTileBytes = kMaskBytes + kRows * kCols * 2;
/* Stands in a pair for an element that is not stored: a zero that none that is stored has. */
constexpr uint32_t kAbsent = 0x8000u;

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
    return sums > ring ? sums : ring;
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
        : starts_(t.tile_starts), tiles_(t.tiles), memory_(memory), next_(first), end_(end), lane_(lane), held_(first) {
        hold(first);
        begin_ = start_of(first);
    }

    /* Submits the next tile; an empty group when there is none, so that groups count tiles. */
    __device__ void submit() {
        if (next_ < end_) {
            const uint32_t end = start_of(next_ + 1);
            const int chunks = static_cast<int>(end - begin_);
            unsigned char *const to = memory_ + submitted_ * kStageBytes;
            for (int chunk = lane_; chunk < chunks; chunk += kWarp)
                copy_async(to + 16 * chunk, tiles_ + 16 * (int64_t{begin_} + chunk));
            begin_ = end;
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
    /* The lanes have the starts of the tiles from here on: a tile does not wait for where it begins. */
    __device__ void hold(int64_t tile) {
        held_ = tile;
        start_ = __ldg(starts_ + (tile + lane_ < end_ ? tile + lane_ : end_));
    }

    /* Where a tile begins, or the last ends; asked by the whole warp, of one after the other. */
    __device__ uint32_t start_of(int64_t tile) {
        if (tile >= held_ + kWarp) hold(tile);
        return __shfl_sync(kWholeWarp, start_, static_cast<int>(tile - held_));
    }

    const uint32_t *starts_;
    const unsigned char *tiles_;
    unsigned char *memory_;
    int64_t next_, end_;
    int lane_;
    int64_t held_;
    uint32_t start_ = 0, begin_ = 0;
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

/* Adds an element's product with its operand. */
__device__ inline void add_exactly(const BitmapTask &t, float &sum, uint32_t value, int64_t col, int64_t token) {
    sum = __builtin_fmaf(from_bf16(static_cast<uint16_t>(value)), from_bf16(t.x[token * t.x_stride + col]), sum);
}

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

/*
 * A lane's two elements of a square, the first in the low half, from the half of the mask where their bits are. Of the
 * next two values the bytes are 10 and 54, and 32 are zeros: the two bits choose one of four permutations of them.
 */
__device__ inline uint32_t unpack(const uint16_t *values, uint32_t mask, int begin, int shift) {
    const uint32_t two = mask >> shift & 3u;
    const uint16_t *const from = values + begin + __popc(mask & ((1u << shift) - 1u));
    const uint32_t first = from[0], second = from[1];
    return __byte_perm(first, second, __byte_perm(0x32103232u, 0x54101032u, 0x10u + 0x22u * two));
}

/* What a lane needs of a tile of elements. */
class Elements {
public:
    __device__ Elements(const unsigned char *tile, int *begins, int lane)
        : masks_(reinterpret_cast<const uint4 *>(tile) + lane / 16), begins_(reinterpret_cast<const uint4 *>(begins) + lane / 16),
          values_(reinterpret_cast<const uint16_t *>(tile + kMaskBytes)), shift_(lane % 16 * 2) {
        count_nonzeros(tile, begins, lane);
    }

    /* The lane's registers of operand A in a step; steps come one after the other. */
    __device__ void registers(int step, uint32_t (&a)[kRegisters]) {
        const uint4 m = masks_[2 * step], b = begins_[2 * step];
        a[0] = unpack(values_, m.x, static_cast<int>(b.x), shift_);
        a[1] = unpack(values_, m.y, static_cast<int>(b.y), shift_);
        a[2] = unpack(values_, m.z, static_cast<int>(b.z), shift_);
        a[3] = unpack(values_, m.w, static_cast<int>(b.w), shift_);
    }

    /* Of one row and one token, nonzero by nonzero. */
    __device__ static float exact_sum(const BitmapTask &t, const unsigned char *tile, int64_t first_col, int row,
                                      int64_t token, float sum) {
        const auto *const masks = reinterpret_cast<const uint32_t *>(tile);
        const auto *values = reinterpret_cast<const uint16_t *>(tile + kMaskBytes);
#pragma unroll 1
        for (int w = 0; w < kWords; ++w) {
            const uint32_t mask = masks[word_place(w)];
            const int step = w / 2 / kRegisters, r = w / 2 % kRegisters;
#pragma unroll 1
            for (int bit = 0; bit < 32; ++bit) {
                const bool stored = (mask >> bit & 1u) != 0;
                if (stored && 8 * (r % 2) + 4 * (w % 2) + bit / 8 == row)
                    add_exactly(t, sum, *values, first_col + column_of(step, r, bit), token);
                if (stored) ++values;
            }
        }
        return sum;
    }

private:
    const uint4 *masks_, *begins_; /* of the half of each square where the lane's bits are */
    const uint16_t *values_;
    int shift_;
};

/* What a lane needs of a tile of pairs. */
class Pairs {
public:
    __device__ Pairs(const unsigned char *tile, int *, int lane)
        : mask_(reinterpret_cast<const uint16_t *>(tile)[lane]),
          next_(reinterpret_cast<const uint32_t *>(tile + kPairMaskBytes)) {
        const int count = __popc(mask_);
        next_ += warp_sums(count) - count;
    }

    __device__ void registers(int step, uint32_t (&a)[kRegisters]) {
#pragma unroll
        for (int r = 0; r < kRegisters; ++r) {
            const bool stored = (mask_ >> (kRegisters * step + r) & 1u) != 0;
            a[r] = stored ? *next_ : 0u;
            if (stored) ++next_;
        }
    }

    /* Of one row and one token, nonzero by nonzero. */
    __device__ static float exact_sum(const BitmapTask &t, const unsigned char *tile, int64_t first_col, int row,
                                      int64_t token, float sum) {
        const auto *const masks = reinterpret_cast<const uint16_t *>(tile);
        const auto *pairs = reinterpret_cast<const uint32_t *>(tile + kPairMaskBytes);
#pragma unroll 1
        for (int lane = 0; lane < kWarp; ++lane) {
            const uint32_t mask = masks[lane];
#pragma unroll 1
            for (int bit = 0; bit < kSteps * kRegisters; ++bit) {
                if ((mask >> bit & 1u) == 0) continue;
                const int step = bit / kRegisters, r = bit % kRegisters;
                const int64_t col = first_col + column_of(step, r, 2 * lane);
                if (8 * (r % 2) + lane / 4 == row) {
                    if ((*pairs & 0xffffu) != kAbsent) add_exactly(t, sum, *pairs & 0xffffu, col, token);
                    if (*pairs >> 16 != kAbsent) add_exactly(t, sum, *pairs >> 16, col + 1, token);
                }
                ++pairs;
            }
        }
        return sum;
    }

private:
    uint32_t mask_;
    const uint32_t *next_;
};

/* ---- the end ---------------------------------------------------------------------------------------------- */

__device__ inline void write(const BitmapTask &t, int64_t row, int64_t token, float sum) {
    uint16_t *const to = t.c + row * t.row_step + token * t.token_step;
    float y = t.alpha * sum;
    if (t.beta != 0.0f) y = __builtin_fmaf(t.beta, from_bf16(*to), y);
    if (t.bias != nullptr) y = y + t.bias[row];
    *to = to_bf16(activate(t.activation, y));
}

__device__ inline bool is_finite(float x) { return (math_detail::bits(x) & 0x7f800000u) != 0x7f800000u; }

template <class Form> __device__ inline float exact_sum(const BitmapTask &t, int64_t strip, int row, int64_t token) {
    float sum = 0.0f;
#pragma unroll 1
    for (int64_t tile = 0; tile < t.tile_count; ++tile) {
        const unsigned char *const at = t.tiles + 16 * static_cast<int64_t>(t.tile_starts[strip * t.tile_count + tile]);
        sum = Form::exact_sum(t, at, tile * kCols, row, token, sum);
    }
    return sum;
}

/* Blocks that a multiprocessor should hold: as many as shared memory allows, or registers for what lanes have of X. */
constexpr int blocks(int groups) { return groups <= 2 ? 6 : groups == 4 ? 4 : 3; }

/* Grid: strips along x, kGroups groups of 8 tokens along y. */
template <int kGroups, class Form> __global__ void __launch_bounds__(kThreads, blocks(kGroups)) spmm_bitmap_bf16(const BitmapTask t) {
    constexpr int kTokens = 8 * kGroups;
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const int warp = static_cast<int>(threadIdx.x) / kWarp;
    const int64_t strip = blockIdx.x;
    const int64_t first_token = static_cast<int64_t>(blockIdx.y) * kTokens;
    auto *const memory = static_cast<unsigned char *>(shared_memory());

    unsigned char *const mine = memory + warp * kWarpBytes;
    int *const begins = reinterpret_cast<int *>(mine + kStages * kStageBytes);
    const int64_t first = t.tile_count * warp / kWarps, end = t.tile_count * (warp + 1) / kWarps;
    Ring ring(t, mine, strip * t.tile_count + first, strip * t.tile_count + end, lane);
    for (int stage = 0; stage < kStages - 1; ++stage) ring.submit();

    float sums[kGroups][4] = {};
    for (int64_t tile = first; tile < end; ++tile) {
        Columns columns[kGroups];
#pragma unroll
        for (int group = 0; group < kGroups; ++group)
            columns[group] = load_columns(t, first_token + 8 * group + lane / 4, tile * kCols + lane % 4 * 16);
        Form form(ring.take(), begins, lane);
#pragma unroll
        for (int step = 0; step < kSteps; ++step) {
            uint32_t a[kRegisters];
            form.registers(step, a);
#pragma unroll
            for (int group = 0; group < kGroups; ++group)
                mma_m16n8k16(sums[group], a, columns[group].x[2 * step], columns[group].x[2 * step + 1]);
        }
    }
    wait_for_copies<0>();
    __syncthreads(); /* sums take the place of the rings */
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
#pragma unroll
        for (int w = 0; w < kWarps; ++w) sum = sum + all[(w * kRows + row) * kTokens + token];
        if (!is_finite(sum)) sum = exact_sum<Form>(t, strip, row, first_token + token);
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
