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

/* Submits a copy of 16 aligned bytes to shared memory; it belongs to the group that the thread commits next. */
__device__ inline void copy_async(void *shared, const void *global) {
#if defined(FILIGREE_CUDA_SIM)
    filigree_cuda_sim::submit_copy(shared, global, 16, 0);
#else
    const auto address = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(address), "l"(global) : "memory");
#endif
}

__device__ inline void commit_copies() {
#if defined(FILIGREE_CUDA_SIM)
    filigree_cuda_sim::commit_copies();
#else
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

/* Waits for the thread's own groups, but for the last kGroupsLeft; a barrier tells the others. */
template <int kGroupsLeft> __device__ inline void wait_for_copies() {
#if defined(FILIGREE_CUDA_SIM)
    filigree_cuda_sim::wait_copies(kGroupsLeft);
#else
    asm volatile("cp.async.wait_group %0;" ::"n"(kGroupsLeft) : "memory");
#endif
}

/* c += a * b of a whole warp: 16 x 16 times 16 x 8 in bf16, sums in f32. */
__device__ inline void mma_m16n8k16(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
#if defined(FILIGREE_CUDA_SIM)
    filigree_cuda_sim::mma_m16n8k16(c, a, b0, b1);
#else
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#endif
}

/* The sum of the values of this lane and all below it. */
__device__ inline int warp_sums(int value) {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    for (int step = 1; step < kWarp; step *= 2) {
        const int below = __shfl_up_sync(kWholeWarp, value, step);
        if (lane >= step) value += below;
    }
    return value;
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
