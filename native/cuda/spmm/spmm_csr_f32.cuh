/*
 * C = activation(alpha * A * B + beta * C + bias), A sparse in rows, all in f32: the kernels.
 *
 * spmm_csr_f32     A team of kLanes threads takes one virtual row and kLanes * kVector columns of B, kVector to a
 *                  thread. The entries of the row pass through shared memory, kLanes at a time: each is then read by
 *                  the whole team at once. Teams take rows in the order of the plan, longest first, so that teams of a
 *                  warp have about as much to do, and no long row begins when the others have ended. Blocks that
 *                  follow each other work on the same columns of B, which so stay in the caches.
 * spmm_combine     adds up the segments of split rows, in the order of their slots.
 * spmm_transpose   X of token-major products, so that the threads of a team read consecutive floats.
 * spmm_finish_tokens  the epilogue of token-major products, which turns the sums back.
 *
 * Sums are taken entry by entry in the order of filigree.h, whatever the team: the same bits as on the processor.
 * Roofline: an entry costs a team 8 bytes of A and 4 * kLanes * kVector of B, of which the caches have most, for
 * 2 * kLanes * kVector operations; the first-level cache's 128 bytes a clock allow 64 operations a clock of the 256
 * that a multiprocessor has, the second level about 11.
 */
#ifndef FILIGREE_CUDA_SPMM_CSR_F32_CUH
#define FILIGREE_CUDA_SPMM_CSR_F32_CUH

#include "cpu/common/math.h"
#include "cuda/common/thread.h"

