package dev.filigree.internal.vector;

import static dev.filigree.internal.vector.RawMemory.ALL;
import static dev.filigree.internal.vector.RawMemory.address;
import static dev.filigree.internal.vector.Species.F32;
import static dev.filigree.internal.vector.VectorBf16.I32;
import static dev.filigree.spi.RowFormat.BLOCK;
import static dev.filigree.spi.RowFormat.LANES;
import static dev.filigree.spi.RowFormat.LINE;

import dev.filigree.DType;
import dev.filigree.spi.MlpKernel;
import dev.filigree.spi.RowFormat;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import jdk.incubator.vector.FloatVector;
import jdk.incubator.vector.IntVector;

/**
 * Products with listed rows with the Vector API. Eight vectors of sums are in registers: eight rows of 16 lanes, or
 * four of twice eight, or two of four times four. Memory bounds a token or two, so every vector of weights is met by
 * a vector of x from the cache, and more tokens come to the same rows one after the other.
 *
 * <p>{@link SpmmVector} says why each method that holds vectors is a compilation of its own, and why the library's own
 * memory is read by address.
 */
final class MlpVector implements MlpKernel {

    private static final int LENGTH = F32.length();
    private static final long STEP = F32.vectorByteSize();
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    private static final ValueLayout.OfInt INT = ValueLayout.JAVA_INT_UNALIGNED;
    private static final ValueLayout.OfLong LONG = ValueLayout.JAVA_LONG_UNALIGNED;
    private static final ValueLayout.OfShort SHORT = ValueLayout.JAVA_SHORT_UNALIGNED;
    /** Vectors of a row's sums. */
    private static final int PARTS = LANES / LENGTH;
    /** Rows whose sums are in registers. */
    private static final int ROWS = 8 / PARTS;
    /** Rows that are added up in one pass over the sums. */
    private static final int AXPY_ROWS = 4;

    /** Rows x tokens in registers. */
    static final String DOT_TILE_F32 = ROWS + "x1";
    /** Rows x tokens in registers. */
    static final String DOT_TILE_BF16 = Math.max(1, ROWS / 2) + "x1";
    /** Rows x columns in registers. */
    static final String AXPY_TILE = AXPY_ROWS + "x" + LENGTH;

    // Elements of arrays are no constants: see CallBarrier.
    private static final MethodHandle[] DOT_F32 = {dotHandle("dotF32", 8)};
    private static final MethodHandle[] DOT_BF16 = {dotHandle("dotBf16", 4)};
    private static final MethodHandle[] ADD_FOUR = {addHandle("addFourF32", 4), addHandle("addFourBf16", 4)};
    private static final MethodHandle[] ADD_ONE = {addHandle("addOneF32", 1), addHandle("addOneBf16", 1)};
    private static final MethodHandle[] HALVE = {handle("halve", long.class, long.class)};
    private static final MethodHandle[] CLEAR = {handle("clear", long.class, int.class)};
    private static final MethodHandle[] ADD_BIAS = {handle("addBias", long.class, long.class, int.class)};
    private static final MethodHandle[] MULTIPLY =
        {handle("multiply", long.class, long.class, long.class, int.class)};

    private final DType dtype;
    private final List<String> ids;

    MlpVector(DType dtype) {
        this.dtype = dtype;
        ids = List.of("mlp_dot_" + dtype.id() + "_vector", "mlp_axpy_" + dtype.id() + "_vector");
    }

    private static MethodHandle handle(String method, Class<?>... parameters) {
        return CallBarrier.handle(MethodHandles.lookup(), method, parameters);
    }

    /** Rows, four vectors of x, lines, where to. */
    private static MethodHandle dotHandle(String method, int rows) {
        Class<?>[] parameters = new Class<?>[rows + 6];
        Arrays.fill(parameters, long.class);
        return handle(method, parameters);
    }

