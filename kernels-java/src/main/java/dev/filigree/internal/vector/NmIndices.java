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
 * Unpacks the indices of an N:M matrix: fields of up to 6 bits, one after the other, a vector of them at a time. Each
 * lane takes a word with its field in it and shifts that down. Of up to 4 bits, a word has the fields of eight lanes;
 * of more, those of four, which begin at half a byte at worst. Lanes past the first word blend in words of their own.
 */
final class NmIndices {

    private static final VectorSpecies<Integer> I32 = VectorSpecies.of(int.class, Species.F32.vectorShape());
    private static final int LENGTH = I32.length();
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
    private static final int MAX_BITS = 6;
    private static final VectorMask<Integer> UPPER_HALF = VectorMask.fromLong(I32, -1L << LENGTH / 2);
    /** The lanes of the second, third and fourth of four words. */
    private static final VectorMask<Integer> SECOND = VectorMask.fromLong(I32, 0x00f0);
    private static final VectorMask<Integer> THIRD = VectorMask.fromLong(I32, 0x0f00);
    private static final VectorMask<Integer> FOURTH = VectorMask.fromLong(I32, 0xf000);
    /** What each lane's word is shifted by: one row of lanes for each width of a field. */
    private static final MemorySegment SHIFTS =
        Arena.global().allocate((MAX_BITS + 1L) * I32.vectorByteSize(), NmFormat.ALIGNMENT);

    static {
        for (int bits = 0; bits <= MAX_BITS; bits++) {
            int fields = LENGTH / words(bits);
            for (int lane = 0; lane < LENGTH; lane++) {
                int first = lane / fields * fields;
                SHIFTS.setAtIndex(ValueLayout.JAVA_INT, (long) bits * LENGTH + lane,
                    first * bits % Byte.SIZE + (lane - first) * bits);
            }
        }
    }

    /** By the binary logarithm of the words that a vector takes. */
    private static final MethodHandle[] EXPAND = {handle("expand1"), handle("expand2"), handle("expand4")};

    private NmIndices() {}

    private static MethodHandle handle(String method) {
        return CallBarrier.handle(MethodHandles.lookup(), method, long.class, int.class, int.class, int.class,
            long.class, long.class, long.class);
    }

    /** The address of the lanes' shifts for fields of a width. */
    private static long shifts(int bits) {
        return SHIFTS.address() + (long) bits * I32.vectorByteSize();
    }

    /** How many words have the fields of a vector: one, two or four. */
    private static int words(int bits) {
        return Math.max(1, LENGTH / (bits <= 4 ? 8 : 4));
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
            EXPAND[words(bits) / 2].invokeExact(words, bits, entries, rowBytes, firstColumns,
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
        int second = LENGTH / 2 * bits / Byte.SIZE;
        for (int e = 0; e < entries; e += LENGTH) {
            long at = address(words + ((long) e * bits >>> 3));
            IntVector word = IntVector.broadcast(I32, ALL.get(INT, at)).blend(ALL.get(INT, at + second), UPPER_HALF);
            IntVector index = word.lanewise(VectorOperators.LSHR, shift).and(mask);
            load(address(firstColumns + 4L * e)).add(index).mul(rowBytes)
                .intoMemorySegment(ALL, address(offsets + 4L * e), ORDER);
        }
    }

    private static void expand4(long words, int bits, int entries, int rowBytes, long firstColumns, long shifts,
            long offsets) {
        IntVector shift = load(address(shifts));
        int mask = (1 << bits) - 1;
        for (int e = 0; e < entries; e += LENGTH) {
            long at = address(words + ((long) e * bits >>> 3));
            IntVector word = IntVector.broadcast(I32, ALL.get(INT, at)).blend(ALL.get(INT, at + (bits >>> 1)), SECOND)
                .blend(ALL.get(INT, at + bits), THIRD).blend(ALL.get(INT, at + (3 * bits >>> 1)), FOURTH);
            IntVector index = word.lanewise(VectorOperators.LSHR, shift).and(mask);
            load(address(firstColumns + 4L * e)).add(index).mul(rowBytes)
                .intoMemorySegment(ALL, address(offsets + 4L * e), ORDER);
        }
    }

    private static IntVector load(long at) {
        return IntVector.fromMemorySegment(I32, ALL, at, ORDER);
    }
}
