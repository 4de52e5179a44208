package dev.filigree.suite.attention;

import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.attention.AttentionOptions;
import dev.filigree.attention.AttentionTensor;
import dev.filigree.format.BlockGrid;
import dev.filigree.format.BlockMask;
import dev.filigree.format.BlockMasks;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.SplittableRandom;

/**
 * One attention with everything that can vary, drawn from a seed; the same seed gives the same case everywhere.
 *
 * @param seed the seed
 * @param mask the scores that count
 * @param batch sequences
 * @param heads query heads
 * @param kvHeads key heads
 * @param dim head dimension
 * @param options causality, scale, cap and bias
 * @param keyLengths by batch entry, or null
 * @param axes the order of the operands' axes
 * @param place where the operands live
 */
public record AttentionCase(long seed, BlockMask mask, int batch, int heads, int kvHeads, int dim,
        AttentionOptions options, int[] keyLengths, Axes axes, Place place) {

    /** What lies in the gaps of an output, and must still lie there afterwards: a bf16. */
    static final float GAP = 12352f;

    /** How operands lie in memory. */
    public enum Axes {
        /** {@code [batch, heads, rows, dim]}. */
        HEAD_MAJOR,
        /** {@code [batch, rows, heads, dim]}. */
        ROW_MAJOR,
        /** Head-major, with gaps after each row, head and sequence. */
        GAPS
    }

    /** Where operands can live. */
    public enum Place {
        /** An arena confined to the calling thread. */
        CONFINED,
        /** A shared arena. */
        SHARED,
        /** An arena that the garbage collector closes. */
        AUTO,
        /** Arrays on the heap. */
        HEAP
    }

    /** Around every block and tile boundary: groups of 6 rows, panels of 16, tiles of 64, steps of 128. */
    private static final int[] SEQUENCES = {1, 2, 5, 7, 15, 16, 17, 31, 33, 48, 63, 64, 65, 100, 127, 128, 129, 130,
        200, 257, 300};
    private static final int[] BLOCKS = {16, 16, 32, 48, 64, 64, 80, 128, 144, 272};
    private static final int[] DIMS = {8, 16, 24, 32, 40, 64, 72, 80, 96, 128, 136, 160, 192, 248, 256};

    /** Draws a case. */
    public static AttentionCase random(long seed) {
        SplittableRandom random = new SplittableRandom(seed * 0x9e3779b97f4a7c15L + 7);
        int queries = pick(random, SEQUENCES);
        int keys = random.nextInt(3) == 0 ? pick(random, SEQUENCES) : queries;
        int blockRows = pick(random, BLOCKS);
        int blockCols = random.nextInt(3) == 0 ? pick(random, BLOCKS) : blockRows;
        int kvHeads = random.nextInt(1, 4);
        int group = random.nextInt(1, 4);
        int batch = random.nextInt(1, 3);
        int dim = pick(random, DIMS);
        // Many long rows of many heads would take the time of a hundred other cases.
        while ((double) queries * keys * batch * kvHeads * group * dim > 8e6) {
            if (batch * kvHeads * group == 1) {
                queries = Math.max(1, queries / 2);
            }
            batch = 1;
            group = kvHeads > 1 ? group : Math.max(1, group - 1);
            kvHeads = Math.max(1, kvHeads - 1);
        }
        BlockGrid grid = new BlockGrid(queries, keys, blockRows, blockCols);
        int heads = kvHeads * group;
        BlockMask mask = mask(random, grid);
        if (random.nextBoolean()) {
            BlockMask[] each = new BlockMask[heads];
            Arrays.setAll(each, i -> mask(random, grid));
            mask = BlockMasks.perHead(each);
        }
        AttentionOptions options = AttentionOptions.defaults().causal(random.nextInt(3) == 0);
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
        int[] lengths = null;
        if (random.nextInt(3) == 0) {
            lengths = random.ints(batch, 0, keys + 1).toArray();
        }
        Axes axes = Axes.values()[random.nextInt(Axes.values().length)];
        Place place = Place.values()[random.nextInt(Place.values().length)];
        options = options.dtype(random.nextInt(3) == 0 ? DType.BF16 : DType.F32);
        return new AttentionCase(seed, mask, batch, heads, kvHeads, dim, options, lengths, axes, place);
    }

    /** The same case with another type of queries, keys and values. */
    public AttentionCase in(DType dtype) {
        return new AttentionCase(
            seed, mask, batch, heads, kvHeads, dim, options.dtype(dtype), keyLengths, axes, place);
    }

    /** The type of queries, keys and values. */
    public DType dtype() {
        return options.dtype();
    }

    /** The type of the output: that of the inputs, in every fourth case f32. */
    public DType outDtype() {
        return seed % 4 == 2 ? DType.F32 : dtype();
    }

    /** A plain case for a given mask: packed operands, default options. */
    public static AttentionCase plain(BlockMask mask, int heads, int dim) {
        return new AttentionCase(1, mask, 1, heads, heads, dim, AttentionOptions.defaults(), null, Axes.HEAD_MAJOR,
            Place.AUTO);
    }

    private static BlockMask mask(SplittableRandom random, BlockGrid grid) {
        int reach = random.nextInt(1, 100);
        return switch (random.nextInt(9)) {
            case 0 -> BlockMasks.dense(grid);
            case 1 -> BlockMasks.slidingWindow(grid, reach, random.nextInt(0, 20));
            case 2 -> BlockMasks.dilated(grid, random.nextInt(0, 9), random.nextInt(1, 6));
            case 3 -> BlockMasks.longformer(grid, reach, random.nextInt(0, 20));
            case 4 -> BlockMasks.bigBird(grid, random.nextInt(0, 2), random.nextInt(0, 2), random.nextInt(0, 3),
                random.nextLong());
            case 5 -> BlockMasks.verticalSlash(grid, random.ints(3, 0, grid.keys()).toArray(),
                random.ints(3, 0, grid.keys()).toArray());
            case 6 -> BlockMasks.ofBlocks(grid, blocks(random, grid, random.nextDouble()));
            default -> BlockMasks.ofElements(grid, elements(random, grid, Math.pow(random.nextDouble(), 3)));
        };
    }

    private static boolean[][][] blocks(SplittableRandom random, BlockGrid grid, double density) {
        boolean[][][] listed = new boolean[1][grid.rowBlocks()][grid.colBlocks()];
        fill(random, listed, density);
        return listed;
    }

    private static boolean[][][] elements(SplittableRandom random, BlockGrid grid, double density) {
        boolean[][][] allowed = new boolean[1][grid.queries()][grid.keys()];
        fill(random, allowed, density);
        return allowed;
    }

    private static void fill(SplittableRandom random, boolean[][][] flags, double density) {
        for (boolean[] row : flags[0]) {
            for (int j = 0; j < row.length; j++) {
                row[j] = random.nextDouble() < density;
            }
        }
    }

    private static int pick(SplittableRandom random, int[] from) {
        return from[random.nextInt(from.length)];
    }

    /** Queries: the same numbers on every call. */
    public AttentionTensor queries(Arena arena) {
        return filled(arena, heads, mask.grid().queries(), 1, true);
    }

    /** Keys; those behind the key length are NaN. */
    public AttentionTensor keys(Arena arena) {
        return filled(arena, kvHeads, mask.grid().keys(), 2, false);
    }

    /** Values; those behind the key length are NaN. */
    public AttentionTensor values(Arena arena) {
        return filled(arena, kvHeads, mask.grid().keys(), 3, false);
    }

    private AttentionTensor filled(Arena arena, int count, int rows, int salt, boolean isQueries) {
        AttentionTensor tensor = allocate(arena, dtype(), count, rows, Float.NaN);
        SplittableRandom random = new SplittableRandom(seed * 31 + salt);
        for (int b = 0; b < batch; b++) {
            int length = isQueries || keyLengths == null ? rows : keyLengths[b];
            for (int h = 0; h < count; h++) {
                for (int r = 0; r < length; r++) {
                    for (int d = 0; d < dim; d++) {
                        tensor.set(b, h, r, d, value(random));
                    }
                }
            }
        }
        return tensor;
    }

    /** Mostly near one, sometimes exactly zero, sometimes large or small: rounding must differ when order does. */
    private static float value(SplittableRandom random) {
        double x = random.nextDouble(-1, 1);
        return switch (random.nextInt(16)) {
            case 0 -> 0f;
            case 1 -> (float) (x * 8);
            case 2 -> (float) (x / 64);
            default -> (float) x;
        };
    }

    /** The output before a run: NaN, with numbers in the gaps. */
    public AttentionTensor output(Arena arena) {
        AttentionTensor tensor = allocate(arena, outDtype(), heads, mask.grid().queries(), GAP);
        for (int b = 0; b < batch; b++) {
            for (int h = 0; h < heads; h++) {
                for (int r = 0; r < mask.grid().queries(); r++) {
                    for (int d = 0; d < dim; d++) {
                        tensor.set(b, h, r, d, Float.NaN);
                    }
                }
            }
        }
        return tensor;
    }

    /** The log-sum-exp before a run. */
    public DenseMatrix lse(Arena arena) {
        int count = batch * heads * mask.grid().queries();
        MemorySegment data = place == Place.HEAP ? MemorySegment.ofArray(new float[count])
            : arena.allocate(4L * count, 4);
        for (int i = 0; i < count; i++) {
            data.setAtIndex(ValueLayout.JAVA_FLOAT, i, Float.NaN);
        }
        return DenseMatrix.of(data, DType.F32, batch * heads, mask.grid().queries());
    }

    private AttentionTensor allocate(Arena arena, DType dtype, int count, int rows, float fill) {
        boolean gaps = axes == Axes.GAPS;
        long rowStride = axes == Axes.ROW_MAJOR ? (long) count * dim : dim + (gaps ? 3 : 0);
        long headStride = axes == Axes.ROW_MAJOR ? dim : rows * rowStride + (gaps ? 5 : 0);
        long batchStride = axes == Axes.ROW_MAJOR ? rows * rowStride : count * headStride + (gaps ? 7 : 0);
        long elements = (batch - 1) * batchStride + (count - 1) * headStride + (rows - 1) * rowStride + dim;
        int size = dtype.bytes();
        MemorySegment data = place != Place.HEAP ? arena.allocate(size * elements, size)
            : dtype == DType.F32 ? MemorySegment.ofArray(new float[Math.toIntExact(elements)])
            : MemorySegment.ofArray(new short[Math.toIntExact(elements)]);
        DenseMatrix all = DenseMatrix.of(data, dtype, 1, Math.toIntExact(elements));
        for (int i = 0; i < elements; i++) {
            all.set(0, i, fill);
        }
        return AttentionTensor.strided(data, dtype, batch, count, rows, dim, batchStride, headStride, rowStride);
    }

    /** Whether all gaps of an output still hold what {@link #output} put there. */
    public boolean gapsIntact(AttentionTensor output) {
        int elements = (int) (output.data().byteSize() / output.dtype().bytes());
        DenseMatrix all = DenseMatrix.of(output.data(), output.dtype(), 1, elements);
        long gaps = 0;
        for (int i = 0; i < elements; i++) {
            gaps += all.get(0, i) == GAP ? 1 : 0;
        }
        return gaps == elements - (long) batch * heads * mask.grid().queries() * dim;
    }

    /** An arena of this case's place; the caller closes it, unless it is automatic. */
    public Arena arena() {
        return switch (place) {
            case CONFINED -> Arena.ofConfined();
            case SHARED -> Arena.ofShared();
            case AUTO, HEAP -> Arena.ofAuto();
        };
    }

    @Override
    public String toString() {
        return "seed " + seed + ": " + mask + ", batch " + batch + ", heads " + heads + " over " + kvHeads + ", dim "
            + dim + ", " + options + (keyLengths == null ? "" : ", key lengths " + Arrays.toString(keyLengths)) + ", "
            + axes + ", " + place + ", output " + outDtype().id();
    }
}
