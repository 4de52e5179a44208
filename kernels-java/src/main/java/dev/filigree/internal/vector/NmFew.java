package dev.filigree.internal.vector;

import static dev.filigree.internal.vector.RawMemory.ALL;
import static dev.filigree.internal.vector.RawMemory.address;
import static dev.filigree.spi.NmFormat.LANES;

import dev.filigree.spi.NmFormat;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * N:M sparse GEMM for few tokens with the Vector API: rows of A in the lanes. The matrix is read once for little
 * arithmetic, so its bytes bound the time, and they are read as they lie: a vector of values, and a word whose fields
 * are the lanes' indices. A permutation of the M elements that a group can meet picks what each lane multiplies, which
 * is why M may be no more than the lanes of a vector.
 */
final class NmFew {

    /** As many lanes as indices that a word has. */
    private static final VectorSpecies<Float> F32 =
        Species.F32.vectorBitSize() >= 256 ? FloatVector.SPECIES_256 : FloatVector.SPECIES_128;
    private static final int LENGTH = F32.length();
    private static final long STEP = F32.vectorByteSize();
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
    /** From one entry of a row to the next, in values and in first columns. */
    private static final long SLOT = (long) Float.BYTES * LANES;

    private static final MethodHandle[] ONE = {CallBarrier.handle(MethodHandles.lookup(), "one", long.class,
        long.class, long.class, int.class, int.class, long.class, long.class, int.class, long.class, long.class)};
    private static final MethodHandle[] TWO = {CallBarrier.handle(MethodHandles.lookup(), "two", long.class,
        long.class, long.class, int.class, int.class, long.class, long.class, int.class, long.class, long.class,
        long.class, long.class)};

    private NmFew() {}

    /** Whether each row has positions of its own, the M elements fit a vector, and its lanes' indices a word. */
    static boolean canRun(MemorySegment packed) {
        return NmFormat.intField(packed, NmFormat.VECTOR) == 1
            && NmFormat.intField(packed, NmFormat.M) <= LENGTH
            && NmFormat.intField(packed, NmFormat.INDEX_BITS) * LENGTH <= Integer.SIZE;
    }

    /**
     * See {@link dev.filigree.internal.NmWalk#multiplyFew}.
     *
     * @param values the address of the groups' values, f32
     */
    static void multiply(MemorySegment packed, long values, long block, long group, int groups, int slots,
            MemorySegment scratch, int tokens, long tokenBytes, long sumsAt, long sumBytes) {
        int bits = NmFormat.intField(packed, NmFormat.INDEX_BITS);
        long firstColumns = packed.address() + NmFormat.field(packed, NmFormat.FIRST_COLUMNS);
        long shifts = NmIndices.shifts(bits);
        long words = packed.address() + NmFormat.indicesAt(packed, block, group);
        long x = scratch.address();
        long sums = x + sumsAt;
        try {
            for (int lane = 0; lane < LANES; lane += 2 * LENGTH) {
                long at = (long) Float.BYTES * lane;
                long bit = (long) lane * bits;
                if (tokens == 1) {
                    ONE[0].invokeExact(values + at, words, bit, bits, slots, firstColumns, shifts, groups, x,
                        sums + at);
                }
                for (int token = 0; token < tokens && tokens > 1; token += 2) {
                    TWO[0].invokeExact(values + at, words, bit, bits, slots, firstColumns, shifts, groups,
                        x + token * tokenBytes, tokenBytes, sums + token * sumBytes + at, sumBytes);
                }
            }
        } catch (Throwable t) {
            throw CallBarrier.unexpected(t);
        }
    }

