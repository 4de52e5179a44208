package dev.filigree.bench;

import dev.filigree.format.BlockGrid;
import dev.filigree.format.BlockMask;

/** Masks for JMH. */
public final class BenchmarkMasks {

    private static final int BLOCK = 64;
    private static final long SEED = 1;

    private BenchmarkMasks() {}

    /** Blocks of 64 x 64 at random, the same number in each block row. */
    public static BlockMask random(int seq, double density) {
        return AttentionLayouts.random(BlockGrid.square(seq, BLOCK), density, false, SEED);
    }
}
