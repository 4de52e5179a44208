/* From the CUDA runtime's errors to the statuses of filigree_cuda.h. */
#ifndef FILIGREE_CUDA_COMMON_STATUS_H
#define FILIGREE_CUDA_COMMON_STATUS_H

#include "filigree_cuda.h"

#include <cuda_runtime.h>

namespace filigree::cuda {

inline int32_t driver_version() {
    int version = 0;
    return cudaDriverGetVersion(&version) == cudaSuccess ? version : 0;
}

/* The runtime calls a missing driver an old one. */
inline int32_t status_of(cudaError_t error) {
    switch (error) {
    case cudaSuccess: return FILIGREE_CUDA_OK;
    case cudaErrorInsufficientDriver:
        return driver_version() == 0 ? FILIGREE_CUDA_NO_DRIVER : FILIGREE_CUDA_OLD_DRIVER;
    case cudaErrorNoDevice: return FILIGREE_CUDA_NO_DEVICE;
    case cudaErrorInvalidDevice: return FILIGREE_CUDA_INVALID_ARGUMENT;
    default: return FILIGREE_CUDA_ERROR + static_cast<int32_t>(error);
    }
}

/* The runtime keeps a failure for the next caller of cudaGetLastError: this one has been told. */
inline int32_t finish(cudaError_t error) {
    if (error != cudaSuccess) cudaGetLastError();
    return status_of(error);
}

} // namespace filigree::cuda

#endif
