/*
 * A CUDA driver made of host memory, for tests on machines without one: the part of it that bindings/cuda-driver.txt
 * names. Built as libcuda.so.1, it stands where the real one would.
 *
 * Work waits in its stream until somebody waits for it, as late as is allowed: a program that forgets to finds nothing
 * in its results. FILIGREE_CUDA_SIM changes what it is, in words of name=value, separated by commas:
 *   devices=N    how many there are (1)
 *   version=V    the newest CUDA release that it knows (13000)
 *   memory=B     bytes of each device (1 GiB)
 *   fail=F:C     function F returns code C
 */
#include "driver.h"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#define DRIVER extern "C" __attribute__((visibility("default")))

namespace {

enum Result {
    kSuccess = 0,
    kInvalidValue = 1,
    kOutOfMemory = 2,
    kNoDevice = 100,
    kInvalidDevice = 101,
    kInvalidContext = 201,
    kInvalidHandle = 400,
    kNotReady = 600,
    kCaptureUnsupported = 900
};

using Work = std::function<void()>;
using Clock = std::chrono::steady_clock;

struct Graph {
    std::vector<Work> work;
    std::vector<std::shared_ptr<void>> memory;
};

struct Stream {
    std::deque<Work> queue;
    std::unique_ptr<Graph> capture;
    bool spoiled = false; /* the capture met what it cannot record */
};

struct Event {
    Stream *stream = nullptr; /* where it waits to be passed, if it does */
    bool recorded = false;
    Clock::time_point time;
};

std::string option(const char *name) {
    const char *const all = std::getenv("FILIGREE_CUDA_SIM");
    std::string text = all == nullptr ? "" : all;
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find(',', at), text.size());
        const std::string word = text.substr(at, end - at);
        if (word.rfind(std::string(name) + "=", 0) == 0) return word.substr(std::strlen(name) + 1);
        at = end + 1;
    }
    return "";
}

int64_t number(const char *name, int64_t otherwise) {
    const std::string text = option(name);
    return text.empty() ? otherwise : std::atoll(text.c_str());
}

/* What the environment wants a function to return; 0: what it does. */
int planned(const char *function) {
    const std::string text = option("fail");
    const size_t colon = text.find(':');
    return colon != std::string::npos && text.substr(0, colon) == function ? std::atoi(text.c_str() + colon + 1) : 0;
}

std::recursive_mutex mutex;
std::set<Stream *> streams;
/* By device; tests in C++ have no context, and one device. */
struct Allocation {
    size_t bytes;
    int device;
};
std::map<void *, Allocation> allocations;
std::map<void *, size_t> pinned;
int64_t bytes_used = 0, memory_limit = INT64_MAX;
thread_local int *current = nullptr;
int contexts[16];

int64_t total_memory() { return number("memory", int64_t{1} << 30); }

/* Unless a context is current, nothing that needs one works. */
#define ENTER(needs_context)                                                                                           \
    const std::lock_guard<std::recursive_mutex> alone(mutex);                                                          \
    if (const int code = planned(__func__)) return code;                                                               \
    if ((needs_context) && current == nullptr) return kInvalidContext

void drain(Stream &stream) {
    while (!stream.queue.empty()) {
        const Work next = std::move(stream.queue.front());
        stream.queue.pop_front();
        next();
    }
}

void drain_all() {
    for (Stream *stream : streams) drain(*stream);
}

void pass(Event &event) {
    if (event.stream != nullptr) drain(*event.stream);
}

bool is_stream(void *handle) { return streams.count(static_cast<Stream *>(handle)) != 0; }

int copy(void *stream, void *to, const void *from, size_t bytes) {
    if (!is_stream(stream)) return kInvalidHandle;
    filigree_cuda_sim::submit(stream, [=] { std::memcpy(to, from, bytes); });
    return kSuccess;
}

void *allocate_bytes(size_t bytes) {
    if (static_cast<int64_t>(bytes) > std::min(memory_limit, total_memory() - bytes_used)) return nullptr;
    void *const memory = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
    if (memory == nullptr) return nullptr;
    /* What is read before it was written shows. */
    std::memset(memory, 0xff, bytes);
    allocations[memory] = {bytes, current == nullptr ? 0 : static_cast<int>(current - contexts)};
    bytes_used += static_cast<int64_t>(bytes);
    return memory;
}

void free_bytes(void *memory) {
    bytes_used -= static_cast<int64_t>(allocations[memory].bytes);
    allocations.erase(memory);
    std::free(memory);
}

} // namespace

