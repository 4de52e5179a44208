package dev.filigree.spmm;

import static dev.filigree.spi.BitmapFormat.ABSENT;
import static dev.filigree.spi.BitmapFormat.ALIGNMENT;
import static dev.filigree.spi.BitmapFormat.COUNTED_LANES;
import static dev.filigree.spi.BitmapFormat.ENDS;
import static dev.filigree.spi.BitmapFormat.LANES;
import static dev.filigree.spi.BitmapFormat.LANE_PAIRS;
import static dev.filigree.spi.BitmapFormat.PAIRS;
import static dev.filigree.spi.BitmapFormat.STRIP_ROWS;
import static dev.filigree.spi.BitmapFormat.TILE_ALIGNMENT;
import static dev.filigree.spi.BitmapFormat.TILE_COLS;
import static dev.filigree.spi.BitmapFormat.TILE_ELEMENTS;

import dev.filigree.Bf16;
import dev.filigree.Layout;
import dev.filigree.format.CsrMatrix;
import dev.filigree.spi.BitmapFormat;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;

/**
 * Packs a CSR matrix into the tiles that {@link BitmapFormat} describes, its values rounded to bf16. Time is linear in
 * the nonzeros and tiles.
 */
final class BitmapPacker {

    private static final long MOST_UNITS = 0xffff_ffffL;
    private final CsrMatrix a;
    private final long strips;
    private final long tiles;
    /** What all tiles take, in units of a tile's alignment, and the largest of them. */
    private long units;
    private long mostUnits;
    /** Of each row of the strip at hand, the first entry that is not packed yet, and the row's end. */
    private final long[] next = new long[STRIP_ROWS];
    private final long[] ends = new long[STRIP_ROWS];

    private BitmapPacker(CsrMatrix a) {
        this.a = a;
        strips = Math.ceilDiv(a.rows(), STRIP_ROWS);
        tiles = Math.ceilDiv(a.cols(), TILE_COLS);
        countUnits();
    }

    /**
     * Packs a matrix.
     *
     * @param activation code of the activation
     * @param bias one value a row, or null
     * @param memory gives zeroed memory, which its arena owns
     * @throws IllegalArgumentException if the tiles take more than 64 GiB
     */
    static MemorySegment pack(CsrMatrix a, Layout layout, int activation, float[] bias, SegmentAllocator memory) {
        return new BitmapPacker(a).write(layout, activation, bias, memory);
    }

    private MemorySegment write(Layout layout, int activation, float[] bias, SegmentAllocator memory) {
        long biasAt = align(BitmapFormat.HEADER_BYTES);
        long startsAt = align(biasAt + (bias == null ? 0 : (long) Float.BYTES * a.rows()));
        long tilesAt = align(startsAt + Integer.BYTES * (strips * tiles + 1));
        if (units > MOST_UNITS) {
            throw new IllegalArgumentException(a + " takes " + units * TILE_ALIGNMENT + " bytes in bf16 tiles, more than "
                + MOST_UNITS * TILE_ALIGNMENT);
        }
        long bytes = align(tilesAt + units * TILE_ALIGNMENT) + BitmapFormat.TAIL;
        MemorySegment packed = memory.allocate(bytes, ALIGNMENT);
        set(packed, BitmapFormat.MAGIC, BitmapFormat.MAGIC_VALUE);
        set(packed, BitmapFormat.BYTES, bytes);
        set(packed, BitmapFormat.ROWS, a.rows());
        set(packed, BitmapFormat.COLS, a.cols());
        set(packed, BitmapFormat.NNZ, a.nnz());
        set(packed, BitmapFormat.STRIP_COUNT, strips);
        set(packed, BitmapFormat.TILE_COUNT, tiles);
        packed.set(ValueLayout.JAVA_INT, BitmapFormat.LAYOUT, layout.code());
        packed.set(ValueLayout.JAVA_INT, BitmapFormat.ACTIVATION, activation);
        set(packed, BitmapFormat.BIAS, bias == null ? 0 : biasAt);
        set(packed, BitmapFormat.TILE_STARTS, startsAt);
        set(packed, BitmapFormat.TILES, tilesAt);
        set(packed, BitmapFormat.TILE_BYTES, mostUnits * TILE_ALIGNMENT);
        if (bias != null) {
            MemorySegment.copy(bias, 0, packed, ValueLayout.JAVA_FLOAT, biasAt, bias.length);
        }
        writeTiles(packed, startsAt, tilesAt);
        return packed;
    }

