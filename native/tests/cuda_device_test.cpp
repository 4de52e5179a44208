/*
 * libfiligree_cuda.so, loaded as the bindings load it.
 *
 *   cuda_device_test load <library>     it loads and answers on every machine, without a driver too
 *   cuda_device_test device <library>   what it says of each device
 */
#include "filigree_cuda.h"
#include "testing.h"

#include <dlfcn.h>
#include <initializer_list>

using namespace filigree_test;

namespace {

void *library;

template <class F> F *symbol(const char *name) {
    void *found = dlsym(library, name);
    if (found == nullptr) fail("%s: %s", name, dlerror());
    return reinterpret_cast<F *>(found);
}

#define LOOK_UP(name) const auto name = symbol<decltype(::name)>(#name)

} // namespace

int main(int argc, char **argv) {
    if (argc != 3) fail("usage: cuda_device_test load|device <library>");
    const bool wants_device = std::strcmp(argv[1], "device") == 0;
    library = dlopen(argv[2], RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) fail("%s", dlerror());
    LOOK_UP(filigree_cuda_abi_version);
    LOOK_UP(filigree_cuda_status_text);
    LOOK_UP(filigree_cuda_versions);
    LOOK_UP(filigree_cuda_device_count);
    LOOK_UP(filigree_cuda_get_device);

    CHECK(filigree_cuda_abi_version() == FILIGREE_CUDA_ABI_VERSION);
    for (const int32_t status : {-1, 0, 1, 2, 3, 4, 5, 6, 1000, 1002, 99999})
        CHECK(std::strlen(filigree_cuda_status_text(status)) > 0);
    int32_t runtime = -1, driver = -1;
    CHECK(filigree_cuda_versions(&runtime, &driver) == FILIGREE_CUDA_OK && runtime >= 11000 && driver >= 0);
    CHECK(filigree_cuda_versions(nullptr, &driver) == FILIGREE_CUDA_INVALID_ARGUMENT);
    CHECK(filigree_cuda_device_count(nullptr) == FILIGREE_CUDA_INVALID_ARGUMENT);
    CHECK(filigree_cuda_get_device(0, nullptr) == FILIGREE_CUDA_INVALID_ARGUMENT);

    int32_t count = -1;
    const int32_t status = filigree_cuda_device_count(&count);
    std::printf("built with CUDA %d, driver %d, %d devices: %s\n", runtime, driver, count,
                filigree_cuda_status_text(status));
    filigree_cuda_device device{};
    if (status != FILIGREE_CUDA_OK) {
        CHECK(count == 0);
        CHECK((status == FILIGREE_CUDA_NO_DRIVER) == (driver == 0));
        CHECK(filigree_cuda_get_device(0, &device) == status);
        if (wants_device) skip("%s", filigree_cuda_status_text(status));
        return 0;
    }
    CHECK(count > 0);
    CHECK(filigree_cuda_get_device(-1, &device) == FILIGREE_CUDA_INVALID_ARGUMENT);
    CHECK(filigree_cuda_get_device(count, &device) == FILIGREE_CUDA_INVALID_ARGUMENT);
    for (int32_t i = 0; i < count; ++i) {
        const int32_t found = filigree_cuda_get_device(i, &device);
        CHECK(found == FILIGREE_CUDA_OK || found == FILIGREE_CUDA_OLD_DEVICE);
        CHECK((device.capability < FILIGREE_CUDA_LEAST_CAPABILITY) == (found == FILIGREE_CUDA_OLD_DEVICE));
        CHECK(device.memory_bytes > 0 && device.multiprocessors > 0 && std::strlen(device.name) > 0);
        std::printf("%d: %s, sm_%d, %lld MiB\n", i, device.name, device.capability,
                    static_cast<long long>(device.memory_bytes >> 20));
    }
    return 0;
}
