package dev.filigree.suite.attention;

import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.attention.AttentionOptions;
import dev.filigree.attention.AttentionTensor;
import dev.filigree.format.BlockGrid;
import java.util.Optional;
import java.util.function.IntPredicate;

/**
 * Attention in double over the scores that count, two passes a row, and the library's tolerance carried through it: a
 * score is a sum of d products, so it is off by at most {@code e = (8 + 2 sqrt(d)) 2^-24 S + d 2^-126}, S the sum of
 * their magnitudes; its weight by a factor of {@code exp(e)}; the output, a quotient of sums of n weights, by
 * {@code (8 + 2 sqrt(n)) 2^-24 + 2 (exp(e) - 1)} of the weighted magnitudes of the values.
 *
 * <p>In bf16, each weight w is rounded to {@code w (1 + r)}, {@code |r| <= 2^-8}, in the values' sum and in that of the
 * weights, whose quotient is the output. The weighted distances of the values from the exact output add up to nothing,
 * so that it moves by {@code sum(w r (v - out)) / sum(w (1 + r))}: at most {@code 2^-8 / (1 - 2^-8)} of the weighted
 * magnitudes of these distances, and the log-sum-exp by as much of 1. The rounding of a bf16 output is another 2^-8 of
 * itself.
 */
public final class AttentionReference {

    private static final double UNIT = 0x1p-24;
    private static final double TINY = 0x1p-126;
    private static final double BF16_UNIT = 0x1p-8;
    /** What rounding the weights to bf16 may change, as a share. */
    private static final double BF16_WEIGHTS = BF16_UNIT / (1 - BF16_UNIT);

    private final AttentionCase test;
    private final IntPredicate wanted;
    private final double[] expected;
    private final double[] tolerance;
    private final double[] lse;
    private final double[] lseTolerance;
    private double norm;

    /** Computes the reference of a case from its own operands. */
    public AttentionReference(AttentionCase test, AttentionTensor q, AttentionTensor k, AttentionTensor v) {
        this(test, q, k, v, row -> true);
    }

    /**
     * Computes the reference of some rows, for cases that are too large to be computed twice in full.
     *
     * @param wanted which rows, numbered through batch, head and query: the others are not compared
     */
    public AttentionReference(
            AttentionCase test, AttentionTensor q, AttentionTensor k, AttentionTensor v, IntPredicate wanted) {
        this.test = test;
        this.wanted = wanted;
        BlockGrid grid = test.mask().grid();
        int rows = test.batch() * test.heads() * grid.queries();
        expected = new double[rows * test.dim()];
        tolerance = new double[expected.length];
        lse = new double[rows];
        lseTolerance = new double[rows];
        double[] scores = new double[grid.keys()];
        double[] errors = new double[grid.keys()];
        for (int row = 0; row < rows; row++) {
            if (!wanted.test(row)) {
                continue;
            }
            int query = row % grid.queries();
            int head = row / grid.queries() % test.heads();
            int b = row / grid.queries() / test.heads();
            for (int j = 0; j < grid.keys(); j++) {
                scores[j] = Double.NEGATIVE_INFINITY;
                errors[j] = 0;
                if (counts(b, head, query, j)) {
                    score(q, k, b, head, query, j, scores, errors);
                }
            }
            weigh(row, b, head, v, scores, errors);
        }
    }

    private boolean counts(int b, int head, int query, int key) {
        return (test.keyLengths() == null || key < test.keyLengths()[b])
            && (!test.options().causal() || key <= query + test.mask().grid().queryOffset())
            && test.mask().contains(test.mask().heads() == 1 ? 0 : head, query, key);
    }

    private void score(AttentionTensor q, AttentionTensor k, int b, int head, int query, int key, double[] scores,
            double[] errors) {
        AttentionOptions options = test.options();
        int kvHead = head / (test.heads() / test.kvHeads());
        double sum = 0;
        double magnitude = 0;
        for (int d = 0; d < test.dim(); d++) {
            double product = (double) q.get(b, head, query, d) * k.get(b, kvHead, key, d);
            sum += product;
            magnitude += Math.abs(product);
        }
        double scale = (float) options.scale().orElse(1 / Math.sqrt(test.dim()));
        double score = scale * sum;
        double error = bound(test.dim(), Math.abs(scale) * magnitude);
        if (options.softCap().isPresent()) {
            double cap = options.softCap().getAsDouble();
            score = cap * Math.tanh(score / cap);
            // tanh has slope 1 at most; its own error is that of an activation.
            error += 8 * UNIT * Math.abs(score);
        }
        if (options.linearBias().isPresent()) {
            double bias = options.linearBias().get()[head] * (double) (key - query - test.mask().grid().queryOffset());
            score += bias;
            error += 8 * UNIT * (Math.abs(score) + Math.abs(bias));
        }
        scores[key] = score;
        errors[key] = error;
    }

