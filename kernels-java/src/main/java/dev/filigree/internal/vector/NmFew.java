package dev.filigree.internal.vector;

import static dev.filigree.internal.vector.RawMemory.ALL;
import static dev.filigree.internal.vector.RawMemory.USER_SPACE;
import static dev.filigree.internal.vector.Species.F32;
import static dev.filigree.spi.NmFormat.LANES;

import dev.filigree.spi.NmFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;
import jdk.incubator.vector.VectorMask;
import jdk.incubator.vector.VectorOperators;
import jdk.incubator.vector.VectorSpecies;

/**
 * N:M sparse GEMM for few tokens with the Vector API: rows of A in the lanes. The matrix is read once for little
 * arithmetic, so its bytes bound the time, and they are read as they lie: a vector of values, and a word or two whose
 * fields are the lanes' indices. A permutation of the elements that a group can meet picks what each lane multiplies,
 * which is why M may be no more than the lanes of a vector; where it divides them, what is permuted begins at a whole
 * vector, since loads that lie across two lines of a cache take twice as long.
 *
 * <p>One token reads from several groups at a time, far apart, as one core reads several parts of memory faster than
 * one. More tokens are independent sums themselves.
 *
 * <p>Methods spell out what they do with vectors, for the reason that {@link SpmmVector} gives; masks of addresses and
 * of distances change no number, but tell C2 that a sum of them is no negative address.
 */
final class NmFew {

    private static final VectorSpecies<Integer> I32 = VectorSpecies.of(int.class, F32.vectorShape());
    private static final int LENGTH = F32.length();
    private static final long STEP = F32.vectorByteSize();
    /** Vectors of the rows of a group. */
    private static final int STRIPS = LANES / LENGTH;
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
    /** From one entry of a row to the next, in values and in first columns. */
    private static final long SLOT = (long) Float.BYTES * LANES;
    /** Groups that one token reads from at a time. */
    private static final int STREAMS = 4;

    /** Positions among no more elements than a vector has lanes. */
    private static final int MAX_BITS = 4;
    /** The lanes of a word: eight fields of up to four bits. */
    private static final int WORD_LANES = 8;
    /** The lanes of the second word; none in short vectors. */
    private static final VectorMask<Integer> UPPER = VectorMask.fromLong(I32, -1L << WORD_LANES);
    /** What each lane's word is shifted by: a vector for each width of a field. */
    private static final MemorySegment SHIFTS =
        Arena.global().allocate((MAX_BITS + 1) * STEP, NmFormat.ALIGNMENT);

    static {
        for (int bits = 0; bits <= MAX_BITS; bits++) {
            for (int lane = 0; lane < LENGTH; lane++) {
                SHIFTS.setAtIndex(ValueLayout.JAVA_INT, (long) bits * LENGTH + lane, lane % WORD_LANES * bits);
            }
        }
    }

    private static final MethodHandle[] ONE = {handle("one"), handle("oneOfStreams")};
    private static final MethodHandle[] SEVERAL = {handle("four"), handle("eight"), handle("eightOfPairs")};

    private NmFew() {}

    private static MethodHandle handle(String method) {
        return CallBarrier.handle(MethodHandles.lookup(), method, long.class, long.class, int.class, int.class,
            long.class, int.class, int.class, int.class, long.class, long.class, long.class, long.class);
    }

