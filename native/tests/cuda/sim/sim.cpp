/* Runs kernels on the processor: see cuda_runtime.h beside this. */
#include "cuda_runtime.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <ucontext.h>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

thread_local dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace filigree_cuda_sim {

namespace {

constexpr int kLanes = 32;
constexpr size_t kStackBytes = 128 << 10;
/* As of compute capability 9.0; tests mean every device that the kernels are built for, so as of 8.0. */
constexpr size_t kMostSharedBytes = 163 << 10;
constexpr unsigned kMostThreads = 1024;
/* Makes 13 million of a float and of a bf16: NaNs would be looked into by kernels that take such sums again. */
constexpr int kUnwritten = 0x4b;

[[noreturn]] void die(const char *message) {
    std::fprintf(stderr, "FAILED: simulated kernel, block (%u, %u), thread %u: %s\n", blockIdx.x, blockIdx.y,
                 threadIdx.x, message);
    std::abort();
}

struct Copy {
    void *to;
    const void *from;
    size_t bytes, zeros;
};

/* Threads that wait for each other. */
struct Meeting {
    unsigned members = 0, arrived = 0;
    uint64_t round = 0;
};

struct Warp {
    Meeting meeting;
    uint64_t given[2][kLanes];
};

struct Fiber {
    ucontext_t context;
    std::unique_ptr<char[]> stack{new char[kStackBytes]};
    unsigned index = 0;
    bool ended = false;
    Meeting *waits_for = nullptr;
    uint64_t round = 0;
    uint64_t exchanges = 0;
    std::vector<std::vector<Copy>> groups; /* the last is not committed */
};

/* One block at a time, and one launch: what it keeps is reused. */
class Machine {
public:
    void launch(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()> &body) {
        const std::lock_guard<std::mutex> alone(mutex_);
        body_ = &body;
        gridDim = grid, blockDim = block;
        /* Exactly as long, so that the address sanitizer sees what is beyond. */
        std::unique_ptr<void, decltype(&std::free)> shared(
            std::aligned_alloc(128, (std::max<size_t>(shared_bytes, 1) + 127) / 128 * 128), std::free);
        shared_ = shared.get();
        shared_bytes_ = shared_bytes;
        while (fibers_.size() < block.x) fibers_.push_back(std::make_unique<Fiber>());
        warps_.resize((block.x + kLanes - 1) / kLanes);
        for (unsigned y = 0; y < grid.y; ++y)
            for (unsigned x = 0; x < grid.x; ++x) run_block(dim3(x, y), block.x);
        shared_ = nullptr;
    }

    void *shared() const { return shared_; }

    void wait(Meeting &meeting) {
        Fiber &self = *current_;
        if (++meeting.arrived == meeting.members) {
            meeting.arrived = 0;
            ++meeting.round;
            return;
        }
        self.waits_for = &meeting;
        self.round = meeting.round;
        leave(self);
    }

    Meeting &block() { return block_; }
    Warp &warp() { return warps_[current_->index / kLanes]; }
    Fiber &fiber() { return *current_; }

private:
    void run_block(dim3 index, unsigned threads) {
        blockIdx = index;
        std::memset(shared_, kUnwritten, shared_bytes_);
        block_ = {threads, 0, 0};
        for (size_t w = 0; w < warps_.size(); ++w)
            warps_[w].meeting = {std::min<unsigned>(kLanes, threads - static_cast<unsigned>(w) * kLanes), 0, 0};
        runnable_.clear();
        for (unsigned t = 0; t < threads; ++t) {
            start(*fibers_[t], t);
            runnable_.push_back(fibers_[t].get());
        }
        while (!runnable_.empty()) {
            bool moved = false;
            for (size_t i = runnable_.size(); i > 1; --i) std::swap(runnable_[i - 1], runnable_[draw() % i]);
            for (Fiber *fiber : runnable_) {
                if (fiber->waits_for != nullptr && fiber->waits_for->round == fiber->round) continue;
                fiber->waits_for = nullptr;
                enter(*fiber);
                moved = true;
            }
            runnable_.erase(std::remove_if(runnable_.begin(), runnable_.end(), [](Fiber *f) { return f->ended; }),
                            runnable_.end());
            if (!moved) die("threads wait at a barrier that others never reach");
        }
    }

    void start(Fiber &fiber, unsigned index) {
        fiber.index = index;
        fiber.ended = false;
        fiber.waits_for = nullptr;
        fiber.exchanges = 0;
        fiber.groups.assign(1, {});
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.get();
        fiber.context.uc_stack.ss_size = kStackBytes;
        fiber.context.uc_link = nullptr;
        makecontext(&fiber.context, trampoline, 0);
    }

    void enter(Fiber &fiber) {
        current_ = &fiber;
        threadIdx = dim3(fiber.index, 0, 0);
#if defined(__SANITIZE_ADDRESS__)
        void *fake = nullptr;
        __sanitizer_start_switch_fiber(&fake, fiber.stack.get(), kStackBytes);
#endif
        swapcontext(&scheduler_, &fiber.context);
#if defined(__SANITIZE_ADDRESS__)
        __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
    }

    void leave(Fiber &self) {
#if defined(__SANITIZE_ADDRESS__)
        void *fake = nullptr;
        __sanitizer_start_switch_fiber(self.ended ? nullptr : &fake, scheduler_stack_, scheduler_stack_bytes_);
#endif
        swapcontext(&self.context, &scheduler_);
#if defined(__SANITIZE_ADDRESS__)
        __sanitizer_finish_switch_fiber(fake, &scheduler_stack_, &scheduler_stack_bytes_);
#endif
    }

    static void trampoline();

    uint64_t draw() {
        state_ = state_ * 6364136223846793005u + 1442695040888963407u;
        return state_ >> 33;
    }

    std::mutex mutex_;
    const std::function<void()> *body_ = nullptr;
    std::vector<std::unique_ptr<Fiber>> fibers_;
    std::vector<Fiber *> runnable_;
    std::vector<Warp> warps_;
    Meeting block_;
    Fiber *current_ = nullptr;
    ucontext_t scheduler_;
    const void *scheduler_stack_ = nullptr;
    size_t scheduler_stack_bytes_ = 0;
    void *shared_ = nullptr;
    size_t shared_bytes_ = 0;
    uint64_t state_ = 1;
};

Machine &machine() {
    static Machine instance;
    return instance;
}

void Machine::trampoline() {
    Machine &m = machine();
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(nullptr, &m.scheduler_stack_, &m.scheduler_stack_bytes_);
#endif
    (*m.body_)();
    Fiber &self = *m.current_;
    if (self.groups.size() > 1 || !self.groups[0].empty()) die("a thread ends before its copies");
    self.ended = true;
    m.leave(self);
}

std::atomic<int64_t> launch_count{0};

} // namespace

void *shared_memory() { return machine().shared(); }
void block_barrier() { machine().wait(machine().block()); }
void warp_barrier() { machine().wait(machine().warp().meeting); }

const uint64_t *exchange(uint64_t mine) {
    Machine &m = machine();
    /* Two sets: who comes late to the one still finds it when others have gone on to the other. */
    uint64_t *const given = m.warp().given[m.fiber().exchanges++ % 2];
    given[m.fiber().index % kLanes] = mine;
    warp_barrier();
    return given;
}

void submit_copy(void *to, const void *from, size_t bytes, size_t zeros) {
    machine().fiber().groups.back().push_back({to, from, bytes, zeros});
}

void commit_copies() { machine().fiber().groups.emplace_back(); }

void wait_copies(int groups_left) {
    std::vector<std::vector<Copy>> &groups = machine().fiber().groups;
    while (static_cast<int>(groups.size()) - 1 > groups_left) {
        for (const Copy &copy : groups.front()) {
            std::memcpy(copy.to, copy.from, copy.bytes);
            std::memset(static_cast<char *>(copy.to) + copy.bytes, 0, copy.zeros);
        }
        groups.erase(groups.begin());
    }
}

Place place_of_a(int lane, int i) { return {lane / 4 + 8 * (i / 2 % 2), lane % 4 * 2 + i % 2 + 8 * (i / 4)}; }
Place place_of_b(int lane, int i) { return {lane % 4 * 2 + i % 2 + 8 * (i / 2), lane / 4}; }
Place place_of_c(int lane, int i) { return {lane / 4 + 8 * (i / 2), lane % 4 * 2 + i % 2}; }

void mma_m16n8k16(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
    const auto pair = [](uint32_t low, uint32_t high) { return low | static_cast<uint64_t>(high) << 32; };
    const auto element = [](const uint64_t *two, int i) {
        const uint32_t bits = static_cast<uint32_t>(*two >> (16 * i)) << 16;
        float x;
        std::memcpy(&x, &bits, sizeof x);
        return x;
    };
    float whole_a[16][16], whole_b[16][8];
    const uint64_t registers[3] = {pair(a[0], a[1]), pair(a[2], a[3]), pair(b0, b1)};
    for (int part = 0; part < 3; ++part) {
        const uint64_t *const given = exchange(registers[part]);
        for (int lane = 0; lane < kLanes; ++lane)
            for (int i = 0; i < 4; ++i) {
                const Place place = part < 2 ? place_of_a(lane, 4 * part + i) : place_of_b(lane, i);
                (part < 2 ? whole_a[place.row][place.col] : whole_b[place.row][place.col]) = element(given + lane, i);
            }
    }
    for (int i = 0; i < 4; ++i) {
        const Place place = place_of_c(static_cast<int>(threadIdx.x) % kLanes, i);
        double sum = c[i];
        for (int k = 0; k < 16; ++k) sum += double{whole_a[place.row][k]} * whole_b[k][place.col];
        c[i] = static_cast<float>(sum);
    }
}

void run(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()> &body) {
    ++launch_count;
    machine().launch(grid, block, shared_bytes, body);
}

int64_t launches() { return launch_count; }

} // namespace filigree_cuda_sim

