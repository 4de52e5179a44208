package dev.filigree.internal.vector;

import dev.filigree.Backend;
import dev.filigree.Refusal;
import java.lang.foreign.MemorySegment;
import java.util.Optional;

/**
 * The process's memory as one segment, so that kernels reach the library's own buffers by address.
 *
 * <p>A constant segment costs a kernel no check of length, type or arena, and, what matters more, no profile: in a
 * JVM where anybody ever used vectors on heap segments, or closed an arena under a reader, each access through a
 * segment that is not constant gets slow paths that push the compiler over its inlining budget, and then it
 * boxes vectors. Never used on a caller's memory, whose lifetime is not ours.
 */
final class RawMemory {

    /** User space ends at 2^47 (4-level page tables; Linux maps nothing above unless asked to). */
    static final long USER_SPACE = (1L << 47) - 1;

    private static final Refusal REFUSAL;

    /** Address 0 and up; null when {@link #refusal()} is not empty. */
    static final MemorySegment ALL;

    static {
        MemorySegment all = null;
        Refusal refusal = null;
        try {
            all = MemorySegment.NULL.reinterpret(Long.MAX_VALUE);
        } catch (IllegalCallerException e) {
            refusal = new Refusal(Backend.VECTOR, "native access is denied to Filigree's Java kernels",
                "start Java with --enable-native-access=" + (RawMemory.class.getModule().isNamed()
                    ? RawMemory.class.getModule().getName() : "ALL-UNNAMED"));
        }
        ALL = all;
        REFUSAL = refusal;
    }

    private RawMemory() {}

    /**
     * The address itself, with its range made known to the compiler: offsets from it then need no bounds check,
     * which is a third of a kernel's instructions.
     */
    static long address(long address) {
        return address & USER_SPACE;
    }

    /** Why raw memory cannot be used. */
    static Optional<Refusal> refusal() {
        return Optional.ofNullable(REFUSAL);
    }
}
