package dev.filigree.internal.ffi;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import dev.filigree.spi.SpmmFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.management.ManagementFactory;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A warm call into the library allocates nothing, whatever its arguments. */
class DowncallTest {

    private static final int WARM_UP = 30_000;
    private static final int CALLS = 1_000;

    private final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();

    @BeforeEach
    void assumeNatives() {
        Tools.assumeNatives();
    }

    private long allocatedBy(Runnable call) {
        for (int i = 0; i < WARM_UP; i++) {
            call.run();
        }
        long before = threads.getCurrentThreadAllocatedBytes();
        for (int i = 0; i < CALLS; i++) {
            call.run();
        }
        return threads.getCurrentThreadAllocatedBytes() - before;
    }

    @Test
    void anEmptyCall() {
        assertThat(allocatedBy(Filigree::filigree_abi_version)).isZero();
    }

    @Test
    void aKernelOnSharedMemory() {
        try (Arena arena = Arena.ofShared()) {
            // An impossible header: the call returns at once, after all its arguments have crossed.
            MemorySegment zeros =
                arena.allocate(SpmmFormat.HEADER_BYTES + SpmmFormat.TAIL, SpmmFormat.ALIGNMENT);
            assertThat(allocatedBy(() -> Filigree.filigree_spmm_csr_f32_avx512(
                zeros, zeros, 1, zeros, 1, 1, 1f, 0f, MemorySegment.NULL, 0, 1, zeros))).isZero();
        }
    }
}