    /** Rows, their coefficients, sums, lines. */
    private static MethodHandle addHandle(String method, int rows) {
        Class<?>[] parameters = new Class<?>[2 * rows + 2];
        for (int r = 0; r < rows; r++) {
            parameters[r] = long.class;
            parameters[rows + r] = float.class;
        }
        parameters[2 * rows] = long.class;
        parameters[2 * rows + 1] = int.class;
        return handle(method, parameters);
    }

    @Override
    public List<String> ids() {
        return ids;
    }

    @Override
    public void dot(MemorySegment w, MemorySegment list, MemorySegment masks, int count, MemorySegment x, int tokens,
            MemorySegment bias, MemorySegment factors, long factorStride, int activation, MemorySegment out,
            long outStride, long begin, long end, MemorySegment scratch) {
        long stride = RowFormat.field(w, RowFormat.STRIDE);
        long lines = stride / RowFormat.lineColumns(w);
        long matrix = w.address() + RowFormat.rowAt(w, 0);
        // 16 lanes of each row of a block; then a float a row and token; then the block's biases, and a token's rows.
        long lanes = scratch.address();
        long sums = lanes + BLOCK * LINE;
        long biases = sums + RowFormat.TOKENS * LINE;
        long places = biases + LINE;
        try {
            for (long item = begin; item < end; item++) {
                int first = (int) item * BLOCK;
                int rows = Math.min(BLOCK, count - first);
                for (int t = 0; t < tokens; t++) {
                    int needed = needed(matrix, lines * LINE, list, masks, first, rows, t, places);
                    for (int r = 0; r < needed; r += ROWS) {
                        dotRows(places, r, needed - 1, lines, x.address() + Float.BYTES * t * stride, lanes + r * LINE);
                    }
                    HALVE[0].invokeExact(lanes, sums + t * LINE);
                    spread(masks, first, rows, t, needed, sums + t * LINE);
                }
                for (int p = 0; p < rows && bias.address() != 0; p++) {
                    ALL.set(FLOAT, address(biases + 4L * p),
                        ALL.get(FLOAT, address(bias.address() + 4L * row(list, first + p))));
                }
                for (int t = 0; t < tokens; t++) {
                    finish(sums + t * LINE, bias.address() == 0 ? 0 : biases, activation,
                        factors.address() == 0 ? 0 : factors.address() + Float.BYTES * (t * factorStride + first),
                        out.address() + Float.BYTES * (t * outStride + first), BLOCK);
                    for (int p = 0; p < rows; p++) {
                        if (!counts(masks, first + p, t)) {
                            ALL.set(FLOAT, address(out.address() + Float.BYTES * (t * outStride + first + p)), 0f);
                        }
                    }
                }
            }
        } catch (Throwable t) {
            throw CallBarrier.unexpected(t);
        }
    }

    /** Where the rows begin that a token needs in the block of positions from {@code first} on; returns how many. */
    private static int needed(long matrix, long rowBytes, MemorySegment list, MemorySegment masks, int first, int rows,
            int token, long to) {
        int count = 0;
        for (int p = first; p < first + rows; p++) {
            if (counts(masks, p, token)) {
                ALL.set(LONG, address(to + 8L * count++), matrix + row(list, p) * rowBytes);
            }
        }
        return count;
    }

    /** Moves the sums of the rows that a token needs to their positions. */
    private static void spread(MemorySegment masks, int first, int rows, int token, int count, long sums) {
        int from = count;
        for (int p = rows - 1; p >= from && from > 0; p--) {
            if (counts(masks, first + p, token)) {
                ALL.set(FLOAT, address(sums + 4L * p), at(sums + 4L * --from));
            }
        }
    }

