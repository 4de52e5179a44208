package dev.filigree.spmm;

import dev.filigree.Layout;
import dev.filigree.format.CsrMatrix;
import dev.filigree.spi.KernelProvider;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** Lets the suites plan with a provider of their own, and look at packed bytes. */
public final class PlanAccess {

    private PlanAccess() {}

    /** A plan on a given provider. */
    public static SpmmPlan plan(CsrMatrix a, SpmmOptions options, KernelProvider provider) {
        return SpmmPlan.create(a, options, provider);
    }

    /** The packed form of a matrix. */
    public static MemorySegment pack(CsrMatrix a, Layout layout, int typicalN, Arena arena) {
        return SpmmPacker.pack(a, layout, typicalN, 0, 0, null, arena);
    }
}
