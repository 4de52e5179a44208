package dev.filigree.bench;

import dev.filigree.Backend;
import dev.filigree.bench.measure.SideBySide;
import dev.filigree.bench.peer.PeerPool;
import java.util.Map;
import java.util.Optional;

/** Something to time for a floor; equal cases of several floors are measured once. */
interface FloorCase {

    /** What people call it. */
    String label();

    /** Measures it; never throws for what a contender does. */
    Times measure(Context context);

    /**
     * What cases share.
     *
     * @param backend of ours: the best that this machine has
     * @param onePool peers on one thread
     * @param settings of each measurement
     */
    record Context(Backend backend, PeerPool onePool, SideBySide.Settings settings) {}

    /**
     * What a case took.
     *
     * @param label of the case
     * @param millis medians by contender: {@code ours}, or a peer's name; and what else a floor compares
     * @param sparsity of the matrix
     * @param nnz its nonzeros
     * @param error why a time is missing, if one is
     * @param wrong whether a result of ours was wrong
     * @param absent contenders that have no time while the others have, and why
     */
    record Times(String label, Map<String, Double> millis, double sparsity, long nnz, Optional<String> error,
            boolean wrong, Map<String, String> absent) {

        static final String OURS = "ours";

        Times(String label, Map<String, Double> millis, double sparsity, long nnz, Optional<String> error,
                boolean wrong) {
            this(label, millis, sparsity, nnz, error, wrong, Map.of());
        }

        /** A time, or NaN. */
        double of(String contender) {
            return millis.getOrDefault(contender, Double.NaN);
        }

        static Times failed(String label, String error) {
            return new Times(label, Map.of(), 0, 0, Optional.of(error), false);
        }

        /** How many times faster ours is than a peer. */
        double speedUp(String peer) {
            return millis.get(peer) / millis.get(OURS);
        }
    }
}