namespace filigree::cuda::spmm {

constexpr int kThreads = 256;

/*
 * How a kernel keeps a multiprocessor busy. With rows enough for all of them many warps do, each with few rows of B under
 * way, which cost registers. Where rows are few a warp that waits is not replaced by another: it has to ask for more at a
 * time, and small blocks spread over all multiprocessors.
 */
struct Many {
    static constexpr int kThreads = 256, kBlocks = 4, kAhead = 4;
};
struct Few {
    static constexpr int kThreads = 64, kBlocks = 6, kAhead = 16;
};
/* Transposing works on squares of so many floats, by kThreads / kSquare threads a column. */
constexpr int kSquare = 32;

/* As the team reads it: where the row of B begins, in floats, so that nobody multiplies for it again. */
struct alignas(16) Entry {
    int64_t row;
    float value;
};

/* Where sums go, and what becomes of them there. */
struct Output {
    float *c;
    int64_t stride;
    const float *bias; /* or null */
    float alpha;
    float beta;
    int32_t activation;
    bool raw; /* the sum itself is written: another kernel finishes it */
};

struct CsrTask {
    const int64_t *starts; /* null where no row has an entry */
    const int32_t *order;
    const int32_t *targets;
    const int32_t *columns;
    const float *values;
    int64_t virtual_rows;
    const float *b;
    int64_t b_stride;
    int64_t n;
    float *partials; /* [slots][partial_stride] */
    int64_t partial_stride;
    Output out;
};

struct CombineTask {
    const int32_t *splits;
    const float *partials;
    int64_t partial_stride;
    int64_t n;
    Output out;
};

struct TransposeTask {
    const float *x; /* tokens x cols */
    int64_t x_stride;
    float *y; /* cols x tokens */
    int64_t y_stride;
    int64_t tokens;
    int64_t cols;
};

struct FinishTask {
    const float *sums; /* rows x tokens */
    int64_t sums_stride;
    int64_t rows;
    int64_t tokens;
    Output out; /* tokens x rows */
};

__device__ inline float finish(const Output &out, float sum, const float *old, int64_t row) {
    float y = out.alpha * sum;
    if (out.beta != 0.0f) y = __builtin_fmaf(out.beta, *old, y);
    if (out.bias != nullptr) y = y + out.bias[row];
    return activate(out.activation, y);
}

template <int kVector> __device__ inline void multiply_add(float (&sums)[kVector], float a, const Vector<kVector> &b) {
#pragma unroll
    for (int v = 0; v < kVector; ++v) sums[v] = __builtin_fmaf(a, b.x[v], sums[v]);
}

/* `count` entries, each with the kVector floats at `column` of its row of B; kAhead of them are under way at a time. */
template <int kVector, int kAhead>
__device__ inline void add_entries(float (&sums)[kVector], const Entry *entries, int count, const float *column) {
    Vector<kVector> rows[kAhead] = {};
    float values[kAhead] = {};
    const auto ask = [&](int i, int e) {
        const Entry entry = entries[e];
        values[i] = entry.value;
        rows[i] = load<kVector>(column + entry.row);
    };
    int e = 0;
#pragma unroll 1
    for (; e + kAhead <= count; e += kAhead) {
#pragma unroll
        for (int i = 0; i < kAhead; ++i) ask(i, e + i);
#pragma unroll
        for (int i = 0; i < kAhead; ++i) multiply_add(sums, values[i], rows[i]);
    }
    const int left = count - e;
    if (left == 0) return;
#pragma unroll
    for (int i = 0; i < kAhead - 1; ++i)
        if (i < left) ask(i, e + i);
#pragma unroll
    for (int i = 0; i < kAhead - 1; ++i)
        if (i < left) multiply_add(sums, values[i], rows[i]);
}

/* The same where only the first `valid` of the kVector floats exist. */
template <int kVector>
__device__ inline void add_entries_of_tail(float (&sums)[kVector], const Entry *entries, int count,
                                           const float *column, int64_t valid) {
#pragma unroll 1
    for (int e = 0; e < count; ++e) {
        const float *row = column + entries[e].row;
#pragma unroll
        for (int v = 0; v < kVector; ++v)
            if (v < valid) sums[v] = __builtin_fmaf(entries[e].value, row[v], sums[v]);
    }
}

template <int kVector>
__device__ inline void write(const CsrTask &t, int32_t target, const float (&sums)[kVector], int64_t j,
                             int64_t valid) {
    const bool segment = target < 0;
    const int64_t row = segment ? ~target : target;
    float *const to = segment ? t.partials + row * t.partial_stride + j : t.out.c + row * t.out.stride + j;
    Vector<kVector> y;
#pragma unroll
    for (int v = 0; v < kVector; ++v)
        if (v < valid) y.x[v] = segment || t.out.raw ? sums[v] : finish(t.out, sums[v], to + v, row);
    if (valid >= kVector) {
        store(to, y);
        return;
    }
#pragma unroll
    for (int v = 0; v < kVector; ++v)
        if (v < valid) to[v] = y.x[v];
}

/*
 * Grid: virtual rows over teams along x, columns over teams' widths along y, as often as they go. What is read
 * before the kernel before this one has ended belongs to the plan.
 */
template <int kVector, int kLanes, class Rows>
__global__ void __launch_bounds__(Rows::kThreads, Rows::kBlocks) spmm_csr_f32(const CsrTask t) {
    constexpr int kTeams = Rows::kThreads / kLanes;
    constexpr int kWidth = kLanes * kVector;
    const int lane = static_cast<int>(threadIdx.x) % kLanes;
    const int team = static_cast<int>(threadIdx.x) / kLanes;
    Entry *const entries = static_cast<Entry *>(shared_memory()) + team * kLanes;

    const int64_t place = static_cast<int64_t>(blockIdx.x) * kTeams + team;
    const bool has_row = place < t.virtual_rows;
    const int32_t row = has_row ? t.order[place] : 0;
    const bool has_entries = has_row && t.starts != nullptr;
    const int64_t begin = has_entries ? t.starts[row] : 0;
    const int64_t length = has_entries ? t.starts[row + 1] - begin : 0;
    const int32_t *const columns = t.columns + begin;
    const float *const values = t.values + begin;
    /* Teams of a warp go in step, so that it can meet at a barrier; a row has fewer entries than an int counts. */
    const int longest = kLanes == kWarp ? static_cast<int>(length) : warp_max(static_cast<int>(length));
    const auto entry_at = [&](int64_t at) {
        return at < length ? Entry{__ldg(columns + at) * t.b_stride, __ldg(values + at)} : Entry{0, 0.0f};
    };
    const Entry first_entry = entry_at(lane);
    wait_for_kernel_before();

    for (int64_t first = static_cast<int64_t>(blockIdx.y) * kWidth; first < t.n; first += gridDim.y * int64_t{kWidth}) {
        const int64_t j = first + lane * kVector;
        const float *const column = t.b + j;
        const bool whole = first + kWidth <= t.n;
        float sums[kVector] = {};
        Entry next = first_entry;
        for (int at = 0; at < longest; at += kLanes) {
            entries[lane] = next;
            /* The next entries are under way while these are at work. */
            next = entry_at(int64_t{at} + kLanes + lane);
            __syncwarp();
            const int64_t left = length - at;
            const int count = left < kLanes ? static_cast<int>(left) : kLanes;
            if (whole) {
                add_entries<kVector, Rows::kAhead>(sums, entries, count, column);
            } else {
                add_entries_of_tail<kVector>(sums, entries, count, column, t.n - j);
            }
            __syncwarp();
        }
        let_next_kernel_start();
        if (has_row) write<kVector>(t, t.targets[row], sums, j, t.n - j);
    }
}

/* Grid: split rows along x, kThreads columns along y, as often as they go. */
__global__ void __launch_bounds__(kThreads) spmm_combine(const CombineTask t) {
    const int32_t *const split = t.splits + 2 * static_cast<int64_t>(blockIdx.x);
    const int64_t row = split[0];
    wait_for_kernel_before();
    for (int64_t j = static_cast<int64_t>(blockIdx.y) * kThreads + threadIdx.x; j < t.n;
         j += gridDim.y * int64_t{kThreads}) {
        float sum = t.partials[split[1] * t.partial_stride + j];
        for (int64_t slot = split[1] + int64_t{1}; slot < split[3]; ++slot)
            sum = sum + t.partials[slot * t.partial_stride + j];
        float *const to = t.out.c + row * t.out.stride + j;
        *to = t.out.raw ? sum : finish(t.out, sum, to, row);
    }
}

/*
 * Squares of kSquare x kSquare floats, read along one axis and written along the other. The square in shared memory
 * has an odd stride, so that neither way two threads of a warp meet in a bank.
 */
class Square {
public:
    static constexpr int kStride = kSquare + 1;
    static constexpr int kRows = kThreads / kSquare;