    /** Eight vectors of the rows whose places are listed, from the given one on; their lanes to {@code to}. */
    private void dotRows(long places, int row, int last, long lines, long x, long to) throws Throwable {
        long w0 = vectorAt(places, row, last, 0);
        long w1 = vectorAt(places, row, last, 1);
        long w2 = vectorAt(places, row, last, 2);
        long w3 = vectorAt(places, row, last, 3);
        long w4 = vectorAt(places, row, last, 4);
        long w5 = vectorAt(places, row, last, 5);
        long w6 = vectorAt(places, row, last, 6);
        long w7 = vectorAt(places, row, last, 7);
        long x1 = x + 1 % PARTS * STEP;
        long x2 = x + 2 % PARTS * STEP;
        long x3 = x + 3 % PARTS * STEP;
        if (dtype == DType.F32) {
            DOT_F32[0].invokeExact(w0, w1, w2, w3, w4, w5, w6, w7, x, x1, x2, x3, lines, to);
        } else {
            DOT_BF16[0].invokeExact(w0, w1, w2, w3, x, x1, x2, x3, lines, to);
            DOT_BF16[0].invokeExact(w4, w5, w6, w7, x, x1, x2, x3, lines, to + 4 * STEP);
        }
    }

    /** Where the i-th of eight vectors begins; rows past the last are the last again. */
    private static long vectorAt(long places, int row, int last, int i) {
        return ALL.get(LONG, address(places + 8L * Math.min(row + i / PARTS, last))) + i % PARTS * STEP;
    }

    private static int row(MemorySegment list, int p) {
        return list.address() == 0 ? p : ALL.get(INT, address(list.address() + 4L * p));
    }

    private static void dotF32(long w0, long w1, long w2, long w3, long w4, long w5, long w6, long w7, long x0,
            long x1, long x2, long x3, long lines, long to) {
        FloatVector l0 = FloatVector.zero(F32);
        FloatVector l1 = l0;
        FloatVector l2 = l0;
        FloatVector l3 = l0;
        FloatVector l4 = l0;
        FloatVector l5 = l0;
        FloatVector l6 = l0;
        FloatVector l7 = l0;
        long end = lines * LINE;
        // Not a counted loop: C2 would unroll it, load far ahead, and spill the sums.
        for (long at = 0; at != end; at += LINE) {
            FloatVector v0 = load(address(x0 + at));
            FloatVector v1 = load(address(x1 + at));
            l0 = load(address(w0 + at)).fma(v0, l0);
            l1 = load(address(w1 + at)).fma(v1, l1);
            FloatVector v2 = load(address(x2 + at));
            FloatVector v3 = load(address(x3 + at));
            l2 = load(address(w2 + at)).fma(v2, l2);
            l3 = load(address(w3 + at)).fma(v3, l3);
            l4 = load(address(w4 + at)).fma(v0, l4);
            l5 = load(address(w5 + at)).fma(v1, l5);
            l6 = load(address(w6 + at)).fma(v2, l6);
            l7 = load(address(w7 + at)).fma(v3, l7);
        }
        l0.intoMemorySegment(ALL, address(to), ORDER);
        l1.intoMemorySegment(ALL, address(to + STEP), ORDER);
        l2.intoMemorySegment(ALL, address(to + 2 * STEP), ORDER);
        l3.intoMemorySegment(ALL, address(to + 3 * STEP), ORDER);
        l4.intoMemorySegment(ALL, address(to + 4 * STEP), ORDER);
        l5.intoMemorySegment(ALL, address(to + 5 * STEP), ORDER);
        l6.intoMemorySegment(ALL, address(to + 6 * STEP), ORDER);
        l7.intoMemorySegment(ALL, address(to + 7 * STEP), ORDER);
    }

