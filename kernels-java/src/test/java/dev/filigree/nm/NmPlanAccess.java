package dev.filigree.nm;

import dev.filigree.DType;
import dev.filigree.format.NmMatrix;
import dev.filigree.spi.KernelProvider;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Lets the suites plan with a provider of their own, and look at packed bytes. */
public final class NmPlanAccess {

    private NmPlanAccess() {}

    /** A plan on a given provider. */
    public static NmPlan plan(NmMatrix a, NmOptions options, KernelProvider provider) {
        return NmPlan.create(a, options, provider);
    }

    /** The packed form of a matrix. */
    public static MemorySegment pack(NmMatrix a, DType dtype, Arena arena) {
        return NmPacker.pack(a, dtype, 0, 0, null, arena);
    }
}
