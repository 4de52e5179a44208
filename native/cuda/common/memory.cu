/* Memory in the order of a stream. */
#include "cuda/common/launch.h"

#include <atomic>
#include <cstdint>

namespace filigree::cuda {

namespace {

/* More devices than any machine has; those beyond take the driver's own pool. */
constexpr int kPools = 64;
std::atomic<cudaMemPool_t> pools[kPools];

cudaError_t make_pool(int device, cudaMemPool_t *out) {
    cudaMemPoolProps properties{};
    properties.allocType = cudaMemAllocationTypePinned;
    properties.location.type = cudaMemLocationTypeDevice;
    properties.location.id = device;
    cudaError_t error = cudaMemPoolCreate(out, &properties);
    if (error != cudaSuccess) return error;
    uint64_t keep = UINT64_MAX;
    error = cudaMemPoolSetAttribute(*out, cudaMemPoolAttrReleaseThreshold, &keep);
    if (error != cudaSuccess) cudaMemPoolDestroy(*out);
    return error;
}

/* The pool of the current device, made when first asked for; it lives as long as the process. */
cudaError_t current_pool(cudaMemPool_t *out) {
    int device = 0;
    cudaError_t error = cudaGetDevice(&device);
    if (error != cudaSuccess) return error;
    if (device >= kPools) return cudaDeviceGetDefaultMemPool(out, device);
    cudaMemPool_t pool = pools[device].load(std::memory_order_acquire);
    if (pool == nullptr) {
        cudaMemPool_t made = nullptr;
        error = make_pool(device, &made);
        if (error != cudaSuccess) return error;
        if (pools[device].compare_exchange_strong(pool, made)) {
            pool = made;
        } else {
            cudaMemPoolDestroy(made);
        }
    }
    *out = pool;
    return cudaSuccess;
}

} // namespace

cudaError_t StreamMemory::allocate(int64_t bytes) {
    cudaMemPool_t pool = nullptr;
    const cudaError_t error = current_pool(&pool);
    if (error != cudaSuccess) return error;
    return cudaMallocFromPoolAsync(&data_, static_cast<size_t>(bytes), pool, stream_);
}

} // namespace filigree::cuda
