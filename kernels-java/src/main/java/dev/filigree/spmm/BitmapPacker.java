package dev.filigree.spmm;

import static dev.filigree.spi.BitmapFormat.ABSENT;
import static dev.filigree.spi.BitmapFormat.ALIGNMENT;
import static dev.filigree.spi.BitmapFormat.LANES;
import static dev.filigree.spi.BitmapFormat.MASK_BYTES;
import static dev.filigree.spi.BitmapFormat.PAIRS;
import static dev.filigree.spi.BitmapFormat.PAIR_MASK_BYTES;
import static dev.filigree.spi.BitmapFormat.SQUARES;
import static dev.filigree.spi.BitmapFormat.STRIP_ROWS;
import static dev.filigree.spi.BitmapFormat.TILE_ALIGNMENT;
import static dev.filigree.spi.BitmapFormat.TILE_COLS;
import static dev.filigree.spi.BitmapFormat.TILE_ELEMENTS;

import dev.filigree.Bf16;
import dev.filigree.Layout;
import dev.filigree.format.CsrMatrix;
import dev.filigree.spi.BitmapFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.OptionalInt;

/**
 * Packs a CSR matrix into the tiles that {@link BitmapFormat} describes, its values rounded to bf16. Time is linear in
 * the nonzeros and tiles.
 */
final class BitmapPacker {

    private static final long MOST_UNITS = 0xffff_ffffL;
    /**
     * What a device reads in the time that it takes to unpack a tile element by element: ten instructions for 64 of them,
     * four at a time on each of 132 multiprocessors at 1.75 GHz, beside a memory of 4.3 TB/s. Pairs take half of them.
     */
    private static final long BYTES_READ_WHILE_UNPACKING = 750;

    private final CsrMatrix a;
    private final long strips;
    private final long tiles;
    private final int form;
    private final long units;
    /** Of each row of the strip at hand, the first entry that is not packed yet, and the row's end. */
    private final long[] next = new long[STRIP_ROWS];
    private final long[] ends = new long[STRIP_ROWS];

    private BitmapPacker(CsrMatrix a, OptionalInt givenForm) {
        this.a = a;
        strips = Math.ceilDiv(a.rows(), STRIP_ROWS);
        tiles = Math.ceilDiv(a.cols(), TILE_COLS);
        long[] unitsByForm = countUnits();
        long elements = Math.max(unitsByForm[BitmapFormat.ELEMENTS] * TILE_ALIGNMENT,
            strips * tiles * BYTES_READ_WHILE_UNPACKING);
        form = givenForm.orElse(
            unitsByForm[PAIRS] * TILE_ALIGNMENT < elements ? PAIRS : BitmapFormat.ELEMENTS);
        units = unitsByForm[form];
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
        return new BitmapPacker(a, OptionalInt.empty()).write(layout, activation, bias, memory);
    }

