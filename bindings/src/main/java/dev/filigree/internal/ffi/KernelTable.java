package dev.filigree.internal.ffi;

import dev.filigree.DType;
import dev.filigree.internal.MaxIsa;
import dev.filigree.spi.KernelInfo;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/** Reads the library's table of kernels. */
final class KernelTable {

    private KernelTable() {}

    /** The kernels that a processor can run under a cap, in the order of the table. */
    static List<KernelInfo> read(ProcessorFeatures features, MaxIsa cap) {
        List<KernelInfo> kernels = new ArrayList<>();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment row = filigree_kernel_info.allocate(arena);
            for (int i = 0; i < Filigree.filigree_kernel_count(); i++) {
                NativeStatus.check("filigree_get_kernel_info", Filigree.filigree_get_kernel_info(i, row));
                if (features.allows(filigree_kernel_info.required(row), cap)) {
                    kernels.add(new KernelInfo(
                        text(filigree_kernel_info.id(row)),
                        text(filigree_kernel_info.operation(row)),
                        dtype(text(filigree_kernel_info.dtype(row))),
                        text(filigree_kernel_info.isa(row)),
                        text(filigree_kernel_info.tile(row))));
                }
            }
        }
        return List.copyOf(kernels);
    }

    private static String text(MemorySegment pointer) {
        return pointer.getString(0);
    }

    private static DType dtype(String id) {
        for (DType dtype : DType.values()) {
            if (dtype.id().equals(id)) {
                return dtype;
            }
        }
        throw new IllegalStateException("the kernel table names an unknown dtype: " + id);
    }
}