    /** Whether each row has positions of its own, and the M elements fit a vector. */
    static boolean canRun(MemorySegment packed) {
        return NmFormat.intField(packed, NmFormat.VECTOR) == 1 && NmFormat.intField(packed, NmFormat.M) <= LENGTH;
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
        long words = packed.address() + NmFormat.indicesAt(packed, block, group);
        long x = scratch.address();
        long sums = x + sumsAt;
        int m = NmFormat.intField(packed, NmFormat.M);
        int unit = NmFormat.intField(packed, NmFormat.UNIT);
        int n = NmFormat.intField(packed, NmFormat.N);
        // How many entries follow each other and meet the same elements, and the part of a column that is a place
        // among them. Where all are kept, first columns are those of the entries.
        boolean aligned = LENGTH % unit == 0;
        int window = aligned ? LENGTH / m * n : unit == m && bits > 0 ? n : 1;
        int place = aligned ? LENGTH - 1 : 0;
        try {
            if (tokens == 1) {
                int together = groups / STREAMS * STREAMS;
                if (together > 0) {
                    ONE[1].invokeExact(values, words, bits, slots, firstColumns, window, place, together, x,
                        tokenBytes, sums, sumBytes);
                }
                if (together < groups) {
                    long entries = (long) together * slots;
                    ONE[0].invokeExact(values + entries * SLOT, words + 2 * entries * bits, bits, slots, firstColumns,
                        window, place, groups - together, x, tokenBytes, sums + together * SLOT, sumBytes);
                }
                return;
            }
            boolean pairs = tokens == 8 && window == 2 && slots % 2 == 0;
            SEVERAL[pairs ? 2 : tokens / 8].invokeExact(values, words, bits, slots, firstColumns, window, place, groups,
                x, tokenBytes, sums, sumBytes);
        } catch (Throwable t) {
            throw CallBarrier.unexpected(t);
        }
    }

    /** One token, one vector of rows after the other. */
    private static void one(long values, long words, int bits, int slots, long firstColumns, int window, int place,
            int groups, long x, long tokenBytes, long sums, long sumBytes) {
        long columns = firstColumns & USER_SPACE;
        long wordStep = 2L * bits & Byte.MAX_VALUE;
        long second = bits & Byte.MAX_VALUE;
        int mask = (1 << bits) - 1;
        for (int strip = 0; strip < groups * STRIPS; strip++) {
            long entries = (long) strip / STRIPS * slots;
            int lane = strip % STRIPS * LENGTH;
            long value = values + entries * SLOT + 4L * lane & USER_SPACE;
            long word = words + 2 * entries * bits + (lane * bits >>> 3) & USER_SPACE;
            IntVector shift = IntVector.fromMemorySegment(I32, ALL, SHIFTS.address() + bits * STEP & USER_SPACE, ORDER)
                .add(lane * bits & 7);
            long end = sums + strip * STEP & USER_SPACE;
            FloatVector s0 = FloatVector.fromMemorySegment(F32, ALL, end, ORDER);
            for (int first = 0; first < slots; first += window) {
                int column = ALL.get(INT, columns + first * SLOT & USER_SPACE);
                long from = x + 4L * (column & ~place) & USER_SPACE;
                IntVector b0 = IntVector.fromMemorySegment(I32, ALL, from, ORDER);
                int last = Math.min(first + window, slots);
                for (int slot = first; slot < last; slot++) {
                    long at = word + slot * wordStep & USER_SPACE;
                    IntVector index = IntVector.broadcast(I32, ALL.get(INT, at));
                    if (LENGTH > WORD_LANES) {
                        index = index.blend(ALL.get(INT, at + second), UPPER);
                    }
                    index = index.lanewise(VectorOperators.LSHR, shift).and(mask)
                        .or(IntVector.fromMemorySegment(I32, ALL, columns + slot * SLOT & USER_SPACE, ORDER)
                            .and(place));
                    FloatVector a = FloatVector.fromMemorySegment(F32, ALL, value + slot * SLOT & USER_SPACE, ORDER);
                    s0 = index.selectFrom(b0).reinterpretAsFloats().fma(a, s0);
                }
            }
            s0.intoMemorySegment(ALL, end, ORDER);
        }
    }

