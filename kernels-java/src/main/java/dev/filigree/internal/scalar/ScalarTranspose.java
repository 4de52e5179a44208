package dev.filigree.internal.scalar;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import java.lang.foreign.MemorySegment;

/** Transposes floats within scratch, one at a time. */
final class ScalarTranspose {

    private ScalarTranspose() {}

    /** to[j][i] = from[i][j] for i &lt; rows, j &lt; columns; strides in bytes. */
    static void transpose(MemorySegment scratch, long fromAt, long fromStride, int rows, int columns, long toAt,
            long toStride) {
        for (int j = 0; j < columns; j++) {
            for (int i = 0; i < rows; i++) {
                scratch.set(JAVA_FLOAT, toAt + j * toStride + 4L * i,
                    scratch.get(JAVA_FLOAT, fromAt + i * fromStride + 4L * j));
            }
        }
    }
}
