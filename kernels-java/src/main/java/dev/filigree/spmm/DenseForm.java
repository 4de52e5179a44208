package dev.filigree.spmm;

import dev.filigree.spi.GemmFormat;
import dev.filigree.spi.GemmKernel;
import java.lang.foreign.MemorySegment;

/**
 * A plan's matrix as a dense one.
 *
 * @param kernel what multiplies it
 * @param packed the matrix, in the plan's arena
 * @param complete whether every element is stored, so that no zero was filled in
 */
record DenseForm(GemmKernel kernel, MemorySegment packed, boolean complete) {

    long chunkCount() {
        return GemmFormat.field(packed, GemmFormat.CHUNK_COUNT);
    }

    long scratchBytes() {
        return GemmFormat.field(packed, GemmFormat.SCRATCH_BYTES);
    }

    /** Operations of a run, those with zeros included. */
    double flops(int n) {
        return 2.0 * GemmFormat.field(packed, GemmFormat.ROWS) * GemmFormat.field(packed, GemmFormat.COLS) * n;
    }

    /** What the packed form is, in words. */
    String describe() {
        long blocks = GemmFormat.field(packed, GemmFormat.BLOCK_COUNT);
        return "dense in " + blocks + (blocks == 1 ? " block of " : " blocks of ")
            + GemmFormat.field(packed, GemmFormat.BLOCK_DEPTH) + " columns, "
            + GemmFormat.field(packed, GemmFormat.CHUNK_COUNT) + " row groups";
    }
}
