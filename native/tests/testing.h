/* What the native tests share: checks, a skip that ctest reports as one, random numbers, guarded memory. */
#ifndef FILIGREE_TESTS_TESTING_H
#define FILIGREE_TESTS_TESTING_H

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

namespace filigree_test {

/* CMakeLists.txt gives it to ctest as SKIP_RETURN_CODE. */
constexpr int kSkipped = 77;

[[noreturn]] __attribute__((format(printf, 1, 2))) inline void skip(const char *format, ...) {
    va_list args;
    va_start(args, format);
    std::printf("SKIPPED: ");
    std::vprintf(format, args);
    std::printf("\n");
    va_end(args);
    std::exit(kSkipped);
}

[[noreturn]] __attribute__((format(printf, 1, 2))) inline void fail(const char *format, ...) {
    va_list args;
    va_start(args, format);
    std::fprintf(stderr, "FAILED: ");
    std::vfprintf(stderr, format, args);
    std::fprintf(stderr, "\n");
    va_end(args);
    std::exit(1);
}

#define CHECK(condition)                                                                                     \
    ((condition) ? (void)0 : ::filigree_test::fail("%s:%d: %s", __FILE__, __LINE__, #condition))

/* splitmix64: the same numbers on every machine. */
class Random {
public:
    explicit Random(uint64_t seed) : state_(seed) {}

    uint64_t next() {
        uint64_t z = state_ += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }

    /* low <= result <= high */
    int64_t between(int64_t low, int64_t high) {
        return low + static_cast<int64_t>(next() % static_cast<uint64_t>(high - low + 1));
    }

    bool chance(double probability) { return uniform() < probability; }

    /* In [0, 1). */
    double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }

    /* In [-1, 1), with a random exponent now and then, so that the order of a sum shows in its bits. */
    float value() {
        const float v = static_cast<float>(2 * uniform() - 1);
        return chance(0.1) ? v * 1024.0f : v;
    }

private:
    uint64_t state_;
};

/* Equal bits, or both NaN: which payload wins in a sum of two NaNs is nobody's contract. */
inline bool same_bits(float x, float y) {
    if (x != x && y != y) return true;
    return std::memcmp(&x, &y, sizeof x) == 0;
}

/* Memory with the alignment that packed matrices and scratch have. */
class Aligned {
public:
    explicit Aligned(size_t bytes) : data_(std::aligned_alloc(64, (bytes + 64) / 64 * 64)) {
        CHECK(data_ != nullptr);
    }
    ~Aligned() { std::free(data_); }
    Aligned(const Aligned &) = delete;
    Aligned &operator=(const Aligned &) = delete;
    void *get() const { return data_; }

private:
    void *data_;
};

/* `bytes` of memory that end (or begin) exactly where an inaccessible page begins (or ends). */
class Guarded {
public:
    enum Side { kEnd, kStart };

    Guarded(int64_t bytes, Side side, int64_t alignment = 4) : bytes_(bytes) {
        const int64_t page = sysconf(_SC_PAGESIZE);
        const int64_t pages = (bytes + page - 1) / page;
        mapped_ = (pages + 2) * page;
        base_ = static_cast<char *>(
            mmap(nullptr, mapped_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
        if (base_ == MAP_FAILED) fail("mmap of %lld bytes", static_cast<long long>(mapped_));
        if (pages > 0 && mprotect(base_ + page, pages * page, PROT_READ | PROT_WRITE) != 0) fail("mprotect");
        data_ = side == kStart ? base_ + page : base_ + page + pages * page - bytes;
        if (reinterpret_cast<uintptr_t>(data_) % alignment != 0)
            fail("%lld bytes cannot be flush and aligned", static_cast<long long>(bytes));
        /* Neither zero nor a number: whatever is read before it is written shows. */
        std::memset(data_, 0xff, bytes);
    }

    ~Guarded() { munmap(base_, mapped_); }

    Guarded(const Guarded &) = delete;
    Guarded &operator=(const Guarded &) = delete;

    template <class T = float> T *as() const { return reinterpret_cast<T *>(data_); }
    int64_t bytes() const { return bytes_; }

private:
    char *base_;
    char *data_;
    int64_t bytes_;
    int64_t mapped_;
};

} // namespace filigree_test

#endif
