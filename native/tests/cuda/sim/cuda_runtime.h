/*
 * Stands for CUDA's own header where tests compile kernels and launchers as plain C++: launches run on the processor,
 * thread by thread. Of the language and the runtime it has what Filigree's sources use, and no more.
 *
 * Each thread of a block is a fiber that runs until it meets others: at a barrier of its block or its warp, a shuffle
 * or an mma. Who runs next is drawn at random, so that code which lacks a barrier does not pass for long. Shared
 * memory is as long as the launch says, filled with large numbers before each block. A copy that was submitted with cp.async
 * happens at the wait for it and no earlier. Device memory is host memory: what reads or writes beyond an operand meets
 * a test's guard page, or the address sanitizer.
 */
#ifndef FILIGREE_TESTS_CUDA_SIM_CUDA_RUNTIME_H
#define FILIGREE_TESTS_CUDA_SIM_CUDA_RUNTIME_H

#define FILIGREE_CUDA_SIM 1
/* Sources that CUDA would compile see that they are. */
#define __host__
#define __device__
#define __global__
#define __grid_constant__
#define __forceinline__ inline
#define __launch_bounds__(...)

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>

#include "driver.h"

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

struct alignas(16) float4 {
    float x, y, z, w;
};
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};
struct alignas(8) uint2 {
    unsigned x, y;
};
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

namespace filigree_cuda_sim {

void *shared_memory();
void block_barrier();
void warp_barrier();

/* Every lane of the warp gives 64 bits and gets everybody's. */
const uint64_t *exchange(uint64_t mine);

/* Copies now or never before wait(). */
void submit_copy(void *to, const void *from, size_t bytes, size_t zeros);
void commit_copies();
void wait_copies(int groups_left);

/* Which element of its operand lane `lane` holds in place i: two to a register of A and B, one to a register of C. */
struct Place {
    int row, col;
};
Place place_of_a(int lane, int i); /* i < 8 */
Place place_of_b(int lane, int i); /* i < 4 */
Place place_of_c(int lane, int i); /* i < 4 */

/* mma.sync.m16n8k16, bf16, by these places. */
void mma_m16n8k16(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1);

/* One launch: body() runs for each thread. Returns when all have ended. */
void run(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()> &body);

} // namespace filigree_cuda_sim

/* Of the fiber that runs. */
extern thread_local dim3 threadIdx, blockIdx, blockDim, gridDim;

inline void __syncthreads() { filigree_cuda_sim::block_barrier(); }
inline void __syncwarp() { filigree_cuda_sim::warp_barrier(); }

inline int filigree_cuda_sim_lane() {
    return static_cast<int>(threadIdx.x) % 32;
}

template <class T> T filigree_cuda_sim_shuffle(T value, int from) {
    static_assert(sizeof(T) <= 8, "a shuffle moves up to 64 bits");
    uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof value);
    bits = filigree_cuda_sim::exchange(bits)[from];
    std::memcpy(&value, &bits, sizeof value);
    return value;
}
/* Whole warps only: the mask is what callers say it is. */
template <class T> T __shfl_sync(unsigned, T value, int lane) { return filigree_cuda_sim_shuffle(value, lane & 31); }
template <class T> T __shfl_xor_sync(unsigned, T value, int mask) {
    return filigree_cuda_sim_shuffle(value, filigree_cuda_sim_lane() ^ mask);
}

template <class T> T __shfl_up_sync(unsigned, T value, int step) {
    const int lane = filigree_cuda_sim_lane();
    return filigree_cuda_sim_shuffle(value, lane >= step ? lane - step : lane);
}

template <class T> T __ldg(const T *from) { return *from; }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
/* Four bytes of the eight of b and a, by a digit for each; digits above 7, which repeat signs, are not used. */
inline unsigned __byte_perm(unsigned a, unsigned b, unsigned selector) {
    const uint64_t bytes = uint64_t{b} << 32 | a;
    unsigned out = 0;
    for (int i = 0; i < 4; ++i) out |= static_cast<unsigned>(bytes >> (selector >> 4 * i & 7) * 8 & 0xff) << 8 * i;
    return out;
}
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }

/* ---- the runtime ----------------------------------------------------------------------------------------- */

enum cudaError_t {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInsufficientDriver = 35,
    cudaErrorNoDevice = 100,
    cudaErrorInvalidDevice = 101
};

#define CUDART_VERSION 13000

struct cudaDeviceProp {
    char name[256];
    size_t totalGlobalMem;
    int l2CacheSize, major, minor, multiProcessorCount;
};

cudaError_t cudaDriverGetVersion(int *version);
cudaError_t cudaGetDeviceCount(int *count);
cudaError_t cudaGetDevice(int *device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device);
enum cudaDeviceAttr { cudaDevAttrMultiProcessorCount = 16, cudaDevAttrComputeCapabilityMajor = 75 };
cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device);
cudaError_t cudaGetLastError();
const char *cudaGetErrorString(cudaError_t error);

using cudaStream_t = struct CUstream_st *;
using cudaMemPool_t = struct CUmemPoolHandle_st *;

enum { cudaMemAllocationTypePinned = 1, cudaMemLocationTypeDevice = 1, cudaMemPoolAttrReleaseThreshold = 4 };

struct cudaMemPoolProps {
    int allocType;
    struct {
        int type, id;
    } location;
};

cudaError_t cudaMemPoolCreate(cudaMemPool_t *pool, const cudaMemPoolProps *properties);
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t pool, int attribute, void *value);
cudaError_t cudaMemPoolDestroy(cudaMemPool_t pool);
cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t *pool, int device);
cudaError_t cudaMallocFromPoolAsync(void **out, size_t bytes, cudaMemPool_t pool, cudaStream_t stream);
cudaError_t cudaFreeAsync(void *memory, cudaStream_t stream);

enum { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
cudaError_t cudaFuncSetAttribute(const void *kernel, int attribute, int value);

/* Kernels start in their order here, whether they may start earlier or not. */
enum { cudaLaunchAttributeProgrammaticStreamSerialization = 6 };
struct cudaLaunchAttribute {
    int id;
    struct {
        int programmaticStreamSerializationAllowed;
    } val;
};

struct cudaLaunchConfig_t {
    dim3 gridDim, blockDim;
    size_t dynamicSmemBytes;
    cudaStream_t stream;
    cudaLaunchAttribute *attrs;
    unsigned numAttrs;
};

/* As the device checks it. */
cudaError_t filigree_cuda_sim_check(const cudaLaunchConfig_t &config);

template <class Task> cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t *config, void (*kernel)(Task), Task task) {
    const cudaError_t error = filigree_cuda_sim_check(*config);
    if (error == cudaSuccess)
        filigree_cuda_sim::submit(config->stream, [c = *config, kernel, task] {
            filigree_cuda_sim::run(c.gridDim, c.blockDim, c.dynamicSmemBytes, [&] { kernel(task); });
        });
    return error;
}

/* ---- for tests ------------------------------------------------------------------------------------------- */

namespace filigree_cuda_sim {

/* Kernels launched so far. */
int64_t launches();

} // namespace filigree_cuda_sim

#endif
