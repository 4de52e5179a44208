package dev.filigree.internal.vector;

import static dev.filigree.internal.vector.RawMemory.ALL;
import static dev.filigree.internal.vector.RawMemory.USER_SPACE;
import static dev.filigree.internal.vector.Species.F32;
import static dev.filigree.spi.SpmmFormat.INTERLEAVED;

import dev.filigree.internal.SpmmWalk;
import dev.filigree.internal.scalar.ScalarEpilogue;
import dev.filigree.spi.SpmmFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;

/**
 * SpMM over packed CSR with the Vector API: a row's accumulators stay in up to eight vectors while its nonzeros
 * stream by, each a broadcast and one multiply-add a vector of B's row.
 *
 * <p>Eight accumulators: two multiply-adds a clock at a latency of four keep eight sums in flight, and with the
 * broadcast they fit the sixteen registers that machines without AVX-512 have. A panel too narrow for eight takes
 * several rows at a time where they are packed in turns. A nonzero of a full panel is fourteen instructions at 256 bits,
 * eight of them multiply-adds that read B's row from the first-level cache: 60 GFLOP/s measured where registers alone
 * reach 100.
 *
 * <p>C2 stops inlining ordinary methods into a method that has grown by some tens of Vector API calls and segment
 * reads, which themselves are exempt; and every vector that crosses a call is boxed. So each method here that holds
 * vectors spells its loads, stores and masks out, and is a compilation of its own: it is called through a method
 * handle that is no constant, which C2 cannot inline. Around the sums are bulk copies and scalars.
 *
 * <p>{@code & USER_SPACE} and {@code & Integer.MAX_VALUE} change no number: they tell C2 the range of an address or a
 * counter, and then it checks no bounds.
 *
 * <p>The library's own memory (packed matrix, scratch, partial sums) is read by address through
 * {@link RawMemory}; the caller's operands by bulk copies through their segments, which notice when their arena is
 * closed.
 */
final class SpmmVector extends SpmmWalk {

    static final String ID = "spmm_csr_f32_vector";

    private static final int LENGTH = F32.length();
    private static final long STEP = F32.vectorByteSize();
    private static final long ROW = (long) Float.BYTES * SpmmFormat.PANEL;
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();
    /** Without the alignment check of the plain layouts. */
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED;
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    /** One column, then 1, 2, 4 and 8 vectors of columns. Elements of arrays are no constants: see above. */
    private static final MethodHandle[] ACCUMULATE = {sumHandle("accumulateColumn"), sumHandle("accumulate1"),
        sumHandle("accumulate2"), sumHandle("accumulate4"), sumHandle("accumulate8")};
    /** The same for four rows in turns, as far as registers reach: a wider panel takes them piece by piece. */
    private static final MethodHandle[] ACCUMULATE_TURNS = {sumHandle("accumulateColumnTurns"),
        sumHandle("accumulate1Turns"), sumHandle("accumulate2Turns")};
    /** C2 compiles a method once it has been called hundreds of times; until then a vector costs a hundredfold. */
    private static final int ROWS_PER_CALL = 16;

    /** What the first block of a row starts from. */
    private static final MemorySegment ZEROS =
        Arena.global().allocate((long) Float.BYTES * SpmmFormat.PANEL, SpmmFormat.ALIGNMENT);

    /** Rows x columns in registers. */
    static final String TILE = "1x" + Math.min(64, 8 * LENGTH);

    private static MethodHandle sumHandle(String method) {
        return CallBarrier.handle(MethodHandles.lookup(), method, long.class, long.class, long.class, int.class,
            long.class, long.class, long.class, long.class, long.class);
    }

    @Override
    public String id() {
        return ID;
    }

