package dev.filigree.suite.attention;

import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.attention.AttentionOptions;
import dev.filigree.attention.AttentionTensor;
import dev.filigree.attention.DecodePlan;
import dev.filigree.attention.KeySelection;
import dev.filigree.attention.PageTable;
import dev.filigree.attention.PagedCache;
import dev.filigree.suite.Bits;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.stream.IntStream;

/**
 * One decode with everything that can vary, drawn from a seed; the same seed gives the same case everywhere.
 *
 * @param seed the seed
 * @param dtype of the cache
 * @param lengths by sequence
 * @param heads query heads
 * @param kvHeads key heads
 * @param dim head dimension
 * @param pageRows tokens of a page
 * @param blockKeys tokens of a listed block
 * @param lists by sequence and key head (or one a sequence), or null for all keys
 * @param options scale, cap and bias
 * @param heap whether q, out and lse are arrays on the heap
 */
public record DecodeCase(long seed, DType dtype, int[] lengths, int heads, int kvHeads, int dim, int pageRows,
        int blockKeys, int[][][] lists, AttentionOptions options, boolean heap) {

    private static final double UNIT = 0x1p-24;

    /** Draws a case. */
    public static DecodeCase random(long seed) {
        SplittableRandom random = new SplittableRandom(seed * 0x9e3779b97f4a7c15L + 11);
        int sequences = random.nextInt(1, 4);
        int kvHeads = random.nextInt(1, 4);
        int heads = kvHeads * random.nextInt(1, 6);
        int dim = 8 * (random.nextInt(8) == 0 ? random.nextInt(17, 33) : random.nextInt(1, 17));
        // One in ten has several splits of 1024 keys; the others pass every tail of a panel and of a step.
        int most = random.nextInt(10) == 0 ? 2500 : 280;
        int[] lengths = new int[sequences];
        Arrays.setAll(lengths, b -> random.nextInt(8) == 0 ? 0 : random.nextInt(1, most));
        int blockKeys = random.nextInt(3) == 0 ? 1 : random.nextInt(2, 80);
        int[][][] lists = null;
        if (random.nextInt(4) != 0) {
            int listHeads = random.nextBoolean() ? 1 : kvHeads;
            double density = random.nextDouble();
            lists = new int[sequences][listHeads][];
            for (int b = 0; b < sequences; b++) {
                // Blocks behind the end may be listed, and do not count.
                int blocks = Math.ceilDiv(lengths[b], blockKeys) + random.nextInt(3);
                for (int h = 0; h < listHeads; h++) {
                    lists[b][h] = IntStream.range(0, blocks).filter(i -> random.nextDouble() < density).toArray();
                }
            }
        }
        AttentionOptions options = AttentionOptions.defaults();
        if (random.nextInt(3) == 0) {
            options = options.scale((float) random.nextDouble(-0.5, 0.5));
        }
        if (random.nextInt(4) == 0) {
            options = options.softCap((float) random.nextDouble(1, 30));
        }
        if (random.nextInt(4) == 0) {
            float[] slopes = new float[heads];
            for (int i = 0; i < heads; i++) {
                slopes[i] = (float) random.nextDouble(0, 0.5);
            }
            options = options.linearBias(slopes);
        }
        return new DecodeCase(seed, random.nextBoolean() ? DType.F32 : DType.BF16, lengths, heads, kvHeads, dim,
            random.nextInt(1, 70), blockKeys, lists, options, random.nextInt(4) == 0);
    }

    /** What a run reads and writes. */
    public record Operands(AttentionTensor q, PagedCache cache, PageTable table, KeySelection selection,
            AttentionTensor out, DenseMatrix lse) {

        /** Runs a plan on them. */
        public void run(DecodePlan plan) {
            plan.run(q, cache, table, selection, out, lse);
        }

        /** Where the outputs of two runs first differ in a bit. */
        public Optional<String> difference(String name, Operands other, String otherName) {
            return Bits.difference(name, memory(out), otherName, memory(other.out))
                .or(() -> Bits.difference(name + " lse", lse, otherName + " lse", other.lse));
        }

        private static DenseMatrix memory(AttentionTensor tensor) {
            return DenseMatrix.of(tensor.data(), DType.F32, 1, (int) (tensor.data().byteSize() / 4));
        }
    }

    private int perSequence() {
        return Math.max(1, Math.ceilDiv(Arrays.stream(lengths).max().orElseThrow(), pageRows));
    }

    /** The operands, the same numbers on every call; pages lie in a drawn order, and outputs are NaN. */
    public Operands operands(Arena arena) {
        SplittableRandom random = new SplittableRandom(seed * 31 + 5);
        int perSequence = perSequence();
        int[] order = pages();
        PagedCache cache = PagedCache.allocate(arena, dtype, order.length, kvHeads, pageRows, dim);
        PageTable table = new PageTable(lengths.length, perSequence);
        for (int b = 0; b < lengths.length; b++) {
            for (int i = 0; i * pageRows < lengths[b]; i++) {
                table.setPage(b, i, order[b * perSequence + i]);
            }
            table.setLength(b, lengths[b]);
            if (lengths[b] > 0) {
                AttentionTensor k = filled(arena, random, 1, kvHeads, lengths[b]);
                cache.store(table, b, 0, k, filled(arena, random, 1, kvHeads, lengths[b]));
            }
        }
        AttentionTensor out = tensor(arena, lengths.length, heads, 1);
        out.data().fill((byte) 0xff);
        MemorySegment lse = memory(arena, lengths.length * heads).fill((byte) 0xff);
        return new Operands(filled(arena, random, lengths.length, heads, 1), cache, table,
            lists == null ? KeySelection.all() : KeySelection.blocks(blockKeys, lists), out,
            DenseMatrix.of(lse, DType.F32, lengths.length * heads, 1));
    }

    private MemorySegment memory(Arena arena, int floats) {
        return heap ? MemorySegment.ofArray(new float[floats]) : arena.allocate(4L * floats, 4);
    }

    private AttentionTensor tensor(Arena arena, int batch, int count, int rows) {
        return AttentionTensor.headMajor(memory(arena, batch * count * rows * dim), batch, count, rows, dim);
    }

    private AttentionTensor filled(Arena arena, SplittableRandom random, int batch, int count, int rows) {
        AttentionTensor tensor = tensor(arena, batch, count, rows);
        for (int b = 0; b < batch; b++) {
            for (int h = 0; h < count; h++) {
                for (int r = 0; r < rows; r++) {
                    for (int d = 0; d < dim; d++) {
                        tensor.set(b, h, r, d, (float) random.nextDouble(-1, 1));
                    }
                }
            }
        }
        return tensor;
    }

    private boolean isSelected(int sequence, int kvHead, int token) {
        return lists == null || Arrays.binarySearch(
            lists[sequence][lists[sequence].length == 1 ? 0 : kvHead], token / blockKeys) >= 0;
    }

    /** The first output that is out of tolerance of a reference in double. */
    public Optional<String> mismatch(Operands o) {
        for (int row = 0; row < lengths.length * heads; row++) {
            Optional<String> mismatch = mismatch(o, row / heads, row % heads);
            if (mismatch.isPresent()) {
                return mismatch;
            }
        }
        return Optional.empty();
    }

    /** The largest error of an output over the largest magnitude of the reference; 0 for an output of zeros. */
    public double relativeError(Operands o) {
        double worst = 0;
        double norm = 0;
        for (int row = 0; row < lengths.length * heads; row++) {
            Expected expected = expected(o, row / heads, row % heads);
            for (int d = 0; d < dim; d++) {
                double error = Math.abs(o.out.get(row / heads, row % heads, 0, d) - expected.out[d]);
                worst = error <= worst ? worst : error;
                norm = Math.max(norm, Math.abs(expected.out[d]));
            }
        }
        return worst == 0 ? 0 : worst / norm;
    }

    /** A row of the reference, and how far a result may be from it. */
    private record Expected(double[] out, double[] tolerance, double lse, double lseTolerance) {}

    private Expected expected(Operands o, int b, int head) {
        int[] pages = pages();
        int kvHead = head / (heads / kvHeads);
        double scale = (float) options.scale().orElse(1 / Math.sqrt(dim));
        double[] scores = new double[lengths[b]];
        double worst = 0;
        double max = Double.NEGATIVE_INFINITY;
        int count = 0;
        for (int t = 0; t < lengths[b]; t++) {
            scores[t] = Double.NEGATIVE_INFINITY;
            if (!isSelected(b, kvHead, t)) {
                continue;
            }
            double sum = 0;
            double magnitude = 0;
            for (int d = 0; d < dim; d++) {
                double product = scale * o.q.get(b, head, 0, d) * element(pages, o.cache.keys(), b, kvHead, t, d);
                sum += product;
                magnitude += Math.abs(product);
            }
            double error = (8 + 2 * Math.sqrt(dim)) * UNIT * magnitude;
            if (options.softCap().isPresent()) {
                double cap = options.softCap().getAsDouble();
                sum = cap * Math.tanh(sum / cap);
                error += 8 * UNIT * Math.abs(sum);
            }
            if (options.linearBias().isPresent()) {
                double bias = options.linearBias().get()[head] * (double) (t - lengths[b] + 1);
                sum += bias;
                error += 8 * UNIT * (Math.abs(sum) + Math.abs(bias));
            }
            scores[t] = sum;
            max = Math.max(max, sum);
            worst = Math.max(worst, error + 2 * UNIT * Math.abs(sum));
            count++;
        }
        double total = 0;
        for (int t = 0; t < scores.length; t++) {
            scores[t] = count == 0 ? 0 : Math.exp(scores[t] - max);
            total += scores[t];
        }
        double relative = (8 + 2 * Math.sqrt(count)) * UNIT + 2 * Math.expm1(2 * worst);
        double lse = count == 0 ? Double.NEGATIVE_INFINITY : max + Math.log(total);
        double[] out = new double[dim];
        double[] tolerance = new double[dim];
        for (int t = 0; t < scores.length; t++) {
            for (int d = 0; d < dim && scores[t] > 0; d++) {
                double term = scores[t] / total * element(pages, o.cache.values(), b, kvHead, t, d);
                out[d] += term;
                tolerance[d] += relative * Math.abs(term);
            }
        }
        for (int d = 0; d < dim; d++) {
            tolerance[d] += 64 * (count + 1) * 0x1p-126;
        }
        return new Expected(out, tolerance, lse, relative + 8 * UNIT * Math.abs(lse));
    }

    private Optional<String> mismatch(Operands o, int b, int head) {
        Expected expected = expected(o, b, head);
        double gotLse = o.lse.get(b * heads + head, 0);
        if (!(gotLse == expected.lse || Math.abs(gotLse - expected.lse) <= expected.lseTolerance)) {
            return Optional.of(
                "lse (" + b + ", " + head + ") is " + gotLse + ", expected " + expected.lse + " [" + this + "]");
        }
        for (int d = 0; d < dim; d++) {
            double got = o.out.get(b, head, 0, d);
            // Written so that a NaN is a mismatch.
            if (!(Math.abs(got - expected.out[d]) <= expected.tolerance[d])) {
                return Optional.of("out (" + b + ", " + head + ", " + d + ") is " + got + ", expected "
                    + expected.out[d] + " [" + this + "]");
            }
        }
        return Optional.empty();
    }

    /** Read from the cache itself: what was stored is rounded, and is what counts. */
    private double element(int[] pages, DenseMatrix part, int b, int kvHead, int token, int d) {
        int page = pages[b * perSequence() + token / pageRows];
        return part.get((page * kvHeads + kvHead) * pageRows + token % pageRows, d);
    }

    /** The pages of all sequences, in a drawn order. */
    private int[] pages() {
        SplittableRandom random = new SplittableRandom(seed * 31 + 4);
        int[] order = IntStream.range(0, lengths.length * perSequence()).toArray();
        for (int i = order.length - 1; i > 0; i--) {
            int j = random.nextInt(i + 1);
            int swapped = order[i];
            order[i] = order[j];
            order[j] = swapped;
        }
        return order;
    }

    @Override
    public String toString() {
        return "seed " + seed + ": decode over " + dtype.id() + ", lengths " + Arrays.toString(lengths) + ", heads "
            + heads + " over " + kvHeads + ", dim " + dim + ", pages of " + pageRows + ", blocks of " + blockKeys + ", "
            + (lists == null ? "all keys" : "listed keys") + ", " + options + (heap ? ", on the heap" : "");
    }
}
