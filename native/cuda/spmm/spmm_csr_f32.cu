/* Launches SpMM in f32: checks, chooses the team, and submits one to four kernels. */
#include "cuda/spmm/spmm_csr_f32.cuh"

#include "cuda/common/launch.h"

namespace filigree::cuda::spmm {

namespace {

/* Warps of a multiprocessor that are enough to hide what each of them waits for. */
constexpr int64_t kBusyWarps = 12;

/* Rows that kernels write and read again are aligned for accesses of four floats. */
constexpr int64_t padded(int64_t n) { return (n + 3) / 4 * 4; }

bool is_possible(const filigree_spmm_packed &h) {
    return h.magic == FILIGREE_SPMM_MAGIC && h.rows >= 0 && h.cols >= 0 && h.virtual_rows >= h.rows && h.group == 1 &&
           h.block_count <= 1 && (h.virtual_rows == 0 || h.order > 0) && h.split_count >= 0 && h.partial_count >= 0 &&
           (h.layout == FILIGREE_FEATURE_MAJOR || h.layout == FILIGREE_TOKEN_MAJOR);
}

template <class T> const T *table(const void *packed, int64_t offset) {
    return reinterpret_cast<const T *>(static_cast<const char *>(packed) + offset);
}

template <int kVector, int kLanes, class Rows> cudaError_t launch_rows(const CsrTask &task, cudaStream_t stream) {
    constexpr int kTeams = Rows::kThreads / kLanes;
    const dim3 grid(static_cast<unsigned>(divide_up(task.virtual_rows, kTeams)),
                    blocks_y(divide_up(task.n, kLanes * kVector)));
    return launch(spmm_csr_f32<kVector, kLanes, Rows>, task, grid, Rows::kThreads, Rows::kThreads * sizeof(Entry), stream,
                  Start::kEarly);
}

/* Whether there are warps enough to replace those that wait. */
template <int kVector, int kLanes> cudaError_t launch_rows(const CsrTask &task, cudaStream_t stream) {
    const int64_t enough = kBusyWarps * device_attribute(cudaDevAttrMultiProcessorCount);
    const int64_t warps = divide_up(task.virtual_rows, kWarp / kLanes) * divide_up(task.n, kLanes * kVector);
    return warps < enough ? launch_rows<kVector, kLanes, Few>(task, stream)
                                                       : launch_rows<kVector, kLanes, Many>(task, stream);
}

/* The team that has no more lanes than columns for them. */
cudaError_t launch_rows(const CsrTask &task, cudaStream_t stream) {
    const bool aligned = is_aligned(task.b, 16) && is_aligned(task.out.c, 16) && task.b_stride % 4 == 0 &&
                         task.out.stride % 4 == 0;
    if (!aligned || task.n < 4)
        return task.n <= 8 ? launch_rows<1, 8>(task, stream) : launch_rows<1, 32>(task, stream);
    if (task.n <= 32) return launch_rows<4, 8>(task, stream);
    if (task.n <= 64) return launch_rows<4, 16>(task, stream);
    return launch_rows<4, 32>(task, stream);
}

/* Feature-major products, from B to C or to raw sums. */
cudaError_t multiply(const filigree_spmm_packed &h, const void *a, const float *b, int64_t b_stride, int64_t n,
                     const Output &out, cudaStream_t stream) {
    StreamMemory partials(stream);
    const int64_t stride = padded(n);
    if (h.partial_count > 0) {
        const cudaError_t error = partials.allocate(h.partial_count * stride * int64_t{sizeof(float)});
        if (error != cudaSuccess) return error;
    }
    CsrTask task{};
    task.starts = h.block_count == 0 ? nullptr : table<int64_t>(a, h.group_starts);
    task.order = table<int32_t>(a, h.order);
    task.targets = table<int32_t>(a, h.targets);
    task.columns = table<int32_t>(a, h.columns);
    task.values = table<float>(a, h.values);
    task.virtual_rows = h.virtual_rows;
    task.b = b, task.b_stride = b_stride, task.n = n;
    task.partials = partials.as<float>(), task.partial_stride = stride;
    task.out = out;
    cudaError_t error = launch_rows(task, stream);
    if (error != cudaSuccess || h.split_count == 0) return error;

    CombineTask combine{};
    combine.splits = table<int32_t>(a, h.splits);
    combine.partials = partials.as<float>(), combine.partial_stride = stride;
    combine.n = n;
    combine.out = out;
    const dim3 grid(static_cast<unsigned>(h.split_count), blocks_y(divide_up(n, kThreads)));
    return launch(spmm_combine, combine, grid, kThreads, 0, stream, Start::kEarly);
}

template <class Task>
cudaError_t launch_squares(void (*kernel)(Task), const Task &task, int64_t width, int64_t tokens, cudaStream_t stream) {
    const dim3 grid(static_cast<unsigned>(divide_up(width, kSquare)), blocks_y(divide_up(tokens, kSquare)));
    return launch(kernel, task, grid, kThreads, kSquare * Square::kStride * sizeof(float), stream);
}

/* X is turned to B, the sums are turned to Y. */
cudaError_t multiply_tokens(const filigree_spmm_packed &h, const void *a, const float *x, int64_t x_stride,
                            int64_t tokens, const Output &out, cudaStream_t stream) {
    const int64_t stride = padded(tokens);
    StreamMemory b(stream), sums(stream);
    cudaError_t error = sums.allocate(h.rows * stride * int64_t{sizeof(float)});
    if (error != cudaSuccess) return error;
    if (h.cols > 0) {
        error = b.allocate(h.cols * stride * int64_t{sizeof(float)});
        if (error != cudaSuccess) return error;
        const TransposeTask turn{x, x_stride, b.as<float>(), stride, tokens, h.cols};
        error = launch_squares(spmm_transpose, turn, h.cols, tokens, stream);
        if (error != cudaSuccess) return error;
    }
    const Output raw{sums.as<float>(), stride, nullptr, 1, 0, 0, true};
    error = multiply(h, a, b.as<float>(), stride, tokens, raw, stream);
    if (error != cudaSuccess) return error;
    const FinishTask task{sums.as<float>(), stride, h.rows, tokens, out};
    return launch_squares(spmm_finish_tokens, task, h.rows, tokens, stream);
}

} // namespace

} // namespace filigree::cuda::spmm

