package dev.filigree.suite.mlp;

import dev.filigree.DenseMatrix;
import dev.filigree.mlp.MlpAccess;
import dev.filigree.mlp.MlpWeights;
import dev.filigree.mlp.Skipping;
import dev.filigree.suite.Dense;
import dev.filigree.suite.ReferenceMath;
import java.lang.foreign.Arena;
import java.util.Arrays;
import java.util.Optional;
import java.util.function.ToDoubleBiFunction;

/**
 * An MLP in double over the neurons that count, and the only tolerance that a result is held to:
 * {@code (8 + 2 sqrt(k)) 2^-24 S + k 2^-126} for each sum, where k counts its terms and S adds up their magnitudes;
 * activation, product and down projection pass it on.
 */
public final class MlpReference {

    private static final double UNIT = 0x1p-24;

    private final MlpCase test;
    private final double[][] expected;
    private final double[][] tolerance;

    /** Computes the reference of a case from its own tokens. */
    public MlpReference(MlpCase test, DenseMatrix input) {
        this.test = test;
        MlpWeights w = test.weights();
        expected = new double[test.tokens()][w.hidden()];
        tolerance = new double[test.tokens()][w.hidden()];
        for (int t = 0; t < test.tokens(); t++) {
            Values values = new Values(test, input, t);
            double[] magnitude = new double[w.hidden()];
            int terms = 0;
            for (int i = 0; i < w.intermediate(); i++) {
                if (!values.counts(i)) {
                    continue;
                }
                terms++;
                for (int c = 0; c < w.hidden(); c++) {
                    double weight = w.down().get(i, c);
                    expected[t][c] += values.h[i] * weight;
                    magnitude[c] += Math.abs(values.h[i] * weight);
                    tolerance[t][c] += values.bound[i] * Math.abs(weight);
                }
            }
            float[] bias = MlpAccess.downBias(w);
            for (int c = 0; c < w.hidden(); c++) {
                double add = bias == null ? 0 : bias[c];
                expected[t][c] += add;
                tolerance[t][c] += bound(terms + 1, magnitude[c] + Math.abs(add));
            }
        }
    }

    private static double bound(int terms, double magnitude) {
        return (8 + 2 * Math.sqrt(terms)) * UNIT * magnitude + terms * 0x1p-126;
    }

    /** The neurons of one token. */
    private static final class Values {
        private final MlpCase test;
        private final int token;
        /** After the activation. */
        final double[] gate;
        final double[] h;
        final double[] bound;

        Values(MlpCase test, DenseMatrix input, int token) {
            this.test = test;
            this.token = token;
            MlpWeights w = test.weights();
            int count = w.intermediate();
            gate = new double[count];
            h = new double[count];
            bound = new double[count];
            for (int i = 0; i < count; i++) {
                double[] up = product(w, false, input, i);
                if (w.gate().isEmpty()) {
                    h[i] = ReferenceMath.activate(w.activation(), up[0]);
                    bound[i] = up[1] * ReferenceMath.slope(w.activation(), up[0], up[1]) + UNIT * Math.abs(h[i]);
                    gate[i] = h[i];
                    continue;
                }
                double[] g = product(w, true, input, i);
                gate[i] = ReferenceMath.activate(w.activation(), g[0]);
                double gateBound =
                    g[1] * ReferenceMath.slope(w.activation(), g[0], g[1]) + UNIT * Math.abs(gate[i]);
                h[i] = gate[i] * up[0];
                bound[i] = Math.abs(gate[i]) * up[1] + Math.abs(up[0]) * gateBound + gateBound * up[1]
                    + UNIT * Math.abs(h[i]) + 0x1p-126;
            }
        }

        /** A neuron's sum and its bound. */
        private double[] product(MlpWeights w, boolean isGate, DenseMatrix input, int neuron) {
            var matrix = isGate ? w.gate().orElseThrow() : w.up();
            double sum = 0;
            double magnitude = 0;
            boolean byNeuron = w.order() == MlpWeights.Order.NEURON_MAJOR;
            for (int k = 0; k < w.hidden(); k++) {
                float x = input.get(token, k);
                if (test.skipping() instanceof Skipping.Input rule && Math.abs(x) < rule.input()) {
                    continue;
                }
                double term = (double) x * (byNeuron ? matrix.get(neuron, k) : matrix.get(k, neuron));
                sum += term;
                magnitude += Math.abs(term);
            }
            float[] bias = isGate ? MlpAccess.gateBias(w) : MlpAccess.upBias(w);
            double add = bias == null ? 0 : bias[neuron];
            return new double[] {sum + add, MlpReference.bound(w.hidden() + 1, magnitude + Math.abs(add))};
        }