using namespace filigree_cuda_sim;

cudaError_t filigree_cuda_sim_check(const cudaLaunchConfig_t &c) {
    const bool possible = c.gridDim.x >= 1 && c.gridDim.x <= 0x7fffffffu && c.gridDim.y >= 1 && c.gridDim.y <= 65535 &&
                          c.gridDim.z == 1 && c.blockDim.x >= 1 && c.blockDim.x <= kMostThreads && c.blockDim.y == 1 &&
                          c.blockDim.z == 1 && c.dynamicSmemBytes <= kMostSharedBytes;
    return possible ? cudaSuccess : cudaErrorInvalidValue;
}

cudaError_t cudaDriverGetVersion(int *version) {
    *version = CUDART_VERSION;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *count) {
    *count = 1;
    return cudaSuccess;
}

cudaError_t cudaGetDevice(int *device) {
    *device = 0;
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device) {
    if (device != 0) return cudaErrorInvalidDevice;
    *properties = cudaDeviceProp{};
    std::strcpy(properties->name, "Simulated");
    properties->totalGlobalMem = size_t{1} << 30;
    properties->l2CacheSize = 32 << 20;
    properties->major = 9;
    properties->multiProcessorCount = 2;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device) {
    cudaDeviceProp properties{};
    const cudaError_t error = cudaGetDeviceProperties(&properties, device);
    if (error == cudaSuccess)
        *value = attribute == cudaDevAttrMultiProcessorCount ? properties.multiProcessorCount : properties.major;
    return error;
}

