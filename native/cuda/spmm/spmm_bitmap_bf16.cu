/* Launches SpMM in bf16 for few columns. */
#include "cuda/spmm/spmm_bitmap_bf16.cuh"

#include "cuda/common/launch.h"

namespace filigree::cuda::bitmap {

namespace {

constexpr int64_t kMostTokens = 64;

bool is_possible(const filigree_cuda_bitmap_packed &h) {
    return h.magic == FILIGREE_CUDA_BITMAP_MAGIC && h.rows >= 0 && h.cols >= 0 &&
           h.strip_count == divide_up(h.rows, kRows) && h.tile_count == divide_up(h.cols, kCols) &&
           h.tile_count <= INT32_MAX &&
           (h.layout == FILIGREE_FEATURE_MAJOR || h.layout == FILIGREE_TOKEN_MAJOR) &&
           h.tile_bytes >= 0 && h.tile_bytes <= kMostTileBytes && h.tile_bytes % 16 == 0;
}

template <class T> const T *table(const void *packed, int64_t offset) {
    return reinterpret_cast<const T *>(static_cast<const char *>(packed) + offset);
}

template <int kGroups>
cudaError_t launch_groups(BitmapTask task, int64_t tile_bytes, int64_t strips, cudaStream_t stream) {
    task.stage_bytes = Stages<kGroups>::kTiles * static_cast<int32_t>(tile_bytes);
    const dim3 grid(static_cast<unsigned>(strips), static_cast<unsigned>(divide_up(task.tokens, 8 * kGroups)));
    return launch(spmm_bitmap_bf16<kGroups>, task, grid, kThreads, shared_bytes<kGroups>(task.stage_bytes), stream,
                  Start::kEarly);
}

/* Up to 64 tokens at a time; each further group of as many unpacks A again. */
cudaError_t multiply(const filigree_cuda_bitmap_packed &h, const BitmapTask &task, cudaStream_t stream) {
    if (task.tokens <= 8) return launch_groups<1>(task, h.tile_bytes, h.strip_count, stream);
    if (task.tokens <= 16) return launch_groups<2>(task, h.tile_bytes, h.strip_count, stream);
    if (task.tokens <= 32) return launch_groups<4>(task, h.tile_bytes, h.strip_count, stream);
    return launch_groups<8>(task, h.tile_bytes, h.strip_count, stream);
}

cudaError_t turn_and_multiply(const filigree_cuda_bitmap_packed &h, BitmapTask task, const uint16_t *b,
                              int64_t b_stride, cudaStream_t stream) {
    constexpr int kSide = 32;
    StreamMemory x(stream);
    const int64_t stride = divide_up(task.cols, 8) * 8;
    if (task.cols > 0) {
        cudaError_t error = x.allocate(task.tokens * stride * int64_t{sizeof(uint16_t)});
        if (error != cudaSuccess) return error;
        const TurnTask turn{b, b_stride, x.as<uint16_t>(), stride, task.cols, task.tokens};
        const dim3 grid(static_cast<unsigned>(divide_up(task.cols, kSide)), blocks_y(divide_up(task.tokens, kSide)));
        error = launch(spmm_turn_bf16, turn, grid, 256, kSide * (kSide + 2) * sizeof(uint16_t), stream);
        if (error != cudaSuccess) return error;
    }
    task.x = x.as<uint16_t>(), task.x_stride = stride, task.x_aligned = true;
    return multiply(h, task, stream);
}

} // namespace

} // namespace filigree::cuda::bitmap

int32_t filigree_cuda_spmm_bitmap_bf16(const filigree_cuda_bitmap_packed *header, const void *a, const uint16_t *b,
                                       int64_t b_stride, uint16_t *c, int64_t c_stride, int64_t n, float alpha,
                                       float beta, void *stream) {
    using namespace filigree::cuda;
    if (header == nullptr || a == nullptr || !bitmap::is_possible(*header) || n < 0)
        return FILIGREE_CUDA_INVALID_ARGUMENT;
    const filigree_cuda_bitmap_packed &h = *header;
    const bool by_feature = h.layout == FILIGREE_FEATURE_MAJOR;
    if (b_stride < (by_feature ? n : h.cols) || c_stride < (by_feature ? n : h.rows) ||
        n > kMostBlocksY * bitmap::kMostTokens)
        return FILIGREE_CUDA_INVALID_ARGUMENT;
    if (h.rows == 0 || n == 0) return FILIGREE_CUDA_OK;
    if (c == nullptr || (b == nullptr && h.cols > 0)) return FILIGREE_CUDA_INVALID_ARGUMENT;

    bitmap::BitmapTask task{};
    task.tile_starts = bitmap::table<uint32_t>(a, h.tile_starts);
    task.tiles = bitmap::table<unsigned char>(a, h.tiles);
    task.tile_count = static_cast<int32_t>(h.tile_count);
    task.rows = h.rows, task.cols = h.cols;
    task.x = b, task.x_stride = b_stride;
    task.x_aligned = is_aligned(b, 16) && b_stride % 8 == 0;
    task.tokens = n;
    task.c = c;
    task.row_step = by_feature ? c_stride : 1, task.token_step = by_feature ? 1 : c_stride;
    task.bias = h.bias == 0 ? nullptr : bitmap::table<float>(a, h.bias);
    task.alpha = alpha, task.beta = beta, task.activation = h.activation;
    const auto to = static_cast<cudaStream_t>(stream);
    return finish(by_feature ? bitmap::turn_and_multiply(h, task, b, b_stride, to) : bitmap::multiply(h, task, to));
}
