/* What launchers share: kernel launches, and memory that lives as long as the work of one launcher on its stream. */
#ifndef FILIGREE_CUDA_COMMON_LAUNCH_H
#define FILIGREE_CUDA_COMMON_LAUNCH_H

#include "cuda/common/status.h"

namespace filigree::cuda {

/* The most blocks along y and z; along x there may be 2^31 - 1. */
constexpr int64_t kMostBlocksY = 65535;

constexpr int64_t divide_up(int64_t x, int64_t y) { return (x + y - 1) / y; }

inline unsigned blocks_y(int64_t wanted) {
    return static_cast<unsigned>(wanted < kMostBlocksY ? wanted : kMostBlocksY);
}

inline bool is_aligned(const void *pointer, uintptr_t bytes) {
    return reinterpret_cast<uintptr_t>(pointer) % bytes == 0;
}

/* What launchers ask of the current device; 0 where it does not tell. */
int device_attribute(cudaDeviceAttr attribute);

/*
 * When a kernel may start: after what is before it in its stream; or when a kernel before it leaves room, for kernels
 * that call wait_for_kernel_before(): what they read of their plan, and the launch itself, then cost no time between two
 * of them. Devices before 9.0 know the first only.
 */
enum class Start { kInOrder, kEarly };

/* Submits kernel(task), `threads` to a block, each with `shared` bytes. */
template <class Task>
cudaError_t launch(void (*kernel)(Task), const Task &task, dim3 grid, unsigned threads, size_t shared,
                   cudaStream_t stream, Start start = Start::kInOrder) {
    if (shared > (48 << 10)) {
        const cudaError_t error = cudaFuncSetAttribute(
            reinterpret_cast<const void *>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared));
        if (error != cudaSuccess) return error;
    }
    cudaLaunchAttribute early{};
    early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    early.val.programmaticStreamSerializationAllowed = 1;
    cudaLaunchConfig_t config{};
    config.gridDim = grid;
    config.blockDim = dim3(threads);
    config.dynamicSmemBytes = shared;
    config.stream = stream;
    config.attrs = &early;
    config.numAttrs = start == Start::kEarly && device_attribute(cudaDevAttrComputeCapabilityMajor) >= 9 ? 1 : 0;
    return cudaLaunchKernelEx(&config, kernel, task);
}

/*
 * Device memory that is allocated in the order of a stream and freed there when the object goes: no launcher waits for
 * it, and a graph that captures the launcher owns it. It comes from a pool that keeps what it has had, or each
 * synchronization would give it back to the driver.
 */
class StreamMemory {
public:
    explicit StreamMemory(cudaStream_t stream) : stream_(stream) {}
    ~StreamMemory() {
        if (data_ != nullptr) cudaFreeAsync(data_, stream_);
    }
    StreamMemory(const StreamMemory &) = delete;
    StreamMemory &operator=(const StreamMemory &) = delete;

    /* Once, at most. */
    cudaError_t allocate(int64_t bytes);
    template <class T> T *as() const { return static_cast<T *>(data_); }

private:
    cudaStream_t stream_;
    void *data_ = nullptr;
};

} // namespace filigree::cuda

#endif