cudaError_t cudaGetLastError() { return cudaSuccess; }
const char *cudaGetErrorString(cudaError_t error) {
    return error == cudaErrorMemoryAllocation ? "out of memory" : "an error of the simulated device";
}

cudaError_t cudaMemPoolCreate(cudaMemPool_t *pool, const cudaMemPoolProps *) {
    *pool = reinterpret_cast<cudaMemPool_t>(new char);
    return cudaSuccess;
}
cudaError_t cudaMemPoolSetAttribute(cudaMemPool_t, int, void *) { return cudaSuccess; }
cudaError_t cudaMemPoolDestroy(cudaMemPool_t pool) {
    delete reinterpret_cast<char *>(pool);
    return cudaSuccess;
}
cudaError_t cudaDeviceGetDefaultMemPool(cudaMemPool_t *, int) { return cudaErrorInvalidValue; }

cudaError_t cudaMallocFromPoolAsync(void **out, size_t bytes, cudaMemPool_t, cudaStream_t stream) {
    if (bytes == 0) return cudaErrorInvalidValue;
    *out = allocate(stream, bytes);
    return *out == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}

cudaError_t cudaFreeAsync(void *memory, cudaStream_t stream) {
    release(stream, memory);
    return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void *, int, int value) {
    return static_cast<size_t>(value) <= kMostSharedBytes ? cudaSuccess : cudaErrorInvalidValue;
}
