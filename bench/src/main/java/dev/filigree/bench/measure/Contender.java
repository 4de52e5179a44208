package dev.filigree.bench.measure;

import java.util.function.LongSupplier;

/** One implementation in a side-by-side measurement, packed and with operands of its own. */
public interface Contender extends AutoCloseable {

    /** The name in tables and JSON: {@code filigree/vector}, {@code mkl-sparse}. */
    String name();

    /** The id of the kernel that runs. */
    String kernel();

    /** Computes the case once, on the next of its working sets. */
    void run();

    /** How many copies of its operands runs take in turn. */
    default int workingSets() {
        return 1;
    }

    /**
     * Runs after which the JIT has compiled what they call, however slow a busy machine is. Kernels that count on it
     * call a method an item; one whose first run alone loops often enough needs fewer.
     */
    default int warmRuns() {
        return 50;
    }

    /**
     * Runs several times; returns the nanoseconds that they took together.
     *
     * @param nanoClock that an implementation reads unless it has one nearer to the work
     */
    default long time(int count, LongSupplier nanoClock) {
        long start = nanoClock.getAsLong();
        for (int i = 0; i < count; i++) {
            run();
        }
        return nanoClock.getAsLong() - start;
    }

    /** The time that packing takes, which is never part of a run. */
    double packMillis();

    /** Memory that the packed operand takes. */
    long packedBytes();

    /** Memory that a run touches: the packed operand and the dense ones. */
    long residentBytes();

    @Override
    void close();
}