    /**
     * One column, one, two or four vectors, or a whole panel: a tile's rows lie so far apart as the kernel for its
     * width knows, which makes an address of it two instructions.
     */
    @Override
    protected int padded(int width) {
        if (width == 1) {
            return 1;
        }
        int vectors = Math.ceilDiv(width, LENGTH);
        return vectors > 4 ? SpmmFormat.PANEL : vectors == 1 ? LENGTH : Integer.highestOneBit(vectors - 1) * 2 * LENGTH;
    }

    @Override
    protected void accumulate(MemorySegment packed, long columnsAt, long valuesAt, long startsAt, int groups,
            boolean interleaved, MemorySegment scratch, long tileAt, int padded, long accAt, boolean fresh) {
        long acc = scratch.address() + accAt;
        long at = packed.address();
        sum(at + columnsAt, at + valuesAt, at + startsAt, groups, interleaved, scratch.address() + tileAt, padded,
            fresh ? ZEROS.address() : acc, fresh ? 0 : (long) Float.BYTES * padded, acc);
    }

    @Override
    protected void transpose(MemorySegment scratch, long fromAt, long fromStride, int rows, int columns, long toAt,
            long toStride) {
        VectorTranspose.transpose(scratch, fromAt, fromStride, rows, columns, toAt, toStride);
    }

    /**
     * For each row of {@code groups} groups, to[0, padded) = from[0, padded) + sum of value * tile row; all by address.
     * A group's entries are starts[group] up to starts[group + 1].
     */
    private static void sum(long columns, long values, long starts, int groups, boolean interleaved, long tile,
            int padded, long from, long fromPitch, long to) {
        MethodHandle[] kernels = interleaved ? ACCUMULATE_TURNS : ACCUMULATE;
        int members = interleaved ? INTERLEAVED : 1;
        long pitch = (long) Float.BYTES * padded;
        try {
            if (padded == 1) {
                sum(kernels[0], columns, values, starts, groups, members, tile, pitch, from, fromPitch, to);
                return;
            }
            int left = padded / LENGTH;
            long done = 0;
            for (int i = kernels.length - 1; i > 0; i--) {
                int vectors = 1 << (i - 1);
                for (; left >= vectors; left -= vectors, done += vectors * STEP) {
                    sum(kernels[i], columns, values, starts, groups, members, tile + done, pitch, from + done,
                        fromPitch, to + done);
                }
            }
        } catch (Throwable t) {
            throw CallBarrier.unexpected(t);
        }
    }

    /** The columns of one kernel, in calls of so few rows that the first calls, before C2 compiles it, stay short. */
    private static void sum(MethodHandle kernel, long columns, long values, long starts, int groups, int members,
            long tile, long pitch, long from, long fromPitch, long to) throws Throwable {
        int step = ROWS_PER_CALL / members;
        for (int group = 0; group < groups; group += step) {
            long row = (long) group * members;
            kernel.invokeExact(columns, values, starts + 8L * group, Math.min(step, groups - group), tile, pitch,
                from + row * fromPitch, fromPitch, to + row * pitch);
        }
    }

