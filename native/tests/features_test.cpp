/* filigree_get_features against what Linux says in /proc/cpuinfo, the kernel table, and the small functions.
 */
#include "filigree.h"
#include "testing.h"

#include <fstream>
#include <set>
#include <sstream>
#include <string>

using namespace filigree_test;

namespace {

std::set<std::string> cpuinfo_flags() {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);) {
        if (line.compare(0, 5, "flags") != 0) continue;
        std::istringstream words(line.substr(line.find(':') + 1));
        std::set<std::string> flags;
        for (std::string word; words >> word;) flags.insert(word);
        return flags;
    }
    return {};
}

void check_against_cpuinfo(const filigree_features &features) {
    const std::set<std::string> flags = cpuinfo_flags();
    if (flags.empty()) skip("/proc/cpuinfo has no flags");
    const auto has = [&](std::initializer_list<const char *> names) {
        for (const char *name : names)
            if (flags.count(name) == 0) return false;
        return true;
    };
    const auto expect = [&](int32_t bit, const char *name, bool expected) {
        const bool usable = (features.usable & bit) != 0, present = (features.cpuid & bit) != 0;
        if (usable != expected) fail("%s: usable %d, /proc/cpuinfo says %d", name, usable, expected);
        if (usable && !present) fail("%s: usable, but not in cpuid", name);
        std::printf("%-12s cpuid %d, usable %d\n", name, present, usable);
    };
    const bool avx512 = has({"avx512f", "avx512bw", "avx512dq", "avx512vl"});
    expect(FILIGREE_AVX2_FMA, "avx2+fma", has({"avx2", "fma"}));
    expect(FILIGREE_AVX512, "avx512", avx512);
    expect(FILIGREE_AVX512_VBMI2, "avx512_vbmi2", avx512 && has({"avx512_vbmi2"}));
    expect(FILIGREE_AVX512_BF16, "avx512_bf16", avx512 && has({"avx512_bf16"}));
    expect(FILIGREE_AMX_BF16, "amx_bf16", has({"amx_tile", "amx_bf16"}));
    expect(FILIGREE_AMX_INT8, "amx_int8", has({"amx_tile", "amx_int8"}));
}

void check_amx(const filigree_features &before) {
    const bool has_amx = (before.usable & (FILIGREE_AMX_BF16 | FILIGREE_AMX_INT8)) != 0;
    const int32_t status = filigree_request_amx();
    CHECK(filigree_request_amx() == status);
    filigree_features after{};
    CHECK(filigree_get_features(&after) == FILIGREE_OK);
    CHECK(after.cpuid == before.cpuid && after.usable == before.usable);
    if (!has_amx) {
        CHECK(status == FILIGREE_UNSUPPORTED_ISA && after.amx_permission == 0);
    } else if (status == FILIGREE_OK) {
        CHECK(after.amx_permission == 1);
    } else {
        CHECK(status == FILIGREE_SYSTEM_ERROR && after.amx_permission < 0);
    }
}

void check_kernel_table() {
    struct Row {
        const char *symbol, *operation, *dtype, *isa, *tile;
        int32_t required;
    };
    const Row rows[] = {
#define FILIGREE_KERNEL(symbol, operation, format, dtype, isa, tile, required_bits)                          \
    {#symbol, operation, dtype, isa, tile, required_bits},
#include "cpu/kernels.def"
#undef FILIGREE_KERNEL
    };
    const int32_t count = static_cast<int32_t>(sizeof rows / sizeof rows[0]);
    CHECK(filigree_kernel_count() == count);
    std::set<std::string> ids;
    for (int32_t i = 0; i < count; ++i) {
        filigree_kernel_info info{};
        CHECK(filigree_get_kernel_info(i, &info) == FILIGREE_OK);
        CHECK(std::string("filigree_") + info.id == rows[i].symbol);
        CHECK(std::string(info.operation) == rows[i].operation && std::string(info.dtype) == rows[i].dtype);
        CHECK(std::string(info.isa) == rows[i].isa && std::string(info.tile) == rows[i].tile);
        CHECK(info.required == rows[i].required && info.required != 0);
        CHECK(ids.insert(info.id).second);
    }
    filigree_kernel_info info{};
    CHECK(filigree_get_kernel_info(-1, &info) == FILIGREE_INVALID_ARGUMENT);
    CHECK(filigree_get_kernel_info(count, &info) == FILIGREE_INVALID_ARGUMENT);
    CHECK(filigree_get_kernel_info(0, nullptr) == FILIGREE_INVALID_ARGUMENT);
}

void check_pages() {
    for (const int64_t bytes : {int64_t{1}, int64_t{4096}, (int64_t{2} << 20) - 1, (int64_t{6} << 20) + 100}) {
        char *memory = static_cast<char *>(filigree_allocate_pages(bytes));
        CHECK(memory != nullptr);
        CHECK(reinterpret_cast<uintptr_t>(memory) % (2 << 20) == 0);
        for (int64_t i = 0; i < bytes; ++i) CHECK(memory[i] == 0);
        std::memset(memory, 1, static_cast<size_t>(bytes));
        CHECK(memory[bytes - 1] == 1);
        CHECK(filigree_free_pages(memory, bytes) == FILIGREE_OK);
    }
    for (const int64_t bytes : {int64_t{0}, int64_t{-1}, INT64_MIN, INT64_MAX, int64_t{1} << 50})
        CHECK(filigree_allocate_pages(bytes) == nullptr);
    char byte = 0;
    CHECK(filigree_free_pages(nullptr, 1) == FILIGREE_INVALID_ARGUMENT);
    CHECK(filigree_free_pages(&byte, 0) == FILIGREE_INVALID_ARGUMENT);
}

} // namespace

int main() {
    CHECK(filigree_abi_version() == FILIGREE_ABI_VERSION);
    for (int32_t status = -1; status <= 5; ++status) CHECK(std::strlen(filigree_status_text(status)) > 0);
    filigree_features features{};
    CHECK(filigree_get_features(nullptr) == FILIGREE_INVALID_ARGUMENT);
    CHECK(filigree_get_features(&features) == FILIGREE_OK);
    check_kernel_table();
    check_pages();
    check_amx(features);
    check_against_cpuinfo(features);
    return 0;
}
