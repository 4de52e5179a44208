/* The library itself: version, texts, kernel table, memory advice. */
#include "filigree.h"

#include <cstddef>

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

/* So far every kernel needs AVX-512: a compiler without it builds a library that has none. */
constexpr int32_t kKernelCount =
    FILIGREE_HAVE_AVX512 ? static_cast<int32_t>(sizeof kKernels / sizeof kKernels[0]) : 0;

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

int32_t filigree_kernel_count(void) { return kKernelCount; }

int32_t filigree_get_kernel_info(int32_t index, filigree_kernel_info *out) {
    if (index < 0 || index >= kKernelCount || out == nullptr) return FILIGREE_INVALID_ARGUMENT;
    *out = kKernels[index];
    return FILIGREE_OK;
}

namespace {

/* Advice on the pages that lie wholly inside: the rest of the first and the last one may be someone else's. */
int32_t advise([[maybe_unused]] void *address, int64_t bytes, [[maybe_unused]] int advice) {
    if (bytes < 0 || (address == nullptr && bytes != 0)) return FILIGREE_INVALID_ARGUMENT;
#if defined(__linux__)
    const uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    const uintptr_t start = reinterpret_cast<uintptr_t>(address);
    const uintptr_t first = (start + page - 1) & ~(page - 1);
    const uintptr_t last = (start + static_cast<uintptr_t>(bytes)) & ~(page - 1);
    if (first < last && madvise(reinterpret_cast<void *>(first), last - first, advice) != 0)
        return FILIGREE_SYSTEM_ERROR;
#endif
    return FILIGREE_OK;
}

/* MADV_DONTNEED, MADV_HUGEPAGE and MADV_COLLAPSE, of which older headers lack the last. */
constexpr int kDontNeed = 4, kHugePage = 14, kCollapse = 25;

} // namespace

int32_t filigree_advise_huge_pages(void *address, int64_t bytes) {
    const int32_t status = advise(address, bytes, kHugePage);
    return status == FILIGREE_OK ? advise(address, bytes, kDontNeed) : status;
}

int32_t filigree_collapse_pages(void *address, int64_t bytes) { return advise(address, bytes, kCollapse); }