    /** Eight vectors of columns, row by row. */
    private static void accumulate8(long columns, long values, long starts, int rows, long tile, long pitch,
            long from, long fromPitch, long to) {
        long base = tile & USER_SPACE;
        for (int row = 0; row < rows; row++) {
            long start = (starts + 8L * row) & USER_SPACE;
            long begin = ALL.get(LONG, start);
            int count = (int) (ALL.get(LONG, start + 8) - begin);
            long columnsAt = (columns + 4 * begin) & USER_SPACE;
            long valuesAt = (values + 4 * begin) & USER_SPACE;
            long at = (from + row * fromPitch) & USER_SPACE;
            FloatVector s0 = FloatVector.fromMemorySegment(F32, ALL, at, ORDER);
            FloatVector s1 = FloatVector.fromMemorySegment(F32, ALL, at + STEP, ORDER);
            FloatVector s2 = FloatVector.fromMemorySegment(F32, ALL, at + 2 * STEP, ORDER);
            FloatVector s3 = FloatVector.fromMemorySegment(F32, ALL, at + 3 * STEP, ORDER);
            FloatVector s4 = FloatVector.fromMemorySegment(F32, ALL, at + 4 * STEP, ORDER);
            FloatVector s5 = FloatVector.fromMemorySegment(F32, ALL, at + 5 * STEP, ORDER);
            FloatVector s6 = FloatVector.fromMemorySegment(F32, ALL, at + 6 * STEP, ORDER);
            FloatVector s7 = FloatVector.fromMemorySegment(F32, ALL, at + 7 * STEP, ORDER);
            for (int p = 0; p < count; p++) {
                long next = 4L * (p & Integer.MAX_VALUE);
                FloatVector value = FloatVector.broadcast(F32, ALL.get(FLOAT, valuesAt + next));
                long b = base + ROW * Integer.toUnsignedLong(ALL.get(INT, columnsAt + next));
                s0 = value.fma(FloatVector.fromMemorySegment(F32, ALL, b, ORDER), s0);
                s1 = value.fma(FloatVector.fromMemorySegment(F32, ALL, b + STEP, ORDER), s1);
                s2 = value.fma(FloatVector.fromMemorySegment(F32, ALL, b + 2 * STEP, ORDER), s2);
                s3 = value.fma(FloatVector.fromMemorySegment(F32, ALL, b + 3 * STEP, ORDER), s3);
                s4 = value.fma(FloatVector.fromMemorySegment(F32, ALL, b + 4 * STEP, ORDER), s4);
                s5 = value.fma(FloatVector.fromMemorySegment(F32, ALL, b + 5 * STEP, ORDER), s5);
                s6 = value.fma(FloatVector.fromMemorySegment(F32, ALL, b + 6 * STEP, ORDER), s6);
                s7 = value.fma(FloatVector.fromMemorySegment(F32, ALL, b + 7 * STEP, ORDER), s7);
            }
            at = (to + row * pitch) & USER_SPACE;
            s0.intoMemorySegment(ALL, at, ORDER);
            s1.intoMemorySegment(ALL, at + STEP, ORDER);
            s2.intoMemorySegment(ALL, at + 2 * STEP, ORDER);
            s3.intoMemorySegment(ALL, at + 3 * STEP, ORDER);
            s4.intoMemorySegment(ALL, at + 4 * STEP, ORDER);
            s5.intoMemorySegment(ALL, at + 5 * STEP, ORDER);
            s6.intoMemorySegment(ALL, at + 6 * STEP, ORDER);
            s7.intoMemorySegment(ALL, at + 7 * STEP, ORDER);
        }
    }

    /** Four vectors of columns, row by row. */
    private static void accumulate4(long columns, long values, long starts, int rows, long tile, long pitch,
            long from, long fromPitch, long to) {
        long base = tile & USER_SPACE;
        for (int row = 0; row < rows; row++) {
            long start = (starts + 8L * row) & USER_SPACE;
            long begin = ALL.get(LONG, start);
            int count = (int) (ALL.get(LONG, start + 8) - begin);
            long columnsAt = (columns + 4 * begin) & USER_SPACE;
            long valuesAt = (values + 4 * begin) & USER_SPACE;
            long at = (from + row * fromPitch) & USER_SPACE;
            FloatVector s0 = FloatVector.fromMemorySegment(F32, ALL, at, ORDER);
            FloatVector s1 = FloatVector.fromMemorySegment(F32, ALL, at + STEP, ORDER);
            FloatVector s2 = FloatVector.fromMemorySegment(F32, ALL, at + 2 * STEP, ORDER);
            FloatVector s3 = FloatVector.fromMemorySegment(F32, ALL, at + 3 * STEP, ORDER);
            for (int p = 0; p < count; p++) {
                long next = 4L * (p & Integer.MAX_VALUE);
                FloatVector value = FloatVector.broadcast(F32, ALL.get(FLOAT, valuesAt + next));
                long b = base + 4 * STEP * Integer.toUnsignedLong(ALL.get(INT, columnsAt + next));
                s0 = value.fma(FloatVector.fromMemorySegment(F32, ALL, b, ORDER), s0);
                s1 = value.fma(FloatVector.fromMemorySegment(F32, ALL, b + STEP, ORDER), s1);
                s2 = value.fma(FloatVector.fromMemorySegment(F32, ALL, b + 2 * STEP, ORDER), s2);
                s3 = value.fma(FloatVector.fromMemorySegment(F32, ALL, b + 3 * STEP, ORDER), s3);
            }
            at = (to + row * pitch) & USER_SPACE;
            s0.intoMemorySegment(ALL, at, ORDER);
            s1.intoMemorySegment(ALL, at + STEP, ORDER);
            s2.intoMemorySegment(ALL, at + 2 * STEP, ORDER);
            s3.intoMemorySegment(ALL, at + 3 * STEP, ORDER);
        }
    }

