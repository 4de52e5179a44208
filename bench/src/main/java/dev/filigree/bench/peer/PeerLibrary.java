package dev.filigree.bench.peer;

import java.util.List;

/** A library to compare with, in the process that it has for itself; a service. */
public interface PeerLibrary {

    /** The contenders that it offers, all with the vendor's name before the first hyphen: {@code mkl-sparse}. */
    List<String> names();

    /**
     * Loads it and sets its number of threads; called once, before anything else.
     *
     * @throws PeerException if it cannot be loaded, or will not use this number
     */
    void load(int threads);

    /**
     * Whether it takes operands of bf16, too, with sums in f32.
     *
     * @param name one of {@link #names()}
     */
    default boolean takesBf16(String name) {
        return false;
    }

    /**
     * The ways in which it can do an SpMM; the fastest of those that work is measured.
     *
     * @param name one of {@link #names()}
     * @throws PeerException if it has none, or not of this problem
     */
    default List<PeerVariant> spmm(String name, SpmmPeerProblem problem) {
        throw new PeerException("it multiplies no matrices");
    }

    /**
     * The ways in which it can do an attention; the fastest of those that work is measured.
     *
     * @param name one of {@link #names()}
     * @throws PeerException if it has none, or not of this problem
     */
    default List<PeerVariant> attention(String name, AttentionPeerProblem problem) {
        throw new PeerException("it has no attention");
    }
}
