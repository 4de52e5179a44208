package dev.filigree.mlp;

import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.format.RowMatrix;
import java.util.Arrays;
import java.util.Objects;
import java.util.SplittableRandom;

/**
 * Fits a low-rank predictor to recorded tokens, as Deja Vu (arXiv 2310.17157) does: binary cross-entropy in which a
 * neuron that is needed weighs 1 and one that is not weighs the share of those that are, plus 0.005; AdamW with weight
 * decay 0.01. Single-threaded; the same seed gives the same predictor on every machine.
 *
 * @param rank of the predictor
 * @param epochs passes over the tokens
 * @param batch tokens of a step
 * @param learningRate of AdamW
 * @param seed of the first weights and of the order of tokens
 */
public record MlpPredictorTrainer(int rank, int epochs, int batch, double learningRate, long seed) {

    private static final double NEGATIVE_WEIGHT = 0.005;
    private static final double WEIGHT_DECAY = 0.01;
    private static final double BETA1 = 0.9;
    private static final double BETA2 = 0.999;
    private static final double EPSILON = 1e-8;

    /** Checks. */
    public MlpPredictorTrainer {
        if (rank < 1 || epochs < 1 || batch < 1) {
            throw new IllegalArgumentException(
                "rank = " + rank + ", epochs = " + epochs + ", batch = " + batch + ": must be at least 1");
        }
        if (!(learningRate > 0)) {
            throw new IllegalArgumentException("learningRate = " + learningRate + " is not positive");
        }
    }

    /** With the paper's figures: 20 epochs, batches of 1024, a learning rate of 1e-3. */
    public MlpPredictorTrainer(int rank) {
        this(rank, 20, 1024, 1e-3, 1);
    }

    /**
     * What was fitted.
     *
     * @param first rank x inputs
     * @param second neurons x rank
     * @param losses the mean loss of each epoch
     */
    public record Fitted(RowMatrix first, RowMatrix second, double[] losses) {}

    /**
     * Fits a predictor.
     *
     * @param inputs f32 in host memory, tokens x inputs
     * @param needed the neurons that each of these tokens needs
     * @param dtype of the matrices
     * @throws IllegalArgumentException if there are no tokens, or not as many in both
     */
    public Fitted fit(DenseMatrix inputs, ActiveSet needed, DType dtype) {
        Objects.requireNonNull(dtype, "dtype");
        if (inputs.rows() != needed.tokens() || inputs.rows() == 0) {
            throw new IllegalArgumentException(
                "inputs has " + inputs.rows() + " tokens, needed " + needed.tokens());
        }
        Fit fit = new Fit(this, inputs, needed);
        double[] losses = new double[epochs];
        for (int epoch = 0; epoch < epochs; epoch++) {
            losses[epoch] = fit.epoch();
        }
        // Both are kept transposed, so that loops run along rows.
        DenseMatrix first = DenseMatrix.of(fit.first.values, inputs.cols(), rank);
        DenseMatrix second = DenseMatrix.of(fit.second.values, rank, needed.units());
        return new Fitted(RowMatrix.ofTransposed(first, dtype), RowMatrix.ofTransposed(second, dtype), losses);
    }

    /** A matrix with its gradient and the moments of AdamW. */
    private static final class Parameter {
        final float[] values;
        final float[] gradient;
        private final float[] mean;
        private final float[] square;

        Parameter(int size, double bound, SplittableRandom random) {
            values = new float[size];
            gradient = new float[size];
            mean = new float[size];
            square = new float[size];
            for (int i = 0; i < size; i++) {
                values[i] = (float) random.nextDouble(-bound, bound);
            }
        }

        void step(int time, double learningRate) {
            double scale = learningRate / (1 - Math.pow(BETA1, time));
            double unbias = 1 / (1 - Math.pow(BETA2, time));
            for (int i = 0; i < values.length; i++) {
                float g = gradient[i];
                mean[i] = (float) (BETA1 * mean[i] + (1 - BETA1) * g);
                square[i] = (float) (BETA2 * square[i] + (1 - BETA2) * g * g);
                values[i] -= (float) (learningRate * WEIGHT_DECAY * values[i]
                    + scale * mean[i] / (Math.sqrt(square[i] * unbias) + EPSILON));
            }
            Arrays.fill(gradient, 0f);
        }
    }