    /** Two vectors of columns, row by row. */
    private static void accumulate2(long columns, long values, long starts, int rows, long tile, long pitch,
            long from, long fromPitch, long to) {
        long base = tile & USER_SPACE;
        for (int row = 0; row < rows; row++) {
            long start = (starts + 8L * row) & USER_SPACE;
            long begin = ALL.get(LONG, start);
            int count = (int) (ALL.get(LONG, start + 8) - begin);
            long columnsAt = (columns + 4 * begin) & USER_SPACE;
            long valuesAt = (values + 4 * begin) & USER_SPACE;
            long at = (from + row * fromPitch) & USER_SPACE;
            FloatVector s0 = FloatVector.fromMemorySegment(F32, ALL, at, ORDER);
            FloatVector s1 = FloatVector.fromMemorySegment(F32, ALL, at + STEP, ORDER);
            for (int p = 0; p < count; p++) {
                long next = 4L * (p & Integer.MAX_VALUE);
                FloatVector value = FloatVector.broadcast(F32, ALL.get(FLOAT, valuesAt + next));
                long b = base + 2 * STEP * Integer.toUnsignedLong(ALL.get(INT, columnsAt + next));
                s0 = value.fma(FloatVector.fromMemorySegment(F32, ALL, b, ORDER), s0);
                s1 = value.fma(FloatVector.fromMemorySegment(F32, ALL, b + STEP, ORDER), s1);
            }
            at = (to + row * pitch) & USER_SPACE;
            s0.intoMemorySegment(ALL, at, ORDER);
            s1.intoMemorySegment(ALL, at + STEP, ORDER);
        }
    }

    /** One vector of columns, row by row. */
    private static void accumulate1(long columns, long values, long starts, int rows, long tile, long pitch,
            long from, long fromPitch, long to) {
        long base = tile & USER_SPACE;
        for (int row = 0; row < rows; row++) {
            long start = (starts + 8L * row) & USER_SPACE;
            long begin = ALL.get(LONG, start);
            int count = (int) (ALL.get(LONG, start + 8) - begin);
            long columnsAt = (columns + 4 * begin) & USER_SPACE;
            long valuesAt = (values + 4 * begin) & USER_SPACE;
            FloatVector s0 = FloatVector.fromMemorySegment(F32, ALL, (from + row * fromPitch) & USER_SPACE, ORDER);
            for (int p = 0; p < count; p++) {
                long next = 4L * (p & Integer.MAX_VALUE);
                FloatVector value = FloatVector.broadcast(F32, ALL.get(FLOAT, valuesAt + next));
                long b = base + STEP * Integer.toUnsignedLong(ALL.get(INT, columnsAt + next));
                s0 = value.fma(FloatVector.fromMemorySegment(F32, ALL, b, ORDER), s0);
            }
            s0.intoMemorySegment(ALL, (to + row * pitch) & USER_SPACE, ORDER);
        }
    }

