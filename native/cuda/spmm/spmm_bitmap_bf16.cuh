/*
 * C = activation(alpha * A * B + beta * C + bias), A sparse, all in bf16, for few columns (tokens): the kernels.
 *
 * spmm_bitmap_bf16  loads sparse, computes dense. A block takes a strip of 16 rows of A and up to kTokens tokens; its
 *                   warps take consecutive shares of the strip's tiles, which come through a ring in shared memory,
 *                   and turn masks and pairs into operand A of mma.m16n8k16 in registers. Sums of the warps are added
 *                   in their order. X is read as it lies: two runs of 8 columns of a token are what a lane needs in a
 *                   tile.
 * spmm_turn_bf16    X of feature-major products.
 *
 * Roofline on an H200, whose memory delivers 4.3 TB/s, for 14336 x 4096, 57344 tiles (27 us dense; cuBLASLt takes 31):
 *         bytes a tile   from memory   by instructions   measured, 1 token   8 tokens   16 tokens
 *   50 %  1616           21.7 us       7.5 us            28.2                29.3       35.2
 *   70 %  1124           15.1 us       7.5 us            20.0                23.0       28.6
 *   90 %   469            6.3 us       7.5 us            13.8                15.2       21.3
 * The instructions are some 125 a tile and warp, four warps' a clock and multiprocessor at 1.8 GHz. The launch, the
 * first tiles and the last come on top, some 3 us. What is missing at 90 % are instructions that wait for each other,
 * in seven warps a scheduler; with more tokens X comes from the second-level cache in half of the cases, and takes
 * registers that would hide it. Storing elements rather than pairs would be a quarter to a half fewer bytes; but a
 * lane then has to count the bits of its neighbours for each of its 16 registers, which takes twice the instructions:
 * measured, that was slower for up to 8 tokens at every sparsity from 50 %.
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
constexpr int kMaskBytes = kWarp * 2;
constexpr int kEndBytes = kWarp / 4 * 2;
constexpr int kMostTileBytes = kMaskBytes + kEndBytes + kRows * kCols * 2;
/* Stands in a pair for an element that is not stored: a zero that none that is stored has. */
constexpr uint32_t kAbsent = 0x8000u;

constexpr int kWarps = 4;
constexpr int kThreads = kWarps * kWarp;
/*
 * The ring of a warp: its stages are on their way or at work, each of kTiles tiles. Two at a time hide each other's
 * latencies and share what a stage costs, as long as registers allow for it; fewer bytes leave more first-level cache
 * to X.
 */
template <int kGroups> struct Stages {
    static constexpr int kTiles = kGroups == 1 ? 2 : 1, kCount = kGroups == 1 ? 2 : 3;
};

