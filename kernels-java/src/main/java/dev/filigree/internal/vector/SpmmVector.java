package dev.filigree.internal.vector;

import static dev.filigree.internal.vector.RawMemory.ALL;
import static dev.filigree.internal.vector.RawMemory.USER_SPACE;
import static dev.filigree.internal.vector.RawMemory.address;
import static dev.filigree.internal.vector.Species.F32;
import static dev.filigree.spi.SpmmFormat.ENTRY_BYTES;
import static dev.filigree.spi.SpmmFormat.ENTRY_VALUE;

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
 * several rows at a time. A nonzero of a full panel is seventeen instructions at 256 bits, eight of them multiply-adds
 * that read B's row from the first-level cache: 60 GFLOP/s measured where registers alone reach 100.
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
    private static final long LINE = 64;
    private static final long STEP = F32.vectorByteSize();
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();
    /** Without the alignment check of the plain layouts. */
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED;
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;

    /** One column, then 1, 2, 4 and 8 vectors of columns. Elements of arrays are no constants: see above. */
    private static final MethodHandle[] ACCUMULATE = {sumHandle("accumulateColumn"), sumHandle("accumulate1"),
        sumHandle("accumulate2"), sumHandle("accumulate4"), sumHandle("accumulate8")};
    /** As many rows at a time as keep eight sums, or four loads of entries, in flight. */
    private static final int[] GROUP = {4, 4, 4, 1, 1};
    private static final MethodHandle[] TOGETHER = {sumHandle("togetherColumn"), sumHandle("together1"),
        sumHandle("together2")};
    /** C2 compiles a method once it has been called hundreds of times; until then a vector costs a hundredfold. */
    private static final int ROWS_PER_CALL = 16;
    private static final MethodHandle[] TOUCH =
        {CallBarrier.handle(MethodHandles.lookup(), "touch", long.class, long.class)};

    /** What the first block of a row starts from. */
    private static final MemorySegment ZEROS =
        Arena.global().allocate((long) Float.BYTES * SpmmFormat.PANEL, SpmmFormat.ALIGNMENT);

    /** Rows x columns in registers. */
    static final String TILE = "1x" + Math.min(64, 8 * LENGTH);

    private static MethodHandle sumHandle(String method) {
        return CallBarrier.handle(MethodHandles.lookup(), method, long.class, long.class, int.class, int.class,
            long.class, long.class, long.class, long.class, long.class);
    }

    @Override
    public String id() {
        return ID;
    }

    /** One column, or one, two, four, eight ... vectors, so that a panel takes few passes over the nonzeros. */
    @Override
    protected int padded(int width) {
        if (width == 1) {
            return 1;
        }
        int vectors = Math.ceilDiv(width, LENGTH);
        return vectors == 1 ? LENGTH : Integer.highestOneBit(vectors - 1) * 2 * LENGTH;
    }

    @Override
    protected void accumulate(MemorySegment packed, long entriesAt, long startsAt, int rows, MemorySegment scratch,
            long tileAt, int padded, long accAt, boolean fresh) {
        long acc = scratch.address() + accAt;
        sum(packed.address() + entriesAt, packed.address() + startsAt, rows, scratch.address() + tileAt, padded,
            fresh ? ZEROS.address() : acc, fresh ? 0 : (long) Float.BYTES * padded, acc);
    }

    @Override
    protected void transpose(MemorySegment scratch, long fromAt, long fromStride, int rows, int columns, long toAt,
            long toStride) {
        VectorTranspose.transpose(scratch, fromAt, fromStride, rows, columns, toAt, toStride);
    }

    /**
     * For each of {@code rows} rows, to[0, padded) = from[0, padded) + sum of value * tile row; all by address.
     * A row's entries are starts[row] up to starts[row + 1].
     */
    private static void sum(long entries, long starts, int rows, long tile, int padded, long from, long fromPitch,
            long to) {
        long pitch = (long) Float.BYTES * padded;
        try {
            if (padded == 1) {
                sum(0, entries, starts, rows, tile, pitch, from, fromPitch, to);
                return;
            }
            int left = padded / LENGTH;
            long done = 0;
            for (int i = 4; i > 0; i--) {
                int vectors = 1 << (i - 1);
                for (; left >= vectors; left -= vectors, done += vectors * STEP) {
                    sum(i, entries, starts, rows, tile + done, pitch, from + done, fromPitch, to + done);
                }
            }
        } catch (Throwable t) {
            throw CallBarrier.unexpected(t);
        }
    }

    /** The columns of one kernel, in calls of so few rows that the first calls, before C2 compiles it, stay short. */
    private static void sum(int kernel, long entries, long starts, int rows, long tile, long pitch, long from,
            long fromPitch, long to) throws Throwable {
        int group = GROUP[kernel];
        for (int row = 0; row < rows; row += ROWS_PER_CALL) {
            int count = Math.min(ROWS_PER_CALL, rows - row);
            long startsAt = starts + 8L * row;
            long fromAt = from + row * fromPitch;
            long toAt = to + row * pitch;
            if (group > 1) {
                long first = ALL.get(LONG, address(startsAt));
                long last = ALL.get(LONG, address(startsAt + 8L * count));
                TOUCH[0].invokeExact(entries + ENTRY_BYTES * first, entries + ENTRY_BYTES * last);
                TOGETHER[kernel].invokeExact(entries, startsAt, count, group, tile, pitch, fromAt, fromPitch, toAt);
            }
            ACCUMULATE[kernel].invokeExact(entries, startsAt, count, group, tile, pitch, fromAt, fromPitch, toAt);
        }
    }

    /**
     * Reads a byte range line by line: rows side by side are several streams in one page, which hardware does not
     * follow, while one stream comes from memory at full speed.
     */
    private static void touch(long from, long to) {
        long any = 0;
        for (long at = from; at < to; at += LINE) {
            any |= ALL.get(LONG, at & USER_SPACE);
        }
        if (any == -1) {
            // Never: an entry's column is not negative. But now the compiler has to read them all.
            Thread.onSpinWait();
        }
    }

    /** The entries of a row that were summed together with its group's: {@code before}, but for a group's first. */
    private static int done(long starts, int rows, int row, int group, int before) {
        if (group == 1 || row % group != 0) {
            return before;
        }
        return row + group <= rows ? shortest(starts, row, group) : 0;
    }

    /** The least number of entries of {@code group} rows. */
    private static int shortest(long starts, int row, int group) {
        long least = Long.MAX_VALUE;
        long begin = ALL.get(LONG, address(starts + 8L * row));
        for (int i = 1; i <= group; i++) {
            long end = ALL.get(LONG, address(starts + 8L * (row + i)));
            least = Math.min(least, end - begin);
            begin = end;
        }
        return (int) least;
    }

    /** Eight vectors of columns, row by row, after what {@code TOGETHER} has done. */
    private static void accumulate8(long entries, long starts, int rows, int group, long tile, long pitch,
            long from, long fromPitch, long to) {
        int done = 0;
        for (int row = 0; row < rows; row++) {
            done = done(starts, rows, row, group, done);
            long start = (starts + 8L * row) & USER_SPACE;
            long begin = ALL.get(LONG, start) + done;
            int count = (int) (ALL.get(LONG, start + 8) - begin);
            long rowEntries = (entries + ENTRY_BYTES * begin) & USER_SPACE;
            long at = (done == 0 ? from + row * fromPitch : to + row * pitch) & USER_SPACE;
            FloatVector s0 = FloatVector.fromMemorySegment(F32, ALL, at, ORDER);
            FloatVector s1 = FloatVector.fromMemorySegment(F32, ALL, at + STEP, ORDER);
            FloatVector s2 = FloatVector.fromMemorySegment(F32, ALL, at + 2 * STEP, ORDER);
            FloatVector s3 = FloatVector.fromMemorySegment(F32, ALL, at + 3 * STEP, ORDER);
            FloatVector s4 = FloatVector.fromMemorySegment(F32, ALL, at + 4 * STEP, ORDER);
            FloatVector s5 = FloatVector.fromMemorySegment(F32, ALL, at + 5 * STEP, ORDER);
            FloatVector s6 = FloatVector.fromMemorySegment(F32, ALL, at + 6 * STEP, ORDER);
            FloatVector s7 = FloatVector.fromMemorySegment(F32, ALL, at + 7 * STEP, ORDER);
            for (int p = 0; p < count; p++) {
                long entry = rowEntries + ENTRY_BYTES * (p & Integer.MAX_VALUE);
                FloatVector value = FloatVector.broadcast(F32, ALL.get(FLOAT, entry + ENTRY_VALUE));
                long b = (tile + ALL.get(INT, entry) * pitch) & USER_SPACE;
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

    /** Four vectors of columns, row by row, after what {@code TOGETHER} has done. */
    private static void accumulate4(long entries, long starts, int rows, int group, long tile, long pitch,
            long from, long fromPitch, long to) {
        int done = 0;
        for (int row = 0; row < rows; row++) {
            done = done(starts, rows, row, group, done);
            long start = (starts + 8L * row) & USER_SPACE;
            long begin = ALL.get(LONG, start) + done;
            int count = (int) (ALL.get(LONG, start + 8) - begin);
            long rowEntries = (entries + ENTRY_BYTES * begin) & USER_SPACE;
            long at = (done == 0 ? from + row * fromPitch : to + row * pitch) & USER_SPACE;
            FloatVector s0 = FloatVector.fromMemorySegment(F32, ALL, at, ORDER);
            FloatVector s1 = FloatVector.fromMemorySegment(F32, ALL, at + STEP, ORDER);
            FloatVector s2 = FloatVector.fromMemorySegment(F32, ALL, at + 2 * STEP, ORDER);
            FloatVector s3 = FloatVector.fromMemorySegment(F32, ALL, at + 3 * STEP, ORDER);
            for (int p = 0; p < count; p++) {
                long entry = rowEntries + ENTRY_BYTES * (p & Integer.MAX_VALUE);
                FloatVector value = FloatVector.broadcast(F32, ALL.get(FLOAT, entry + ENTRY_VALUE));
                long b = (tile + ALL.get(INT, entry) * pitch) & USER_SPACE;
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

    /** Two vectors of columns, row by row, after what {@code TOGETHER} has done. */
    private static void accumulate2(long entries, long starts, int rows, int group, long tile, long pitch,
            long from, long fromPitch, long to) {
        int done = 0;
        for (int row = 0; row < rows; row++) {
            done = done(starts, rows, row, group, done);
            long start = (starts + 8L * row) & USER_SPACE;
            long begin = ALL.get(LONG, start) + done;
            int count = (int) (ALL.get(LONG, start + 8) - begin);
            long rowEntries = (entries + ENTRY_BYTES * begin) & USER_SPACE;
            long at = (done == 0 ? from + row * fromPitch : to + row * pitch) & USER_SPACE;
            FloatVector s0 = FloatVector.fromMemorySegment(F32, ALL, at, ORDER);
            FloatVector s1 = FloatVector.fromMemorySegment(F32, ALL, at + STEP, ORDER);
            for (int p = 0; p < count; p++) {
                long entry = rowEntries + ENTRY_BYTES * (p & Integer.MAX_VALUE);
                FloatVector value = FloatVector.broadcast(F32, ALL.get(FLOAT, entry + ENTRY_VALUE));
                long b = (tile + ALL.get(INT, entry) * pitch) & USER_SPACE;
                s0 = value.fma(FloatVector.fromMemorySegment(F32, ALL, b, ORDER), s0);
                s1 = value.fma(FloatVector.fromMemorySegment(F32, ALL, b + STEP, ORDER), s1);
            }
            at = (to + row * pitch) & USER_SPACE;
            s0.intoMemorySegment(ALL, at, ORDER);
            s1.intoMemorySegment(ALL, at + STEP, ORDER);
        }
    }

    /** Two vectors of columns, four rows at a time, as far as the shortest of them reaches. */
    private static void together2(long entries, long starts, int rows, int group, long tile, long pitch,
            long from, long fromPitch, long to) {
        for (int row = 0; row + 4 <= rows; row += 4) {
            int count = shortest(starts, row, 4);
            long start = (starts + 8L * row) & USER_SPACE;
            long aEntries = (entries + ENTRY_BYTES * ALL.get(LONG, start)) & USER_SPACE;
            long bEntries = (entries + ENTRY_BYTES * ALL.get(LONG, start + 8)) & USER_SPACE;
            long cEntries = (entries + ENTRY_BYTES * ALL.get(LONG, start + 16)) & USER_SPACE;
            long dEntries = (entries + ENTRY_BYTES * ALL.get(LONG, start + 24)) & USER_SPACE;
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
            for (int p = 0; p < count; p++) {
                long next = ENTRY_BYTES * (p & Integer.MAX_VALUE);
                FloatVector value = FloatVector.broadcast(F32, ALL.get(FLOAT, aEntries + next + ENTRY_VALUE));
                long b = (tile + ALL.get(INT, aEntries + next) * pitch) & USER_SPACE;
                a0 = value.fma(FloatVector.fromMemorySegment(F32, ALL, b, ORDER), a0);
                a1 = value.fma(FloatVector.fromMemorySegment(F32, ALL, b + STEP, ORDER), a1);
                value = FloatVector.broadcast(F32, ALL.get(FLOAT, bEntries + next + ENTRY_VALUE));
                b = (tile + ALL.get(INT, bEntries + next) * pitch) & USER_SPACE;
                b0 = value.fma(FloatVector.fromMemorySegment(F32, ALL, b, ORDER), b0);
                b1 = value.fma(FloatVector.fromMemorySegment(F32, ALL, b + STEP, ORDER), b1);
                value = FloatVector.broadcast(F32, ALL.get(FLOAT, cEntries + next + ENTRY_VALUE));
                b = (tile + ALL.get(INT, cEntries + next) * pitch) & USER_SPACE;
                c0 = value.fma(FloatVector.fromMemorySegment(F32, ALL, b, ORDER), c0);
                c1 = value.fma(FloatVector.fromMemorySegment(F32, ALL, b + STEP, ORDER), c1);
                value = FloatVector.broadcast(F32, ALL.get(FLOAT, dEntries + next + ENTRY_VALUE));
                b = (tile + ALL.get(INT, dEntries + next) * pitch) & USER_SPACE;
                d0 = value.fma(FloatVector.fromMemorySegment(F32, ALL, b, ORDER), d0);
                d1 = value.fma(FloatVector.fromMemorySegment(F32, ALL, b + STEP, ORDER), d1);
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

    /** One vector of columns, row by row, after what {@code TOGETHER} has done. */
    private static void accumulate1(long entries, long starts, int rows, int group, long tile, long pitch,
            long from, long fromPitch, long to) {
        int done = 0;
        for (int row = 0; row < rows; row++) {
            done = done(starts, rows, row, group, done);
            long start = (starts + 8L * row) & USER_SPACE;
            long begin = ALL.get(LONG, start) + done;
            int count = (int) (ALL.get(LONG, start + 8) - begin);
            long rowEntries = (entries + ENTRY_BYTES * begin) & USER_SPACE;
            long at = (done == 0 ? from + row * fromPitch : to + row * pitch) & USER_SPACE;
            FloatVector s0 = FloatVector.fromMemorySegment(F32, ALL, at, ORDER);
            for (int p = 0; p < count; p++) {
                long entry = rowEntries + ENTRY_BYTES * (p & Integer.MAX_VALUE);
                FloatVector value = FloatVector.broadcast(F32, ALL.get(FLOAT, entry + ENTRY_VALUE));
                long b = (tile + ALL.get(INT, entry) * pitch) & USER_SPACE;
                s0 = value.fma(FloatVector.fromMemorySegment(F32, ALL, b, ORDER), s0);
            }
            at = (to + row * pitch) & USER_SPACE;
            s0.intoMemorySegment(ALL, at, ORDER);
        }
    }

    /** One vector of columns, four rows at a time, as far as the shortest of them reaches. */
    private static void together1(long entries, long starts, int rows, int group, long tile, long pitch,
            long from, long fromPitch, long to) {
        for (int row = 0; row + 4 <= rows; row += 4) {
            int count = shortest(starts, row, 4);
            long start = (starts + 8L * row) & USER_SPACE;
            long aEntries = (entries + ENTRY_BYTES * ALL.get(LONG, start)) & USER_SPACE;
            long bEntries = (entries + ENTRY_BYTES * ALL.get(LONG, start + 8)) & USER_SPACE;
            long cEntries = (entries + ENTRY_BYTES * ALL.get(LONG, start + 16)) & USER_SPACE;
            long dEntries = (entries + ENTRY_BYTES * ALL.get(LONG, start + 24)) & USER_SPACE;
            long at = (from + row * fromPitch) & USER_SPACE;
            FloatVector a0 = FloatVector.fromMemorySegment(F32, ALL, at, ORDER);
            at = (from + (row + 1) * fromPitch) & USER_SPACE;
            FloatVector b0 = FloatVector.fromMemorySegment(F32, ALL, at, ORDER);
            at = (from + (row + 2) * fromPitch) & USER_SPACE;
            FloatVector c0 = FloatVector.fromMemorySegment(F32, ALL, at, ORDER);
            at = (from + (row + 3) * fromPitch) & USER_SPACE;
            FloatVector d0 = FloatVector.fromMemorySegment(F32, ALL, at, ORDER);
            for (int p = 0; p < count; p++) {
                long next = ENTRY_BYTES * (p & Integer.MAX_VALUE);
                FloatVector value = FloatVector.broadcast(F32, ALL.get(FLOAT, aEntries + next + ENTRY_VALUE));
                long b = (tile + ALL.get(INT, aEntries + next) * pitch) & USER_SPACE;
                a0 = value.fma(FloatVector.fromMemorySegment(F32, ALL, b, ORDER), a0);
                value = FloatVector.broadcast(F32, ALL.get(FLOAT, bEntries + next + ENTRY_VALUE));
                b = (tile + ALL.get(INT, bEntries + next) * pitch) & USER_SPACE;
                b0 = value.fma(FloatVector.fromMemorySegment(F32, ALL, b, ORDER), b0);
                value = FloatVector.broadcast(F32, ALL.get(FLOAT, cEntries + next + ENTRY_VALUE));
                b = (tile + ALL.get(INT, cEntries + next) * pitch) & USER_SPACE;
                c0 = value.fma(FloatVector.fromMemorySegment(F32, ALL, b, ORDER), c0);
                value = FloatVector.broadcast(F32, ALL.get(FLOAT, dEntries + next + ENTRY_VALUE));
                b = (tile + ALL.get(INT, dEntries + next) * pitch) & USER_SPACE;
                d0 = value.fma(FloatVector.fromMemorySegment(F32, ALL, b, ORDER), d0);
            }
            at = (to + row * pitch) & USER_SPACE;
            a0.intoMemorySegment(ALL, at, ORDER);
            at = (to + (row + 1) * pitch) & USER_SPACE;
            b0.intoMemorySegment(ALL, at, ORDER);
            at = (to + (row + 2) * pitch) & USER_SPACE;
            c0.intoMemorySegment(ALL, at, ORDER);
            at = (to + (row + 3) * pitch) & USER_SPACE;
            d0.intoMemorySegment(ALL, at, ORDER);
        }
    }

    /** One column, row by row, after what {@code TOGETHER} has done; without vectors, which it does not fill. */
    private static void accumulateColumn(long entries, long starts, int rows, int group, long tile, long pitch,
            long from, long fromPitch, long to) {
        long base = tile & USER_SPACE;
        int done = 0;
        for (int row = 0; row < rows; row++) {
            done = done(starts, rows, row, group, done);
            long start = (starts + 8L * row) & USER_SPACE;
            long begin = ALL.get(LONG, start) + done;
            int count = (int) (ALL.get(LONG, start + 8) - begin);
            long rowEntries = (entries + ENTRY_BYTES * begin) & USER_SPACE;
            float sum = ALL.get(FLOAT, (done == 0 ? from + row * fromPitch : to + row * pitch) & USER_SPACE);
            for (int p = 0; p < count; p++) {
                long entry = rowEntries + ENTRY_BYTES * (p & Integer.MAX_VALUE);
                float b = ALL.get(FLOAT, base + 4L * (ALL.get(INT, entry) & Integer.MAX_VALUE));
                sum = Math.fma(ALL.get(FLOAT, entry + ENTRY_VALUE), b, sum);
            }
            ALL.set(FLOAT, (to + row * pitch) & USER_SPACE, sum);
        }
    }

    /** One column, four rows at a time, as far as the shortest of them reaches. */
    private static void togetherColumn(long entries, long starts, int rows, int group, long tile, long pitch,
            long from, long fromPitch, long to) {
        long base = tile & USER_SPACE;
        for (int row = 0; row + 4 <= rows; row += 4) {
            int count = shortest(starts, row, 4);
            long start = (starts + 8L * row) & USER_SPACE;
            long aEntries = (entries + ENTRY_BYTES * ALL.get(LONG, start)) & USER_SPACE;
            long bEntries = (entries + ENTRY_BYTES * ALL.get(LONG, start + 8)) & USER_SPACE;
            long cEntries = (entries + ENTRY_BYTES * ALL.get(LONG, start + 16)) & USER_SPACE;
            long dEntries = (entries + ENTRY_BYTES * ALL.get(LONG, start + 24)) & USER_SPACE;
            float a = ALL.get(FLOAT, (from + row * fromPitch) & USER_SPACE);
            float b = ALL.get(FLOAT, (from + (row + 1) * fromPitch) & USER_SPACE);
            float c = ALL.get(FLOAT, (from + (row + 2) * fromPitch) & USER_SPACE);
            float d = ALL.get(FLOAT, (from + (row + 3) * fromPitch) & USER_SPACE);
            for (int p = 0; p < count; p++) {
                long next = ENTRY_BYTES * (p & Integer.MAX_VALUE);
                float x = ALL.get(FLOAT, base + 4L * (ALL.get(INT, aEntries + next) & Integer.MAX_VALUE));
                a = Math.fma(ALL.get(FLOAT, aEntries + next + ENTRY_VALUE), x, a);
                x = ALL.get(FLOAT, base + 4L * (ALL.get(INT, bEntries + next) & Integer.MAX_VALUE));
                b = Math.fma(ALL.get(FLOAT, bEntries + next + ENTRY_VALUE), x, b);
                x = ALL.get(FLOAT, base + 4L * (ALL.get(INT, cEntries + next) & Integer.MAX_VALUE));
                c = Math.fma(ALL.get(FLOAT, cEntries + next + ENTRY_VALUE), x, c);
                x = ALL.get(FLOAT, base + 4L * (ALL.get(INT, dEntries + next) & Integer.MAX_VALUE));
                d = Math.fma(ALL.get(FLOAT, dEntries + next + ENTRY_VALUE), x, d);
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
