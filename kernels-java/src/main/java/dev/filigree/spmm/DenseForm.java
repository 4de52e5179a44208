package dev.filigree.spmm;

import dev.filigree.format.CsrMatrix;
import dev.filigree.internal.GemmPacker;
import dev.filigree.spi.GemmFormat;
import dev.filigree.spi.GemmKernel;
import java.lang.foreign.MemorySegment;

/**
 * A plan's matrix as a dense one.
 *
 * @param pattern where the stored elements are
 * @param kernel what multiplies it
 * @param packed the matrix, in the plan's arena
 */
record DenseForm(CsrMatrix pattern, GemmKernel kernel, MemorySegment packed) {

    /** Whether every element is stored, so that no zero was filled in. */
    boolean complete() {
        return pattern.nnz() == (long) pattern.rows() * pattern.cols();
    }

    void update(MemorySegment values) {
        GemmPacker.update(pattern, packed, values);
    }

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