    /** Two vectors of columns, four rows at a time. */
    private static void accumulate2Turns(long columns, long values, long starts, int groups, long tile, long pitch,
            long from, long fromPitch, long to) {
        long base = tile & USER_SPACE;
        int shift = Long.numberOfTrailingZeros(pitch);
        for (int group = 0; group < groups; group++) {
            long start = (starts + 8L * group) & USER_SPACE;
            long begin = ALL.get(LONG, start);
            int count = (int) (ALL.get(LONG, start + 8) - begin);
            long columnsAt = (columns + 4 * begin) & USER_SPACE;
            long valuesAt = (values + 4 * begin) & USER_SPACE;
            long row = (long) INTERLEAVED * group;
            long at = (from + row * fromPitch) & USER_SPACE;
            FloatVector a0 = FloatVector.fromMemorySegment(F32, ALL, at, ORDER);
            FloatVector a1 = FloatVector.fromMemorySegment(F32, ALL, at + STEP, ORDER);
            at = (from + (row + 1) * fromPitch) & USER_SPACE;
            FloatVector b0 = FloatVector.fromMemorySegment(F32, ALL, at, ORDER);
            FloatVector b1 = FloatVector.fromMemorySegment(F32, ALL, at + STEP, ORDER);
            at = (from + (row + 2) * fromPitch) & USER_SPACE;
            FloatVector c0 = FloatVector.fromMemorySegment(F32, ALL, at, ORDER);
            FloatVector c1 = FloatVector.fromMemorySegment(F32, ALL, at + STEP, ORDER);
            at = (from + (row + 3) * fromPitch) & USER_SPACE;
            FloatVector d0 = FloatVector.fromMemorySegment(F32, ALL, at, ORDER);
            FloatVector d1 = FloatVector.fromMemorySegment(F32, ALL, at + STEP, ORDER);
            for (int p = 0; p < count; p += INTERLEAVED) {
                long next = 4L * (p & Integer.MAX_VALUE);
                FloatVector value = FloatVector.broadcast(F32, ALL.get(FLOAT, valuesAt + next));
                long x = base + ((Integer.toUnsignedLong(ALL.get(INT, columnsAt + next)) << shift) & USER_SPACE);
                a0 = value.fma(FloatVector.fromMemorySegment(F32, ALL, x, ORDER), a0);
                a1 = value.fma(FloatVector.fromMemorySegment(F32, ALL, x + STEP, ORDER), a1);
                value = FloatVector.broadcast(F32, ALL.get(FLOAT, valuesAt + next + 4));
                x = base + ((Integer.toUnsignedLong(ALL.get(INT, columnsAt + next + 4)) << shift) & USER_SPACE);
                b0 = value.fma(FloatVector.fromMemorySegment(F32, ALL, x, ORDER), b0);
                b1 = value.fma(FloatVector.fromMemorySegment(F32, ALL, x + STEP, ORDER), b1);
                value = FloatVector.broadcast(F32, ALL.get(FLOAT, valuesAt + next + 8));
                x = base + ((Integer.toUnsignedLong(ALL.get(INT, columnsAt + next + 8)) << shift) & USER_SPACE);
                c0 = value.fma(FloatVector.fromMemorySegment(F32, ALL, x, ORDER), c0);
                c1 = value.fma(FloatVector.fromMemorySegment(F32, ALL, x + STEP, ORDER), c1);
                value = FloatVector.broadcast(F32, ALL.get(FLOAT, valuesAt + next + 12));
                x = base + ((Integer.toUnsignedLong(ALL.get(INT, columnsAt + next + 12)) << shift) & USER_SPACE);
                d0 = value.fma(FloatVector.fromMemorySegment(F32, ALL, x, ORDER), d0);
                d1 = value.fma(FloatVector.fromMemorySegment(F32, ALL, x + STEP, ORDER), d1);
            }
            at = (to + row * pitch) & USER_SPACE;
            a0.intoMemorySegment(ALL, at, ORDER);
            a1.intoMemorySegment(ALL, at + STEP, ORDER);
            at = (to + (row + 1) * pitch) & USER_SPACE;
            b0.intoMemorySegment(ALL, at, ORDER);
            b1.intoMemorySegment(ALL, at + STEP, ORDER);
            at = (to + (row + 2) * pitch) & USER_SPACE;
            c0.intoMemorySegment(ALL, at, ORDER);
            c1.intoMemorySegment(ALL, at + STEP, ORDER);
            at = (to + (row + 3) * pitch) & USER_SPACE;
            d0.intoMemorySegment(ALL, at, ORDER);
            d1.intoMemorySegment(ALL, at + STEP, ORDER);
        }
    }

