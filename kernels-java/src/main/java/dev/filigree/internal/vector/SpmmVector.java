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
 * broadcast they fit the sixteen registers that machines without AVX-512 have. Where rows are interleaved, several
 * of them have one accumulator each. A nonzero of a full panel is fourteen instructions at 256 bits, eight of them
 * multiply-adds that read B's row from the first-level cache: 60 GFLOP/s measured where registers alone reach 100.
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
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED;
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    /** One column, then 1, 2, 4 and 8 vectors of columns. Elements of arrays are no constants: see above. */
    private static final MethodHandle[] ACCUMULATE = {sumHandle("accumulateColumn"), sumHandle("accumulate1"),
        sumHandle("accumulate2"), sumHandle("accumulate4"), sumHandle("accumulate8")};
    /** The same for eight interleaved rows: one column, then one vector of them. */
    private static final MethodHandle[] ACCUMULATE_GROUPS = {groupHandle("accumulateColumnGroups"),
        groupHandle("accumulateGroups")};
    /** C2 compiles a method once it has been called hundreds of times; until then a vector costs a hundredfold. */
    private static final int ROWS_PER_CALL = 16;
    private static final int GROUPS_PER_CALL = 2;

    /** What the first block of a row starts from. */
    private static final MemorySegment ZEROS =
        Arena.global().allocate((long) Float.BYTES * SpmmFormat.PANEL, SpmmFormat.ALIGNMENT);

    /** Rows x columns in registers. */
    static final String TILE = "1x" + Math.min(64, 8 * LENGTH);

    private static MethodHandle sumHandle(String method) {
        return CallBarrier.handle(MethodHandles.lookup(), method, long.class, long.class, long.class, int.class,
            long.class, long.class, long.class, long.class, long.class);
    }

    private static MethodHandle groupHandle(String method) {
        return CallBarrier.handle(MethodHandles.lookup(), method, long.class, long.class, long.class, long.class,
            int.class, long.class, long.class, long.class, long.class, long.class);
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
    protected void accumulate(MemorySegment packed, long columnsAt, long valuesAt, long startsAt, int rows,
            MemorySegment scratch, long tileAt, int padded, long accAt, boolean fresh) {
        long at = packed.address();
        long acc = scratch.address() + accAt;
        long pitch = (long) Float.BYTES * padded;
        sum(at + columnsAt, at + valuesAt, at + startsAt, rows, scratch.address() + tileAt, padded,
            fresh ? ZEROS.address() : acc, fresh ? 0 : pitch, acc);
    }

    @Override
    protected void accumulateInterleaved(MemorySegment packed, long startsAt, long placesAt, int groups,
            MemorySegment scratch, long tileAt, int padded, long accAt, boolean fresh) {
        long at = packed.address();
        long columns = at + SpmmFormat.field(packed, SpmmFormat.COLUMNS);
        long values = at + SpmmFormat.field(packed, SpmmFormat.VALUES);
        long tile = scratch.address() + tileAt;
        long acc = scratch.address() + accAt;
        long pitch = (long) Float.BYTES * padded;
        long from = fresh ? ZEROS.address() : acc;
        MethodHandle kernel = ACCUMULATE_GROUPS[padded == 1 ? 0 : 1];
        try {
            for (long done = 0; done < pitch; done += STEP) {
                for (int group = 0; group < groups; group += GROUPS_PER_CALL) {
                    kernel.invokeExact(columns, values, at + startsAt + 8L * group,
                        at + placesAt + 4L * INTERLEAVED * group, Math.min(GROUPS_PER_CALL, groups - group),
                        tile + done, pitch, from + done, fresh ? 0 : pitch, acc + done);
                }
            }
        } catch (Throwable t) {
            throw CallBarrier.unexpected(t);
        }
    }

    @Override
    protected void transpose(MemorySegment scratch, long fromAt, long fromStride, int rows, int columns, long toAt,
            long toStride) {
        VectorTranspose.transpose(scratch, fromAt, fromStride, rows, columns, toAt, toStride);
    }

    /**
     * For each of {@code rows} rows, to[0, padded) = from[0, padded) + sum of value * tile row; all by address. A row's
     * entries are starts[row] up to starts[row + 1].
     */
    private static void sum(long columns, long values, long starts, int rows, long tile, int padded, long from,
            long fromPitch, long to) {
        long pitch = (long) Float.BYTES * padded;
        try {
            if (padded == 1) {
                sum(ACCUMULATE[0], columns, values, starts, rows, tile, pitch, from, fromPitch, to);
                return;
            }
            int left = padded / LENGTH;
            long done = 0;
            for (int i = ACCUMULATE.length - 1; i > 0; i--) {
                int vectors = 1 << (i - 1);
                for (; left >= vectors; left -= vectors, done += vectors * STEP) {
                    sum(ACCUMULATE[i], columns, values, starts, rows, tile + done, pitch, from + done, fromPitch,
                        to + done);
                }
            }
        } catch (Throwable t) {
            throw CallBarrier.unexpected(t);
        }
    }

    /** The columns of one kernel, in calls of so few rows that the first calls, before C2 compiles it, stay short. */
    private static void sum(MethodHandle kernel, long columns, long values, long starts, int rows, long tile,
            long pitch, long from, long fromPitch, long to) throws Throwable {
        for (int row = 0; row < rows; row += ROWS_PER_CALL) {
            kernel.invokeExact(columns, values, starts + 8L * row, Math.min(ROWS_PER_CALL, rows - row), tile, pitch,
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

    /**
     * One vector of columns of groups of eight rows; {@code from} and {@code to} as if of the matrix's first row. Four
     * rows at a time: eight are more than C2 inlines.
     */
    private static void accumulateGroups(long columns, long values, long starts, long places, int groups, long tile,
            long pitch, long from, long fromPitch, long to) {
        long base = tile & USER_SPACE;
        int shift = Long.numberOfTrailingZeros(pitch);
        for (int half = 0; half < 2 * groups; half++) {
            long start = (starts + 8L * (half >> 1)) & USER_SPACE;
            long begin = ALL.get(LONG, start);
            int count = (int) (ALL.get(LONG, start + 8) - begin);
            long first = begin + 4 * (half & 1);
            long columnsAt = (columns + 2 * first) & USER_SPACE;
            long valuesAt = (values + 4 * first) & USER_SPACE;
            long place = (places + 16L * half) & USER_SPACE;
            long r0 = ALL.get(INT, place);
            long r1 = ALL.get(INT, place + 4);
            long r2 = ALL.get(INT, place + 8);
            long r3 = ALL.get(INT, place + 12);
            FloatVector s0 = FloatVector.fromMemorySegment(F32, ALL, (from + r0 * fromPitch) & USER_SPACE, ORDER);
            FloatVector s1 = FloatVector.fromMemorySegment(F32, ALL, (from + r1 * fromPitch) & USER_SPACE, ORDER);
            FloatVector s2 = FloatVector.fromMemorySegment(F32, ALL, (from + r2 * fromPitch) & USER_SPACE, ORDER);
            FloatVector s3 = FloatVector.fromMemorySegment(F32, ALL, (from + r3 * fromPitch) & USER_SPACE, ORDER);
            for (int p = 0; p < count; p += INTERLEAVED) {
                long next = p & Integer.MAX_VALUE;
                FloatVector value = FloatVector.broadcast(F32, ALL.get(FLOAT, valuesAt + 4 * next));
                long x = base + (((ALL.get(SHORT, columnsAt + 2 * next) & 0xffffL) << shift) & USER_SPACE);
                s0 = value.fma(FloatVector.fromMemorySegment(F32, ALL, x, ORDER), s0);
                value = FloatVector.broadcast(F32, ALL.get(FLOAT, valuesAt + 4 * next + 4));
                x = base + (((ALL.get(SHORT, columnsAt + 2 * next + 2) & 0xffffL) << shift) & USER_SPACE);
                s1 = value.fma(FloatVector.fromMemorySegment(F32, ALL, x, ORDER), s1);
                value = FloatVector.broadcast(F32, ALL.get(FLOAT, valuesAt + 4 * next + 8));
                x = base + (((ALL.get(SHORT, columnsAt + 2 * next + 4) & 0xffffL) << shift) & USER_SPACE);
                s2 = value.fma(FloatVector.fromMemorySegment(F32, ALL, x, ORDER), s2);
                value = FloatVector.broadcast(F32, ALL.get(FLOAT, valuesAt + 4 * next + 12));
                x = base + (((ALL.get(SHORT, columnsAt + 2 * next + 6) & 0xffffL) << shift) & USER_SPACE);
                s3 = value.fma(FloatVector.fromMemorySegment(F32, ALL, x, ORDER), s3);
            }
            s0.intoMemorySegment(ALL, (to + r0 * pitch) & USER_SPACE, ORDER);
            s1.intoMemorySegment(ALL, (to + r1 * pitch) & USER_SPACE, ORDER);
            s2.intoMemorySegment(ALL, (to + r2 * pitch) & USER_SPACE, ORDER);
            s3.intoMemorySegment(ALL, (to + r3 * pitch) & USER_SPACE, ORDER);
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

    /** One column of groups of eight rows; {@code from} and {@code to} as if of the matrix's first row. */
    private static void accumulateColumnGroups(long columns, long values, long starts, long places, int groups,
            long tile, long pitch, long from, long fromPitch, long to) {
        long base = tile & USER_SPACE;
        for (int group = 0; group < groups; group++) {
            long start = (starts + 8L * group) & USER_SPACE;
            long begin = ALL.get(LONG, start);
            int count = (int) (ALL.get(LONG, start + 8) - begin);
            long columnsAt = (columns + 2 * begin) & USER_SPACE;
            long valuesAt = (values + 4 * begin) & USER_SPACE;
            long place = (places + 4L * INTERLEAVED * group) & USER_SPACE;
            long r0 = ALL.get(INT, place);
            long r1 = ALL.get(INT, place + 4);
            long r2 = ALL.get(INT, place + 8);
            long r3 = ALL.get(INT, place + 12);
            long r4 = ALL.get(INT, place + 16);
            long r5 = ALL.get(INT, place + 20);
            long r6 = ALL.get(INT, place + 24);
            long r7 = ALL.get(INT, place + 28);
            float s0 = ALL.get(FLOAT, (from + r0 * fromPitch) & USER_SPACE);
            float s1 = ALL.get(FLOAT, (from + r1 * fromPitch) & USER_SPACE);
            float s2 = ALL.get(FLOAT, (from + r2 * fromPitch) & USER_SPACE);
            float s3 = ALL.get(FLOAT, (from + r3 * fromPitch) & USER_SPACE);
            float s4 = ALL.get(FLOAT, (from + r4 * fromPitch) & USER_SPACE);
            float s5 = ALL.get(FLOAT, (from + r5 * fromPitch) & USER_SPACE);
            float s6 = ALL.get(FLOAT, (from + r6 * fromPitch) & USER_SPACE);
            float s7 = ALL.get(FLOAT, (from + r7 * fromPitch) & USER_SPACE);
            for (int p = 0; p < count; p += INTERLEAVED) {
                long next = p & Integer.MAX_VALUE;
                float x = ALL.get(FLOAT, base + 4 * (ALL.get(SHORT, columnsAt + 2 * next) & 0xffffL));
                s0 = Math.fma(ALL.get(FLOAT, valuesAt + 4 * next), x, s0);
                x = ALL.get(FLOAT, base + 4 * (ALL.get(SHORT, columnsAt + 2 * next + 2) & 0xffffL));
                s1 = Math.fma(ALL.get(FLOAT, valuesAt + 4 * next + 4), x, s1);
                x = ALL.get(FLOAT, base + 4 * (ALL.get(SHORT, columnsAt + 2 * next + 4) & 0xffffL));
                s2 = Math.fma(ALL.get(FLOAT, valuesAt + 4 * next + 8), x, s2);
                x = ALL.get(FLOAT, base + 4 * (ALL.get(SHORT, columnsAt + 2 * next + 6) & 0xffffL));
                s3 = Math.fma(ALL.get(FLOAT, valuesAt + 4 * next + 12), x, s3);
                x = ALL.get(FLOAT, base + 4 * (ALL.get(SHORT, columnsAt + 2 * next + 8) & 0xffffL));
                s4 = Math.fma(ALL.get(FLOAT, valuesAt + 4 * next + 16), x, s4);
                x = ALL.get(FLOAT, base + 4 * (ALL.get(SHORT, columnsAt + 2 * next + 10) & 0xffffL));
                s5 = Math.fma(ALL.get(FLOAT, valuesAt + 4 * next + 20), x, s5);
                x = ALL.get(FLOAT, base + 4 * (ALL.get(SHORT, columnsAt + 2 * next + 12) & 0xffffL));
                s6 = Math.fma(ALL.get(FLOAT, valuesAt + 4 * next + 24), x, s6);
                x = ALL.get(FLOAT, base + 4 * (ALL.get(SHORT, columnsAt + 2 * next + 14) & 0xffffL));
                s7 = Math.fma(ALL.get(FLOAT, valuesAt + 4 * next + 28), x, s7);
            }
            ALL.set(FLOAT, (to + r0 * pitch) & USER_SPACE, s0);
            ALL.set(FLOAT, (to + r1 * pitch) & USER_SPACE, s1);
            ALL.set(FLOAT, (to + r2 * pitch) & USER_SPACE, s2);
            ALL.set(FLOAT, (to + r3 * pitch) & USER_SPACE, s3);
            ALL.set(FLOAT, (to + r4 * pitch) & USER_SPACE, s4);
            ALL.set(FLOAT, (to + r5 * pitch) & USER_SPACE, s5);
            ALL.set(FLOAT, (to + r6 * pitch) & USER_SPACE, s6);
            ALL.set(FLOAT, (to + r7 * pitch) & USER_SPACE, s7);
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