namespace filigree_cuda_sim {

void submit(void *handle, Work work) {
    const std::lock_guard<std::recursive_mutex> alone(mutex);
    auto *const stream = static_cast<Stream *>(handle);
    if (stream == nullptr) {
        work();
    } else if (stream->capture) {
        stream->capture->work.push_back(std::move(work));
    } else {
        stream->queue.push_back(std::move(work));
    }
}

void *allocate(void *handle, size_t bytes) {
    const std::lock_guard<std::recursive_mutex> alone(mutex);
    void *const memory = allocate_bytes(bytes);
    auto *const stream = static_cast<Stream *>(handle);
    if (memory != nullptr && stream != nullptr && stream->capture)
        stream->capture->memory.emplace_back(memory, free_bytes);
    return memory;
}

void release(void *handle, void *memory) {
    const std::lock_guard<std::recursive_mutex> alone(mutex);
    auto *const stream = static_cast<Stream *>(handle);
    if (stream != nullptr && stream->capture) return;
    submit(handle, [memory] { free_bytes(memory); });
}

int64_t live_allocations() { return static_cast<int64_t>(allocations.size()); }
void limit_memory(int64_t bytes) { memory_limit = bytes; }

} // namespace filigree_cuda_sim

DRIVER int cuDriverGetVersion(int *version) {
    ENTER(false);
    *version = static_cast<int>(number("version", 13000));
    return kSuccess;
}

DRIVER int cuInit(unsigned) {
    ENTER(false);
    return number("devices", 1) == 0 ? kNoDevice : kSuccess;
}

DRIVER int cuDeviceGetCount(int *count) {
    ENTER(false);
    *count = static_cast<int>(number("devices", 1));
    return kSuccess;
}

DRIVER int cuDeviceGet(int *device, int index) {
    ENTER(false);
    if (index < 0 || index >= number("devices", 1)) return kInvalidDevice;
    *device = index;
    return kSuccess;
}

DRIVER int cuDeviceGetName(char *name, int length, int) {
    ENTER(false);
    std::strncpy(name, "Simulated", static_cast<size_t>(length));
    return kSuccess;
}

DRIVER int cuDeviceTotalMem_v2(size_t *bytes, int) {
    ENTER(false);
    *bytes = static_cast<size_t>(total_memory());
    return kSuccess;
}

DRIVER int cuDeviceGetAttribute(int *value, int attribute, int) {
    ENTER(false);
    const std::map<int, int> known{{16, 2}, {38, 1 << 16}, {75, 9}, {76, 0}, {97, 232448}};
    const auto found = known.find(attribute);
    if (found == known.end()) return kInvalidValue;
    *value = found->second;
    return kSuccess;
}

DRIVER int cuDevicePrimaryCtxRetain(void **context, int device) {
    ENTER(false);
    *context = &contexts[device];
    return kSuccess;
}

DRIVER int cuDevicePrimaryCtxRelease_v2(int) {
    ENTER(false);
    return kSuccess;
}

DRIVER int cuCtxSetCurrent(void *context) {
    ENTER(false);
    current = static_cast<int *>(context);
    return kSuccess;
}

DRIVER int cuCtxSynchronize() {
    ENTER(true);
    drain_all();
    return kSuccess;
}

DRIVER int cuMemGetInfo_v2(size_t *free, size_t *total) {
    ENTER(true);
    *total = static_cast<size_t>(total_memory());
    *free = static_cast<size_t>(total_memory() - bytes_used);
    return kSuccess;
}

DRIVER int cuMemAlloc_v2(uint64_t *address, size_t bytes) {
    ENTER(true);
    void *const memory = bytes == 0 ? nullptr : allocate_bytes(bytes);
    if (memory == nullptr) return bytes == 0 ? kInvalidValue : kOutOfMemory;
    *address = reinterpret_cast<uint64_t>(memory);
    return kSuccess;
}

DRIVER int cuMemFree_v2(uint64_t address) {
    ENTER(true);
    void *const memory = reinterpret_cast<void *>(address);
    if (allocations.count(memory) == 0) return kInvalidValue;
    drain_all();
    free_bytes(memory);
    return kSuccess;
}

DRIVER int cuMemAllocHost_v2(void **memory, size_t bytes) {
    ENTER(true);
    *memory = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (*memory == nullptr) return kOutOfMemory;
    pinned[*memory] = bytes;
    return kSuccess;
}

DRIVER int cuMemFreeHost(void *memory) {
    ENTER(true);
    if (pinned.erase(memory) == 0) return kInvalidValue;
    std::free(memory);
    return kSuccess;
}

namespace {

/* The last of them that begins at an address or before, if the address lies in it. */
template <class Map, class Size> auto around(const Map &all, void *address, Size size) {
    auto found = all.upper_bound(address);
    if (found == all.begin()) return all.end();
    --found;
    return static_cast<char *>(address) < static_cast<char *>(found->first) + size(found->second) ? found : all.end();
}

} // namespace

