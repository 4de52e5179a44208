/* What the simulated runtime asks of the simulated driver: queues, and memory in their order. */
#ifndef FILIGREE_TESTS_CUDA_SIM_DRIVER_H
#define FILIGREE_TESTS_CUDA_SIM_DRIVER_H

#include <cstddef>
#include <cstdint>
#include <functional>

namespace filigree_cuda_sim {

#define FILIGREE_CUDA_SIM_API __attribute__((visibility("default")))

/* Appends work to a stream, or records it there during a capture; does it at once when there is no stream. */
FILIGREE_CUDA_SIM_API void submit(void *stream, std::function<void()> work);

/* Null when there is not enough. Memory of a capture belongs to its graph. */
FILIGREE_CUDA_SIM_API void *allocate(void *stream, size_t bytes);
FILIGREE_CUDA_SIM_API void release(void *stream, void *memory);

/* Allocations that are not freed, and how many bytes may be left to the next. */
FILIGREE_CUDA_SIM_API int64_t live_allocations();
FILIGREE_CUDA_SIM_API void limit_memory(int64_t bytes);

} // namespace filigree_cuda_sim

#endif
