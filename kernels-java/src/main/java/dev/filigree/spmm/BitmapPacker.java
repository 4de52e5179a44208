package dev.filigree.spmm;

import static dev.filigree.spi.BitmapFormat.ALIGNMENT;
import static dev.filigree.spi.BitmapFormat.MASK_BYTES;
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
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.function.Consumer;

/**
 * Packs a CSR matrix into the tiles that {@link BitmapFormat} describes, its values rounded to bf16. Time is linear in
 * the nonzeros and tiles.
 */
final class BitmapPacker {

    private static final long MOST_UNITS = 0xffff_ffffL;

    private final CsrMatrix a;
    private final long strips;
    private final long tiles;
    /** Of each row of the strip at hand, the first entry that is not packed yet, and the row's end. */
    private final long[] next = new long[STRIP_ROWS];
    private final long[] ends = new long[STRIP_ROWS];

    private BitmapPacker(CsrMatrix a) {
        this.a = a;
        strips = Math.ceilDiv(a.rows(), STRIP_ROWS);
        tiles = Math.ceilDiv(a.cols(), TILE_COLS);
    }

    /**
     * Packs a matrix.
     *
     * @param activation code of the activation
     * @param bias one value a row, or null
     * @param arena owns the result
     * @param beforeFill sees the untouched memory, to advise the operating system on it
     * @throws IllegalArgumentException if the tiles take more than 64 GiB
     */
    static MemorySegment pack(CsrMatrix a, Layout layout, int activation, float[] bias, Arena arena,
            Consumer<MemorySegment> beforeFill) {
        return new BitmapPacker(a).write(layout, activation, bias, arena, beforeFill);
    }

    private MemorySegment write(Layout layout, int activation, float[] bias, Arena arena,
            Consumer<MemorySegment> beforeFill) {
        long biasAt = align(BitmapFormat.HEADER_BYTES);
        long startsAt = align(biasAt + (bias == null ? 0 : (long) Float.BYTES * a.rows()));
        long tilesAt = align(startsAt + Integer.BYTES * (strips * tiles + 1));
        long units = countUnits();
        if (units > MOST_UNITS) {
            throw new IllegalArgumentException(a + " takes " + units * TILE_ALIGNMENT + " bytes in bf16 tiles, more than "
                + MOST_UNITS * TILE_ALIGNMENT);
        }
        long bytes = align(tilesAt + units * TILE_ALIGNMENT) + BitmapFormat.TAIL;
        MemorySegment packed = arena.allocate(bytes, ALIGNMENT);
        beforeFill.accept(packed);
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

    /** What a tile with so many nonzeros takes, in units of its alignment. */
    private static long units(int nonzeros) {
        return Math.ceilDiv(MASK_BYTES + Short.BYTES * nonzeros, TILE_ALIGNMENT);
    }

    private long countUnits() {
        long units = 0;
        int[] counts = new int[(int) tiles];
        for (long strip = 0; strip < strips; strip++) {
            Arrays.fill(counts, 0);
            enter(strip);
            for (int row = 0; row < STRIP_ROWS; row++) {
                for (long p = next[row]; p < ends[row]; p++) {
                    counts[column(p) / TILE_COLS]++;
                }
            }
            for (int count : counts) {
                units += units(count);
            }
        }
        return units;
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
        short[] placed = new short[TILE_ELEMENTS];
        short[] values = new short[TILE_ELEMENTS];
        long[] masks = new long[SQUARES];
        long at = tilesAt;
        long startAt = startsAt;
        for (long strip = 0; strip < strips; strip++) {
            enter(strip);
            for (long tile = 0; tile < tiles; tile++) {
                packed.set(ValueLayout.JAVA_INT, startAt, (int) ((at - tilesAt) / TILE_ALIGNMENT));
                startAt += Integer.BYTES;
                gather(tile, masks, placed);
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
                MemorySegment.copy(values, 0, packed, ValueLayout.JAVA_SHORT, at + MASK_BYTES, count);
                at += units(count) * TILE_ALIGNMENT;
            }
        }
        packed.set(ValueLayout.JAVA_INT, startAt, (int) ((at - tilesAt) / TILE_ALIGNMENT));
    }

    /** Takes a tile's entries off the rows at hand and puts them in their places. */
    private void gather(long tile, long[] masks, short[] placed) {
        Arrays.fill(masks, 0);
        long first = tile * TILE_COLS;
        for (int row = 0; row < STRIP_ROWS; row++) {
            long p = next[row];
            for (; p < ends[row]; p++) {
                long col = column(p) - first;
                if (col >= TILE_COLS) {
                    break;
                }
                int place = BitmapFormat.place(row, (int) col);
                masks[place / Long.SIZE] |= 1L << place;
                placed[place] = Bf16.fromFloat(a.values().getAtIndex(ValueLayout.JAVA_FLOAT, p));
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
        long[] masks = new long[SQUARES];
        int[] before = new int[SQUARES];
        long[] next = new long[STRIP_ROWS];
        long end = 0;
        for (long strip = 0; strip < strips; strip++) {
            // A row's entries follow those of all rows before it.
            long[] lengths = new long[STRIP_ROWS];
            for (long tile = 0; tile < tiles; tile++) {
                readMasks(packed, BitmapFormat.tileAt(packed, strip, tile), masks, before);
                for (int place = 0; place < TILE_ELEMENTS; place++) {
                    lengths[place / Long.SIZE % 2 * 8 + place % Long.SIZE / 8] +=
                        masks[place / Long.SIZE] >>> place & 1;
                }
            }
            for (int row = 0; row < STRIP_ROWS; row++) {
                next[row] = end;
                end += lengths[row];
            }
            for (long tile = 0; tile < tiles; tile++) {
                long tileAt = BitmapFormat.tileAt(packed, strip, tile);
                readMasks(packed, tileAt, masks, before);
                for (int row = 0; row < STRIP_ROWS; row++) {
                    for (int col = 0; col < TILE_COLS; col++) {
                        int place = BitmapFormat.place(row, col);
                        long mask = masks[place / Long.SIZE];
                        if ((mask >>> place & 1) != 0) {
                            int rank = before[place / Long.SIZE] + Long.bitCount(mask & (1L << place) - 1);
                            packed.set(ValueLayout.JAVA_SHORT, tileAt + MASK_BYTES + Short.BYTES * (long) rank,
                                Bf16.fromFloat(values.getAtIndex(ValueLayout.JAVA_FLOAT_UNALIGNED, next[row]++)));
                        }
                    }
                }
            }
        }
    }

    /** A tile's masks, and how many nonzeros lie before those of each square. */
    private static void readMasks(MemorySegment packed, long tileAt, long[] masks, int[] before) {
        int count = 0;
        for (int square = 0; square < SQUARES; square++) {
            masks[square] = BitmapFormat.mask(packed, tileAt, square);
            before[square] = count;
            count += Long.bitCount(masks[square]);
        }
    }
}
