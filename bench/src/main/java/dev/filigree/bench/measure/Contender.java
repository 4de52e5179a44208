package dev.filigree.bench.measure;

/** One implementation in a side-by-side measurement, packed and with operands of its own. */
public interface Contender extends AutoCloseable {

    /** The name in tables and JSON: {@code filigree/vector}, {@code mkl-sparse}. */
    String name();

    /** The id of the kernel that runs. */
    String kernel();

    /** Computes the case once, on the next of its working sets. */
    void run();

    /** The time that packing takes, which is never part of a run. */
    double packMillis();

    /** Memory that the packed operand takes. */
    long packedBytes();

    /** Memory that a run touches: the packed operand and the dense ones. */
    long residentBytes();

    @Override
    void close();
}