    /** In a given form, for tests. */
    static MemorySegment pack(CsrMatrix a, int form, Layout layout, int activation, float[] bias, Arena arena) {
        return new BitmapPacker(a, OptionalInt.of(form)).write(layout, activation, bias, arena);
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
        set(packed, BitmapFormat.FORM, form);
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

    /** What all tiles take, by form. */
    private long[] countUnits() {
        long[] all = new long[2];
        int[] elements = new int[(int) tiles];
        int[] pairs = new int[(int) tiles];
        for (long strip = 0; strip < strips; strip++) {
            Arrays.fill(elements, 0);
            Arrays.fill(pairs, 0);
            enter(strip);
            for (int row = 0; row < STRIP_ROWS; row++) {
                int lastPair = -1;
                for (long p = next[row]; p < ends[row]; p++) {
                    int column = column(p);
                    elements[column / TILE_COLS]++;
                    pairs[column / TILE_COLS] += column / 2 == lastPair ? 0 : 1;
                    lastPair = column / 2;
                }
            }
            for (int tile = 0; tile < tiles; tile++) {
                all[BitmapFormat.ELEMENTS] += units(MASK_BYTES + Short.BYTES * elements[tile]);
                all[PAIRS] += units(PAIR_MASK_BYTES + Integer.BYTES * pairs[tile]);
            }
        }
        return all;
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
                at += TILE_ALIGNMENT * units(form == PAIRS ? tile.writePairs(packed, at) : tile.writeElements(packed, at));
            }
        }
        packed.set(ValueLayout.JAVA_INT, startAt, (int) ((at - tilesAt) / TILE_ALIGNMENT));
    }

    /** A tile's stored elements, each at its place. */
    private static final class Tile {
        final long[] masks = new long[SQUARES];
        final short[] placed = new short[TILE_ELEMENTS];
        private final short[] values = new short[TILE_ELEMENTS];

        /** Returns the bytes that it took. */
        int writeElements(MemorySegment packed, long at) {
            int count = 0;
            for (int square = 0; square < SQUARES; square++) {
                long mask = masks[square];
                long maskAt = at + BitmapFormat.maskAt(square);
                packed.set(ValueLayout.JAVA_INT, maskAt, (int) mask);
                packed.set(ValueLayout.JAVA_INT, maskAt + TILE_ALIGNMENT, (int) (mask >>> Integer.SIZE));
                for (; mask != 0; mask &= mask - 1) {
                    values[count++] = placed[square * Long.SIZE + Long.numberOfTrailingZeros(mask)];
                }
            }
            return writeValues(packed, at, MASK_BYTES, count);
        }

        int writePairs(MemorySegment packed, long at) {
            int count = 0;
            for (int lane = 0; lane < LANES; lane++) {
                int laneMask = 0;
                for (int square = 0; square < SQUARES; square++) {
                    long two = masks[square] >>> 2 * lane & 3;
                    if (two != 0) {
                        laneMask |= 1 << square;
                        int place = square * Long.SIZE + 2 * lane;
                        values[count++] = (two & 1) == 0 ? ABSENT : stored(placed[place]);
                        values[count++] = (two & 2) == 0 ? ABSENT : stored(placed[place + 1]);
                    }
                }
                packed.set(ValueLayout.JAVA_SHORT, at + (long) Short.BYTES * lane, (short) laneMask);
            }
            return writeValues(packed, at, PAIR_MASK_BYTES, count);
        }

        private int writeValues(MemorySegment packed, long at, int maskBytes, int count) {
            MemorySegment.copy(values, 0, packed, ValueLayout.JAVA_SHORT, at + maskBytes, count);
            return maskBytes + Short.BYTES * count;
        }
    }

    /** A stored element of a pair: a zero loses its sign, which would make it absent. */
    private static short stored(short value) {
        return value == ABSENT ? 0 : value;
    }

    /** Takes a tile's entries off the rows at hand and puts them in their places. */
    private void gather(long number, Tile tile) {
        Arrays.fill(tile.masks, 0);
        long first = number * TILE_COLS;
        for (int row = 0; row < STRIP_ROWS; row++) {
            long p = next[row];
            for (; p < ends[row]; p++) {
                long col = column(p) - first;
                if (col >= TILE_COLS) {
                    break;
                }
                int place = BitmapFormat.place(row, (int) col);
                tile.masks[place / Long.SIZE] |= 1L << place;
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
        boolean pairs = BitmapFormat.field(packed, BitmapFormat.FORM) == PAIRS;
        long[] at = new long[TILE_ELEMENTS];
        long[] next = new long[STRIP_ROWS];
        long end = 0;
        for (long strip = 0; strip < strips; strip++) {
            // A row's entries follow those of all rows before it.
            long[] lengths = new long[STRIP_ROWS];
            for (long tile = 0; tile < tiles; tile++) {
                locate(packed, BitmapFormat.tileAt(packed, strip, tile), pairs, at);
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
                locate(packed, BitmapFormat.tileAt(packed, strip, tile), pairs, at);
                for (int row = 0; row < STRIP_ROWS; row++) {
                    for (int col = 0; col < TILE_COLS; col++) {
                        long valueAt = at[BitmapFormat.place(row, col)];
                        if (valueAt != 0) {
                            short value =
                                Bf16.fromFloat(values.getAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, next[row]++));
                            packed.set(ValueLayout.JAVA_SHORT, valueAt, pairs ? stored(value) : value);
                        }
                    }
                }
            }
        }
    }

    /** Where each place of a tile has its value, as a byte of the block; 0 where nothing is stored. */
    private static void locate(MemorySegment packed, long tileAt, boolean pairs, long[] at) {
        Arrays.fill(at, 0);
        if (pairs) {
            long valueAt = tileAt + PAIR_MASK_BYTES;
            for (int lane = 0; lane < LANES; lane++) {
                int mask = packed.get(ValueLayout.JAVA_SHORT, tileAt + (long) Short.BYTES * lane);
                for (int square = 0; square < SQUARES; square++) {
                    for (int half = 0; half < 2 && (mask >>> square & 1) != 0; half++, valueAt += Short.BYTES) {
                        boolean stored = packed.get(ValueLayout.JAVA_SHORT, valueAt) != ABSENT;
                        at[square * Long.SIZE + 2 * lane + half] = stored ? valueAt : 0;
                    }
                }
            }
            return;
        }
        long valueAt = tileAt + MASK_BYTES;
        for (int square = 0; square < SQUARES; square++) {
            for (long mask = BitmapFormat.mask(packed, tileAt, square); mask != 0; mask &= mask - 1) {
                at[square * Long.SIZE + Long.numberOfTrailingZeros(mask)] = valueAt;
                valueAt += Short.BYTES;
            }
        }
    }
}