DRIVER int cuPointerGetAttributes(unsigned count, const int *attributes, void **data, uint64_t address) {
    ENTER(true);
    auto *const at = reinterpret_cast<void *>(address);
    const auto there = around(allocations, at, [](const Allocation &a) { return a.bytes; });
    const auto here = around(pinned, at, [](size_t bytes) { return bytes; });
    const bool on_device = there != allocations.end(), on_host = here != pinned.end();
    for (unsigned i = 0; i < count; ++i) {
        switch (attributes[i]) {
        case 2: *static_cast<int *>(data[i]) = on_device ? 2 : on_host ? 1 : 0; break;
        case 9: *static_cast<int *>(data[i]) = on_device ? there->second.device : 0; break;
        case 11: *static_cast<void **>(data[i]) = on_device ? there->first : on_host ? here->first : nullptr; break;
        case 12: *static_cast<size_t *>(data[i]) = on_device ? there->second.bytes : on_host ? here->second : 0; break;
        default: return kInvalidValue;
        }
    }
    return kSuccess;
}

/* What it was made of, in the order of the arguments, where the real one has a code of its own. */
DRIVER int cuTensorMapEncodeTiled(uint64_t *map, int type, unsigned rank, void *address, const uint64_t *dims,
                                  const uint64_t *strides, const unsigned *box, const unsigned *steps, int interleave,
                                  int swizzle, int promotion, int fill) {
    ENTER(true);
    constexpr int kF32 = 7, kBf16 = 9;
    const uint64_t bytes = type == kF32 ? 4 : type == kBf16 ? 2 : 0;
    const uint64_t row = bytes * box[0];
    if (reinterpret_cast<uint64_t>(map) % 64 != 0 || bytes == 0 || rank != 2 || interleave != 0 || fill != 0 ||
        reinterpret_cast<uint64_t>(address) % 16 != 0 || strides[0] % 16 != 0 || strides[0] >= uint64_t{1} << 40 ||
        row % 16 != 0 || swizzle < 0 || swizzle > 3 || (swizzle != 0 && row > 16u << swizzle))
        return kInvalidValue;
    for (unsigned i = 0; i < rank; ++i)
        if (dims[i] == 0 || dims[i] > uint64_t{1} << 32 || box[i] == 0 || box[i] > 256 || steps[i] != 1)
            return kInvalidValue;
    const uint64_t words[16] = {static_cast<uint64_t>(type), rank, reinterpret_cast<uint64_t>(address), dims[0], dims[1],
                                strides[0], box[0], box[1], static_cast<uint64_t>(swizzle),
                                static_cast<uint64_t>(promotion)};
    std::memcpy(map, words, sizeof words);
    return kSuccess;
}

/* The default stream, where these take place, does not wait for streams that were made not to block. */
DRIVER int cuMemcpyHtoD_v2(uint64_t to, const void *from, size_t bytes) {
    ENTER(true);
    std::memcpy(reinterpret_cast<void *>(to), from, bytes);
    return kSuccess;
}

DRIVER int cuMemcpyDtoH_v2(void *to, uint64_t from, size_t bytes) {
    ENTER(true);
    std::memcpy(to, reinterpret_cast<void *>(from), bytes);
    return kSuccess;
}

DRIVER int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t bytes, void *stream) {
    ENTER(true);
    return copy(stream, reinterpret_cast<void *>(to), from, bytes);
}

DRIVER int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t bytes, void *stream) {
    ENTER(true);
    return copy(stream, to, reinterpret_cast<void *>(from), bytes);
}

DRIVER int cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes, void *stream) {
    ENTER(true);
    return copy(stream, reinterpret_cast<void *>(to), reinterpret_cast<void *>(from), bytes);
}

DRIVER int cuStreamCreate(void **stream, unsigned) {
    ENTER(true);
    auto *const made = new Stream;
    streams.insert(made);
    *stream = made;
    return kSuccess;
}

DRIVER int cuStreamDestroy_v2(void *handle) {
    ENTER(true);
    if (!is_stream(handle)) return kInvalidHandle;
    auto *const stream = static_cast<Stream *>(handle);
    drain(*stream);
    streams.erase(stream);
    delete stream;
    return kSuccess;
}

DRIVER int cuStreamSynchronize(void *handle) {
    ENTER(true);
    if (!is_stream(handle)) return kInvalidHandle;
    auto &stream = *static_cast<Stream *>(handle);
    if (stream.capture) {
        stream.spoiled = true;
        return kCaptureUnsupported;
    }
    drain(stream);
    return kSuccess;
}

/* Who asks often enough sees the stream get on. */
DRIVER int cuStreamQuery(void *handle) {
    ENTER(true);
    if (!is_stream(handle)) return kInvalidHandle;
    auto &stream = *static_cast<Stream *>(handle);
    if (stream.queue.empty()) return kSuccess;
    const Work next = std::move(stream.queue.front());
    stream.queue.pop_front();
    next();
    return kNotReady;
}

