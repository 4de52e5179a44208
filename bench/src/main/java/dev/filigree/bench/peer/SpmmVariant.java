package dev.filigree.bench.peer;

import java.lang.foreign.Arena;

/** One way in which a library can do an SpMM. */
public interface SpmmVariant {

    /** The functions that it calls. */
    String kernel();

    /** Whether a run applies the problem's activation itself; otherwise a pass over the output does. */
    default boolean fusesActivation() {
        return false;
    }

    /**
     * Packs the matrix: all that is done once and is no part of a run.
     *
     * @param arena of everything that the packed matrix needs
     * @throws PeerException if the library refuses
     */
    PackedSpmm pack(Arena arena);
}
