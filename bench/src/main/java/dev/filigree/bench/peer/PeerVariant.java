package dev.filigree.bench.peer;

import java.lang.foreign.Arena;

/** One way in which a library can solve a problem. */
public interface PeerVariant {

    /** The functions that it calls. */
    String kernel();

    /** Whether a run applies the problem's activation itself; otherwise a pass over the output does. */
    default boolean fusesActivation() {
        return false;
    }

    /**
     * Prepares it, as by packing a matrix: all that is done once and is no part of a run.
     *
     * @param arena of everything that this needs
     * @throws PeerException if the library refuses
     */
    PackedPeer pack(Arena arena);
}