struct BitmapTask {
    const uint32_t *tile_starts;
    const unsigned char *tiles;
    int32_t tile_count;
    int32_t stage_bytes; /* of a place in the ring */
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

template <int kGroups> constexpr size_t shared_bytes(int stage_bytes) {
    const size_t sums = sizeof(float) * kWarps * kRows * 8 * kGroups;
    const size_t rings = static_cast<size_t>(kWarps * Stages<kGroups>::kCount * stage_bytes);
    return sums > rings ? sums : rings;
}

/* ---- addresses -------------------------------------------------------------------------------------------- */

/* In a tile, the first column of bit `bit` of a lane's mask. */
__device__ constexpr int column_of(int lane, int bit) {
    const int step = bit / kRegisters, r = bit % kRegisters;
    return step / 2 * 32 + lane % 4 * 8 + step % 2 * 4 + r / 2 * 2;
}

/* ---- the ring --------------------------------------------------------------------------------------------- */

template <int kStages, int kTiles> class Ring {
public:
    /* `starts` has those of `count` tiles, and where the last ends. */
    __device__ Ring(const BitmapTask &t, unsigned char *memory, const uint32_t *starts, int count, int lane)
        : starts_(starts), from_(t.tiles + 16 * lane), lane_(lane), count_(count), stage_bytes_(t.stage_bytes),
          memory_(memory), place_(memory), free_(memory + (kStages - 1) * t.stage_bytes) {
        hold(0);
        begin_ = start_of(0);
        for (int stage = 0; stage < kStages - 1; ++stage) submit(memory_ + stage * stage_bytes_);
    }

    /* Waits for the oldest tiles and puts others on their way: into the place of those before. */
    __device__ const unsigned char *take() {
        wait_for_copies<kStages - 2>();
        __syncwarp();
        submit(free_);
        free_ = place_;
        place_ = place_ == memory_ + (kStages - 1) * stage_bytes_ ? memory_ : place_ + stage_bytes_;
        return free_;
    }

private:
    /* Submits the next tiles; an empty group when there are none, so that groups count stages. */
    __device__ void submit(unsigned char *place) {
        if (next_ < count_) {
            next_ = next_ + kTiles < count_ ? next_ + kTiles : count_;
            const uint32_t end = start_of(next_);
            const int chunks = static_cast<int>(end - begin_);
            const unsigned char *const from = from_ + 16 * static_cast<int64_t>(begin_);
            unsigned char *const to = place + 16 * lane_;
            /* Sparse tiles are copied by these; denser ones wait for memory anyway. */
            if (lane_ < chunks) copy_async(to, from);
            if (kWarp + lane_ < chunks) copy_async(to + 16 * kWarp, from + 16 * kWarp);
            if (chunks > 2 * kWarp)
                for (int chunk = 2 * kWarp + lane_; chunk < chunks; chunk += kWarp)
                    copy_async(to + 16 * (chunk - lane_), from + 16 * (chunk - lane_));
            begin_ = end;
        }
        commit_copies();
    }

    /* The lanes have the starts of the tiles from here on: a tile does not wait for where it begins. */
    __device__ void hold(int tile) {
        held_ = tile;
        start_ = __ldg(starts_ + (tile + lane_ < count_ ? tile + lane_ : count_));
    }

    /* Where a tile begins, or the last ends; asked by the whole warp, of one after the other. */
    __device__ uint32_t start_of(int tile) {
        if (tile >= held_ + kWarp) hold(tile);
        return __shfl_sync(kWholeWarp, start_, tile - held_);
    }

    const uint32_t *starts_;
    const unsigned char *from_;
    int lane_, count_, stage_bytes_;
    unsigned char *memory_, *place_, *free_;
    int next_ = 0, held_ = 0;
    uint32_t start_ = 0, begin_ = 0;
};

/* ---- operand B -------------------------------------------------------------------------------------------- */

/* What a lane has of 8 tokens in a tile: 16 columns of one of them, in two runs of 8. */
struct Columns {
    uint32_t x[kCols / 8];
};
constexpr int kRun = 8;

/* From the lane's place in a tile whose columns all exist, every row aligned. */
__device__ inline Columns load_columns(const uint16_t *x) {
    const uint4 low = *reinterpret_cast<const uint4 *>(x), high = *reinterpret_cast<const uint4 *>(x + kCols / 2);
    return {{low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w}};
}

/* The same, of which the first `left` columns exist from there on. */
__device__ inline Columns load_last_columns(const uint16_t *x, int64_t left) {
    Columns out{};
#pragma unroll
    for (int i = 0; i < kCols / 8; ++i) {
        const int at = i / 4 * (kCols / 2) + i % 4 * 2;
        if (at < left) out.x[i] = x[at];
        if (at + 1 < left) out.x[i] |= static_cast<uint32_t>(x[at + 1]) << 16;
    }
    return out;
}

/* ---- operand A -------------------------------------------------------------------------------------------- */

/* Four lanes read their masks together: which bits are those of the lanes below, and which bytes the lane's own. */
struct LaneMasks {
    uint32_t low, high, own;
    int lane;

    __device__ explicit LaneMasks(int lane)
        : low(kept(lane % 4 == 0 ? 0u : lane % 4 == 1 ? 0xffffu : 0xffffffffu)),
          high(kept(lane % 4 == 3 ? 0xffffu : 0u)),
          own(kept(0x10u + 0x22u * static_cast<uint32_t>(lane % 4))), lane(lane) {}
};

/* What a lane needs of a tile. */
class Pairs {
public:
    Pairs() = default;
    __device__ Pairs(const unsigned char *tile, const LaneMasks &m) {
        const uint2 masks = reinterpret_cast<const uint2 *>(tile)[m.lane / 4];
        const int before = (m.lane < 4 ? 0 : ends(tile)[m.lane / 4 - 1]) + __popc(masks.x & m.low) + __popc(masks.y & m.high);
        mask_ = __byte_perm(masks.x, masks.y, m.own);
        next_ = reinterpret_cast<const uint32_t *>(tile + kMaskBytes + kEndBytes) + before;
    }

