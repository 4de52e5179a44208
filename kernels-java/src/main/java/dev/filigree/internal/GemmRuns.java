package dev.filigree.internal;

import dev.filigree.DType;
import dev.filigree.Layout;
import dev.filigree.Workers;
import dev.filigree.spi.GemmFormat;
import dev.filigree.spi.GemmKernel;
import java.lang.foreign.MemorySegment;

/** Runs of a packed dense matrix on the host. */
public final class GemmRuns extends HostRuns {

    private final GemmKernel kernel;
    private final MemorySegment packed;

    /**
     * Runs on a team.
     *
     * @param packed the matrix, see {@link GemmFormat}; stays in the caller's care
     */
    public GemmRuns(GemmKernel kernel, MemorySegment packed, Workers workers) {
        super(workers, GemmFormat.intField(packed, GemmFormat.LAYOUT) == Layout.TOKEN_MAJOR.code()
            ? Layout.TOKEN_MAJOR : Layout.FEATURE_MAJOR, (int) GemmFormat.field(packed, GemmFormat.ROWS),
            (int) GemmFormat.field(packed, GemmFormat.COLS), DType.F32);
        this.kernel = kernel;
        this.packed = packed;
    }

    @Override
    protected Call newCall() {
        return new GemmCall();
    }

    private final class GemmCall extends Call {
        @Override
        protected void execute() {
            double flops = 2.0 * GemmFormat.field(packed, GemmFormat.ROWS)
                * GemmFormat.field(packed, GemmFormat.COLS) * n;
            runItems(0, GemmFormat.panels(n) * GemmFormat.field(packed, GemmFormat.CHUNK_COUNT),
                GemmFormat.field(packed, GemmFormat.SCRATCH_BYTES), flops);
        }

        @Override
        protected void compute(long begin, long end, MemorySegment scratch) {
            kernel.run(packed, b, bStride, c, cStride, n, alpha, beta, begin, end, scratch);
        }
    }
}
