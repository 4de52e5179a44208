package dev.filigree.internal.vector;

import static dev.filigree.internal.vector.RawMemory.ALL;
import static dev.filigree.internal.vector.RawMemory.address;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;

/** Transposes within scratch memory. */
final class VectorTranspose {

    /** Reads go along as many streams as the hardware follows, writes fill whole lines. */
    private static final int ROWS = 16;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final MethodHandle[] TRANSPOSE = {CallBarrier.handle(MethodHandles.lookup(), "transpose",
        long.class, long.class, int.class, int.class, long.class, long.class)};

    private VectorTranspose() {}

    /** to[j][i] = from[i][j] for i &lt; rows, j &lt; columns; strides in bytes. */
    static void transpose(MemorySegment scratch, long fromAt, long fromStride, int rows, int columns, long toAt,
            long toStride) {
        long base = scratch.address();
        try {
            TRANSPOSE[0].invokeExact(base + fromAt, fromStride, rows, columns, base + toAt, toStride);
        } catch (Throwable t) {
            throw CallBarrier.unexpected(t);
        }
    }

    private static void transpose(long from, long fromStride, int rows, int columns, long to, long toStride) {
        for (int first = 0; first < rows; first += ROWS) {
            int count = Math.min(ROWS, rows - first);
            for (int j = 0; j < columns; j++) {
                long fromAt = address(from + first * fromStride + 4L * j);
                long toAt = address(to + j * toStride + 4L * first);
                for (int i = 0; i < count; i++) {
                    ALL.set(FLOAT, toAt + 4L * i, ALL.get(FLOAT, address(fromAt + i * fromStride)));
                }
            }
        }
    }
}