    /** One token, {@value #STREAMS} groups at a time, each from a part of memory of its own. */
    private static void oneOfStreams(long values, long words, int bits, int slots, long firstColumns, int window,
            int place, int groups, long x, long tokenBytes, long sums, long sumBytes) {
        long columns = firstColumns & USER_SPACE;
        long wordStep = 2L * bits & Byte.MAX_VALUE;
        long second = bits & Byte.MAX_VALUE;
        int mask = (1 << bits) - 1;
        int apart = groups / STREAMS;
        long valuesApart = apart * slots * SLOT & Integer.MAX_VALUE;
        long wordsApart = 2L * apart * slots * bits & Integer.MAX_VALUE;
        long sumsApart = apart * SLOT & Integer.MAX_VALUE;
        for (int strip = 0; strip < apart * STRIPS; strip++) {
            long entries = (long) strip / STRIPS * slots;
            int lane = strip % STRIPS * LENGTH;
            long value = values + entries * SLOT + 4L * lane & USER_SPACE;
            long word = words + 2 * entries * bits + (lane * bits >>> 3) & USER_SPACE;
            IntVector shift = IntVector.fromMemorySegment(I32, ALL, SHIFTS.address() + bits * STEP & USER_SPACE, ORDER)
                .add(lane * bits & 7);
            long end = sums + strip * STEP & USER_SPACE;
            FloatVector s0 = FloatVector.fromMemorySegment(F32, ALL, end, ORDER);
            FloatVector s1 = FloatVector.fromMemorySegment(F32, ALL, end + sumsApart, ORDER);
            FloatVector s2 = FloatVector.fromMemorySegment(F32, ALL, end + 2 * sumsApart, ORDER);
            FloatVector s3 = FloatVector.fromMemorySegment(F32, ALL, end + 3 * sumsApart, ORDER);
            for (int first = 0; first < slots; first += window) {
                int column = ALL.get(INT, columns + first * SLOT & USER_SPACE);
                IntVector b = IntVector.fromMemorySegment(I32, ALL, x + 4L * (column & ~place) & USER_SPACE, ORDER);
                int last = Math.min(first + window, slots);
                for (int slot = first; slot < last; slot++) {
                    IntVector within = IntVector.fromMemorySegment(I32, ALL, columns + slot * SLOT & USER_SPACE, ORDER)
                        .and(place);
                    long from = value + slot * SLOT & USER_SPACE;
                    long at = word + slot * wordStep & USER_SPACE;
                    IntVector index = IntVector.broadcast(I32, ALL.get(INT, at));
                    if (LENGTH > WORD_LANES) {
                        index = index.blend(ALL.get(INT, at + second), UPPER);
                    }
                    index = index.lanewise(VectorOperators.LSHR, shift).and(mask).or(within);
                    s0 = FloatVector.fromMemorySegment(F32, ALL, from, ORDER)
                        .fma(index.selectFrom(b).reinterpretAsFloats(), s0);
                    index = IntVector.broadcast(I32, ALL.get(INT, at + wordsApart));
                    if (LENGTH > WORD_LANES) {
                        index = index.blend(ALL.get(INT, at + wordsApart + second), UPPER);
                    }
                    index = index.lanewise(VectorOperators.LSHR, shift).and(mask).or(within);
                    s1 = FloatVector.fromMemorySegment(F32, ALL, from + valuesApart, ORDER)
                        .fma(index.selectFrom(b).reinterpretAsFloats(), s1);
                    index = IntVector.broadcast(I32, ALL.get(INT, at + 2 * wordsApart));
                    if (LENGTH > WORD_LANES) {
                        index = index.blend(ALL.get(INT, at + 2 * wordsApart + second), UPPER);
                    }
                    index = index.lanewise(VectorOperators.LSHR, shift).and(mask).or(within);
                    s2 = FloatVector.fromMemorySegment(F32, ALL, from + 2 * valuesApart, ORDER)
                        .fma(index.selectFrom(b).reinterpretAsFloats(), s2);
                    index = IntVector.broadcast(I32, ALL.get(INT, at + 3 * wordsApart));
                    if (LENGTH > WORD_LANES) {
                        index = index.blend(ALL.get(INT, at + 3 * wordsApart + second), UPPER);
                    }
                    index = index.lanewise(VectorOperators.LSHR, shift).and(mask).or(within);
                    s3 = FloatVector.fromMemorySegment(F32, ALL, from + 3 * valuesApart, ORDER)
                        .fma(index.selectFrom(b).reinterpretAsFloats(), s3);
                }
            }
            s0.intoMemorySegment(ALL, end, ORDER);
            s1.intoMemorySegment(ALL, end + sumsApart, ORDER);
            s2.intoMemorySegment(ALL, end + 2 * sumsApart, ORDER);
            s3.intoMemorySegment(ALL, end + 3 * sumsApart, ORDER);
        }
    }