        boolean counts(int neuron) {
            if (test.active() != null) {
                return test.active().contains(token, neuron);
            }
            return switch (test.skipping()) {
                case Skipping.None none -> true;
                case Skipping.Gate rule -> Math.abs(gate[neuron]) * norm(test, neuron) >= rule.threshold();
                case Skipping.Neuron rule -> Math.abs(h[neuron]) * norm(test, neuron) >= rule.threshold();
                case Skipping.Input rule -> Math.abs(h[neuron]) >= rule.hidden();
            };
        }
    }

    private static double norm(MlpCase test, int neuron) {
        double sum = 0;
        for (int c = 0; c < test.weights().hidden(); c++) {
            sum += (double) test.weights().down().get(neuron, c) * test.weights().down().get(neuron, c);
        }
        return Math.sqrt(sum);
    }

    /** A threshold that skips about a share of the neurons by their gates. */
    static float gateThreshold(MlpCase test, double share) {
        return threshold(test, share, (values, i) -> Math.abs(values.gate[i]) * norm(test, i));
    }

    /** A threshold that skips about a share of the neurons by what they add. */
    static float neuronThreshold(MlpCase test, double share) {
        return threshold(test, share, (values, i) -> Math.abs(values.h[i]) * norm(test, i));
    }

    /** A threshold that skips about a share of the neurons by their values. */
    static float hiddenThreshold(MlpCase test, double share) {
        return threshold(test, share, (values, i) -> Math.abs(values.h[i]));
    }

    /** A threshold that skips about a share of the inputs. */
    static float inputThreshold(MlpCase test, double share) {
        DenseMatrix input = test.input(Arena.ofAuto());
        double[] scores = new double[test.tokens() * test.weights().hidden()];
        for (int i = 0; i < scores.length; i++) {
            scores[i] = Math.abs(input.get(i / test.weights().hidden(), i % test.weights().hidden()));
        }
        return between(scores, share);
    }

    private static float threshold(MlpCase test, double share, ToDoubleBiFunction<Values, Integer> score) {
        try (Arena arena = test.place() == Dense.Place.SHARED ? Arena.ofShared() : Arena.ofConfined()) {
            DenseMatrix input = test.input(arena);
            int neurons = test.weights().intermediate();
            double[] scores = new double[test.tokens() * neurons];
            for (int t = 0; t < test.tokens(); t++) {
                Values values = new Values(test, input, t);
                for (int i = 0; i < neurons; i++) {
                    scores[t * neurons + i] = score.applyAsDouble(values, i);
                }
            }
            return between(scores, share);
        }
    }

    /** Between two scores so far apart that rounding cannot put one on the other side; 0 if there are none. */
    private static float between(double[] scores, double share) {
        Arrays.sort(scores);
        for (int i = (int) (share * scores.length); i > 0 && i < scores.length; i++) {
            if (scores[i] > 1e-3 && scores[i - 1] < scores[i] * 0.999) {
                return (float) ((scores[i - 1] + scores[i]) / 2);
            }
        }
        return 0;
    }

    /** The first element of an output that is out of tolerance, or a gap between rows that was written to. */
    public Optional<String> mismatch(DenseMatrix output) {
        for (int t = 0; t < test.tokens(); t++) {
            for (int c = 0; c < output.cols(); c++) {
                // Written so that a NaN is a mismatch.
                if (!(Math.abs(output.get(t, c) - expected[t][c]) <= tolerance[t][c])) {
                    return Optional.of(String.format("(%d, %d) is %s, expected %s +- %s [%s]", t, c, output.get(t, c),
                        expected[t][c], tolerance[t][c], test));
                }
            }
        }
        return Dense.gapsIntact(output) ? Optional.empty()
            : Optional.of("a gap between the rows of the output was written to [" + test + "]");
    }
}