    /* The lane's registers of operand A in a step; steps come one after the other. */
    __device__ void registers(int step, uint32_t (&a)[kRegisters]) {
#pragma unroll
        for (int r = 0; r < kRegisters; ++r) a[r] = take_if(mask_, kRegisters * step + r, next_);
    }

    /* Where the tile ends, and the next begins. */
    __device__ static const unsigned char *end(const unsigned char *tile) {
        const int bytes = kMaskBytes + kEndBytes + 4 * ends(tile)[kWarp / 4 - 1];
        return tile + (bytes + 15) / 16 * 16;
    }

private:
    __device__ static const uint16_t *ends(const unsigned char *tile) {
        return reinterpret_cast<const uint16_t *>(tile + kMaskBytes);
    }

    uint32_t mask_ = 0;
    const uint32_t *next_ = nullptr;
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

/* Adds an element's product with its operand, if it is stored. */
__device__ inline void add_exactly(const BitmapTask &t, float &sum, uint32_t value, int64_t col, int64_t token) {
    if (value != kAbsent)
        sum = __builtin_fmaf(from_bf16(static_cast<uint16_t>(value)), from_bf16(t.x[token * t.x_stride + col]), sum);
}

/* Of one row and one token, nonzero by nonzero. */
__device__ inline float exact_sum(const BitmapTask &t, int64_t strip, int row, int64_t token) {
    float sum = 0.0f;
#pragma unroll 1
    for (int tile = 0; tile < t.tile_count; ++tile) {
        const unsigned char *const at = t.tiles + 16 * static_cast<int64_t>(t.tile_starts[strip * t.tile_count + tile]);
        const auto *const masks = reinterpret_cast<const uint16_t *>(at);
        const auto *pairs = reinterpret_cast<const uint32_t *>(at + kMaskBytes + kEndBytes);
#pragma unroll 1
        for (int lane = 0; lane < kWarp; ++lane) {
            const uint32_t mask = masks[lane];
#pragma unroll 1
            for (int bit = 0; bit < kSteps * kRegisters; ++bit) {
                if ((mask >> bit & 1u) == 0) continue;
                if (8 * (bit % 2) + lane / 4 == row) {
                    const int64_t col = static_cast<int64_t>(tile) * kCols + column_of(lane, bit);
                    add_exactly(t, sum, *pairs & 0xffffu, col, token);
                    add_exactly(t, sum, *pairs >> 16, col + 1, token);
                }
                ++pairs;
            }
        }
    }
    return sum;
}

/*
 * Blocks that a multiprocessor should hold. Seven make the 896 strips of 14336 rows one wave of an H200, and six a second
 * wave of a few strips, which took a quarter longer; with more tokens registers set the limit, which have what lanes hold
 * of X.
 */
constexpr int blocks(int groups) { return groups <= 2 ? 7 : groups == 4 ? 4 : 2; }

/* Grid: strips along x, kGroups groups of 8 tokens along y. */
template <int kGroups>
__global__ void __launch_bounds__(kThreads, blocks(kGroups)) spmm_bitmap_bf16(const BitmapTask t) {
    constexpr int kTokens = 8 * kGroups;
    constexpr int kTiles = Stages<kGroups>::kTiles, kStages = Stages<kGroups>::kCount;
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const int warp = static_cast<int>(threadIdx.x) / kWarp;
    const int64_t strip = blockIdx.x;
    const int64_t first_token = static_cast<int64_t>(blockIdx.y) * kTokens;
    auto *const memory = static_cast<unsigned char *>(shared_memory());

    const int first = static_cast<int>(int64_t{t.tile_count} * warp / kWarps);
    const int count = static_cast<int>(int64_t{t.tile_count} * (warp + 1) / kWarps) - first;
    Ring<kStages, kTiles> ring(t, memory + warp * kStages * t.stage_bytes, t.tile_starts + strip * t.tile_count + first, count, lane);
    let_next_kernel_start();
    wait_for_kernel_before();

    /* Tokens past the last read it again: the sums are not written. */
    const int64_t first_col = static_cast<int64_t>(first) * kCols + lane % 4 * kRun;
    const uint16_t *x[kGroups];
#pragma unroll
    for (int group = 0; group < kGroups; ++group) {
        const int64_t token = first_token + 8 * group + lane / 4;
        x[group] = t.x + (token < t.tokens ? token : t.tokens - 1) * t.x_stride + first_col;
    }

    float sums[kTiles][kGroups][4] = {};
    const LaneMasks masks(lane);
    const auto multiply_stage = [&](const Columns(&columns)[kTiles][kGroups], int tiles) {
        const unsigned char *at = ring.take();
        Pairs pairs[kTiles];
#pragma unroll
        for (int i = 0; i < kTiles; ++i) {
            if (i < tiles) pairs[i] = Pairs(at, masks);
            if (i + 1 < kTiles) at = Pairs::end(at);
        }
#pragma unroll
        for (int step = 0; step < kSteps; ++step) {
#pragma unroll
            for (int i = 0; i < kTiles; ++i) {
                uint32_t a[kRegisters];
                pairs[i].registers(step, a);
#pragma unroll
                for (int group = 0; group < kGroups; ++group)
                    mma_m16n8k16(sums[i][group], a, columns[i][group].x[2 * step], columns[i][group].x[2 * step + 1]);
            }
        }
    };

    int tile = 0;
    const int64_t whole = t.x_aligned ? t.cols / kCols - first : 0;
    const int fast = static_cast<int>(whole < count ? whole : count) / kTiles * kTiles;
#pragma unroll 1
    for (; tile < fast; tile += kTiles) {
        Columns columns[kTiles][kGroups];
#pragma unroll
        for (int group = 0; group < kGroups; ++group) {
#pragma unroll
            for (int i = 0; i < kTiles; ++i) columns[i][group] = load_columns(x[group] + i * kCols);
            x[group] += kTiles * kCols;
        }
        multiply_stage(columns, kTiles);
    }
#pragma unroll 1
    for (; tile < count; tile += kTiles) {
        Columns columns[kTiles][kGroups];
        const int tiles = count - tile < kTiles ? count - tile : kTiles;
#pragma unroll
        for (int i = 0; i < kTiles; ++i)
#pragma unroll
            for (int group = 0; group < kGroups; ++group)
                columns[i][group] =
                    load_last_columns(x[group] + i * kCols, i < tiles ? t.cols - first_col - (tile + i) * int64_t{kCols} : 0);
#pragma unroll
        for (int group = 0; group < kGroups; ++group) x[group] += kTiles * kCols;
        multiply_stage(columns, tiles);
    }
    wait_for_copies<0>();
    __syncthreads(); /* sums take the place of the rings */
    auto *const all = reinterpret_cast<float *>(memory);
#pragma unroll
    for (int group = 0; group < kGroups; ++group)
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const int row = lane / 4 + 8 * (i / 2), token = 8 * group + lane % 4 * 2 + i % 2;
            float sum = sums[0][group][i];
#pragma unroll
            for (int tile = 1; tile < kTiles; ++tile) sum = sum + sums[tile][group][i];
            all[(warp * kRows + row) * kTokens + token] = sum;
        }
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < kRows * kTokens; i += kThreads) {
        /* Neighbours write to neighbouring elements, whichever way C lies. */
        const int row = t.row_step == 1 ? i % kRows : i / kTokens, token = t.row_step == 1 ? i / kRows : i % kTokens;
        if (strip * kRows + row >= t.rows || first_token + token >= t.tokens) continue;
        float sum = 0.0f;
#pragma unroll
        for (int w = 0; w < kWarps; ++w) sum = sum + all[(w * kRows + row) * kTokens + token];
        if (!is_finite(sum)) sum = exact_sum(t, strip, row, first_token + token);
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
