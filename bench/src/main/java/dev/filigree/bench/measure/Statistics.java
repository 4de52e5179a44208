package dev.filigree.bench.measure;

import java.util.Arrays;

/** Statistics of small samples. */
public final class Statistics {

    private Statistics() {}

    /**
     * The middle value, or the mean of the two in the middle.
     *
     * @throws IllegalArgumentException if there are none
     */
    public static double median(double... sample) {
        requireValues(sample);
        double[] sorted = sample.clone();
        Arrays.sort(sorted);
        int middle = sorted.length / 2;
        return sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }

    /**
     * The least value.
     *
     * @throws IllegalArgumentException if there are none
     */
    public static double minimum(double... sample) {
        requireValues(sample);
        return Arrays.stream(sample).min().getAsDouble();
    }

    /**
     * The mean that suits ratios and rates over different cases.
     *
     * @throws IllegalArgumentException if there are none, or one is not positive
     */
    public static double geometricMean(double... sample) {
        requireValues(sample);
        double logs = 0;
        for (double x : sample) {
            if (!(x > 0)) {
                throw new IllegalArgumentException(x + " has no logarithm");
            }
            logs += Math.log(x);
        }
        return Math.exp(logs / sample.length);
    }

    private static void requireValues(double[] sample) {
        if (sample.length == 0) {
            throw new IllegalArgumentException("no values");
        }
    }
}
