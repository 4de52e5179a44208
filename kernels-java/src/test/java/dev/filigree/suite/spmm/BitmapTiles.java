package dev.filigree.suite.spmm;

import dev.filigree.Bf16;
import dev.filigree.spi.BitmapFormat;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

/**
 * Reads the packed form for matrix units as a warp does: by the literal tables of where each lane's registers lie in the
 * operands of {@code mma.m16n8k16}, and by what {@code filigree_cuda.h} says. It shares nothing with the packer.
 */
public final class BitmapTiles {

    private static final int LANES = 32;
    private static final int STEPS = 4;
    private static final int STEP_COLS = 16;
    private static final int HEADER_LINES = 1;

    /** Of operand A: where half {@code h} of register {@code r} of lane {@code l} lies, at {@code (l * 4 + r) * 2 + h}. */
    private static final int[] ROW_OF_A = new int[LANES * 4 * 2];
    private static final int[] COLUMN_OF_A = new int[LANES * 4 * 2];
    /** The column of the tile that meets row k of operand B in each multiplication. */
    private static final int[][] TILE_COLUMN = new int[STEPS][STEP_COLS];

    static {
        for (String line : table()) {
            String[] fields = line.split(",");
            int[] n = Arrays.stream(fields).skip(1).mapToInt(Integer::parseInt).toArray();
            int lane = n[0];
            int register = n[1];
            int half = n[2];
            if (fields[0].equals("a")) {
                ROW_OF_A[(lane * 4 + register) * 2 + half] = n[3];
                COLUMN_OF_A[(lane * 4 + register) * 2 + half] = n[4];
            } else if (fields[0].equals("b")) {
                // A lane has two runs of 8 columns of X, and gives four of them to each multiplication.
                for (int step = 0; step < STEPS; step++) {
                    TILE_COLUMN[step][n[3]] =
                        32 * (step / 2) + 8 * (lane % 4) + 4 * (step % 2) + 2 * register + half;
                }
            }
        }
    }

    private BitmapTiles() {}

    private static List<String> table() {
        try (BufferedReader lines = new BufferedReader(new InputStreamReader(Objects.requireNonNull(
                BitmapTiles.class.getResourceAsStream("/dev/filigree/suite/fragments/m16n8k16.csv")),
                StandardCharsets.UTF_8))) {
            return lines.lines().skip(HEADER_LINES).toList();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /**
     * The matrix, row by row, with a NaN where nothing is stored.
     *
     * @throws IllegalStateException if a tile does not end where the next begins, counts its pairs wrongly, is larger than
     *     the header says, or stores something outside the matrix
     */
    public static float[] unpack(MemorySegment packed) {
        int rows = (int) BitmapFormat.field(packed, BitmapFormat.ROWS);
        int cols = (int) BitmapFormat.field(packed, BitmapFormat.COLS);
        long strips = BitmapFormat.field(packed, BitmapFormat.STRIP_COUNT);
        long tiles = BitmapFormat.field(packed, BitmapFormat.TILE_COUNT);
        float[] dense = new float[rows * cols];
        Arrays.fill(dense, Float.NaN);
        for (int strip = 0; strip < strips; strip++) {
            for (int tile = 0; tile < tiles; tile++) {
                unpack(packed, strip, tile, dense, rows, cols);
            }
        }
        return dense;
    }

    private static long begin(MemorySegment packed, long tile) {
        long table = BitmapFormat.field(packed, BitmapFormat.TILE_STARTS);
        return BitmapFormat.field(packed, BitmapFormat.TILES)
            + 16 * Integer.toUnsignedLong(packed.get(ValueLayout.JAVA_INT, table + 4 * tile));
    }

    private static void unpack(MemorySegment packed, int strip, int tile, float[] dense, int rows, int cols) {
        long index = strip * BitmapFormat.field(packed, BitmapFormat.TILE_COUNT) + tile;
        Matrix to = new Matrix(dense, rows, cols, strip * 16, tile * 64);
        long end = unpackPairs(packed, begin(packed, index), to);
        for (; end % 16 != 0; end += Short.BYTES) {
            if (packed.get(ValueLayout.JAVA_SHORT, end) != 0) {
                throw new IllegalStateException("tile " + index + " has something after what it stores");
            }
        }
        if (end - begin(packed, index) > BitmapFormat.field(packed, BitmapFormat.TILE_BYTES)) {
            throw new IllegalStateException("tile " + index + " is larger than the largest");
        }
        if (end != begin(packed, index + 1)) {
            throw new IllegalStateException("tile " + index + " ends at byte " + end + ", the next begins at "
                + begin(packed, index + 1));
        }
    }

    /** The matrix, and where in it a tile lies. */
    private record Matrix(float[] dense, int rows, int cols, int firstRow, int firstCol) {

        /** Sets what a lane has in a half of a register in a step. */
        void set(int step, int lane, int register, int half, short value) {
            int place = (lane * 4 + register) * 2 + half;
            int row = firstRow + ROW_OF_A[place];
            int col = firstCol + TILE_COLUMN[step][COLUMN_OF_A[place]];
            if (row >= rows || col >= cols) {
                throw new IllegalStateException("(" + row + ", " + col + ") is stored outside the matrix");
            }
            dense[row * cols + col] = Bf16.toFloat(value);
        }
    }

    private static long unpackPairs(MemorySegment packed, long at, Matrix to) {
        long pairs = at + (LANES + LANES / 4) * Short.BYTES;
        long value = pairs;
        for (int lane = 0; lane < LANES; lane++) {
            int mask = packed.get(ValueLayout.JAVA_SHORT, at + (long) Short.BYTES * lane);
            for (int bit = 0; bit < 16; bit++) {
                for (int half = 0; half < 2 && (mask >>> bit & 1) != 0; half++, value += Short.BYTES) {
                    short element = packed.get(ValueLayout.JAVA_SHORT, value);
                    if (element != (short) 0x8000) {
                        to.set(bit / 4, lane, bit % 4, half, element);
                    }
                }
            }
            long counted = packed.get(ValueLayout.JAVA_SHORT, at + LANES * Short.BYTES + lane / 4 * Short.BYTES);
            if (lane % 4 == 3 && counted != (value - pairs) / 4) {
                throw new IllegalStateException("lanes 0 to " + lane + " are said to have " + counted + " pairs, not "
                    + (value - pairs) / 4);
            }
        }
        return value;
    }
}
