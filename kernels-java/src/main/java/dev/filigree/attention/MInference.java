package dev.filigree.attention;

import dev.filigree.format.BlockGrid;
import dev.filigree.format.BlockMask;
import dev.filigree.format.BlockMasks;
import dev.filigree.format.HeadPattern;
import dev.filigree.internal.scalar.ScalarMath;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/**
 * Masks for the heads of a layer from their {@linkplain HeadPattern patterns} and from the queries and keys at hand, as
 * MInference (Jiang et al., arXiv 2407.02490) chooses them. A pattern says how many keys, distances or blocks; the
 * attention of the last 64 queries says which keys and distances, the means of blocks say which blocks.
 *
 * <pre>{@code
 * List<HeadPattern> heads = MInferencePatterns.read(file).layer(3);
 * BlockMask mask = MInference.mask(BlockGrid.square(tokens, 64), heads, q, k, 0);
 * }</pre>
 *
 * <p>Queries stand at positions as {@link BlockGrid#queryOffset()} says and see no key behind them; scores are scaled
 * by the inverse root of the head dimension. Query head h uses key head {@code h * kvHeads / heads}. The same operands
 * give the same mask on every machine. All methods may be called by any thread at any time; they run in the caller's.
 */
public final class MInference {

    /** The last queries, whose attention stands for that of all. */
    public static final int LAST_QUERIES = 64;
    /** Keys that are always among the verticals, from the first; also the fewest verticals. */
    public static final int FIRST_KEYS = 30;
    /** Distances that are always among the slashes, from 0, as far as their number goes. */
    public static final int NEAREST = 100;
    /** The fewest slashes. */
    public static final int FEWEST_SLASHES = 50;
    /** Blocks of a block row of a {@link HeadPattern.BlockSparse} head. */
    public static final int TOP_BLOCKS = 100;

    private MInference() {}

    /**
     * Keys for every query, and distances before each query.
     *
     * @param verticals keys, ascending
     * @param slashes distances, ascending; 0 is the query's own position
     */
    public record Lines(int[] verticals, int[] slashes) {

        /** The mask of these lines, see {@link BlockMasks#verticalSlash}. */
        public BlockMask mask(BlockGrid grid) {
            return BlockMasks.verticalSlash(grid, verticals, slashes);
        }
    }

    /**
     * A mask with lists for each query head.
     *
     * @param grid queries, keys and blocks
     * @param patterns the pattern of each query head
     * @param q queries, {@code [batch, heads, queries, dim]}
     * @param k keys, {@code [batch, kvHeads, keys, dim]}
     * @param batch the batch entry that the lines and blocks are chosen for
     * @throws IllegalArgumentException if an operand does not fit the grid, the other, or the patterns, or a score is not
     *     finite
     * @throws IndexOutOfBoundsException if there is no such batch entry
     */
    public static BlockMask mask(
            BlockGrid grid, List<HeadPattern> patterns, AttentionTensor q, AttentionTensor k, int batch) {
        check(q, k);
        OperandChecks.require("q", "rows", q.rows(), grid.queries());
        OperandChecks.require("k", "rows", k.rows(), grid.keys());
        OperandChecks.require("patterns", "length", patterns.size(), q.heads());
        BlockMask[] masks = new BlockMask[patterns.size()];
        for (int head = 0; head < masks.length; head++) {
            masks[head] = switch (patterns.get(head)) {
                case HeadPattern.VerticalSlash pattern -> lines(pattern, q, k, batch, head).mask(grid);
                case HeadPattern.Streaming pattern ->
                    BlockMasks.slidingWindow(grid, pattern.window(), pattern.sinks());
                case HeadPattern.BlockSparse pattern ->
                    BlockMasks.topK(grid, new float[][][] {blockScores(grid, q, k, batch, head)}, TOP_BLOCKS)
                        .intersection(BlockMasks.causal(grid));
            };
        }
        return BlockMasks.perHead(masks);
    }

    /**
     * The keys with the most attention of the last {@link #LAST_QUERIES} queries, and the distances with the most. The
     * first {@link #FIRST_KEYS} keys and the {@link #NEAREST} distances come before all others; among equals the first
     * key and the shortest distance do. A pattern of fewer verticals than {@link #FIRST_KEYS}, or slashes than
     * {@link #FEWEST_SLASHES}, counts as one of as many; there are never more than keys.
     *
     * @param pattern how many
     * @param q queries, {@code [batch, heads, queries, dim]}
     * @param k keys, {@code [batch, kvHeads, keys, dim]}
     * @param batch batch entry
     * @param head query head
     * @throws IllegalArgumentException if the operands do not fit each other, a score is not finite, or there are 2^25 keys or
     *     more
     * @throws IndexOutOfBoundsException if there is no such batch entry or head
     */
    public static Lines lines(
            HeadPattern.VerticalSlash pattern, AttentionTensor q, AttentionTensor k, int batch, int head) {
        check(q, k);
        Objects.checkIndex(batch, q.batch());
        Objects.checkIndex(head, q.heads());
        int keys = k.rows();
        double[] vertical = new double[keys];
        double[] slash = new double[keys];
        new LastQueries(q, k, batch, head).addWeights(vertical, slash);
        Arrays.fill(vertical, 0, Math.min(FIRST_KEYS, keys), Double.POSITIVE_INFINITY);
        Arrays.fill(slash, 0, Math.min(NEAREST, keys), Double.POSITIVE_INFINITY);
        return new Lines(largest(vertical, Math.max(pattern.verticals(), FIRST_KEYS)),
            largest(slash, Math.max(pattern.slashes(), FEWEST_SLASHES)));
    }

