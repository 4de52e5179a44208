/* Devices and drivers, as the CUDA runtime finds them. It opens the driver itself, at the first call. */
#include "cuda/common/launch.h"

#include <cstring>

using namespace filigree::cuda;

int filigree::cuda::device_attribute(cudaDeviceAttr attribute) {
    int device = 0, value = 0;
    return cudaGetDevice(&device) == cudaSuccess && cudaDeviceGetAttribute(&value, attribute, device) == cudaSuccess ? value : 0;
}

int32_t filigree_cuda_abi_version(void) { return FILIGREE_CUDA_ABI_VERSION; }

const char *filigree_cuda_status_text(int32_t status) {
    switch (status) {
    case FILIGREE_CUDA_OK: return "ok";
    case FILIGREE_CUDA_INVALID_ARGUMENT: return "invalid argument: a size, a range or an index is impossible";
    case FILIGREE_CUDA_NO_DRIVER: return "no NVIDIA driver is installed, or it does not load";
    case FILIGREE_CUDA_OLD_DRIVER: return "the NVIDIA driver is older than the CUDA release of this library";
    case FILIGREE_CUDA_NO_DEVICE: return "the NVIDIA driver shows no device to this process";
    case FILIGREE_CUDA_OLD_DEVICE: return "the device is older than compute capability 8.0";
    default: break;
    }
    if (status > FILIGREE_CUDA_ERROR)
        return cudaGetErrorString(static_cast<cudaError_t>(status - FILIGREE_CUDA_ERROR));
    return "unknown status";
}

int32_t filigree_cuda_versions(int32_t *runtime, int32_t *driver) {
    if (runtime == nullptr || driver == nullptr) return FILIGREE_CUDA_INVALID_ARGUMENT;
    *runtime = CUDART_VERSION;
    *driver = driver_version();
    return FILIGREE_CUDA_OK;
}

int32_t filigree_cuda_device_count(int32_t *count) {
    if (count == nullptr) return FILIGREE_CUDA_INVALID_ARGUMENT;
    int found = 0;
    const int32_t status = finish(cudaGetDeviceCount(&found));
    *count = status == FILIGREE_CUDA_OK ? found : 0;
    return status == FILIGREE_CUDA_OK && found == 0 ? FILIGREE_CUDA_NO_DEVICE : status;
}

int32_t filigree_cuda_get_device(int32_t index, filigree_cuda_device *out) {
    if (out == nullptr) return FILIGREE_CUDA_INVALID_ARGUMENT;
    *out = filigree_cuda_device{};
    int32_t count = 0;
    int32_t status = filigree_cuda_device_count(&count);
    if (status != FILIGREE_CUDA_OK) return status;
    if (index < 0 || index >= count) return FILIGREE_CUDA_INVALID_ARGUMENT;

    cudaDeviceProp properties{};
    status = finish(cudaGetDeviceProperties(&properties, index));
    if (status != FILIGREE_CUDA_OK) return status;
    static_assert(sizeof properties.name <= sizeof out->name, "a device's name would be cut");
    std::memcpy(out->name, properties.name, sizeof properties.name);
    out->memory_bytes = static_cast<int64_t>(properties.totalGlobalMem);
    out->l2_bytes = properties.l2CacheSize;
    out->capability = 10 * properties.major + properties.minor;
    out->multiprocessors = properties.multiProcessorCount;
    return out->capability < FILIGREE_CUDA_LEAST_CAPABILITY ? FILIGREE_CUDA_OLD_DEVICE : FILIGREE_CUDA_OK;
}
