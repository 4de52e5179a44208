package dev.filigree.bench;

import dev.filigree.Activation;
import dev.filigree.DenseMatrix;
import dev.filigree.format.RowMatrix;
import dev.filigree.mlp.ActiveSet;
import dev.filigree.mlp.MlpAccess;
import dev.filigree.mlp.MlpWeights;
import dev.filigree.mlp.Skipping;
import dev.filigree.suite.ReferenceMath;
import java.util.stream.IntStream;

/** An MLP in double, to judge results by and to find thresholds with. */
final class MlpDoubles {

    private MlpDoubles() {}

    /** What {@link Skipping.Gate} compares with its threshold, token by token. */
    static double[] gateScores(MlpWeights weights, DenseMatrix x) {
        float[] norms = weights.down().rowNorms();
        return neurons(weights, x, (token, i) -> {
            RowMatrix first = weights.gate().orElse(weights.up());
            double s = ReferenceMath.activate(weights.activation(), product(weights, first, null, x, token, i));
            return Math.abs(s) * norms[i];
        });
    }

    /** The magnitudes of all elements. */
    static double[] magnitudes(DenseMatrix x) {
        return IntStream.range(0, x.rows() * x.cols()).mapToDouble(i -> Math.abs(x.get(i / x.cols(), i % x.cols())))
            .toArray();
    }

    /** The magnitudes of neurons' values, token by token. */
    static double[] values(MlpWeights weights, Skipping skipping, DenseMatrix x) {
        return neurons(weights, x, (token, i) -> Math.abs(value(weights, skipping, x, token, i)));
    }

    @FunctionalInterface
    private interface Score {
        double of(int token, int neuron);
    }

    private static double[] neurons(MlpWeights weights, DenseMatrix x, Score score) {
        int neurons = weights.intermediate();
        return IntStream.range(0, x.rows() * neurons).parallel()
            .mapToDouble(i -> score.of(i / neurons, i % neurons)).toArray();
    }

    private static double value(MlpWeights weights, Skipping skipping, DenseMatrix x, int token, int neuron) {
        double up = product(weights, weights.up(), skipping, x, token, neuron);
        Activation activation = weights.activation();
        return weights.gate().isEmpty() ? ReferenceMath.activate(activation, up)
            : ReferenceMath.activate(activation, product(weights, weights.gate().get(), skipping, x, token, neuron))
                * up;
    }

    private static double product(
            MlpWeights weights, RowMatrix matrix, Skipping skipping, DenseMatrix x, int token, int neuron) {
        boolean byNeuron = weights.order() == MlpWeights.Order.NEURON_MAJOR;
        float least = skipping instanceof Skipping.Input rule ? rule.input() : 0;
        float[] bias = matrix == weights.up() ? MlpAccess.upBias(weights) : MlpAccess.gateBias(weights);
        double sum = bias == null ? 0 : bias[neuron];
        for (int k = 0; k < weights.hidden(); k++) {
            float input = x.get(token, k);
            if (Math.abs(input) >= least) {
                sum += (double) input * (byNeuron ? matrix.get(neuron, k) : matrix.get(k, neuron));
            }
        }
        return sum;
    }

    /**
     * What a run must come to, and how far it is off: the largest difference over the largest magnitude of the result.
     *
     * @param active the listed neurons, or null where the rule decides
     */
    static double relativeError(
            MlpWeights weights, Skipping skipping, ActiveSet active, DenseMatrix x, DenseMatrix y) {
        float[] norms = weights.down().rowNorms();
        float[] downBias = MlpAccess.downBias(weights);
        double[] errors = new double[2];
        for (int t = 0; t < x.rows(); t++) {
            int token = t;
            double[] h = IntStream.range(0, weights.intermediate()).parallel()
                .mapToDouble(i -> active == null || active.contains(token, i)
                    ? kept(weights, skipping, active, norms, x, token, i) : 0).toArray();
            double[] sums = IntStream.range(0, weights.hidden()).parallel().mapToDouble(c -> {
                double sum = downBias == null ? 0 : downBias[c];
                for (int i = 0; i < h.length; i++) {
                    sum += h[i] == 0 ? 0 : h[i] * weights.down().get(i, c);
                }
                return sum;
            }).toArray();
            for (int c = 0; c < sums.length; c++) {
                double difference = Math.abs(y.get(t, c) - sums[c]);
                errors[0] = Math.max(errors[0], Double.isNaN(difference) ? Double.POSITIVE_INFINITY : difference);
                errors[1] = Math.max(errors[1], Math.abs(sums[c]));
            }
        }
        return errors[1] == 0 ? errors[0] : errors[0] / errors[1];
    }

    private static double kept(MlpWeights weights, Skipping skipping, ActiveSet active, float[] norms, DenseMatrix x,
            int token, int i) {
        double h = value(weights, skipping, x, token, i);
        if (active != null) {
            return h;
        }
        return switch (skipping) {
            case Skipping.None none -> h;
            case Skipping.Gate rule -> {
                RowMatrix first = weights.gate().orElse(weights.up());
                double s = ReferenceMath.activate(weights.activation(), product(weights, first, null, x, token, i));
                yield Math.abs(s) * norms[i] < rule.threshold() ? 0 : h;
            }
            case Skipping.Neuron rule -> Math.abs(h) * norms[i] < rule.threshold() ? 0 : h;
            case Skipping.Input rule -> Math.abs(h) < rule.hidden() ? 0 : h;
        };
    }
}