    /** Half as many as of f32: with eight, C2 no longer inlines all of it. */
    private static void dotBf16(
            long w0, long w1, long w2, long w3, long x0, long x1, long x2, long x3, long lines, long to) {
        FloatVector l0 = FloatVector.zero(F32);
        FloatVector l1 = l0;
        FloatVector l2 = l0;
        FloatVector l3 = l0;
        long end = lines * LINE;
        for (long at = 0; at != end; at += LINE) {
            long even = 2 * at;
            long odd = even + LINE;
            IntVector w = pairs(address(w0 + at));
            l0 = VectorBf16.even(w).fma(load(address(x0 + even)), l0);
            l0 = VectorBf16.odd(w).fma(load(address(x0 + odd)), l0);
            w = pairs(address(w1 + at));
            l1 = VectorBf16.even(w).fma(load(address(x1 + even)), l1);
            l1 = VectorBf16.odd(w).fma(load(address(x1 + odd)), l1);
            w = pairs(address(w2 + at));
            l2 = VectorBf16.even(w).fma(load(address(x2 + even)), l2);
            l2 = VectorBf16.odd(w).fma(load(address(x2 + odd)), l2);
            w = pairs(address(w3 + at));
            l3 = VectorBf16.even(w).fma(load(address(x3 + even)), l3);
            l3 = VectorBf16.odd(w).fma(load(address(x3 + odd)), l3);
        }
        // Not by a method of ours: past so many nodes C2 inlines none but the Vector API's, and would box the sums.
        l0.intoMemorySegment(ALL, address(to), ORDER);
        l1.intoMemorySegment(ALL, address(to + STEP), ORDER);
        l2.intoMemorySegment(ALL, address(to + 2 * STEP), ORDER);
        l3.intoMemorySegment(ALL, address(to + 3 * STEP), ORDER);
    }

    /** The lanes of 16 rows, halved and added until one is left of each; written out: C2 is slow at loops so short. */
    private static void halve(long lanes, long sums) {
        for (int r = 0; r < BLOCK; r++) {
            long l = address(lanes + r * LINE);
            float l0 = pair(l, 0) + pair(l, 4);
            float l1 = pair(l, 1) + pair(l, 5);
            float l2 = pair(l, 2) + pair(l, 6);
            float l3 = pair(l, 3) + pair(l, 7);
            ALL.set(FLOAT, address(sums + 4L * r), l0 + l2 + (l1 + l3));
        }
    }

    /** Lane c and the one half a line on. */
    private static float pair(long lanes, int c) {
        return ALL.get(FLOAT, lanes + 4L * c) + ALL.get(FLOAT, lanes + 4L * (c + LANES / 2));
    }

    @Override
    public void axpy(MemorySegment w, MemorySegment list, MemorySegment masks, int count, MemorySegment coefficients,
            long coefficientStride, int tokens, MemorySegment bias, MemorySegment factors, long factorStride,
            int activation, MemorySegment out, long outStride, long begin, long end, MemorySegment scratch) {
        int columns = RowFormat.lineColumns(w);
        int last = (int) Math.min(end * RowFormat.STRIP, RowFormat.field(w, RowFormat.STRIDE));
        int cols = (int) RowFormat.field(w, RowFormat.COLS);
        int most = RowFormat.SUMS / tokens / RowFormat.STRIP * RowFormat.STRIP;
        long sums = scratch.address();
        try {
            for (int first = (int) begin * RowFormat.STRIP; first < last; first += most) {
                int width = Math.min(most, last - first);
                CLEAR[0].invokeExact(sums, width * tokens);
                for (int p = 0; p < count; p += AXPY_ROWS) {
                    for (int t = 0; t < tokens; t++) {
                        addRows(w, list, masks, p, Math.min(AXPY_ROWS, count - p), first / columns * LINE,
                            coefficients.address() + Float.BYTES * (t * coefficientStride + p), t,
                            sums + 4L * t * width, width / columns);
                    }
                }
                for (int t = 0; t < tokens; t++) {
                    long at = sums + 4L * t * width;
                    if (dtype == DType.BF16) {
                        interleave(at, width, sums + Float.BYTES * RowFormat.SUMS);
                    }
                    finish(at, bias.address() == 0 ? 0 : bias.address() + 4L * first, activation,
                        factors.address() == 0 ? 0 : factors.address() + Float.BYTES * (t * factorStride + first),
                        out.address() + Float.BYTES * (t * outStride + first), Math.min(width, cols - first));
                }
            }
        } catch (Throwable t) {
            throw CallBarrier.unexpected(t);
        }
    }

