/*
 * An operand of a kernel under test. On the simulated device it ends where an inaccessible page begins, and is its own
 * copy; on a real one the host's copy goes there and back.
 */
#ifndef FILIGREE_TESTS_CUDA_ON_DEVICE_H
#define FILIGREE_TESTS_CUDA_ON_DEVICE_H

#include "testing.h"

#include <cuda_runtime.h>
#include <vector>

namespace filigree_test {

#if defined(FILIGREE_CUDA_SIM)

class OnDevice {
public:
    OnDevice(int64_t bytes, int64_t alignment) : memory_(bytes, Guarded::kEnd, alignment) {}
    template <class T> T *host() const { return memory_.as<T>(); }
    template <class T> T *device() const { return memory_.as<T>(); }
    int64_t bytes() const { return memory_.bytes(); }
    void upload() {}
    void download() {}

private:
    Guarded memory_;
};

#else

#define CUDA_CHECK(call)                                                                                               \
    do {                                                                                                               \
        const cudaError_t error = (call);                                                                              \
        if (error != cudaSuccess)                                                                                      \
            ::filigree_test::fail("%s:%d: %s: %s", __FILE__, __LINE__, #call, cudaGetErrorString(error));               \
    } while (false)

/* An unaligned operand stays one: it begins as far after an aligned address as its size makes it. */
class OnDevice {
public:
    OnDevice(int64_t bytes, int64_t alignment)
        : host_(static_cast<size_t>(bytes), '\xff'), offset_(alignment >= 16 ? 0 : (16 - bytes % 16) % 16) {
        CUDA_CHECK(cudaMalloc(&device_, static_cast<size_t>(bytes + offset_ + 1)));
    }
    ~OnDevice() { cudaFree(device_); }
    OnDevice(const OnDevice &) = delete;
    OnDevice &operator=(const OnDevice &) = delete;

    template <class T> T *host() { return reinterpret_cast<T *>(host_.data()); }
    template <class T> T *device() const { return reinterpret_cast<T *>(static_cast<char *>(device_) + offset_); }
    int64_t bytes() const { return static_cast<int64_t>(host_.size()); }
    void upload() { CUDA_CHECK(cudaMemcpy(device<char>(), host_.data(), host_.size(), cudaMemcpyHostToDevice)); }
    void download() {
        CUDA_CHECK(cudaDeviceSynchronize());
        CUDA_CHECK(cudaMemcpy(host_.data(), device<char>(), host_.size(), cudaMemcpyDeviceToHost));
    }

private:
    std::vector<char> host_;
    int64_t offset_;
    void *device_ = nullptr;
};

#endif

} // namespace filigree_test

#endif