    private static void check(AttentionTensor q, AttentionTensor k) {
        OperandChecks.inputs(q.dtype(), q, k, k);
        if (k.rows() >= Integer.MAX_VALUE / LAST_QUERIES) {
            throw new IllegalArgumentException("k has " + k.rows() + " rows, too many for one array of scores");
        }
    }

    /** The places of the largest of some sums that are not negative, ascending; among equals, the first ones. */
    private static int[] largest(double[] sums, int count) {
        // The bits of doubles that are not negative sort like their values. A float holds what matters of a sum, so that
        // one long sorts by sum first and then by place.
        long[] keys = new long[sums.length];
        for (int i = 0; i < sums.length; i++) {
            keys[i] = ((long) ~Float.floatToRawIntBits((float) sums[i]) & 0xffffffffL) << Integer.SIZE - 1 | i;
        }
        Arrays.sort(keys);
        int[] places = new int[Math.min(count, keys.length)];
        for (int i = 0; i < places.length; i++) {
            places[i] = (int) keys[i] & Integer.MAX_VALUE;
        }
        Arrays.sort(places);
        return places;
    }

    /** The attention of the last queries of one head. */
    private static final class LastQueries {
        private final int count;
        private final int keys;
        /** {@code [dim][count]}: a loop over the queries is one that the compiler makes vectors of. */
        private final float[] queries;
        /** {@code [keys][count]}. */
        private final float[] scores;
        /** Row and position of the first of them. */
        private final int firstQuery;
        private final int position;

        LastQueries(AttentionTensor q, AttentionTensor k, int batch, int head) {
            count = Math.min(LAST_QUERIES, q.rows());
            keys = k.rows();
            firstQuery = q.rows() - count;
            position = keys - count;
            int dim = q.dim();
            float scale = AttentionOptions.defaults().scaleFor(dim);
            queries = new float[dim * count];
            float[] row = new float[dim];
            for (int i = 0; i < count; i++) {
                q.copyRow(batch, head, firstQuery + i, row);
                for (int d = 0; d < dim; d++) {
                    queries[d * count + i] = scale * row[d];
                }
            }
            scores = new float[keys * count];
            int keyHead = head / (q.heads() / k.heads());
            float[] sums = new float[count];
            for (int j = 0; j < keys; j++) {
                k.copyRow(batch, keyHead, j, row);
                Arrays.fill(sums, 0f);
                for (int d = 0; d < dim; d++) {
                    add(row[d], d * count, sums);
                }
                System.arraycopy(sums, 0, scores, j * count, count);
            }
        }

        private void add(float x, int from, float[] sums) {
            for (int i = 0; i < sums.length; i++) {
                sums[i] = Math.fma(x, queries[from + i], sums[i]);
            }
        }

        /** Adds the weight of each score to the sum of its key and to that of its distance. */
        void addWeights(double[] vertical, double[] slash) {
            float[] max = new float[count];
            Arrays.fill(max, Float.NEGATIVE_INFINITY);
            for (int j = 0; j < keys; j++) {
                for (int i = firstSeeing(j); i < count; i++) {
                    float s = scores[j * count + i];
                    if (!Float.isFinite(s)) {
                        throw new IllegalArgumentException(
                            "the score of key " + j + " and query " + (firstQuery + i) + " is " + s);
                    }
                    max[i] = Math.max(max[i], s);
                }
            }
            double[] sums = new double[count];
            for (int j = 0; j < keys; j++) {
                for (int i = firstSeeing(j); i < count; i++) {
                    float weight = ScalarMath.exp(scores[j * count + i] - max[i]);
                    scores[j * count + i] = weight;
                    sums[i] += weight;
                }
            }
            for (int j = 0; j < keys; j++) {
                for (int i = firstSeeing(j); i < count; i++) {
                    double weight = scores[j * count + i] / sums[i];
                    vertical[j] += weight;
                    slash[position + i - j] += weight;
                }
            }
        }

        /** The first of these queries that is not before a key. */
        private int firstSeeing(int key) {
            return Math.max(0, key - position);
        }
    }

    /** By block row and block column, the product of the means of their queries and keys; what comes after is -inf. */
    private static float[][] blockScores(BlockGrid grid, AttentionTensor q, AttentionTensor k, int batch, int head) {
        double[][] queries = means(q, batch, head, grid.blockRows());
        double[][] keys = means(k, batch, head / (q.heads() / k.heads()), grid.blockCols());
        float[][] scores = new float[queries.length][keys.length];
        for (int row = 0; row < queries.length; row++) {
            int last = Math.min(grid.queries(), (row + 1) * grid.blockRows()) - 1 + grid.queryOffset();
            for (int col = 0; col < keys.length; col++) {
                double sum = 0;
                for (int d = 0; d < q.dim(); d++) {
                    sum += queries[row][d] * keys[col][d];
                }
                scores[row][col] = (long) col * grid.blockCols() > last ? Float.NEGATIVE_INFINITY : (float) sum;
            }
        }
        return scores;
    }

    private static double[][] means(AttentionTensor tensor, int batch, int head, int block) {
        double[][] means = new double[Math.ceilDiv(tensor.rows(), block)][tensor.dim()];
        float[] row = new float[tensor.dim()];
        for (int i = 0; i < tensor.rows(); i++) {
            tensor.copyRow(batch, head, i, row);
            for (int d = 0; d < row.length; d++) {
                means[i / block][d] += row[d];
            }
        }
        for (int b = 0; b < means.length; b++) {
            int count = Math.min(block, tensor.rows() - b * block);
            for (int d = 0; d < tensor.dim(); d++) {
                means[b][d] /= count;
            }
        }
        return means;
    }
}