    private static long align(long at) {
        return Math.ceilDiv(at, ALIGNMENT) * ALIGNMENT;
    }

    private static void set(MemorySegment packed, long field, long value) {
        packed.set(ValueLayout.JAVA_LONG, field, value);
    }

    /** What so many bytes take, in units of a tile's alignment. */
    private static long units(int bytes) {
        return Math.ceilDiv(bytes, TILE_ALIGNMENT);
    }

    private void countUnits() {
        int[] pairs = new int[(int) tiles];
        for (long strip = 0; strip < strips; strip++) {
            Arrays.fill(pairs, 0);
            enter(strip);
            for (int row = 0; row < STRIP_ROWS; row++) {
                int lastPair = -1;
                for (long p = next[row]; p < ends[row]; p++) {
                    int column = column(p);
                    pairs[column / TILE_COLS] += column / 2 == lastPair ? 0 : 1;
                    lastPair = column / 2;
                }
            }
            for (int count : pairs) {
                long taken = units(PAIRS + Integer.BYTES * count);
                units += taken;
                mostUnits = Math.max(mostUnits, taken);
            }
        }
    }

    private int column(long entry) {
        return a.columns().getAtIndex(ValueLayout.JAVA_INT, entry);
    }

    /** Puts the rows of a strip at hand; those past the last are empty. */
    private void enter(long strip) {
        for (int row = 0; row < STRIP_ROWS; row++) {
            long r = Math.min(strip * STRIP_ROWS + row, a.rows());
            next[row] = a.rowOffsets().getAtIndex(ValueLayout.JAVA_LONG, r);
            ends[row] = a.rowOffsets().getAtIndex(ValueLayout.JAVA_LONG, Math.min(r + 1, a.rows()));
        }
    }

    private void writeTiles(MemorySegment packed, long startsAt, long tilesAt) {
        Tile tile = new Tile();
        long at = tilesAt;
        long startAt = startsAt;
        for (long strip = 0; strip < strips; strip++) {
            enter(strip);
            for (long t = 0; t < tiles; t++) {
                packed.set(ValueLayout.JAVA_INT, startAt, (int) ((at - tilesAt) / TILE_ALIGNMENT));
                startAt += Integer.BYTES;
                gather(t, tile);
                at += TILE_ALIGNMENT * units(tile.write(packed, at));
            }
        }
        packed.set(ValueLayout.JAVA_INT, startAt, (int) ((at - tilesAt) / TILE_ALIGNMENT));
    }

    /** A tile's elements, each at its place, and which of them are stored: a bit each, 32 to a lane. */
    private static final class Tile {
        final int[] stored = new int[LANES];
        final short[] placed = new short[TILE_ELEMENTS];
        private final short[] values = new short[TILE_ELEMENTS];

        /** Returns the bytes that it took. */
        int write(MemorySegment packed, long at) {
            int count = 0;
            for (int lane = 0; lane < LANES; lane++) {
                int mask = 0;
                for (int bit = 0; bit < LANE_PAIRS; bit++) {
                    int two = stored[lane] >>> 2 * bit & 3;
                    if (two != 0) {
                        mask |= 1 << bit;
                        int place = 2 * (lane * LANE_PAIRS + bit);
                        values[count++] = (two & 1) == 0 ? ABSENT : present(placed[place]);
                        values[count++] = (two & 2) == 0 ? ABSENT : present(placed[place + 1]);
                    }
                }
                packed.set(ValueLayout.JAVA_SHORT, at + (long) Short.BYTES * lane, (short) mask);
                // Of lanes counted together the last one's count stays.
                packed.set(ValueLayout.JAVA_SHORT, at + ENDS + (long) Short.BYTES * (lane / COUNTED_LANES),
                    (short) (count / 2));
            }
            MemorySegment.copy(values, 0, packed, ValueLayout.JAVA_SHORT, at + PAIRS, count);
            return PAIRS + Short.BYTES * count;
        }
    }

