package dev.filigree.format;

import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.ConcurrentModificationException;
import java.util.function.IntFunction;

/**
 * Turns a dense matrix into CSR in two passes, one that counts and one that fills, so that the result is
 * allocated once at its exact size.
 *
 * <p>Elements are ranked by the 31 bits below the sign, whose integer order is that of the magnitudes. The
 * rank that divides kept from dropped is found by a radix selection, eight bits a pass: four passes over the
 * elements, no sort and no copy, and the same answer in whatever order the counts were made.
 */
final class DenseConversion {

    /** Rows pass through a heap copy of this length: one loop serves heap and native views at full speed. */
    private static final int CHUNK = 4096;

    private static final int MAGNITUDE = 0x7fff_ffff;
    private static final int INFINITY = 0x7f80_0000;
    private static final int DIGIT_BITS = 8;

    private final DenseMatrix dense;
    private final int rows;
    private final int cols;
    private final float[] chunk;
    private final long[] histogram = new long[1 << DIGIT_BITS];

    DenseConversion(DenseMatrix dense) {
        if (dense.dtype() != DType.F32 || !dense.memory().isHost()) {
            throw new UnsupportedOperationException(
                "a CsrMatrix is made from f32 in host memory, not from " + dense);
        }
        this.dense = dense;
        this.rows = dense.rows();
        this.cols = dense.cols();
        this.chunk = new float[Math.min(cols, CHUNK)];
    }

    /** Lets through the magnitudes above a limit, and the first few that equal it. */
    private static final class Sieve {
        private final int limit;
        private long ties;

        Sieve(int limit, long ties) {
            this.limit = limit;
            this.ties = ties;
        }

        boolean keeps(int magnitude) {
            if (magnitude == limit && ties > 0) {
                ties--;
                return true;
            }
            return magnitude > limit;
        }
    }

    CsrMatrix keepNonzeros() {
        Sieve nonzeros = new Sieve(0, 0);
        return convert(r -> nonzeros, r -> nonzeros);
    }

    CsrMatrix keep(Pruning pruning) {
        return switch (pruning) {
            case Pruning.GlobalMagnitude(double sparsity) -> {
                long kept = kept(sparsity, (long) rows * cols);
                Sieve counting = select(0, rows, kept);
                Sieve filling = new Sieve(counting.limit, counting.ties);
                yield convert(r -> counting, r -> filling);
            }
            case Pruning.RowMagnitude(double sparsity) -> {
                long kept = kept(sparsity, cols);
                yield convert(r -> select(r, r + 1, kept), r -> select(r, r + 1, kept));
            }
        };
    }

    private static long kept(double sparsity, long total) {
        return total - Math.min(total, Math.round(sparsity * total));
    }

    private CsrMatrix convert(IntFunction<Sieve> counting, IntFunction<Sieve> filling) {
        CsrStorage storage = new CsrStorage(rows);
        for (int r = 0; r < rows; r++) {
            storage.setRowOffset(r + 1L, countRow(r, counting.apply(r)));
        }
        storage.allocateEntries(storage.sumCounts(rows));
        for (int r = 0; r < rows; r++) {
            fillRow(r, filling.apply(r), storage);
        }
        return new CsrMatrix(rows, cols, storage);
    }

    private int countRow(int row, Sieve sieve) {
        int count = 0;
        for (int from = 0, length; from < cols; from += length) {
            length = load(row, from);
            for (int i = 0; i < length; i++) {
                if (sieve.keeps(magnitude(i))) {
                    count++;
                }
            }
        }
        return count;
    }

    private void fillRow(int row, Sieve sieve, CsrStorage storage) {
        long place = storage.rowOffset(row);
        long end = storage.rowOffset(row + 1L);
        for (int from = 0, length; from < cols; from += length) {
            length = load(row, from);
            for (int i = 0; i < length; i++) {
                if (sieve.keeps(magnitude(i))) {
                    if (place == end) {
                        throw changed(row);
                    }
                    storage.setEntry(place++, from + i, chunk[i]);
                }
            }
        }
        if (place != end) {
            throw changed(row);
        }
    }

    /** The sieve that keeps the {@code kept} largest of some rows' elements, but no zero. */
    private Sieve select(int fromRow, int toRow, long kept) {
        long wanted = kept;
        int prefix = 0;
        for (int shift = 32 - DIGIT_BITS; shift >= 0; shift -= DIGIT_BITS) {
            countDigits(fromRow, toRow, shift, prefix);
            // Only after the first pass, which is the one that refuses NaN.
            if (kept == 0) {
                return new Sieve(MAGNITUDE, 0);
            }
            if (kept == (toRow - (long) fromRow) * cols) {
                return new Sieve(0, 0);
            }
            int digit = histogram.length - 1;
            while (digit > 0 && histogram[digit] < wanted) {
                wanted -= histogram[digit--];
            }
            prefix |= digit << shift;
        }
        return new Sieve(prefix, prefix == 0 ? 0 : wanted);
    }

    /** Counts the digits at {@code shift} of the magnitudes whose higher digits are those of the prefix. */
    private void countDigits(int fromRow, int toRow, int shift, int prefix) {
        Arrays.fill(histogram, 0);
        // In two steps, because a shift by 32 would be one by 0; above the first digit there are no others.
        int above = (-1 << (DIGIT_BITS - 1 + shift)) << 1;
        for (int r = fromRow; r < toRow; r++) {
            for (int from = 0, length; from < cols; from += length) {
                length = load(r, from);
                for (int i = 0; i < length; i++) {
                    int magnitude = magnitude(i);
                    if (magnitude > INFINITY) {
                        throw new IllegalArgumentException(
                            "NaN at row " + r + ", column " + (from + i) + " has no magnitude to rank");
                    }
                    if ((magnitude & above) == prefix) {
                        histogram[(magnitude >>> shift) & (histogram.length - 1)]++;
                    }
                }
            }
        }
    }

    /** Copies the elements of a row from a column on; returns how many. */
    private int load(int row, int from) {
        int length = Math.min(chunk.length, cols - from);
        long offset = (row * dense.rowStride() + from) * Float.BYTES;
        MemorySegment.copy(dense.data(), ValueLayout.JAVA_FLOAT, offset, chunk, 0, length);
        return length;
    }

    private int magnitude(int i) {
        return Float.floatToRawIntBits(chunk[i]) & MAGNITUDE;
    }

    private static ConcurrentModificationException changed(int row) {
        return new ConcurrentModificationException(
            "row " + row + " of the dense matrix changed while it was read");
    }
}
