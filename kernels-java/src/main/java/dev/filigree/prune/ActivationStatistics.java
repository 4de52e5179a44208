package dev.filigree.prune;

import dev.filigree.DenseMatrix;
import java.util.Objects;

/**
 * What calibration samples say of each input feature of a layer.
 *
 * @param meanSquare the sum over all tokens of x^2, divided by the number of samples: Wanda's squared norm
 * @param mean the sum over all tokens of x, divided by the number of samples
 * @param variance the variance within a sample, averaged over the samples by their tokens
 */
public record ActivationStatistics(double[] meanSquare, double[] mean, double[] variance) {

    /**
     * Copies the arrays.
     *
     * @throws IllegalArgumentException if they are of different lengths
     */
    public ActivationStatistics {
        if (meanSquare.length != mean.length || mean.length != variance.length) {
            throw new IllegalArgumentException("meanSquare, mean and variance have " + meanSquare.length + ", "
                + mean.length + " and " + variance.length + " features");
        }
        meanSquare = meanSquare.clone();
        mean = mean.clone();
        variance = variance.clone();
    }

    /** A copy. */
    @Override
    public double[] meanSquare() {
        return meanSquare.clone();
    }

    /** A copy. */
    @Override
    public double[] mean() {
        return mean.clone();
    }

    /** A copy. */
    @Override
    public double[] variance() {
        return variance.clone();
    }

    /** The number of input features. */
    public int features() {
        return mean.length;
    }

    /** Gathers statistics sample by sample, in double. Not thread-safe. */
    public static final class Builder {
        private final double[] squares;
        private final double[] sums;
        private final double[] variances;
        private long samples;
        private long tokens;

        /**
         * Starts without samples.
         *
         * @param features inputs of the layer
         */
        public Builder(int features) {
            squares = new double[features];
            sums = new double[features];
            variances = new double[features];
        }

        /**
         * Adds a sample.
         *
         * @param x tokens x features, f32 in host memory; at least one token
         * @throws IllegalArgumentException if the shape is wrong
         */
        public Builder add(DenseMatrix x) {
            Objects.requireNonNull(x, "x");
            if (x.cols() != sums.length || x.rows() == 0) {
                throw new IllegalArgumentException("x is " + x.rows() + " x " + x.cols()
                    + ", expected at least one token of " + sums.length + " features");
            }
            for (int j = 0; j < sums.length; j++) {
                double sum = 0;
                double square = 0;
                for (int t = 0; t < x.rows(); t++) {
                    double value = x.get(t, j);
                    sum += value;
                    square += value * value;
                }
                double mean = sum / x.rows();
                double spread = 0;
                for (int t = 0; t < x.rows(); t++) {
                    double distance = x.get(t, j) - mean;
                    spread += distance * distance;
                }
                sums[j] += sum;
                squares[j] += square;
                // The sample's variance times its tokens.
                variances[j] += spread;
            }
            samples++;
            tokens += x.rows();
            return this;
        }

        /**
         * The statistics so far.
         *
         * @throws IllegalStateException if there is no sample
         */
        public ActivationStatistics build() {
            if (samples == 0) {
                throw new IllegalStateException("no sample was added");
            }
            double[] meanSquare = new double[sums.length];
            double[] mean = new double[sums.length];
            double[] variance = new double[sums.length];
            for (int j = 0; j < sums.length; j++) {
                meanSquare[j] = squares[j] / samples;
                mean[j] = sums[j] / samples;
                variance[j] = variances[j] / tokens;
            }
            return new ActivationStatistics(meanSquare, mean, variance);
        }
    }
}
