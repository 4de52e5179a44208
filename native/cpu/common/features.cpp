/*
 * What the processor has and what the operating system lets a process use. Built for the baseline processor:
 * this code runs before anything is known.
 */
#include "cpu/common/features.h"

#include <atomic>
#include <cerrno>

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace filigree {
namespace {

/* Zero is what a processor without any of the features has, so "not read yet" needs a value of its own. */
constexpr int32_t kUnread = -1;

std::atomic<int32_t> cached_usable{kUnread};
/* -errno of a refused request for AMX; 0: none was refused. */
std::atomic<int32_t> amx_refusal{0};
std::atomic<bool> amx_granted{false};

#if defined(__x86_64__)

/* Register state in XCR0. All bits of a group must be on: a hypervisor may leave out the upper halves. */
constexpr uint64_t kXcr0Ymm = 0x6;             /* XMM, YMM */
constexpr uint64_t kXcr0Zmm = kXcr0Ymm | 0xe0; /* opmask, upper halves of ZMM0-15, ZMM16-31 */
constexpr uint64_t kXcr0Amx = 0x60000;         /* tile configuration, tile data */

constexpr uint32_t bit(int index) { return uint32_t{1} << index; }

constexpr bool all(uint32_t word, uint32_t bits) { return (word & bits) == bits; }

int32_t read_cpuid() {
    uint32_t eax, ebx, ecx, edx;
    int32_t found = 0;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx)) return 0;
    const bool fma = all(ecx, bit(12) | bit(28)); /* FMA, AVX */
    if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return 0;
    const uint32_t subleaves = eax;
    if (fma && all(ebx, bit(5))) found |= FILIGREE_AVX2_FMA;
    if (all(ebx, bit(16) | bit(17) | bit(30) | bit(31))) found |= FILIGREE_AVX512; /* F, DQ, BW, VL */
    if (all(ecx, bit(6))) found |= FILIGREE_AVX512_VBMI2;
    if (all(edx, bit(24) | bit(22))) found |= FILIGREE_AMX_BF16; /* TILE, BF16 */
    if (all(edx, bit(24) | bit(25))) found |= FILIGREE_AMX_INT8;
    if (subleaves >= 1 && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) && all(eax, bit(5)))
        found |= FILIGREE_AVX512_BF16;
    return found;
}

uint64_t read_xcr0() {
    uint32_t eax, ebx, ecx, edx;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !all(ecx, bit(27))) return 0; /* OSXSAVE */
    __asm__("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
    return (uint64_t{edx} << 32) | eax;
}

int32_t keep_what_the_system_saves(int32_t cpuid) {
    const uint64_t xcr0 = read_xcr0();
    const auto saves = [xcr0](uint64_t state) { return (xcr0 & state) == state; };
    int32_t usable = cpuid;
    if (!saves(kXcr0Ymm)) usable &= ~FILIGREE_AVX2_FMA;
    if (!saves(kXcr0Zmm)) usable &= ~(FILIGREE_AVX512 | FILIGREE_AVX512_VBMI2 | FILIGREE_AVX512_BF16);
    if (!saves(kXcr0Amx)) usable &= ~(FILIGREE_AMX_BF16 | FILIGREE_AMX_INT8);
    /* The avx512 extensions are of no use without the group that every kernel assumes. */
    if (!(usable & FILIGREE_AVX512)) usable &= ~(FILIGREE_AVX512_VBMI2 | FILIGREE_AVX512_BF16);
    return usable;
}

#else

int32_t read_cpuid() { return 0; }

int32_t keep_what_the_system_saves(int32_t cpuid) { return cpuid; }

#endif

constexpr int32_t kAmx = FILIGREE_AMX_BF16 | FILIGREE_AMX_INT8;

#if defined(FILIGREE_AMX_SIMULATED)

int32_t read_amx_permission() { return amx_granted.load(std::memory_order_relaxed); }

int32_t ask_for_amx() { return 0; }

#elif defined(__x86_64__) && defined(__linux__)

/* From asm/prctl.h, which distributions older than Linux 5.16 lack. */
constexpr int kArchGetXcompPerm = 0x1022;
constexpr int kArchReqXcompPerm = 0x1023;
constexpr int kXfeatureXtiledata = 18;

int32_t read_amx_permission() {
    unsigned long granted = 0;
    if (syscall(SYS_arch_prctl, kArchGetXcompPerm, &granted) != 0) return -errno;
    return (granted >> kXfeatureXtiledata) & 1;
}

int32_t ask_for_amx() {
    return syscall(SYS_arch_prctl, kArchReqXcompPerm, kXfeatureXtiledata) == 0 ? 0 : -errno;
}

#else

int32_t read_amx_permission() { return 0; }

int32_t ask_for_amx() { return -ENOSYS; }

#endif

} // namespace

/* Two threads may both read the processor the first time; they read the same. */
int32_t usable_features() {
    int32_t usable = cached_usable.load(std::memory_order_relaxed);
    if (usable == kUnread) {
        usable = keep_what_the_system_saves(read_cpuid());
#ifdef FILIGREE_AMX_SIMULATED
        usable |= FILIGREE_AMX_BF16;
#endif
        cached_usable.store(usable, std::memory_order_relaxed);
    }
    return usable;
}

bool may_use_amx() { return amx_granted.load(std::memory_order_relaxed); }

} // namespace filigree

int32_t filigree_get_features(filigree_features *out) {
    if (out == nullptr) return FILIGREE_INVALID_ARGUMENT;
    out->cpuid = filigree::read_cpuid();
    out->usable = filigree::usable_features();
    out->amx_permission = 0;
    if (out->usable & filigree::kAmx) {
        const int32_t refusal = filigree::amx_refusal.load(std::memory_order_relaxed);
        out->amx_permission = refusal != 0 ? refusal : filigree::read_amx_permission();
    }
    return FILIGREE_OK;
}

int32_t filigree_request_amx(void) {
    if (!(filigree::usable_features() & filigree::kAmx)) return FILIGREE_UNSUPPORTED_ISA;
    const int32_t refusal = filigree::ask_for_amx();
    filigree::amx_refusal.store(refusal, std::memory_order_relaxed);
    filigree::amx_granted.store(refusal == 0, std::memory_order_relaxed);
    return refusal == 0 ? FILIGREE_OK : FILIGREE_SYSTEM_ERROR;
}