    /** Positions p up to p + count for one token, as far as they count. */
    private void addRows(MemorySegment w, MemorySegment list, MemorySegment masks, int p, int count, long columnAt,
            long coefficients, int token, long sums, int lines) throws Throwable {
        boolean all = count == AXPY_ROWS;
        for (int r = 0; r < count && all; r++) {
            all = counts(masks, p + r, token);
        }
        if (all) {
            ADD_FOUR[dtype.ordinal()].invokeExact(rowAt(w, list, p) + columnAt, rowAt(w, list, p + 1) + columnAt,
                rowAt(w, list, p + 2) + columnAt, rowAt(w, list, p + 3) + columnAt, at(coefficients),
                at(coefficients + 4), at(coefficients + 8), at(coefficients + 12), sums, lines);
            return;
        }
        for (int r = 0; r < count; r++) {
            if (counts(masks, p + r, token)) {
                ADD_ONE[dtype.ordinal()].invokeExact(
                    rowAt(w, list, p + r) + columnAt, at(coefficients + 4L * r), sums, lines);
            }
        }
    }

    private static boolean counts(MemorySegment masks, int p, int token) {
        return masks.address() == 0 || (ALL.get(SHORT, address(masks.address() + 2L * p)) >> token & 1) != 0;
    }

    private static long rowAt(MemorySegment w, MemorySegment list, int p) {
        return w.address() + RowFormat.rowAt(w, row(list, p));
    }

    private static float at(long at) {
        return ALL.get(FLOAT, address(at));
    }

    private static void addFourF32(long w0, long w1, long w2, long w3, float c0, float c1, float c2, float c3,
            long sums, int lines) {
        FloatVector v0 = FloatVector.broadcast(F32, c0);
        FloatVector v1 = FloatVector.broadcast(F32, c1);
        FloatVector v2 = FloatVector.broadcast(F32, c2);
        FloatVector v3 = FloatVector.broadcast(F32, c3);
        long end = lines * LINE;
        for (long at = 0; at != end; at += STEP) {
            long here = address(sums + at);
            FloatVector sum = load(address(w0 + at)).fma(v0, load(here));
            sum = load(address(w1 + at)).fma(v1, sum);
            sum = load(address(w2 + at)).fma(v2, sum);
            sum = load(address(w3 + at)).fma(v3, sum);
            sum.intoMemorySegment(ALL, here, ORDER);
        }
    }

    private static void addOneF32(long w, float c, long sums, int lines) {
        FloatVector v = FloatVector.broadcast(F32, c);
        long end = lines * LINE;
        for (long at = 0; at != end; at += STEP) {
            long here = address(sums + at);
            load(address(w + at)).fma(v, load(here)).intoMemorySegment(ALL, here, ORDER);
        }
    }

    /** Sums lie as the weights' vectors do: a vector of even columns, then, a line later, one of odd columns. */
    private static void addFourBf16(long w0, long w1, long w2, long w3, float c0, float c1, float c2, float c3,
            long sums, int lines) {
        FloatVector v0 = FloatVector.broadcast(F32, c0);
        FloatVector v1 = FloatVector.broadcast(F32, c1);
        FloatVector v2 = FloatVector.broadcast(F32, c2);
        FloatVector v3 = FloatVector.broadcast(F32, c3);
        long end = lines * LINE;
        for (long at = 0; at != end; at += STEP) {
            long even = address(sums + 2 * at - at % LINE);
            long odd = address(even + LINE);
            IntVector w = pairs(address(w0 + at));
            FloatVector e = VectorBf16.even(w).fma(v0, load(even));
            FloatVector o = VectorBf16.odd(w).fma(v0, load(odd));
            w = pairs(address(w1 + at));
            e = VectorBf16.even(w).fma(v1, e);
            o = VectorBf16.odd(w).fma(v1, o);
            w = pairs(address(w2 + at));
            e = VectorBf16.even(w).fma(v2, e);
            o = VectorBf16.odd(w).fma(v2, o);
            w = pairs(address(w3 + at));
            e = VectorBf16.even(w).fma(v3, e);
            o = VectorBf16.odd(w).fma(v3, o);
            e.intoMemorySegment(ALL, even, ORDER);
            o.intoMemorySegment(ALL, odd, ORDER);
        }
    }