    private static double bound(int terms, double magnitude) {
        return (8 + 2 * Math.sqrt(terms)) * UNIT * magnitude + terms * TINY;
    }

    private void weigh(int row, int b, int head, AttentionTensor v, double[] scores, double[] errors) {
        int kvHead = head / (test.heads() / test.kvHeads());
        double max = Double.NEGATIVE_INFINITY;
        double worst = 0;
        int count = 0;
        for (int j = 0; j < scores.length; j++) {
            if (scores[j] > Double.NEGATIVE_INFINITY) {
                max = Math.max(max, scores[j]);
                // A score is subtracted from the largest, which rounds once more.
                worst = Math.max(worst, errors[j] + 2 * UNIT * Math.abs(scores[j]));
                count++;
            }
        }
        double total = 0;
        for (int j = 0; j < scores.length && count > 0; j++) {
            scores[j] = Math.exp(scores[j] - max);
            total += scores[j];
        }
        lse[row] = count == 0 ? Double.NEGATIVE_INFINITY : max + Math.log(total);
        boolean isBf16 = test.dtype() == DType.BF16;
        double relative = (8 + 2 * Math.sqrt(count)) * UNIT + 2 * Math.expm1(2 * worst);
        lseTolerance[row] = count == 0 ? 0 : relative + 8 * UNIT * Math.abs(lse[row]) + (isBf16 ? BF16_WEIGHTS : 0);
        double ofResult = test.outDtype() == DType.BF16 ? BF16_UNIT : 0;
        for (int d = 0; d < test.dim() && count > 0; d++) {
            double sum = 0;
            double magnitude = 0;
            for (int j = 0; j < scores.length; j++) {
                if (scores[j] > 0) {
                    double term = scores[j] / total * v.get(b, kvHead, j, d);
                    sum += term;
                    magnitude += Math.abs(term);
                }
            }
            double distances = 0;
            for (int j = 0; j < scores.length && isBf16; j++) {
                if (scores[j] > 0) {
                    distances += scores[j] / total * Math.abs(v.get(b, kvHead, j, d) - sum);
                }
            }
            expected[row * test.dim() + d] = sum;
            double error = relative * magnitude + BF16_WEIGHTS * distances;
            tolerance[row * test.dim() + d] = error + ofResult * (Math.abs(sum) + error) + 64 * count * TINY;
            norm = Math.max(norm, Math.abs(sum));
        }
    }

    /** The first element of an output that is out of tolerance, or a gap that was written to. */
    public Optional<String> mismatch(AttentionTensor output, DenseMatrix outputLse) {
        int queries = test.mask().grid().queries();
        for (int row = 0; row < lse.length; row++) {
            if (!wanted.test(row)) {
                continue;
            }
            int query = row % queries;
            int head = row / queries % test.heads();
            int b = row / queries / test.heads();
            for (int d = 0; d < test.dim(); d++) {
                double want = expected[row * test.dim() + d];
                double got = output.get(b, head, query, d);
                // Written so that a NaN is a mismatch.
                if (!(Math.abs(got - want) <= tolerance[row * test.dim() + d])) {
                    return Optional.of(String.format("out (%d, %d, %d, %d) is %s, expected %s +- %s [%s]", b, head,
                        query, d, got, want, tolerance[row * test.dim() + d], test));
                }
            }
            double got = outputLse.get(row / queries, query);
            if (!(got == lse[row] || Math.abs(got - lse[row]) <= lseTolerance[row])) {
                return Optional.of(String.format("lse (%d, %d) is %s, expected %s +- %s [%s]", row / queries, query,
                    got, lse[row], lseTolerance[row], test));
            }
        }
        return test.gapsIntact(output) ? Optional.empty()
            : Optional.of("a gap of the output was written to [" + test + "]");
    }

    /** The largest error of an output over the largest magnitude of the reference; 0 for an output of zeros. */
    public double relativeError(AttentionTensor output) {
        int queries = test.mask().grid().queries();
        double worst = 0;
        for (int i = 0; i < expected.length; i++) {
            int row = i / test.dim();
            if (!wanted.test(row)) {
                continue;
            }
            double got = output.get(row / queries / test.heads(), row / queries % test.heads(), row % queries,
                i % test.dim());
            double error = Math.abs(got - expected[i]);
            worst = error <= worst ? worst : error;
        }
        return worst == 0 ? 0 : worst / norm;
    }
}
