package dev.filigree.attention;

import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.internal.Operands;
import dev.filigree.internal.scalar.ScalarMath;
import dev.filigree.spi.AttentionFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Objects;

/**
 * An attention that has seen some of its keys: for each query the largest score, the sum of the weights and the
 * weighted sum of the values. {@link AttentionPlan#accumulate} adds keys to it, {@link #finish} makes the output of all
 * that it has seen.
 *
 * <p>A mask that is cut into passes over ascending ranges of keys, where each cut lies between two steps (128 keys of
 * listed blocks in a row's list, or one block that is larger), gives the same bits as one pass; any other division of
 * the keys, and {@link #merge}, give the result to rounding.
 *
 * <p>The state lives in off-heap memory of the caller's arena. It is mutable and not for two threads at a time.
 */
public final class AttentionState {

    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;

    private final DenseMatrix rows;
    private final int batch;
    private final int heads;
    private final int queries;
    private final int dim;

    private AttentionState(DenseMatrix rows, int batch, int heads, int queries, int dim) {
        this.rows = rows;
        this.batch = batch;
        this.heads = heads;
        this.queries = queries;
        this.dim = dim;
    }

    /**
     * Allocates a state that has seen nothing.
     *
     * @param arena owns the memory
     * @param batch sequences
     * @param heads query heads
     * @param queries tokens of a sequence
     * @param dim head dimension
     * @throws IllegalArgumentException if a size is less than 1, or there are 2^31 rows or more
     */
    public static AttentionState allocate(Arena arena, int batch, int heads, int queries, int dim) {
        if (batch < 1 || heads < 1 || queries < 1 || dim < 1) {
            throw new IllegalArgumentException("batch " + batch + ", heads " + heads + ", queries " + queries
                + ", dim " + dim + ": none may be less than 1");
        }
        double count = (double) batch * heads * queries;
        if (count > Integer.MAX_VALUE) {
            throw new IllegalArgumentException("a state of " + count + " rows is too large");
        }
        DenseMatrix rows = DenseMatrix.allocate(arena, DType.F32, batch * heads * queries,
            dim + AttentionFormat.STATE_EXTRA);
        AttentionState state = new AttentionState(rows, batch, heads, queries, dim);
        state.reset();
        return state;
    }

    /** Forgets all keys. */
    public void reset() {
        MemorySegment data = rows.data();
        data.fill((byte) 0);
        for (int row = 0; row < rows.rows(); row++) {
            data.set(F32, at(row) + Float.BYTES * (dim + AttentionFormat.LANES), Float.NEGATIVE_INFINITY);
        }
    }

    DenseMatrix rows() {
        return rows;
    }

    boolean fits(int otherBatch, int otherHeads, int otherQueries, int otherDim) {
        return batch == otherBatch && heads == otherHeads && queries == otherQueries && dim == otherDim;
    }

    private long at(long row) {
        return Float.BYTES * row * rows.cols();
    }

    /**
     * Adds the keys that another state has seen, which must not be among this one's. The other state stays as it is.
     *
     * @throws IllegalArgumentException if the sizes differ
     */
    public void merge(AttentionState other) {
        if (!other.fits(batch, heads, queries, dim) || other == this) {
            throw new IllegalArgumentException("cannot merge " + other + (other == this ? " with itself"
                : " into " + this));
        }
        MemorySegment mine = rows.data();
        MemorySegment theirs = other.rows.data();
        long maxAt = Float.BYTES * (dim + (long) AttentionFormat.LANES);
        for (int row = 0; row < rows.rows(); row++) {
            long at = at(row);
            float a = mine.get(F32, at + maxAt);
            float b = theirs.get(F32, at + maxAt);
            float max = b > a ? b : a;
            float factorA = a == max ? 1f : ScalarMath.exp(a - max);
            float factorB = b == max ? 1f : ScalarMath.exp(b - max);
            for (int i = 0; i < dim + AttentionFormat.LANES; i++) {
                long here = at + (long) Float.BYTES * i;
                mine.set(F32, here, Math.fma(theirs.get(F32, here), factorB, mine.get(F32, here) * factorA));
            }
            mine.set(F32, at + maxAt, max);
        }
    }

    /**
     * Writes the attention over all keys seen: zeros for a query that has seen none.
     *
     * @param out {@code [batch, heads, queries, dim]}, f32 or bf16
     * @param lse {@code batch * heads} rows by queries: the logarithm of the sum of the exponentials of the scores,
     *     negative infinity for a query that has seen no key; or null
     * @throws IllegalArgumentException if an operand has the wrong shape or is read-only, or the two overlap
     */
    public void finish(AttentionTensor out, DenseMatrix lse) {
        Objects.requireNonNull(out, "out");
        if (!fits(out.batch(), out.heads(), out.rows(), out.dim())) {
            throw new IllegalArgumentException("out is " + out + ", the state is " + this);
        }
        OperandChecks.output("out", out, "the state", rows);
        if (lse != null) {
            OperandChecks.lse(lse, batch, heads, queries);
            Operands.requireWritable("lse", lse, "out", out.span());
            Operands.requireWritable("lse", lse, "the state", rows);
        }
        for (int row = 0; row < rows.rows(); row++) {
            finishRow(row, out, lse);
        }
    }

    private void finishRow(int row, AttentionTensor out, DenseMatrix lse) {
        MemorySegment data = rows.data();
        float sum = halvingSum(data, at(row) + (long) Float.BYTES * dim, 0, 1);
        float factor = sum == 0f ? 0f : 1f / sum;
        for (int d = 0; d < dim; d++) {
            float x = data.get(F32, at(row) + (long) Float.BYTES * d);
            out.set(row / queries / heads, row / queries % heads, row % queries, d, sum == 0f ? 0f : x * factor);
        }
        if (lse != null) {
            float max = data.get(F32, at(row) + Float.BYTES * (dim + (long) AttentionFormat.LANES));
            lse.data().set(F32, (long) Float.BYTES * row, ScalarMath.logSumExp(max, sum));
        }
    }

    /**
     * The kernels' order: element i of the upper half is added to element i of the lower, until one is left. From the
     * root of that tree, so that nothing is overwritten: its children are a step apart.
     */
    private static float halvingSum(MemorySegment data, long at, int index, int step) {
        return step == AttentionFormat.LANES ? data.get(F32, at + (long) Float.BYTES * index)
            : halvingSum(data, at, index, 2 * step) + halvingSum(data, at, index + step, 2 * step);
    }

    @Override
    public String toString() {
        return "AttentionState[batch " + batch + ", heads " + heads + ", queries " + queries + ", dim " + dim + "]";
    }
}
