package dev.filigree.attention;

import dev.filigree.format.BlockGrid;
import dev.filigree.format.BlockMask;
import dev.filigree.spi.AttentionFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Comparator;
import java.util.stream.IntStream;

/**
 * Packs a mask as {@link AttentionFormat} and {@code filigree.h} say: blocks cut into tiles of rows and units of keys.
 */
final class MaskPacker {

    private static final int FULL = -1;

    private final BlockMask mask;
    private final BlockGrid grid;
    private final int unitKeys;
    private final int tilesPerBlock;
    private final int tileCount;
    private final long[] listStarts;
    private int[] units = new int[64];
    private int[] patterns = new int[64];
    private int entries;
    private final BitSet used = new BitSet();

    private MaskPacker(BlockMask mask) {
        this.mask = mask;
        grid = mask.grid();
        unitKeys = unitKeys(grid.blockCols());
        tilesPerBlock = Math.ceilDiv(grid.blockRows(), AttentionFormat.MAX_TILE_ROWS);
        tileCount = (grid.rowBlocks() - 1) * tilesPerBlock
            + Math.ceilDiv(grid.queries() - (grid.rowBlocks() - 1) * grid.blockRows(), AttentionFormat.MAX_TILE_ROWS);
        listStarts = new long[Math.addExact(Math.multiplyExact(mask.heads(), tileCount), 1)];
    }

    static MemorySegment pack(BlockMask mask, Arena arena) {
        MaskPacker packer = new MaskPacker(mask);
        packer.list();
        return packer.write(arena);
    }

    /** The largest divisor of a block's keys that fits a step and is made of whole panels. */
    private static int unitKeys(int blockCols) {
        int keys = Math.min(blockCols, AttentionFormat.STEP_KEYS);
        while (blockCols % keys != 0) {
            keys -= AttentionFormat.LANES;
        }
        return keys;
    }

    private int tileStart(int tile) {
        return Math.min(grid.queries(), tile / tilesPerBlock * grid.blockRows()
            + tile % tilesPerBlock * AttentionFormat.MAX_TILE_ROWS);
    }

    private void list() {
        for (int head = 0; head < mask.heads(); head++) {
            for (int tile = 0; tile < tileCount; tile++) {
                listTile(head, tile);
                listStarts[head * tileCount + tile + 1] = entries;
            }
        }
    }

    /** Merges the full and the partial blocks of a tile's block row in ascending order. */
    private void listTile(int head, int tile) {
        int row = tile / tilesPerBlock;
        int fulls = mask.fullCount(head, row);
        int partials = mask.partialCount(head, row);
        int full = 0;
        int partial = 0;
        while (full < fulls || partial < partials) {
            int fullAt = full < fulls ? mask.fullBlock(head, row, full) : Integer.MAX_VALUE;
            int partialAt = partial < partials ? mask.partialBlock(head, row, partial) : Integer.MAX_VALUE;
            if (fullAt < partialAt) {
                addUnits(tile, fullAt, FULL);
                full++;
            } else {
                addUnits(tile, partialAt, mask.partialPattern(head, row, partial));
                partial++;
            }
        }
    }

    private void addUnits(int tile, int colBlock, int pattern) {
        int perBlock = grid.blockCols() / unitKeys;
        for (int i = 0; i < perBlock; i++) {
            int unit = colBlock * perBlock + i;
            if ((long) unit * unitKeys >= grid.keys()) {
                return;
            }
            int kind = pattern;
            if (pattern != FULL) {
                int bits = countBits(tile, unit, i, pattern);
                int rows = tileStart(tile + 1) - tileStart(tile);
                int keys = Math.min(unitKeys, grid.keys() - unit * unitKeys);
                if (bits == 0) {
                    continue;
                }
                kind = bits == rows * keys ? FULL : pattern;
            }
            add(unit, kind);
        }
    }