    private static void addOneBf16(long from, float c, long sums, int lines) {
        FloatVector v = FloatVector.broadcast(F32, c);
        long end = lines * LINE;
        for (long at = 0; at != end; at += STEP) {
            long even = address(sums + 2 * at - at % LINE);
            long odd = address(even + LINE);
            IntVector w = pairs(address(from + at));
            VectorBf16.even(w).fma(v, load(even)).intoMemorySegment(ALL, even, ORDER);
            VectorBf16.odd(w).fma(v, load(odd)).intoMemorySegment(ALL, odd, ORDER);
        }
    }

    /** The 16 even columns and the 16 odd ones of each line become 32 columns. */
    private static void interleave(long sums, int width, long spare) {
        for (int line = 0; line < width; line += 2 * LANES) {
            long at = sums + 4L * line;
            MemorySegment.copy(ALL, at, ALL, spare, 2 * LINE);
            for (int i = 0; i < 2 * LANES; i++) {
                ALL.set(FLOAT, address(at + 4L * i), at(spare + 4L * (i / 2) + i % 2 * LINE));
            }
        }
    }

    /** out = factors * activation(sums + bias); addresses, 0 for none; the sums are overwritten. */
    private static void finish(long sums, long bias, int activation, long factors, long out, int count)
            throws Throwable {
        if (bias != 0) {
            ADD_BIAS[0].invokeExact(sums, bias, count);
        }
        VectorMath.activate(activation, ALL, sums, count);
        if (factors != 0) {
            MULTIPLY[0].invokeExact(sums, factors, out, count);
        } else {
            MemorySegment.copy(ALL, sums, ALL, out, 4L * count);
        }
    }

    private static void clear(long at, int count) {
        FloatVector zero = FloatVector.zero(F32);
        for (int i = 0; i < count; i += LENGTH) {
            zero.intoMemorySegment(ALL, address(at + 4L * i), ORDER);
        }
    }

    private static void addBias(long sums, long bias, int count) {
        int i = 0;
        for (; i <= count - LENGTH; i += LENGTH) {
            long at = address(sums + 4L * i);
            load(at).add(load(address(bias + 4L * i))).intoMemorySegment(ALL, at, ORDER);
        }
        for (; i < count; i++) {
            ALL.set(FLOAT, address(sums + 4L * i), at(sums + 4L * i) + at(bias + 4L * i));
        }
    }

    private static void multiply(long sums, long factors, long out, int count) {
        int i = 0;
        for (; i <= count - LENGTH; i += LENGTH) {
            load(address(factors + 4L * i)).mul(load(address(sums + 4L * i)))
                .intoMemorySegment(ALL, address(out + 4L * i), ORDER);
        }
        for (; i < count; i++) {
            ALL.set(FLOAT, address(out + 4L * i), at(factors + 4L * i) * at(sums + 4L * i));
        }
    }

    private static FloatVector load(long at) {
        return FloatVector.fromMemorySegment(F32, ALL, at, ORDER);
    }

    private static IntVector pairs(long at) {
        return IntVector.fromMemorySegment(I32, ALL, at, ORDER);
    }
}
