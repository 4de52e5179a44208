package dev.filigree.internal.vector;

import static dev.filigree.internal.vector.RawMemory.ALL;
import static dev.filigree.internal.vector.RawMemory.address;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.nio.ByteOrder;

/**
 * Transposes within scratch memory, two floats at a time in the halves of a long: 2.5 times the speed of one by one,
 * and that of shuffled vectors, of which 8 x 8 take as many instructions.
 */
final class VectorTranspose {

    /** Longs whose low half is the float at the lower address. */
    private static final ValueLayout.OfLong PAIR = ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
    private static final ValueLayout.OfInt SINGLE = ValueLayout.JAVA_INT_UNALIGNED;
    private static final long LOW = 0xffffffffL;
    private static final MethodHandle[] BLOCKS = {handle("transposeBlocks")};
    private static final MethodHandle[] ELEMENTS = {handle("transposeElements")};

    private VectorTranspose() {}

    private static MethodHandle handle(String method) {
        return CallBarrier.handle(MethodHandles.lookup(), method, long.class, long.class, int.class, int.class,
            long.class, long.class);
    }

    /** to[j][i] = from[i][j] for i &lt; rows, j &lt; columns; strides in bytes. */
    static void transpose(MemorySegment scratch, long fromAt, long fromStride, int rows, int columns, long toAt,
            long toStride) {
        long from = scratch.address() + fromAt;
        long to = scratch.address() + toAt;
        int wholeRows = rows & -4;
        int wholeColumns = columns & -2;
        try {
            BLOCKS[0].invokeExact(from, fromStride, wholeRows, wholeColumns, to, toStride);
            if (wholeColumns < columns) {
                ELEMENTS[0].invokeExact(from + 4L * wholeColumns, fromStride, wholeRows, 1,
                    to + wholeColumns * toStride, toStride);
            }
            if (wholeRows < rows) {
                ELEMENTS[0].invokeExact(from + wholeRows * fromStride, fromStride, rows - wholeRows, columns,
                    to + 4L * wholeRows, toStride);
            }
        } catch (Throwable t) {
            throw CallBarrier.unexpected(t);
        }
    }

    /** Four rows by two columns at a time. */
    private static void transposeBlocks(long from, long fromStride, int rows, int columns, long to, long toStride) {
        for (int i = 0; i < rows; i += 4) {
            for (int j = 0; j < columns; j += 2) {
                long at = from + i * fromStride + 4L * j;
                long row0 = ALL.get(PAIR, address(at));
                long row1 = ALL.get(PAIR, address(at + fromStride));
                long row2 = ALL.get(PAIR, address(at + 2 * fromStride));
                long row3 = ALL.get(PAIR, address(at + 3 * fromStride));
                long column0 = address(to + j * toStride + 4L * i);
                ALL.set(PAIR, column0, row0 & LOW | row1 << 32);
                ALL.set(PAIR, column0 + 8, row2 & LOW | row3 << 32);
                long column1 = address(to + (j + 1) * toStride + 4L * i);
                ALL.set(PAIR, column1, row0 >>> 32 | row1 & ~LOW);
                ALL.set(PAIR, column1 + 8, row2 >>> 32 | row3 & ~LOW);
            }
        }
    }

    private static void transposeElements(
            long from, long fromStride, int rows, int columns, long to, long toStride) {
        for (int j = 0; j < columns; j++) {
            for (int i = 0; i < rows; i++) {
                ALL.set(SINGLE, address(to + j * toStride + 4L * i),
                    ALL.get(SINGLE, address(from + i * fromStride + 4L * j)));
            }
        }
    }
}