    /** The state of a fit. */
    private static final class Fit {
        private final MlpPredictorTrainer trainer;
        private final DenseMatrix inputs;
        private final ActiveSet needed;
        private final SplittableRandom random;
        private final int[] order;
        /** Inputs x rank. */
        final Parameter first;
        /** Rank x neurons. */
        final Parameter second;
        private final float[] x;
        private final float[] middle;
        private final float[] middleGradient;
        private final float[] logits;
        private final double negative;
        private int time;

        Fit(MlpPredictorTrainer trainer, DenseMatrix inputs, ActiveSet needed) {
            this.trainer = trainer;
            this.inputs = inputs;
            this.needed = needed;
            random = new SplittableRandom(trainer.seed);
            first = new Parameter(inputs.cols() * trainer.rank, 1 / Math.sqrt(inputs.cols()), random);
            second = new Parameter(trainer.rank * needed.units(), 1 / Math.sqrt(trainer.rank), random);
            x = new float[inputs.cols()];
            middle = new float[trainer.rank];
            middleGradient = new float[trainer.rank];
            logits = new float[needed.units()];
            order = new int[inputs.rows()];
            double positives = 0;
            for (int t = 0; t < order.length; t++) {
                order[t] = t;
                positives += needed.count(t);
            }
            negative = positives / ((double) order.length * needed.units()) + NEGATIVE_WEIGHT;
        }

        double epoch() {
            for (int i = order.length - 1; i > 0; i--) {
                int j = random.nextInt(i + 1);
                int swapped = order[i];
                order[i] = order[j];
                order[j] = swapped;
            }
            double loss = 0;
            for (int begin = 0; begin < order.length; begin += trainer.batch) {
                int end = Math.min(order.length, begin + trainer.batch);
                for (int i = begin; i < end; i++) {
                    loss += token(order[i], 1.0 / ((double) (end - begin) * logits.length));
                }
                time++;
                first.step(time, trainer.learningRate);
                second.step(time, trainer.learningRate);
            }
            return loss / order.length;
        }

        /** Adds the gradient of a token; returns its mean loss. */
        private double token(int token, double scale) {
            int neurons = logits.length;
            for (int k = 0; k < x.length; k++) {
                x[k] = inputs.get(token, k);
            }
            Arrays.fill(middle, 0f);
            for (int k = 0; k < x.length; k++) {
                axpy(x[k], first.values, k * middle.length, middle, 0, middle.length);
            }
            Arrays.fill(logits, 0f);
            for (int j = 0; j < middle.length; j++) {
                axpy(middle[j], second.values, j * neurons, logits, 0, neurons);
            }
            double loss = 0;
            for (int i = 0; i < neurons; i++) {
                boolean isNeeded = needed.contains(token, i);
                double logit = logits[i];
                double weight = isNeeded ? 1 : negative;
                loss += weight * (Math.max(logit, 0) - (isNeeded ? logit : 0)
                    + StrictMath.log1p(StrictMath.exp(-Math.abs(logit))));
                logits[i] = (float) (scale * weight * (1 / (1 + StrictMath.exp(-logit)) - (isNeeded ? 1 : 0)));
            }
            for (int j = 0; j < middle.length; j++) {
                middleGradient[j] = dot(logits, second.values, j * neurons);
                axpy(middle[j], logits, 0, second.gradient, j * neurons, neurons);
            }
            for (int k = 0; k < x.length; k++) {
                axpy(x[k], middleGradient, 0, first.gradient, k * middle.length, middle.length);
            }
            return loss / neurons;
        }

        private static void axpy(float factor, float[] from, int at, float[] to, int toAt, int count) {
            for (int i = 0; i < count; i++) {
                to[toAt + i] += factor * from[at + i];
            }
        }

        /** Eight sums, so that additions need not wait for each other. */
        private static float dot(float[] a, float[] b, int at) {
            float[] sums = new float[8];
            int i = 0;
            for (; i <= a.length - 8; i += 8) {
                for (int lane = 0; lane < 8; lane++) {
                    sums[lane] += a[i + lane] * b[at + i + lane];
                }
            }
            float sum = 0;
            for (; i < a.length; i++) {
                sum += a[i] * b[at + i];
            }
            for (float lane : sums) {
                sum += lane;
            }
            return sum;
        }
    }
}
