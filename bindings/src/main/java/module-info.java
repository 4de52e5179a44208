/**
 * Filigree's native kernels: the AVX-512 and CUDA backends, found as
 * {@link dev.filigree.spi.KernelProvider} services where this module is on the class path or the module path.
 *
 * <p>Start Java with {@code --enable-native-access=dev.filigree.bindings} (or {@code ALL-UNNAMED} on the
 * class path). System properties: {@code filigree.native.path} names a library file, or a folder of
 * libraries, to use instead of the jar's own; {@code filigree.native.cache} names the folder into which the
 * jar's are copied.
 */
module dev.filigree.bindings {
    requires transitive dev.filigree.kernels;

    exports dev.filigree.cuda;

    provides dev.filigree.spi.KernelProvider
        with dev.filigree.internal.ffi.Avx512Provider, dev.filigree.internal.ffi.CudaProvider;
}
