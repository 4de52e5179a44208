package dev.filigree.internal;

import static dev.filigree.spi.GemmFormat.ALIGNMENT;
import static dev.filigree.spi.GemmFormat.FINISH_ROWS;
import static dev.filigree.spi.GemmFormat.MICRO_ROWS;
import static dev.filigree.spi.GemmFormat.PANEL;

import dev.filigree.format.CsrMatrix;
import dev.filigree.format.RowMatrix;
import dev.filigree.spi.GemmFormat;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;

/**
 * Packs a matrix for the dense kernels of every backend, with a zero for each element that is not stored, as
 * {@link GemmFormat} describes.
 */
public final class GemmPacker {

    /** No work item may hold more than this share of the work, so that a team of any sensible size is even. */
    private static final int MAX_SHARE = 64;
    /** Rows of a block of B: 64 KiB a panel, in the second-level cache beside the values that stream by. */
    private static final long MAX_DEPTH = 256;
    /**
     * Accumulators of a pass: 240 KiB where a pass spans several blocks, so that copying a block of B is paid by
     * many rows; 12 KiB (first level) where it does not.
     */
    private static final long PASS_ROWS_BLOCKED = 960;
    private static final long PASS_ROWS_SINGLE = FINISH_ROWS;

    private GemmPacker() {}

    /**
     * Packs a sparse matrix.
     *
     * @param layout code of the dense operands' layout, as in the header
     * @param activation code of the activation
     * @param bias one value a row, or null
     * @param memory gives zeroed memory, which its arena owns
     * @throws IllegalArgumentException if the matrix is too large
     */
    public static MemorySegment pack(CsrMatrix a, int layout, int activation, float[] bias, SegmentAllocator memory) {
        MemorySegment packed = allocate(a, a.rows(), a.cols(), layout, activation, bias, memory);
        update(a, packed, a.values());
        return packed;
    }

    /**
     * Packs a dense matrix, or its transposed one; bf16 is widened.
     *
     * @param transposed whether the rows of {@code a} are the columns of what is packed
     * @param layout code of the dense operands' layout, as in the header
     * @param activation code of the activation
     * @param bias one value a row of what is packed, or null
     * @param memory gives zeroed memory, which its arena owns
     * @throws IllegalArgumentException if the matrix is too large
     */
    public static MemorySegment pack(RowMatrix a, boolean transposed, int layout, int activation, float[] bias,
            SegmentAllocator memory) {
        int rows = transposed ? a.cols() : a.rows();
        int cols = transposed ? a.rows() : a.cols();
        MemorySegment packed = allocate(a, rows, cols, layout, activation, bias, memory);
        Places places = Places.of(packed);
        float[] values = new float[a.cols()];
        for (int r = 0; r < a.rows(); r++) {
            a.copyRow(r, values);
            if (transposed) {
                places.setColumn(packed, r, values);
            } else {
                places.setRow(packed, r, values);
            }
        }
        return packed;
    }

    private static MemorySegment allocate(Object a, int rows, int cols, int layout, int activation, float[] bias,
            SegmentAllocator memory) {
        long paddedRows = GemmFormat.paddedRows(rows);
        long blockCount = Math.ceilDiv(cols, MAX_DEPTH);
        // Equal blocks: a short last one would pay for its accumulators' round trip with little work.
        long blockDepth = blockCount == 0 ? 0 : Math.ceilDiv(cols, blockCount);
        long chunkRows = Math.max(MICRO_ROWS, rows / MAX_SHARE / MICRO_ROWS * MICRO_ROWS);
        long passRows = Math.min(Math.max(MICRO_ROWS, paddedRows),
            blockCount > 1 ? PASS_ROWS_BLOCKED : PASS_ROWS_SINGLE);

        long biasAt = bias == null ? 0 : align(GemmFormat.HEADER_BYTES);
        long valuesAt = align(bias == null ? GemmFormat.HEADER_BYTES : biasAt + (long) Float.BYTES * rows);
        long bytes;
        try {
            long values = Math.multiplyExact(paddedRows, (long) Float.BYTES * cols);
            bytes = Math.addExact(valuesAt + GemmFormat.TAIL, values);
        } catch (ArithmeticException e) {
            throw new IllegalArgumentException(a + " is too large to be packed as a dense matrix", e);
        }

        MemorySegment packed = memory.allocate(bytes, ALIGNMENT);
        set(packed, GemmFormat.MAGIC, GemmFormat.MAGIC_VALUE);
        set(packed, GemmFormat.BYTES, bytes);
        set(packed, GemmFormat.ROWS, rows);
        set(packed, GemmFormat.COLS, cols);
        set(packed, GemmFormat.BLOCK_DEPTH, blockDepth);
        set(packed, GemmFormat.BLOCK_COUNT, blockCount);
        set(packed, GemmFormat.PASS_ROWS, passRows);
        set(packed, GemmFormat.CHUNK_ROWS, chunkRows);
        set(packed, GemmFormat.CHUNK_COUNT, Math.ceilDiv(rows, chunkRows));
        set(packed, GemmFormat.SCRATCH_BYTES, oldAt(blockDepth, passRows) + FINISH_ROWS * PANEL * Float.BYTES);
        packed.set(ValueLayout.JAVA_INT, GemmFormat.LAYOUT, layout);
        packed.set(ValueLayout.JAVA_INT, GemmFormat.ACTIVATION, activation);
        set(packed, GemmFormat.BIAS, biasAt);
        set(packed, GemmFormat.VALUES, valuesAt);
        if (bias != null) {
            MemorySegment.copy(bias, 0, packed, ValueLayout.JAVA_FLOAT, biasAt, bias.length);
        }
        return packed;
    }

