package dev.filigree.internal.vector;

import static dev.filigree.internal.vector.RawMemory.ALL;
import static dev.filigree.internal.vector.RawMemory.address;

import dev.filigree.spi.NmFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.nio.ByteOrder;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * Unpacks the indices of an N:M matrix: fields of up to 6 bits, one after the other. The fields of a vector of eight
 * begin at a byte, those of a vector of four at half a byte at worst; a broadcast word, shifted by as much as each lane
 * needs, has up to 32 bits of them, and eight fields of more than 4 bits take two words.
 */
final class NmIndices {

    /** At most eight lanes, however wide the machine's vectors. */
    private static final VectorSpecies<Integer> I32 =
        Species.F32.vectorBitSize() >= 256 ? IntVector.SPECIES_256 : IntVector.SPECIES_128;

    private static final int LENGTH = I32.length();
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
    private static final int MAX_BITS = 6;
    /** Lanes 4 to 7. */
    private static final VectorMask<Integer> UPPER = VectorMask.fromLong(I32, 0xf0);
    /** What each lane's word is shifted by: one row of lanes for each width of a field. */
    private static final MemorySegment SHIFTS =
        Arena.global().allocate((MAX_BITS + 1L) * I32.vectorByteSize(), NmFormat.ALIGNMENT);

    static {
        for (int bits = 0; bits <= MAX_BITS; bits++) {
            for (int lane = 0; lane < LENGTH; lane++) {
                boolean second = takesTwoWords(bits) && lane >= 4;
                SHIFTS.setAtIndex(ValueLayout.JAVA_INT, (long) bits * LENGTH + lane,
                    second ? (lane - 4) * bits + 4 * bits % Byte.SIZE : lane * bits);
            }
        }
    }

    private static final MethodHandle[] EXPAND = {handle("expand1"), handle("expand2")};

    private NmIndices() {}

    private static MethodHandle handle(String method) {
        return CallBarrier.handle(MethodHandles.lookup(), method, long.class, int.class, int.class, int.class,
            long.class, long.class, long.class);
    }

    /** The address of the lanes' shifts for fields of a width. */
    private static long shifts(int bits) {
        return SHIFTS.address() + (long) bits * I32.vectorByteSize();
    }

    private static boolean takesTwoWords(int bits) {
        return bits * LENGTH > Integer.SIZE;
    }

    /**
     * Writes where the rows of B's block are that a group's entries meet, in bytes from its start: {@code
     * [slots][streams]} ints at an address, and what is left of the last vector after them.
     *
     * @param rowBytes from row to row of the block; multiplied here, a kernel's loads wait for less
     */
    static void expand(MemorySegment packed, long block, long group, int slots, int rowBytes, long offsets) {
        int bits = NmFormat.intField(packed, NmFormat.INDEX_BITS);
        int entries = slots * NmFormat.streams(NmFormat.intField(packed, NmFormat.VECTOR));
        long words = packed.address() + NmFormat.indicesAt(packed, block, group);
        long firstColumns = packed.address() + NmFormat.field(packed, NmFormat.FIRST_COLUMNS);
        try {
            EXPAND[takesTwoWords(bits) ? 1 : 0].invokeExact(words, bits, entries, rowBytes, firstColumns,
                shifts(bits), offsets);
        } catch (Throwable t) {
            throw CallBarrier.unexpected(t);
        }
    }

    private static void expand1(long words, int bits, int entries, int rowBytes, long firstColumns, long shifts,
            long offsets) {
        IntVector shift = load(address(shifts));
        int mask = (1 << bits) - 1;
        for (int e = 0; e < entries; e += LENGTH) {
            long bit = (long) e * bits;
            int word = ALL.get(INT, address(words + (bit >>> 3))) >>> (int) (bit & 7);
            IntVector index = IntVector.broadcast(I32, word).lanewise(VectorOperators.LSHR, shift).and(mask);
            load(address(firstColumns + 4L * e)).add(index).mul(rowBytes)
                .intoMemorySegment(ALL, address(offsets + 4L * e), ORDER);
        }
    }

    private static void expand2(long words, int bits, int entries, int rowBytes, long firstColumns, long shifts,
            long offsets) {
        IntVector shift = load(address(shifts));
        int mask = (1 << bits) - 1;
        for (int e = 0; e < entries; e += LENGTH) {
            long at = address(words + ((long) e * bits >>> 3));
            IntVector word = IntVector.broadcast(I32, ALL.get(INT, at))
                .blend(ALL.get(INT, at + (bits >>> 1)), UPPER);
            IntVector index = word.lanewise(VectorOperators.LSHR, shift).and(mask);
            load(address(firstColumns + 4L * e)).add(index).mul(rowBytes)
                .intoMemorySegment(ALL, address(offsets + 4L * e), ORDER);
        }
    }

    private static IntVector load(long at) {
        return IntVector.fromMemorySegment(I32, ALL, at, ORDER);
    }
}