    /** One vector of columns, four rows at a time. */
    private static void accumulate1Turns(long columns, long values, long starts, int groups, long tile, long pitch,
            long from, long fromPitch, long to) {
        long base = tile & USER_SPACE;
        for (int group = 0; group < groups; group++) {
            long start = (starts + 8L * group) & USER_SPACE;
            long begin = ALL.get(LONG, start);
            int count = (int) (ALL.get(LONG, start + 8) - begin);
            long columnsAt = (columns + 4 * begin) & USER_SPACE;
            long valuesAt = (values + 4 * begin) & USER_SPACE;
            long row = (long) INTERLEAVED * group;
            long at = (from + row * fromPitch) & USER_SPACE;
            FloatVector a = FloatVector.fromMemorySegment(F32, ALL, at, ORDER);
            at = (from + (row + 1) * fromPitch) & USER_SPACE;
            FloatVector b = FloatVector.fromMemorySegment(F32, ALL, at, ORDER);
            at = (from + (row + 2) * fromPitch) & USER_SPACE;
            FloatVector c = FloatVector.fromMemorySegment(F32, ALL, at, ORDER);
            at = (from + (row + 3) * fromPitch) & USER_SPACE;
            FloatVector d = FloatVector.fromMemorySegment(F32, ALL, at, ORDER);
            for (int p = 0; p < count; p += INTERLEAVED) {
                long next = 4L * (p & Integer.MAX_VALUE);
                FloatVector value = FloatVector.broadcast(F32, ALL.get(FLOAT, valuesAt + next));
                long x = base + STEP * Integer.toUnsignedLong(ALL.get(INT, columnsAt + next));
                a = value.fma(FloatVector.fromMemorySegment(F32, ALL, x, ORDER), a);
                value = FloatVector.broadcast(F32, ALL.get(FLOAT, valuesAt + next + 4));
                x = base + STEP * Integer.toUnsignedLong(ALL.get(INT, columnsAt + next + 4));
                b = value.fma(FloatVector.fromMemorySegment(F32, ALL, x, ORDER), b);
                value = FloatVector.broadcast(F32, ALL.get(FLOAT, valuesAt + next + 8));
                x = base + STEP * Integer.toUnsignedLong(ALL.get(INT, columnsAt + next + 8));
                c = value.fma(FloatVector.fromMemorySegment(F32, ALL, x, ORDER), c);
                value = FloatVector.broadcast(F32, ALL.get(FLOAT, valuesAt + next + 12));
                x = base + STEP * Integer.toUnsignedLong(ALL.get(INT, columnsAt + next + 12));
                d = value.fma(FloatVector.fromMemorySegment(F32, ALL, x, ORDER), d);
            }
            at = (to + row * pitch) & USER_SPACE;
            a.intoMemorySegment(ALL, at, ORDER);
            at = (to + (row + 1) * pitch) & USER_SPACE;
            b.intoMemorySegment(ALL, at, ORDER);
            at = (to + (row + 2) * pitch) & USER_SPACE;
            c.intoMemorySegment(ALL, at, ORDER);
            at = (to + (row + 3) * pitch) & USER_SPACE;
            d.intoMemorySegment(ALL, at, ORDER);
        }
    }