    /** The scores that count in a tile's part of an element mask. */
    private int countBits(int tile, int unit, int unitOfBlock, int pattern) {
        int first = tileStart(tile) % grid.blockRows();
        int last = first + tileStart(tile + 1) - tileStart(tile);
        int words = unitKeys / AttentionFormat.LANES;
        int count = 0;
        for (int row = first; row < last; row++) {
            for (int word = 0; word < words; word++) {
                count += Integer.bitCount(mask.patternWord(pattern, row, unitOfBlock * words + word));
            }
        }
        return count;
    }

    private void add(int unit, int kind) {
        if (entries == units.length) {
            int room = Math.toIntExact(Math.min(Integer.MAX_VALUE - 8L, 2L * entries));
            units = Arrays.copyOf(units, room);
            patterns = Arrays.copyOf(patterns, room);
        }
        units[entries] = unit;
        patterns[entries++] = kind;
        used.set(unit);
    }

    /** The tiles of each head, the longest lists first: what is left for last is short. */
    private int[] order() {
        int[] order = new int[mask.heads() * tileCount];
        for (int head = 0; head < mask.heads(); head++) {
            int base = head * tileCount;
            int[] sorted = IntStream.range(0, tileCount).boxed()
                .sorted(Comparator.comparingLong(tile -> listStarts[base + tile] - listStarts[base + tile + 1]))
                .mapToInt(Integer::intValue).toArray();
            System.arraycopy(sorted, 0, order, base, tileCount);
        }
        return order;
    }

    private short[] words() {
        int rowWords = grid.blockCols() / AttentionFormat.LANES;
        short[] words = new short[Math.multiplyExact(mask.patterns(), grid.blockRows() * rowWords)];
        for (int i = 0; i < words.length; i++) {
            words[i] = (short) mask.patternWord(
                i / (grid.blockRows() * rowWords), i / rowWords % grid.blockRows(), i % rowWords);
        }
        return words;
    }

    private MemorySegment write(Arena arena) {
        int[] tileStarts = IntStream.rangeClosed(0, tileCount).map(this::tileStart).toArray();
        MemorySegment[] tables = {
            MemorySegment.ofArray(tileStarts),
            MemorySegment.ofArray(order()),
            MemorySegment.ofArray(listStarts),
            MemorySegment.ofArray(units).asSlice(0, 4L * entries),
            MemorySegment.ofArray(patterns).asSlice(0, 4L * entries),
            MemorySegment.ofArray(words()),
            MemorySegment.ofArray(used.stream().toArray())};
        long[] offsets = new long[tables.length];
        long bytes = AttentionFormat.MASK_HEADER_BYTES;
        for (int i = 0; i < tables.length; i++) {
            bytes = Math.ceilDiv(bytes, AttentionFormat.ALIGNMENT) * AttentionFormat.ALIGNMENT;
            offsets[i] = bytes;
            bytes += tables[i].byteSize();
        }
        bytes = Math.ceilDiv(bytes, AttentionFormat.ALIGNMENT) * AttentionFormat.ALIGNMENT + AttentionFormat.TAIL;
        MemorySegment packed = arena.allocate(bytes, AttentionFormat.ALIGNMENT);
        long[] header = {AttentionFormat.MAGIC_VALUE, bytes, grid.queries(), grid.keys(), mask.heads(),
            grid.blockRows(), grid.blockCols(), Math.min(grid.blockRows(), AttentionFormat.MAX_TILE_ROWS), unitKeys,
            AttentionFormat.STEP_KEYS / unitKeys, tileCount, used.cardinality()};
        for (int i = 0; i < header.length; i++) {
            packed.set(ValueLayout.JAVA_LONG, 8L * i, header[i]);
        }
        for (int i = 0; i < tables.length; i++) {
            packed.set(ValueLayout.JAVA_LONG, 8L * (header.length + i), offsets[i]);
            MemorySegment.copy(tables[i], 0, packed, offsets[i], tables[i].byteSize());
        }
        return packed;
    }
}
