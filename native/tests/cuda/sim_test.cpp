/* The simulated device itself: what it must run, and what it must catch. */
#include "cuda/sim/cuda_runtime.h"
#include "testing.h"

#include <sys/wait.h>
#include <vector>

using namespace filigree_test;
namespace sim = filigree_cuda_sim;

namespace {

/* Whether a kernel ends the process with a message. */
bool dies(unsigned threads, void (*kernel)()) {
    std::fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        if (std::freopen("/dev/null", "w", stderr) == nullptr) _exit(0);
        sim::run(dim3(1), dim3(threads), 0, kernel);
        _exit(0);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

void test_blocks_and_threads() {
    std::vector<int> seen(2 * 3 * 64);
    sim::run(dim3(2, 3), dim3(64), 0, [&] {
        ++seen[(blockIdx.y * gridDim.x + blockIdx.x) * blockDim.x + threadIdx.x];
    });
    for (const int times : seen) CHECK(times == 1);
}

void test_barriers() {
    /* Each thread reads what its neighbour wrote; without the barrier some neighbour has not been there yet. */
    for (const bool barrier : {true, false}) {
        int wrong = 0;
        for (int round = 0; round < 20; ++round) {
            sim::run(dim3(1), dim3(96), 96 * sizeof(int), [&] {
                int *const shared = static_cast<int *>(sim::shared_memory());
                shared[threadIdx.x] = static_cast<int>(threadIdx.x);
                if (barrier) __syncthreads();
                const unsigned next = (threadIdx.x + 1) % 96;
                wrong += shared[next] != static_cast<int>(next);
            });
        }
        CHECK((wrong == 0) == barrier);
    }
}

void test_shuffles() {
    int wrong = 0;
    sim::run(dim3(1), dim3(64), 0, [&] {
        const int lane = static_cast<int>(threadIdx.x);
        for (int mask = 1; mask < 32; mask *= 2) wrong += __shfl_xor_sync(~0u, lane, mask) != (lane ^ mask);
        for (int from = 0; from < 32; ++from) wrong += __shfl_sync(~0u, lane, from) != lane / 32 * 32 + from;
    });
    CHECK(wrong == 0);
}

void test_copies_wait() {
    const int from[2] = {5, 6};
    int before = 0, first = 0, both = 0;
    sim::run(dim3(1), dim3(1), 0, [&] {
        int to[2] = {0, 0};
        sim::submit_copy(&to[0], &from[0], 4, 0);
        sim::commit_copies();
        sim::submit_copy(&to[1], &from[1], 4, 0);
        sim::commit_copies();
        before = to[0] + to[1];
        sim::wait_copies(1);
        first = to[0] + to[1];
        sim::wait_copies(0);
        both = to[0] + to[1];
    });
    CHECK(before == 0 && first == 5 && both == 11);
}

} // namespace

int main() {
    test_blocks_and_threads();
    test_barriers();
    test_shuffles();
    test_copies_wait();
    CHECK(dies(64, [] {
        if (threadIdx.x != 5) __syncthreads();
    }));
    CHECK(dies(32, [] {
        if (threadIdx.x < 16) __syncwarp();
    }));
    CHECK(dies(1, [] {
        static int from, to;
        sim::submit_copy(&to, &from, 4, 0);
    }));
    CHECK(!dies(64, [] { __syncthreads(); }));
    return 0;
}
