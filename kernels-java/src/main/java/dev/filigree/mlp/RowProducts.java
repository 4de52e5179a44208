package dev.filigree.mlp;

import dev.filigree.DType;
import dev.filigree.Workers;
import dev.filigree.spi.MlpKernel;
import dev.filigree.spi.RowFormat;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/**
 * Products with listed rows, shared among a worker team: one product, or two over the same items of which the second
 * multiplies into what the first has left. All operands are native memory of the library's own. Used by one thread at a
 * time.
 */
final class RowProducts implements Workers.Task {

    /** Useful operations below which waking the team costs more than it saves: about 20 microseconds of one core. */
    private static final double MIN_SHARED_FLOPS = 1e6;

    /**
     * A matrix with what becomes of its sums.
     *
     * @param matrix see {@link RowFormat}
     * @param bias f32, native, or {@link MemorySegment#NULL}
     * @param activation its code
     */
    record Factor(MemorySegment matrix, MemorySegment bias, int activation) {}

    private final MlpKernel kernel;
    private final Workers workers;
    private boolean isDot;
    private Factor first;
    private Factor second;
    private MemorySegment list;
    private MemorySegment masks;
    private int count;
    private MemorySegment in;
    private long inStride;
    private int tokens;
    private MemorySegment out;
    private long outStride;

    RowProducts(MlpKernel kernel, Workers workers) {
        this.kernel = kernel;
        this.workers = workers;
    }

    /**
     * {@code out[t][p] = first(x[t])[p] * second(x[t])[p]} for the listed rows, and 0 where the masks say that a token
     * does not need one; either factor may be null, and then out is multiplied by the second, or is the first.
     */
    void dot(Factor factor, Factor multiplied, MemorySegment rows, MemorySegment rowMasks, int rowCount,
            MemorySegment x, int tokenCount, MemorySegment to, long toStride) {
        isDot = true;
        bind(factor, multiplied, rows, rowMasks, rowCount, x, 0, tokenCount, to, toStride);
        execute(RowFormat.blocks(rowCount), rowCount);
    }

    /** {@code out[t][c] = first(sum of rows)[c] * second(sum of rows)[c]}, the second being null where there is none. */
    void axpy(Factor factor, Factor multiplied, MemorySegment rows, MemorySegment rowMasks, int rowCount,
            MemorySegment coefficients, long coefficientStride, int tokenCount, MemorySegment to, long toStride) {
        isDot = false;
        bind(factor, multiplied, rows, rowMasks, rowCount, coefficients, coefficientStride, tokenCount, to, toStride);
        execute(RowFormat.strips(RowFormat.field(factor.matrix, RowFormat.COLS)), rowCount);
    }

    private void bind(Factor factor, Factor multiplied, MemorySegment rows, MemorySegment rowMasks, int rowCount,
            MemorySegment from, long fromStride, int tokenCount, MemorySegment to, long toStride) {
        first = factor;
        second = multiplied;
        list = rows;
        masks = rowMasks;
        count = rowCount;
        in = from;
        inStride = fromStride;
        tokens = tokenCount;
        out = to;
        outStride = toStride;
    }

    private void execute(long items, int rowCount) {
        Factor any = first == null ? second : first;
        double factors = first == null || second == null ? 1 : 2;
        double flops = 2 * factors * rowCount * RowFormat.field(any.matrix, RowFormat.STRIDE) * tokens;
        if (flops >= MIN_SHARED_FLOPS) {
            workers.run(items, RowFormat.SCRATCH_BYTES, this);
        } else {
            workers.runAlone(items, RowFormat.SCRATCH_BYTES, this);
        }
    }

    @Override
    public void run(long begin, long end, MemorySegment scratch) {
        if (first != null) {
            run(first, MemorySegment.NULL, begin, end, scratch);
        }
        if (second != null) {
            run(second, out, begin, end, scratch);
        }
    }

    private void run(Factor factor, MemorySegment factors, long begin, long end, MemorySegment scratch) {
        if (isDot) {
            kernel.dot(factor.matrix, list, masks, count, in, tokens, factor.bias, factors, outStride, factor.activation,
                out, outStride, begin, end, scratch);
        } else {
            kernel.axpy(factor.matrix, list, masks, count, in, inStride, tokens, factor.bias, factors, outStride,
                factor.activation, out, outStride, begin, end, scratch);
        }
    }

    /**
     * Puts tokens where {@link #dot} can use them.
     *
     * @param x f32, tokens x columns of the matrix
     * @param xStride floats from token to token
     * @param matrix whose rows they will meet
     * @param to f32 {@code [tokens][stride of matrix]}
     */
    static void pack(MemorySegment x, long firstFloat, long xStride, int tokens, MemorySegment matrix, MemorySegment to) {
        long stride = RowFormat.field(matrix, RowFormat.STRIDE);
        int cols = (int) RowFormat.field(matrix, RowFormat.COLS);
        boolean split = RowFormat.field(matrix, RowFormat.DTYPE) == RowFormat.code(DType.BF16);
        long bytes = (long) Float.BYTES * cols;
        for (int t = 0; t < tokens; t++) {
            long at = Float.BYTES * t * stride;
            long from = Float.BYTES * (firstFloat + t * xStride);
            if (split) {
                split(x, from, cols, to, at);
            } else {
                MemorySegment.copy(x, from, to, at, bytes);
                clear(to, at + bytes, at + Float.BYTES * stride);
            }
        }
    }

    /** Each 32 columns become the 16 even ones, then the 16 odd ones; what the last 32 lack becomes zeros. */
    private static void split(MemorySegment from, long fromAt, int cols, MemorySegment to, long toAt) {
        int whole = cols / RowFormat.ROW_STEP * RowFormat.ROW_STEP;
        for (int line = 0; line < whole; line += RowFormat.ROW_STEP) {
            long at = toAt + (long) Float.BYTES * line;
            for (int i = 0; i < RowFormat.LANES; i++) {
                long pair = fromAt + (long) Float.BYTES * (line + 2 * i);
                to.set(ValueLayout.JAVA_FLOAT, at + Float.BYTES * i,
                    from.get(ValueLayout.JAVA_FLOAT_UNALIGNED, pair));
                to.set(ValueLayout.JAVA_FLOAT, at + Float.BYTES * (i + RowFormat.LANES),
                    from.get(ValueLayout.JAVA_FLOAT_UNALIGNED, pair + Float.BYTES));
            }
        }
        if (whole < cols) {
            clear(to, toAt + (long) Float.BYTES * whole, toAt + (long) Float.BYTES * (whole + RowFormat.ROW_STEP));
        }
        for (int c = whole; c < cols; c++) {
            int place = (c - whole) / 2 + (c - whole) % 2 * RowFormat.LANES;
            to.set(ValueLayout.JAVA_FLOAT, toAt + (long) Float.BYTES * (whole + place),
                from.get(ValueLayout.JAVA_FLOAT_UNALIGNED, fromAt + (long) Float.BYTES * c));
        }
    }

    private static void clear(MemorySegment to, long begin, long end) {
        for (long at = begin; at < end; at += Float.BYTES) {
            to.set(ValueLayout.JAVA_FLOAT, at, 0f);
        }
    }

    /** Columns rounded up to whole blocks of positions. */
    static long padded(long count) {
        return RowFormat.blocks(count) * RowFormat.BLOCK;
    }
}