    /**
     * Writes the values of a packed matrix; the zeros stay.
     *
     * @param a the pattern
     * @param values native, one for each stored element of the pattern, in its order
     */
    public static void update(CsrMatrix a, MemorySegment packed, MemorySegment values) {
        Places places = Places.of(packed);
        MemorySegment offsets = a.rowOffsets();
        MemorySegment columns = a.columns();
        for (int row = 0; row < a.rows(); row++) {
            long end = offsets.getAtIndex(ValueLayout.JAVA_LONG, row + 1L);
            for (long p = offsets.getAtIndex(ValueLayout.JAVA_LONG, row); p < end; p++) {
                int column = columns.getAtIndex(ValueLayout.JAVA_INT, p);
                packed.set(ValueLayout.JAVA_FLOAT, places.at(row, column),
                    values.getAtIndex(ValueLayout.JAVA_FLOAT, p));
            }
        }
    }

    /** Where a packed matrix has its elements. */
    private record Places(long valuesAt, long paddedRows, int cols, int blockDepth) {

        static Places of(MemorySegment packed) {
            return new Places(GemmFormat.field(packed, GemmFormat.VALUES),
                GemmFormat.paddedRows(GemmFormat.field(packed, GemmFormat.ROWS)),
                (int) GemmFormat.field(packed, GemmFormat.COLS),
                (int) GemmFormat.field(packed, GemmFormat.BLOCK_DEPTH));
        }

        long at(int row, int column) {
            long group = row / MICRO_ROWS * MICRO_ROWS;
            int k = column % blockDepth;
            int first = column - k;
            long depth = Math.min(blockDepth, cols - first);
            long index = first * paddedRows + group * depth + (long) k * MICRO_ROWS + (row - group);
            return valuesAt + Float.BYTES * index;
        }

        void setRow(MemorySegment packed, int row, float[] values) {
            for (int first = 0; first < cols; first += blockDepth) {
                long at = at(row, first);
                int end = Math.min(cols, first + blockDepth);
                for (int c = first; c < end; c++, at += (long) Float.BYTES * MICRO_ROWS) {
                    packed.set(ValueLayout.JAVA_FLOAT, at, values[c]);
                }
            }
        }

        void setColumn(MemorySegment packed, int column, float[] values) {
            for (int first = 0; first < values.length; first += MICRO_ROWS) {
                long at = at(first, column);
                int end = Math.min(values.length, first + MICRO_ROWS);
                for (int r = first; r < end; r++, at += Float.BYTES) {
                    packed.set(ValueLayout.JAVA_FLOAT, at, values[r]);
                }
            }
        }
    }

    /** Where scratch holds accumulators: after the block of B. */
    static long accumulatorsAt(long blockDepth) {
        return blockDepth * PANEL * Float.BYTES;
    }

    /** Where scratch holds what is about to be transposed, or has been. */
    static long stageAt(long blockDepth, long passRows) {
        return accumulatorsAt(blockDepth) + passRows * PANEL * Float.BYTES;
    }

    /** Where scratch holds what the output held before. */
    static long oldAt(long blockDepth, long passRows) {
        return stageAt(blockDepth, passRows) + (long) PANEL * PANEL * Float.BYTES;
    }

    private static void set(MemorySegment packed, long field, long value) {
        packed.set(ValueLayout.JAVA_LONG, field, value);
    }

    private static long align(long at) {
        return Math.ceilDiv(at, ALIGNMENT) * ALIGNMENT;
    }
}