    /** Four tokens, one vector of rows after the other. */
    private static void four(long values, long words, int bits, int slots, long firstColumns, int window, int place,
            int groups, long x, long tokenBytes, long sums, long sumBytes) {
        long columns = firstColumns & USER_SPACE;
        long wordStep = 2L * bits & Byte.MAX_VALUE;
        long second = bits & Byte.MAX_VALUE;
        int mask = (1 << bits) - 1;
        long token = tokenBytes & Integer.MAX_VALUE;
        long sum = sumBytes & Integer.MAX_VALUE;
        for (int strip = 0; strip < groups * STRIPS; strip++) {
            long entries = (long) strip / STRIPS * slots;
            int lane = strip % STRIPS * LENGTH;
            long value = values + entries * SLOT + 4L * lane & USER_SPACE;
            long word = words + 2 * entries * bits + (lane * bits >>> 3) & USER_SPACE;
            IntVector shift = IntVector.fromMemorySegment(I32, ALL, SHIFTS.address() + bits * STEP & USER_SPACE, ORDER)
                .add(lane * bits & 7);
            long end = sums + strip * STEP & USER_SPACE;
            FloatVector s0 = FloatVector.fromMemorySegment(F32, ALL, end, ORDER);
            FloatVector s1 = FloatVector.fromMemorySegment(F32, ALL, end + sum, ORDER);
            FloatVector s2 = FloatVector.fromMemorySegment(F32, ALL, end + 2 * sum, ORDER);
            FloatVector s3 = FloatVector.fromMemorySegment(F32, ALL, end + 3 * sum, ORDER);
            for (int first = 0; first < slots; first += window) {
                int column = ALL.get(INT, columns + first * SLOT & USER_SPACE);
                long from = x + 4L * (column & ~place) & USER_SPACE;
                IntVector b0 = IntVector.fromMemorySegment(I32, ALL, from, ORDER);
                IntVector b1 = IntVector.fromMemorySegment(I32, ALL, from + token, ORDER);
                IntVector b2 = IntVector.fromMemorySegment(I32, ALL, from + 2 * token, ORDER);
                IntVector b3 = IntVector.fromMemorySegment(I32, ALL, from + 3 * token, ORDER);
                int last = Math.min(first + window, slots);
                for (int slot = first; slot < last; slot++) {
                    long at = word + slot * wordStep & USER_SPACE;
                    IntVector index = IntVector.broadcast(I32, ALL.get(INT, at));
                    if (LENGTH > WORD_LANES) {
                        index = index.blend(ALL.get(INT, at + second), UPPER);
                    }
                    index = index.lanewise(VectorOperators.LSHR, shift).and(mask)
                        .or(IntVector.fromMemorySegment(I32, ALL, columns + slot * SLOT & USER_SPACE, ORDER)
                            .and(place));
                    FloatVector a = FloatVector.fromMemorySegment(F32, ALL, value + slot * SLOT & USER_SPACE, ORDER);
                    s0 = index.selectFrom(b0).reinterpretAsFloats().fma(a, s0);
                    s1 = index.selectFrom(b1).reinterpretAsFloats().fma(a, s1);
                    s2 = index.selectFrom(b2).reinterpretAsFloats().fma(a, s2);
                    s3 = index.selectFrom(b3).reinterpretAsFloats().fma(a, s3);
                }
            }
            s0.intoMemorySegment(ALL, end, ORDER);
            s1.intoMemorySegment(ALL, end + sum, ORDER);
            s2.intoMemorySegment(ALL, end + 2 * sum, ORDER);
            s3.intoMemorySegment(ALL, end + 3 * sum, ORDER);
        }
    }