    /** One column, row by row; without vectors, which it does not fill. */
    private static void accumulateColumn(long columns, long values, long starts, int rows, long tile, long pitch,
            long from, long fromPitch, long to) {
        long base = tile & USER_SPACE;
        for (int row = 0; row < rows; row++) {
            long start = (starts + 8L * row) & USER_SPACE;
            long begin = ALL.get(LONG, start);
            int count = (int) (ALL.get(LONG, start + 8) - begin);
            long columnsAt = (columns + 4 * begin) & USER_SPACE;
            long valuesAt = (values + 4 * begin) & USER_SPACE;
            float sum = ALL.get(FLOAT, (from + row * fromPitch) & USER_SPACE);
            for (int p = 0; p < count; p++) {
                long next = 4L * (p & Integer.MAX_VALUE);
                float x = ALL.get(FLOAT, base + 4 * Integer.toUnsignedLong(ALL.get(INT, columnsAt + next)));
                sum = Math.fma(ALL.get(FLOAT, valuesAt + next), x, sum);
            }
            ALL.set(FLOAT, (to + row * pitch) & USER_SPACE, sum);
        }
    }

    /** One column, four rows at a time. */
    private static void accumulateColumnTurns(long columns, long values, long starts, int groups, long tile, long pitch,
            long from, long fromPitch, long to) {
        long base = tile & USER_SPACE;
        for (int group = 0; group < groups; group++) {
            long start = (starts + 8L * group) & USER_SPACE;
            long begin = ALL.get(LONG, start);
            int count = (int) (ALL.get(LONG, start + 8) - begin);
            long columnsAt = (columns + 4 * begin) & USER_SPACE;
            long valuesAt = (values + 4 * begin) & USER_SPACE;
            long row = (long) INTERLEAVED * group;
            float a = ALL.get(FLOAT, (from + row * fromPitch) & USER_SPACE);
            float b = ALL.get(FLOAT, (from + (row + 1) * fromPitch) & USER_SPACE);
            float c = ALL.get(FLOAT, (from + (row + 2) * fromPitch) & USER_SPACE);
            float d = ALL.get(FLOAT, (from + (row + 3) * fromPitch) & USER_SPACE);
            for (int p = 0; p < count; p += INTERLEAVED) {
                long next = 4L * (p & Integer.MAX_VALUE);
                float x = ALL.get(FLOAT, base + 4 * Integer.toUnsignedLong(ALL.get(INT, columnsAt + next)));
                a = Math.fma(ALL.get(FLOAT, valuesAt + next), x, a);
                x = ALL.get(FLOAT, base + 4 * Integer.toUnsignedLong(ALL.get(INT, columnsAt + next + 4)));
                b = Math.fma(ALL.get(FLOAT, valuesAt + next + 4), x, b);
                x = ALL.get(FLOAT, base + 4 * Integer.toUnsignedLong(ALL.get(INT, columnsAt + next + 8)));
                c = Math.fma(ALL.get(FLOAT, valuesAt + next + 8), x, c);
                x = ALL.get(FLOAT, base + 4 * Integer.toUnsignedLong(ALL.get(INT, columnsAt + next + 12)));
                d = Math.fma(ALL.get(FLOAT, valuesAt + next + 12), x, d);
            }
            long at = (to + row * pitch) & USER_SPACE;
            ALL.set(FLOAT, at, a);
            ALL.set(FLOAT, at + 4, b);
            ALL.set(FLOAT, at + 8, c);
            ALL.set(FLOAT, at + 12, d);
        }
    }

    @Override
    protected void finish(MemorySegment scratch, long accAt, long oldAt, int width, float alpha, float beta,
            boolean biased, float bias, int activation) {
        if (width == 1) {
            // Its neighbours are other rows.
            ScalarEpilogue.finish(scratch, accAt, oldAt, 1, alpha, beta, biased, bias, activation);
        } else {
            VectorEpilogue.finish(scratch, accAt, oldAt, width, alpha, beta, biased, bias, activation);
        }
    }
}