    __device__ Square() : floats_(static_cast<float *>(shared_memory())) {}
    __device__ static int lane() { return static_cast<int>(threadIdx.x) % kSquare; }
    __device__ static int first_row() { return static_cast<int>(threadIdx.x) / kSquare; }
    __device__ float &at(int row, int col) const { return floats_[row * kStride + col]; }

private:
    float *floats_;
};

/* Grid: squares of columns along x, squares of tokens along y, as often as they go. */
__global__ void __launch_bounds__(kThreads) spmm_transpose(const TransposeTask t) {
    const Square square;
    const int64_t col = static_cast<int64_t>(blockIdx.x) * kSquare;
    for (int64_t token = static_cast<int64_t>(blockIdx.y) * kSquare; token < t.tokens;
         token += gridDim.y * int64_t{kSquare}) {
        for (int i = Square::first_row(); i < kSquare; i += Square::kRows)
            if (token + i < t.tokens && col + Square::lane() < t.cols)
                square.at(i, Square::lane()) = __ldg(t.x + (token + i) * t.x_stride + col + Square::lane());
        __syncthreads();
        for (int i = Square::first_row(); i < kSquare; i += Square::kRows)
            if (col + i < t.cols && token + Square::lane() < t.tokens)
                t.y[(col + i) * t.y_stride + token + Square::lane()] = square.at(Square::lane(), i);
        __syncthreads();
    }
}

/* Grid: squares of rows along x, squares of tokens along y, as often as they go. */
__global__ void __launch_bounds__(kThreads) spmm_finish_tokens(const FinishTask t) {
    const Square square;
    const int64_t row = static_cast<int64_t>(blockIdx.x) * kSquare;
    for (int64_t token = static_cast<int64_t>(blockIdx.y) * kSquare; token < t.tokens;
         token += gridDim.y * int64_t{kSquare}) {
        for (int i = Square::first_row(); i < kSquare; i += Square::kRows)
            if (row + i < t.rows && token + Square::lane() < t.tokens)
                square.at(i, Square::lane()) = t.sums[(row + i) * t.sums_stride + token + Square::lane()];
        __syncthreads();
        for (int i = Square::first_row(); i < kSquare; i += Square::kRows)
            if (token + i < t.tokens && row + Square::lane() < t.rows) {
                float *const to = t.out.c + (token + i) * t.out.stride + row + Square::lane();
                *to = finish(t.out, square.at(Square::lane(), i), to, row + Square::lane());
            }
        __syncthreads();
    }
}

} // namespace filigree::cuda::spmm

#endif