    /** Eight tokens, one vector of rows after the other. */
    private static void eight(long values, long words, int bits, int slots, long firstColumns, int window, int place,
            int groups, long x, long tokenBytes, long sums, long sumBytes) {
        long columns = firstColumns & USER_SPACE;
        long wordStep = 2L * bits & Byte.MAX_VALUE;
        long second = bits & Byte.MAX_VALUE;
        int mask = (1 << bits) - 1;
        long token = tokenBytes & Integer.MAX_VALUE;
        long sum = sumBytes & Integer.MAX_VALUE;
        long token7 = 7 * tokenBytes & Integer.MAX_VALUE;
        long sum7 = 7 * sumBytes & Integer.MAX_VALUE;
        for (int strip = 0; strip < groups * STRIPS; strip++) {
            long entries = (long) strip / STRIPS * slots;
            int lane = strip % STRIPS * LENGTH;
            long value = values + entries * SLOT + 4L * lane & USER_SPACE;
            long word = words + 2 * entries * bits + (lane * bits >>> 3) & USER_SPACE;
            IntVector shift = IntVector.fromMemorySegment(I32, ALL, SHIFTS.address() + bits * STEP & USER_SPACE, ORDER)
                .add(lane * bits & 7);
            long end = sums + strip * STEP & USER_SPACE;
            FloatVector s0 = FloatVector.fromMemorySegment(F32, ALL, end, ORDER);
            FloatVector s1 = FloatVector.fromMemorySegment(F32, ALL, end + sum, ORDER);
            FloatVector s2 = FloatVector.fromMemorySegment(F32, ALL, end + 2 * sum, ORDER);
            FloatVector s3 = FloatVector.fromMemorySegment(F32, ALL, end + 3 * sum, ORDER);
            FloatVector s4 = FloatVector.fromMemorySegment(F32, ALL, end + 4 * sum, ORDER);
            FloatVector s5 = FloatVector.fromMemorySegment(F32, ALL, end + 5 * sum, ORDER);
            FloatVector s6 = FloatVector.fromMemorySegment(F32, ALL, end + 6 * sum, ORDER);
            FloatVector s7 = FloatVector.fromMemorySegment(F32, ALL, end + sum7, ORDER);
            for (int first = 0; first < slots; first += window) {
                int column = ALL.get(INT, columns + first * SLOT & USER_SPACE);
                long from = x + 4L * (column & ~place) & USER_SPACE;
                IntVector b0 = IntVector.fromMemorySegment(I32, ALL, from, ORDER);
                IntVector b1 = IntVector.fromMemorySegment(I32, ALL, from + token, ORDER);
                IntVector b2 = IntVector.fromMemorySegment(I32, ALL, from + 2 * token, ORDER);
                IntVector b3 = IntVector.fromMemorySegment(I32, ALL, from + 3 * token, ORDER);
                IntVector b4 = IntVector.fromMemorySegment(I32, ALL, from + 4 * token, ORDER);
                IntVector b5 = IntVector.fromMemorySegment(I32, ALL, from + 5 * token, ORDER);
                IntVector b6 = IntVector.fromMemorySegment(I32, ALL, from + 6 * token, ORDER);
                IntVector b7 = IntVector.fromMemorySegment(I32, ALL, from + token7, ORDER);
                int last = Math.min(first + window, slots);
                for (int slot = first; slot < last; slot++) {
                    long at = word + slot * wordStep & USER_SPACE;
                    IntVector index = IntVector.broadcast(I32, ALL.get(INT, at));
                    if (LENGTH > WORD_LANES) {
                        index = index.blend(ALL.get(INT, at + second), UPPER);
                    }
                    index = index.lanewise(VectorOperators.LSHR, shift).and(mask)
                        .or(IntVector.fromMemorySegment(I32, ALL, columns + slot * SLOT & USER_SPACE, ORDER)
                            .and(place));
                    FloatVector a = FloatVector.fromMemorySegment(F32, ALL, value + slot * SLOT & USER_SPACE, ORDER);
                    s0 = index.selectFrom(b0).reinterpretAsFloats().fma(a, s0);
                    s1 = index.selectFrom(b1).reinterpretAsFloats().fma(a, s1);
                    s2 = index.selectFrom(b2).reinterpretAsFloats().fma(a, s2);
                    s3 = index.selectFrom(b3).reinterpretAsFloats().fma(a, s3);
                    s4 = index.selectFrom(b4).reinterpretAsFloats().fma(a, s4);
                    s5 = index.selectFrom(b5).reinterpretAsFloats().fma(a, s5);
                    s6 = index.selectFrom(b6).reinterpretAsFloats().fma(a, s6);
                    s7 = index.selectFrom(b7).reinterpretAsFloats().fma(a, s7);
                }
            }
            s0.intoMemorySegment(ALL, end, ORDER);
            s1.intoMemorySegment(ALL, end + sum, ORDER);
            s2.intoMemorySegment(ALL, end + 2 * sum, ORDER);
            s3.intoMemorySegment(ALL, end + 3 * sum, ORDER);
            s4.intoMemorySegment(ALL, end + 4 * sum, ORDER);
            s5.intoMemorySegment(ALL, end + 5 * sum, ORDER);
            s6.intoMemorySegment(ALL, end + 6 * sum, ORDER);
            s7.intoMemorySegment(ALL, end + sum7, ORDER);
        }
    }