DRIVER int cuStreamWaitEvent(void *handle, void *event, unsigned) {
    ENTER(true);
    if (!is_stream(handle)) return kInvalidHandle;
    filigree_cuda_sim::submit(handle, [event] { pass(*static_cast<Event *>(event)); });
    return kSuccess;
}

DRIVER int cuStreamBeginCapture_v2(void *handle, int) {
    ENTER(true);
    if (!is_stream(handle)) return kInvalidHandle;
    auto &stream = *static_cast<Stream *>(handle);
    if (stream.capture) return kInvalidValue;
    stream.capture = std::make_unique<Graph>();
    stream.spoiled = false;
    return kSuccess;
}

DRIVER int cuStreamEndCapture(void *handle, void **graph) {
    ENTER(true);
    if (!is_stream(handle)) return kInvalidHandle;
    auto &stream = *static_cast<Stream *>(handle);
    std::unique_ptr<Graph> recorded = std::move(stream.capture);
    if (!recorded) return kInvalidValue;
    if (stream.spoiled) return 901; /* CUDA_ERROR_STREAM_CAPTURE_INVALIDATED */
    *graph = recorded.release();
    return kSuccess;
}

DRIVER int cuGraphInstantiateWithFlags(void **executable, void *graph, unsigned long long) {
    ENTER(true);
    *executable = new Graph(*static_cast<Graph *>(graph));
    return kSuccess;
}

DRIVER int cuGraphDestroy(void *graph) {
    ENTER(true);
    delete static_cast<Graph *>(graph);
    return kSuccess;
}

DRIVER int cuGraphLaunch(void *executable, void *stream) {
    ENTER(true);
    if (!is_stream(stream)) return kInvalidHandle;
    filigree_cuda_sim::submit(stream, [graph = *static_cast<Graph *>(executable)] {
        for (const Work &work : graph.work) work();
    });
    return kSuccess;
}

DRIVER int cuGraphExecDestroy(void *executable) {
    ENTER(true);
    delete static_cast<Graph *>(executable);
    return kSuccess;
}

DRIVER int cuEventCreate(void **event, unsigned) {
    ENTER(true);
    *event = new Event;
    return kSuccess;
}

DRIVER int cuEventDestroy_v2(void *handle) {
    ENTER(true);
    pass(*static_cast<Event *>(handle));
    delete static_cast<Event *>(handle);
    return kSuccess;
}

DRIVER int cuEventRecord(void *handle, void *stream) {
    ENTER(true);
    if (!is_stream(stream)) return kInvalidHandle;
    auto *const event = static_cast<Event *>(handle);
    event->stream = static_cast<Stream *>(stream);
    event->recorded = true;
    filigree_cuda_sim::submit(stream, [event] {
        event->stream = nullptr;
        event->time = Clock::now();
    });
    return kSuccess;
}

DRIVER int cuEventQuery(void *handle) {
    ENTER(true);
    auto &event = *static_cast<Event *>(handle);
    return event.stream == nullptr ? kSuccess : cuStreamQuery(event.stream);
}

DRIVER int cuEventSynchronize(void *handle) {
    ENTER(true);
    pass(*static_cast<Event *>(handle));
    return kSuccess;
}

DRIVER int cuEventElapsedTime_v2(float *millis, void *start, void *end) {
    ENTER(true);
    const auto &from = *static_cast<Event *>(start), &to = *static_cast<Event *>(end);
    if (!from.recorded || !to.recorded) return kInvalidHandle;
    if (from.stream != nullptr || to.stream != nullptr) return kNotReady;
    *millis = std::chrono::duration<float, std::milli>(to.time - from.time).count();
    return kSuccess;
}

namespace {

const char *describe(int code, bool name) {
    switch (code) {
    case kInvalidValue: return name ? "CUDA_ERROR_INVALID_VALUE" : "invalid argument";
    case kOutOfMemory: return name ? "CUDA_ERROR_OUT_OF_MEMORY" : "out of memory";
    case kNoDevice: return name ? "CUDA_ERROR_NO_DEVICE" : "no CUDA-capable device is detected";
    case kInvalidContext: return name ? "CUDA_ERROR_INVALID_CONTEXT" : "invalid device context";
    case kInvalidHandle: return name ? "CUDA_ERROR_INVALID_HANDLE" : "invalid resource handle";
    case kCaptureUnsupported: return name ? "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED" : "not permitted in a capture";
    case 901: return name ? "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED" : "the capture failed before";
    default: return nullptr;
    }
}

} // namespace

DRIVER int cuGetErrorName(int code, const char **text) {
    *text = describe(code, true);
    return *text == nullptr ? kInvalidValue : kSuccess;
}

DRIVER int cuGetErrorString(int code, const char **text) {
    *text = describe(code, false);
    return *text == nullptr ? kInvalidValue : kSuccess;
}
