package dev.filigree.bench;

import dev.filigree.DenseMatrix;
import dev.filigree.Workers;

/**
 * An implementation of an operation under test; a test of the verification puts a wrong one in.
 *
 * @param <C> the operation's cases
 */
interface Subject<C> {

    /** What messages call it. */
    String name();

    /** Whether it can run a case at all; this machine may lack what some need. */
    default boolean takes(C test) {
        return true;
    }

    /** Runs a case on a team and returns the id of the kernel that did it, or several with " + " between. */
    String run(C test, Workers team, DenseMatrix input, DenseMatrix output);

    /** Whether its result of a case has the bits of the scalar backend; otherwise it is within the bound. */
    default boolean sharesBits(C test) {
        return true;
    }
}