int32_t filigree_cuda_spmm_csr_f32(const filigree_spmm_packed *header, const void *a, const float *b, int64_t b_stride,
                                   float *c, int64_t c_stride, int64_t n, float alpha, float beta, void *stream) {
    using namespace filigree::cuda;
    if (header == nullptr || a == nullptr || !spmm::is_possible(*header) || n < 0)
        return FILIGREE_CUDA_INVALID_ARGUMENT;
    const filigree_spmm_packed &h = *header;
    const bool by_feature = h.layout == FILIGREE_FEATURE_MAJOR;
    if (b_stride < (by_feature ? n : h.cols) || c_stride < (by_feature ? n : h.rows))
        return FILIGREE_CUDA_INVALID_ARGUMENT;
    if (h.rows == 0 || n == 0) return FILIGREE_CUDA_OK;
    if (c == nullptr || (b == nullptr && h.cols > 0)) return FILIGREE_CUDA_INVALID_ARGUMENT;
    const float *const bias = h.bias == 0 ? nullptr : spmm::table<float>(a, h.bias);
    const spmm::Output out{c, c_stride, bias, alpha, beta, h.activation, false};
    const auto to = static_cast<cudaStream_t>(stream);
    return finish(by_feature ? spmm::multiply(h, a, b, b_stride, n, out, to)
                             : spmm::multiply_tokens(h, a, b, b_stride, n, out, to));
}
