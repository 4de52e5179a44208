package dev.filigree.spmm;

import dev.filigree.DenseMatrix;
import dev.filigree.Memory;
import dev.filigree.Stream;
import dev.filigree.internal.Operands;
import java.lang.foreign.MemorySegment;

/** Runs a packed matrix somewhere; owns what it needs for that. */
sealed interface Executor extends AutoCloseable permits HostExecutor, DeviceExecutor {

    /**
     * Checks the operands of a run and returns n.
     *
     * @throws IllegalArgumentException naming the operand
     */
    int check(SpmmPlan plan, DenseMatrix b, DenseMatrix c);

    /** Runs checked operands to the end; n is at least 1. */
    void run(float alpha, DenseMatrix b, float beta, DenseMatrix c, int n);

    /**
     * Checks the stream of an asynchronous run.
     *
     * @throws UnsupportedOperationException if this does not run on a device
     * @throws IllegalArgumentException if the stream is another device's
     */
    void checkStream(Stream stream);

    /**
     * Submits checked operands to a checked stream; n is at least 1.
     *
     * @throws IllegalArgumentException if the operands are not in the device's memory
     */
    void runAsync(Stream stream, float alpha, DenseMatrix b, float beta, DenseMatrix c, int n);

    /** Overwrites the matrix's values, in the order of the CSR matrix; no run is in progress on the host. */
    void update(MemorySegment values);

    @Override
    void close();

    /** The checks that do not depend on where the plan runs. */
    static int checkOperands(SpmmPlan plan, Memory memory, DenseMatrix b, DenseMatrix c) {
        return Operands.requireProduct(plan.layout(), plan.rows(), plan.cols(), plan.dtype(), memory, b, c);
    }
}
