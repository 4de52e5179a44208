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

/*
 * Four floats are 16-byte aligned. Not by __ldg, which is for what nobody has written since the kernel began: it may have
 * begun before the kernel that writes these has ended.
 */
template <int kFloats> __device__ inline Vector<kFloats> load(const float *from) {
    if constexpr (kFloats == 4) {
        const float4 v = *reinterpret_cast<const float4 *>(from);
        return {{v.x, v.y, v.z, v.w}};
    } else {
        static_assert(kFloats == 1, "one float or four");
        return {{*from}};
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

/*
 * The kernel after this one in its stream may start when blocks of this one leave room, where it was launched so that it
 * may; what it does before it waits must not depend on this one.
 */
__device__ inline void let_next_kernel_start() {
#if !defined(FILIGREE_CUDA_SIM) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

/* Until the kernel before has ended and what it wrote can be read. */
__device__ inline void wait_for_kernel_before() {
#if !defined(FILIGREE_CUDA_SIM) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

/* Keeps a value in a register, where the compiler would rather work it out again each time. */
__device__ inline uint32_t kept(uint32_t x) {
#if !defined(FILIGREE_CUDA_SIM)
    asm volatile("" : "+r"(x));
#endif
    return x;
}

/* Where bit `bit` of the mask is set the word at `next` in shared memory, which then goes on by one; zero where it is not. */
__device__ inline uint32_t take_if(uint32_t mask, int bit, const uint32_t *&next) {
#if defined(FILIGREE_CUDA_SIM)
    return (mask >> bit & 1u) != 0 ? *next++ : 0u;
#else
    /* One test for both uses, and no branch. */
    uint32_t word;
    auto address = static_cast<uint32_t>(__cvta_generic_to_shared(next));
    asm volatile("{\n"
                 ".reg .pred stored;\n"
                 ".reg .b32 bit;\n"
                 "and.b32 bit, %2, %3;\n"
                 "setp.ne.b32 stored, bit, 0;\n"
                 "mov.b32 %0, 0;\n"
                 "@stored ld.shared.b32 %0, [%1];\n"
                 "@stored add.u32 %1, %1, 4;\n"
                 "}"
                 : "=&r"(word), "+r"(address)
                 : "r"(mask), "r"(1u << bit));
    next = static_cast<const uint32_t *>(__cvta_shared_to_generic(address));
    return word;
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
