package dev.filigree.bench.measure;

/**
 * What a contender took for one run.
 *
 * @param medianMillis over the rounds; a round's time is the mean of its batch
 * @param minMillis of the best round
 * @param rounds how many there were
 */
public record Timing(double medianMillis, double minMillis, int rounds) {

    static Timing of(double[] nanosByRound) {
        return new Timing(Statistics.median(nanosByRound) / 1e6, Statistics.minimum(nanosByRound) / 1e6,
            nanosByRound.length);
    }
}