    /** A stored element of a pair: a zero loses its sign, which would make it absent. */
    private static short present(short value) {
        return value == ABSENT ? 0 : value;
    }

    /** Takes a tile's entries off the rows at hand and puts them in their places. */
    private void gather(long number, Tile tile) {
        Arrays.fill(tile.stored, 0);
        long first = number * TILE_COLS;
        for (int row = 0; row < STRIP_ROWS; row++) {
            long p = next[row];
            for (; p < ends[row]; p++) {
                long col = column(p) - first;
                if (col >= TILE_COLS) {
                    break;
                }
                int place = BitmapFormat.place(row, (int) col);
                tile.stored[place / Integer.SIZE] |= 1 << place;
                tile.placed[place] = Bf16.fromFloat(a.values().getAtIndex(ValueLayout.JAVA_FLOAT, p));
            }
            next[row] = p;
        }
    }

    /**
     * Overwrites the values of a packed matrix.
     *
     * @param values one for each stored element, in the order of the CSR matrix
     */
    static void update(MemorySegment packed, MemorySegment values) {
        long strips = BitmapFormat.field(packed, BitmapFormat.STRIP_COUNT);
        long tiles = BitmapFormat.field(packed, BitmapFormat.TILE_COUNT);
        long[] at = new long[TILE_ELEMENTS];
        long[] next = new long[STRIP_ROWS];
        long end = 0;
        for (long strip = 0; strip < strips; strip++) {
            // A row's entries follow those of all rows before it.
            long[] lengths = new long[STRIP_ROWS];
            for (long tile = 0; tile < tiles; tile++) {
                locate(packed, BitmapFormat.tileAt(packed, strip, tile), at);
                for (int row = 0; row < STRIP_ROWS; row++) {
                    for (int col = 0; col < TILE_COLS; col++) {
                        lengths[row] += at[BitmapFormat.place(row, col)] == 0 ? 0 : 1;
                    }
                }
            }
            for (int row = 0; row < STRIP_ROWS; row++) {
                next[row] = end;
                end += lengths[row];
            }
            for (long tile = 0; tile < tiles; tile++) {
                locate(packed, BitmapFormat.tileAt(packed, strip, tile), at);
                for (int row = 0; row < STRIP_ROWS; row++) {
                    for (int col = 0; col < TILE_COLS; col++) {
                        long valueAt = at[BitmapFormat.place(row, col)];
                        if (valueAt != 0) {
                            packed.set(ValueLayout.JAVA_SHORT, valueAt, present(
                                Bf16.fromFloat(values.getAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, next[row]++))));
                        }
                    }
                }
            }
        }
    }

    /** Where each place of a tile has its value, as a byte of the block; 0 where nothing is stored. */
    private static void locate(MemorySegment packed, long tileAt, long[] at) {
        Arrays.fill(at, 0);
        long valueAt = tileAt + PAIRS;
        for (int lane = 0; lane < LANES; lane++) {
            int mask = packed.get(ValueLayout.JAVA_SHORT, tileAt + (long) Short.BYTES * lane);
            for (int bit = 0; bit < LANE_PAIRS; bit++) {
                for (int half = 0; half < 2 && (mask >>> bit & 1) != 0; half++, valueAt += Short.BYTES) {
                    boolean stored = packed.get(ValueLayout.JAVA_SHORT, valueAt) != ABSENT;
                    at[2 * (lane * LANE_PAIRS + bit) + half] = stored ? valueAt : 0;
                }
            }
        }
    }
}
