package dev.filigree.bench;

import java.util.Map;
import java.util.Optional;

/** Random cases of one operation, run on all backends and compared. */
interface Verification extends AutoCloseable {

    /** Runs the case of a seed; returns what was wrong with it, if anything. */
    Optional<String> verify(long seed);

    /** How many runs each kernel has done. */
    Map<String, Long> runsByKernel();

    @Override
    void close();
}
