package dev.filigree.bench;

import dev.filigree.bench.measure.Statistics;
import java.util.List;
import java.util.function.ToDoubleFunction;

/** How a floor's measure follows from the times of its cases. */
final class FloorMeasures {

    private FloorMeasures() {}

    /** The geometric mean of the speed-ups over a peer. */
    static ToDoubleFunction<List<FloorCase.Times>> geomeanOver(String peer) {
        return times -> Statistics.geometricMean(times.stream().mapToDouble(t -> t.speedUp(peer)).toArray());
    }

    /**
     * The geometric mean of speed-ups over a dense peer as shares of the work that sparsity saves: 1 when 90 % sparse
     * is ten times as fast.
     */
    static ToDoubleFunction<List<FloorCase.Times>> shareOfSavedWork(String densePeer) {
        return times -> Statistics.geometricMean(
            times.stream().mapToDouble(t -> t.speedUp(densePeer) * (1 - t.sparsity())).toArray());
    }

    /** The speed-up over a peer on all cases, one after the other. */
    static ToDoubleFunction<List<FloorCase.Times>> totalOver(String peer) {
        return times -> times.stream().mapToDouble(t -> t.millis().get(peer)).sum()
            / times.stream().mapToDouble(t -> t.millis().get(FloorCase.Times.OURS)).sum();
    }

    /** The least of the speed-ups over a contender. */
    static ToDoubleFunction<List<FloorCase.Times>> leastOver(String other) {
        return times -> times.stream().mapToDouble(t -> t.speedUp(other)).min().orElseThrow();
    }

    /** The least of a contender's speed-ups over ours. */
    static ToDoubleFunction<List<FloorCase.Times>> leastOf(String other) {
        return times -> times.stream().mapToDouble(t -> 1 / t.speedUp(other)).min().orElseThrow();
    }

    /** The best time of a nonzero over the worst. */
    static double evennessPerNonzero(List<FloorCase.Times> times) {
        double[] perNonzero =
            times.stream().mapToDouble(t -> t.millis().get(FloorCase.Times.OURS) / t.nnz()).sorted().toArray();
        return perNonzero[0] / perNonzero[perNonzero.length - 1];
    }
}
