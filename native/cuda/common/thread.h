/*
 * What kernels ask of the hardware beside arithmetic. Tests run kernels on the processor, thread by thread, where
 * tests/cuda/sim/cuda_runtime.h stands for CUDA's own header; so whatever is not plain C++ goes through here.
 */
#ifndef FILIGREE_CUDA_COMMON_THREAD_H
#define FILIGREE_CUDA_COMMON_THREAD_H

#include <cstdint>
#include <cuda_runtime.h>

namespace filigree::cuda {

constexpr int kWarp = 32;
constexpr unsigned kWholeWarp = 0xffffffffu;

/* The block's shared memory, as much as the launch asked for; aligned to 128 bytes. */
__device__ inline void *shared_memory() {
#if defined(FILIGREE_CUDA_SIM)
    return filigree_cuda_sim::shared_memory();
#else
    extern __shared__ __align__(128) unsigned char bytes[];
    return bytes;
#endif
}

/* Floats that one access moves. */
template <int kFloats> struct Vector {
    float x[kFloats];
};

/* From memory that nobody writes meanwhile; four floats are 16-byte aligned. */
template <int kFloats> __device__ inline Vector<kFloats> load(const float *from) {
    if constexpr (kFloats == 4) {
        const float4 v = __ldg(reinterpret_cast<const float4 *>(from));
        return {{v.x, v.y, v.z, v.w}};
    } else {
        static_assert(kFloats == 1, "one float or four");
        return {{__ldg(from)}};
    }
}

template <int kFloats> __device__ inline void store(float *to, const Vector<kFloats> &v) {
    if constexpr (kFloats == 4) {
        *reinterpret_cast<float4 *>(to) = make_float4(v.x[0], v.x[1], v.x[2], v.x[3]);
    } else {
        *to = v.x[0];
    }
}

/* The largest of a warp's values, in every lane. */
__device__ inline int warp_max(int value) {
    for (int step = kWarp / 2; step > 0; step /= 2) {
        const int other = __shfl_xor_sync(kWholeWarp, value, step);
        value = other > value ? other : value;
    }
    return value;
}

} // namespace filigree::cuda

#endif