    /** {@link #eight} where each two entries meet elements of their own: a loop over two costs as much as they. */
    private static void eightOfPairs(long values, long words, int bits, int slots, long firstColumns, int window,
            int place, int groups, long x, long tokenBytes, long sums, long sumBytes) {
        long columns = firstColumns & USER_SPACE;
        long wordStep = 2L * bits & Byte.MAX_VALUE;
        long second = bits & Byte.MAX_VALUE;
        int mask = (1 << bits) - 1;
        long token = tokenBytes & Integer.MAX_VALUE;
        long sum = sumBytes & Integer.MAX_VALUE;
        long token7 = 7 * tokenBytes & Integer.MAX_VALUE;
        long sum7 = 7 * sumBytes & Integer.MAX_VALUE;
        for (int strip = 0; strip < groups * STRIPS; strip++) {
            long entries = (long) strip / STRIPS * slots;
            int lane = strip % STRIPS * LENGTH;
            long value = values + entries * SLOT + 4L * lane & USER_SPACE;
            long word = words + 2 * entries * bits + (lane * bits >>> 3) & USER_SPACE;
            IntVector shift = IntVector.fromMemorySegment(I32, ALL, SHIFTS.address() + bits * STEP & USER_SPACE, ORDER)
                .add(lane * bits & 7);
            long end = sums + strip * STEP & USER_SPACE;
            FloatVector s0 = FloatVector.fromMemorySegment(F32, ALL, end, ORDER);
            FloatVector s1 = FloatVector.fromMemorySegment(F32, ALL, end + sum, ORDER);
            FloatVector s2 = FloatVector.fromMemorySegment(F32, ALL, end + 2 * sum, ORDER);
            FloatVector s3 = FloatVector.fromMemorySegment(F32, ALL, end + 3 * sum, ORDER);
            FloatVector s4 = FloatVector.fromMemorySegment(F32, ALL, end + 4 * sum, ORDER);
            FloatVector s5 = FloatVector.fromMemorySegment(F32, ALL, end + 5 * sum, ORDER);
            FloatVector s6 = FloatVector.fromMemorySegment(F32, ALL, end + 6 * sum, ORDER);
            FloatVector s7 = FloatVector.fromMemorySegment(F32, ALL, end + sum7, ORDER);
            for (int first = 0; first < slots; first += 2) {
                int column = ALL.get(INT, columns + first * SLOT & USER_SPACE);
                long from = x + 4L * (column & ~place) & USER_SPACE;
                IntVector b0 = IntVector.fromMemorySegment(I32, ALL, from, ORDER);
                IntVector b1 = IntVector.fromMemorySegment(I32, ALL, from + token, ORDER);
                IntVector b2 = IntVector.fromMemorySegment(I32, ALL, from + 2 * token, ORDER);
                IntVector b3 = IntVector.fromMemorySegment(I32, ALL, from + 3 * token, ORDER);
                IntVector b4 = IntVector.fromMemorySegment(I32, ALL, from + 4 * token, ORDER);
                IntVector b5 = IntVector.fromMemorySegment(I32, ALL, from + 5 * token, ORDER);
                IntVector b6 = IntVector.fromMemorySegment(I32, ALL, from + 6 * token, ORDER);
                IntVector b7 = IntVector.fromMemorySegment(I32, ALL, from + token7, ORDER);
                long at = word + first * wordStep & USER_SPACE;
                IntVector index = IntVector.broadcast(I32, ALL.get(INT, at));
                if (LENGTH > WORD_LANES) {
                    index = index.blend(ALL.get(INT, at + second), UPPER);
                }
                index = index.lanewise(VectorOperators.LSHR, shift).and(mask)
                    .or(IntVector.fromMemorySegment(I32, ALL, columns + first * SLOT & USER_SPACE, ORDER)
                        .and(place));
                FloatVector a = FloatVector.fromMemorySegment(F32, ALL, value + first * SLOT & USER_SPACE, ORDER);
                s0 = index.selectFrom(b0).reinterpretAsFloats().fma(a, s0);
                s1 = index.selectFrom(b1).reinterpretAsFloats().fma(a, s1);
                s2 = index.selectFrom(b2).reinterpretAsFloats().fma(a, s2);
                s3 = index.selectFrom(b3).reinterpretAsFloats().fma(a, s3);
                s4 = index.selectFrom(b4).reinterpretAsFloats().fma(a, s4);
                s5 = index.selectFrom(b5).reinterpretAsFloats().fma(a, s5);
                s6 = index.selectFrom(b6).reinterpretAsFloats().fma(a, s6);
                s7 = index.selectFrom(b7).reinterpretAsFloats().fma(a, s7);
                at = word + (first + 1) * wordStep & USER_SPACE;
                index = IntVector.broadcast(I32, ALL.get(INT, at));
                if (LENGTH > WORD_LANES) {
                    index = index.blend(ALL.get(INT, at + second), UPPER);
                }
                index = index.lanewise(VectorOperators.LSHR, shift).and(mask)
                    .or(IntVector.fromMemorySegment(I32, ALL, columns + (first + 1) * SLOT & USER_SPACE, ORDER)
                        .and(place));
                a = FloatVector.fromMemorySegment(F32, ALL, value + (first + 1) * SLOT & USER_SPACE, ORDER);
                s0 = index.selectFrom(b0).reinterpretAsFloats().fma(a, s0);
                s1 = index.selectFrom(b1).reinterpretAsFloats().fma(a, s1);
                s2 = index.selectFrom(b2).reinterpretAsFloats().fma(a, s2);
                s3 = index.selectFrom(b3).reinterpretAsFloats().fma(a, s3);
                s4 = index.selectFrom(b4).reinterpretAsFloats().fma(a, s4);
                s5 = index.selectFrom(b5).reinterpretAsFloats().fma(a, s5);
                s6 = index.selectFrom(b6).reinterpretAsFloats().fma(a, s6);
                s7 = index.selectFrom(b7).reinterpretAsFloats().fma(a, s7);
            }
            s0.intoMemorySegment(ALL, end, ORDER);
            s1.intoMemorySegment(ALL, end + sum, ORDER);
            s2.intoMemorySegment(ALL, end + 2 * sum, ORDER);
            s3.intoMemorySegment(ALL, end + 3 * sum, ORDER);
            s4.intoMemorySegment(ALL, end + 4 * sum, ORDER);
            s5.intoMemorySegment(ALL, end + 5 * sum, ORDER);
            s6.intoMemorySegment(ALL, end + 6 * sum, ORDER);
            s7.intoMemorySegment(ALL, end + sum7, ORDER);
        }
    }
}
