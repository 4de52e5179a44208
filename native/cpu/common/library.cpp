/* The library itself: version, texts, kernel table, memory. */
#include "filigree.h"

#include <cstddef>
#include <cstdint>

#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace {

constexpr size_t kPrefix = sizeof("filigree_") - 1;

constexpr filigree_kernel_info kKernels[] = {
#define FILIGREE_KERNEL(symbol, operation, format, dtype, isa, tile, required_bits)                          \
    {&#symbol[kPrefix], operation, dtype, isa, tile, required_bits},
#include "cpu/kernels.def"
#undef FILIGREE_KERNEL
};

/* A compiler that lacks instructions builds a library without their kernels. */
constexpr bool is_built(const filigree_kernel_info &kernel) {
    return FILIGREE_HAVE_AVX512 && (FILIGREE_HAVE_AVX512_BF16 || (kernel.required & FILIGREE_AVX512_BF16) == 0) &&
           (FILIGREE_HAVE_AMX || (kernel.required & FILIGREE_AMX_BF16) == 0);
}

} // namespace

int32_t filigree_abi_version(void) { return FILIGREE_ABI_VERSION; }

const char *filigree_status_text(int32_t status) {
    switch (status) {
    case FILIGREE_OK: return "ok";
    case FILIGREE_INVALID_ARGUMENT:
        return "invalid argument: a size, a range or a packed header is impossible";
    case FILIGREE_UNSUPPORTED_ISA:
        return "unsupported instructions: the processor, the operating system or this build lacks them";
    case FILIGREE_SYSTEM_ERROR: return "the operating system refused";
    default: return "unknown status";
    }
}

int32_t filigree_kernel_count(void) {
    int32_t count = 0;
    for (const filigree_kernel_info &kernel : kKernels) count += is_built(kernel);
    return count;
}

int32_t filigree_get_kernel_info(int32_t index, filigree_kernel_info *out) {
    if (index < 0 || out == nullptr) return FILIGREE_INVALID_ARGUMENT;
    for (const filigree_kernel_info &kernel : kKernels)
        if (is_built(kernel) && index-- == 0) return *out = kernel, FILIGREE_OK;
    return FILIGREE_INVALID_ARGUMENT;
}

#if defined(__linux__)

namespace {

constexpr uintptr_t kHugePageBytes = uintptr_t{2} << 20;

uintptr_t whole_pages(int64_t bytes) {
    const uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    return (static_cast<uintptr_t>(bytes) + page - 1) & ~(page - 1);
}

} // namespace

void *filigree_allocate_pages(int64_t bytes) {
    if (bytes <= 0 || bytes > INT64_MAX / 2) return nullptr;
    /* A huge page lies on a multiple of its size: what is mapped before and after that goes back. */
    const uintptr_t size = whole_pages(bytes), mapped = size + kHugePageBytes;
    void *const map = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) return nullptr;
    const uintptr_t start = reinterpret_cast<uintptr_t>(map);
    const uintptr_t first = (start + kHugePageBytes - 1) & ~(kHugePageBytes - 1);
    if (first > start) munmap(map, first - start);
    munmap(reinterpret_cast<void *>(first + size), start + mapped - first - size);
    void *const result = reinterpret_cast<void *>(first);
    madvise(result, size, MADV_HUGEPAGE); /* advice: small pages serve, too */
    return result;
}

int32_t filigree_free_pages(void *address, int64_t bytes) {
    if (address == nullptr || bytes <= 0) return FILIGREE_INVALID_ARGUMENT;
    return munmap(address, whole_pages(bytes)) == 0 ? FILIGREE_OK : FILIGREE_SYSTEM_ERROR;
}

#else

void *filigree_allocate_pages(int64_t) { return nullptr; }

int32_t filigree_free_pages(void *, int64_t) { return FILIGREE_INVALID_ARGUMENT; }

#endif