    /** Two vectors of rows of each group, one token; {@code bit} is where the first lane's field is in a slot. */
    private static void one(long values, long words, long bit, int bits, int slots, long firstColumns, long shifts,
            int groups, long x, long sums) {
        IntVector shift = indices(address(shifts));
        int mask = (1 << bits) - 1;
        long slotBits = (long) LANES * bits;
        long next = bit + (long) LENGTH * bits;
        for (int group = 0; group < groups; group++) {
            long end = address(sums + group * SLOT);
            FloatVector s0 = load(end);
            FloatVector s1 = load(end + STEP);
            long word = words + (group * slots * slotBits >>> 3);
            long value = values + (long) group * slots * SLOT;
            for (int slot = 0; slot < slots; slot++) {
                long at = bit + slot * slotBits;
                long after = next + slot * slotBits;
                IntVector i0 = IntVector.broadcast(NmIndices.I32,
                    ALL.get(INT, address(word + (at >>> 3))) >>> (int) (at & 7));
                IntVector i1 = IntVector.broadcast(NmIndices.I32,
                    ALL.get(INT, address(word + (after >>> 3))) >>> (int) (after & 7));
                i0 = i0.lanewise(VectorOperators.LSHR, shift).and(mask);
                i1 = i1.lanewise(VectorOperators.LSHR, shift).and(mask);
                long row = address(value + slot * SLOT);
                IntVector b = indices(address(x + 4L * ALL.get(INT, address(firstColumns + slot * SLOT))));
                s0 = i0.selectFrom(b).reinterpretAsFloats().fma(load(row), s0);
                s1 = i1.selectFrom(b).reinterpretAsFloats().fma(load(row + STEP), s1);
            }
            s0.intoMemorySegment(ALL, end, ORDER);
            s1.intoMemorySegment(ALL, end + STEP, ORDER);
        }
    }

    /** Two vectors of rows of each group, two tokens: with more, C2 no longer inlines all of it. */
    private static void two(long values, long words, long bit, int bits, int slots, long firstColumns, long shifts,
            int groups, long x, long tokenBytes, long sums, long sumBytes) {
        IntVector shift = indices(address(shifts));
        int mask = (1 << bits) - 1;
        long slotBits = (long) LANES * bits;
        long next = bit + (long) LENGTH * bits;
        for (int group = 0; group < groups; group++) {
            long end0 = address(sums + group * SLOT);
            long end1 = address(end0 + sumBytes);
            FloatVector s00 = load(end0);
            FloatVector s01 = load(end0 + STEP);
            FloatVector s10 = load(end1);
            FloatVector s11 = load(end1 + STEP);
            long word = words + (group * slots * slotBits >>> 3);
            long value = values + (long) group * slots * SLOT;
            for (int slot = 0; slot < slots; slot++) {
                long at = bit + slot * slotBits;
                long after = next + slot * slotBits;
                IntVector i0 = IntVector.broadcast(NmIndices.I32,
                    ALL.get(INT, address(word + (at >>> 3))) >>> (int) (at & 7));
                IntVector i1 = IntVector.broadcast(NmIndices.I32,
                    ALL.get(INT, address(word + (after >>> 3))) >>> (int) (after & 7));
                i0 = i0.lanewise(VectorOperators.LSHR, shift).and(mask);
                i1 = i1.lanewise(VectorOperators.LSHR, shift).and(mask);
                long row = address(value + slot * SLOT);
                FloatVector a0 = load(row);
                FloatVector a1 = load(row + STEP);
                long from = address(x + 4L * ALL.get(INT, address(firstColumns + slot * SLOT)));
                IntVector b = indices(from);
                s00 = i0.selectFrom(b).reinterpretAsFloats().fma(a0, s00);
                s01 = i1.selectFrom(b).reinterpretAsFloats().fma(a1, s01);
                b = indices(address(from + tokenBytes));
                s10 = i0.selectFrom(b).reinterpretAsFloats().fma(a0, s10);
                s11 = i1.selectFrom(b).reinterpretAsFloats().fma(a1, s11);
            }
            s00.intoMemorySegment(ALL, end0, ORDER);
            s01.intoMemorySegment(ALL, end0 + STEP, ORDER);
            s10.intoMemorySegment(ALL, end1, ORDER);
            s11.intoMemorySegment(ALL, end1 + STEP, ORDER);
        }
    }

    private static FloatVector load(long at) {
        return FloatVector.fromMemorySegment(F32, ALL, at, ORDER);
    }

    private static IntVector indices(long at) {
        return IntVector.fromMemorySegment(NmIndices.I32, ALL, at, ORDER);
    }
}
