package dev.filigree.internal.vector;

import static dev.filigree.internal.vector.RawMemory.ALL;
import static dev.filigree.internal.vector.RawMemory.address;
import static dev.filigree.internal.vector.Species.F32;

import dev.filigree.internal.GemmWalk;
import dev.filigree.spi.GemmFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.nio.ByteOrder;
import jdk.incubator.vector.FloatVector;

/**
 * GEMM over a packed matrix with the Vector API: tiles of six rows by two vectors stay in twelve registers while the
 * depth of a block streams by. A step of it is two loads, six broadcasts and twelve multiply-adds, which is what two
 * multiply-adds a clock leave room for; two vectors of B and a broadcast value take three more of the sixteen
 * registers that machines without AVX-512 have.
 *
 * <p>Each tile is a compilation of its own, called through a handle that is no constant, for the reason that {@link
 * SpmmVector} gives. C2 goes on inlining what the JDK forces it to when the code has outgrown its limit, but none of
 * our own methods: so the last part of a tile, its stores, calls the Vector API itself, and all vectors stay in
 * registers.
 */
final class GemmVector extends GemmWalk {

    static final String ID = "gemm_packed_f32_vector";

    private static final int LENGTH = F32.length();
    private static final long STEP = F32.vectorByteSize();
    private static final ByteOrder ORDER = ByteOrder.nativeOrder();
    /** Without the alignment check of the plain layout. */
    private static final ValueLayout.OfFloat FLOAT = ValueLayout.JAVA_FLOAT_UNALIGNED;
    /** Values of A that one step takes. */
    private static final long VALUES_STEP = (long) Float.BYTES * GemmFormat.MICRO_ROWS;

    /** By the vectors of columns, less one. Elements of arrays are no constants: see above. */
    private static final MethodHandle[] MULTIPLY = {tileHandle("multiply1"), tileHandle("multiply2")};

    /** What the first block of a tile starts from: six rows as wide as a panel. */
    private static final MemorySegment ZEROS = Arena.global().allocate(
        (long) Float.BYTES * GemmFormat.MICRO_ROWS * GemmFormat.PANEL, GemmFormat.ALIGNMENT);

    /** Rows x columns in registers. */
    static final String TILE = GemmFormat.MICRO_ROWS + "x" + 2 * LENGTH;

    private static MethodHandle tileHandle(String method) {
        return CallBarrier.handle(MethodHandles.lookup(), method, long.class, long.class, int.class, long.class,
            long.class, long.class);
    }

    @Override
    public String id() {
        return ID;
    }

    @Override
    protected void multiply(MemorySegment packed, long valuesAt, int depth, MemorySegment scratch, int width,
            int padded, long accAt, boolean fresh) {
        long values = packed.address() + valuesAt;
        long block = scratch.address();
        long to = block + accAt;
        long from = fresh ? ZEROS.address() : to;
        long rowBytes = (long) Float.BYTES * padded;
        int left = Math.ceilDiv(width, LENGTH);
        long done = 0;
        try {
            for (; left >= 2; left -= 2, done += 2 * STEP) {
                MULTIPLY[1].invokeExact(values, block + done, depth, rowBytes, from + done, to + done);
            }
            if (left == 1) {
                MULTIPLY[0].invokeExact(values, block + done, depth, rowBytes, from + done, to + done);
            }
        } catch (Throwable t) {
            throw CallBarrier.unexpected(t);
        }
    }

    /** Two vectors of columns; rows of block and accumulators are rowBytes apart. */
    private static void multiply2(long values, long block, int depth, long rowBytes, long from, long to) {
        long at = address(from);
        FloatVector s00 = load(at);
        FloatVector s01 = load(at + STEP);
        at = address(from + rowBytes);
        FloatVector s10 = load(at);
        FloatVector s11 = load(at + STEP);
        at = address(from + 2 * rowBytes);
        FloatVector s20 = load(at);
        FloatVector s21 = load(at + STEP);
        at = address(from + 3 * rowBytes);
        FloatVector s30 = load(at);
        FloatVector s31 = load(at + STEP);
        at = address(from + 4 * rowBytes);
        FloatVector s40 = load(at);
        FloatVector s41 = load(at + STEP);
        at = address(from + 5 * rowBytes);
        FloatVector s50 = load(at);
        FloatVector s51 = load(at + STEP);
        for (int k = 0; k < depth; k++) {
            long row = address(block + k * rowBytes);
            long value = address(values + k * VALUES_STEP);
            FloatVector b0 = load(row);
            FloatVector b1 = load(row + STEP);
            FloatVector a = broadcast(value);
            s00 = b0.fma(a, s00);
            s01 = b1.fma(a, s01);
            a = broadcast(value + 4);
            s10 = b0.fma(a, s10);
            s11 = b1.fma(a, s11);
            a = broadcast(value + 8);
            s20 = b0.fma(a, s20);
            s21 = b1.fma(a, s21);
            a = broadcast(value + 12);
            s30 = b0.fma(a, s30);
            s31 = b1.fma(a, s31);
            a = broadcast(value + 16);
            s40 = b0.fma(a, s40);
            s41 = b1.fma(a, s41);
            a = broadcast(value + 20);
            s50 = b0.fma(a, s50);
            s51 = b1.fma(a, s51);
        }
        at = address(to);
        s00.intoMemorySegment(ALL, at, ORDER);
        s01.intoMemorySegment(ALL, at + STEP, ORDER);
        at = address(to + rowBytes);
        s10.intoMemorySegment(ALL, at, ORDER);
        s11.intoMemorySegment(ALL, at + STEP, ORDER);
        at = address(to + 2 * rowBytes);
        s20.intoMemorySegment(ALL, at, ORDER);
        s21.intoMemorySegment(ALL, at + STEP, ORDER);
        at = address(to + 3 * rowBytes);
        s30.intoMemorySegment(ALL, at, ORDER);
        s31.intoMemorySegment(ALL, at + STEP, ORDER);
        at = address(to + 4 * rowBytes);
        s40.intoMemorySegment(ALL, at, ORDER);
        s41.intoMemorySegment(ALL, at + STEP, ORDER);
        at = address(to + 5 * rowBytes);
        s50.intoMemorySegment(ALL, at, ORDER);
        s51.intoMemorySegment(ALL, at + STEP, ORDER);
    }

    /** One vector of columns. */
    private static void multiply1(long values, long block, int depth, long rowBytes, long from, long to) {
        FloatVector s0 = load(address(from));
        FloatVector s1 = load(address(from + rowBytes));
        FloatVector s2 = load(address(from + 2 * rowBytes));
        FloatVector s3 = load(address(from + 3 * rowBytes));
        FloatVector s4 = load(address(from + 4 * rowBytes));
        FloatVector s5 = load(address(from + 5 * rowBytes));
        for (int k = 0; k < depth; k++) {
            FloatVector b = load(address(block + k * rowBytes));
            long value = address(values + k * VALUES_STEP);
            s0 = b.fma(broadcast(value), s0);
            s1 = b.fma(broadcast(value + 4), s1);
            s2 = b.fma(broadcast(value + 8), s2);
            s3 = b.fma(broadcast(value + 12), s3);
            s4 = b.fma(broadcast(value + 16), s4);
            s5 = b.fma(broadcast(value + 20), s5);
        }
        s0.intoMemorySegment(ALL, address(to), ORDER);
        s1.intoMemorySegment(ALL, address(to + rowBytes), ORDER);
        s2.intoMemorySegment(ALL, address(to + 2 * rowBytes), ORDER);
        s3.intoMemorySegment(ALL, address(to + 3 * rowBytes), ORDER);
        s4.intoMemorySegment(ALL, address(to + 4 * rowBytes), ORDER);
        s5.intoMemorySegment(ALL, address(to + 5 * rowBytes), ORDER);
    }

    @Override
    protected void transpose(MemorySegment scratch, long fromAt, long fromStride, int rows, int columns, long toAt,
            long toStride) {
        VectorTranspose.transpose(scratch, fromAt, fromStride, rows, columns, toAt, toStride);
    }

    @Override
    protected void finish(MemorySegment scratch, long accAt, long oldAt, int width, float alpha, float beta,
            boolean biased, float bias, int activation) {
        VectorEpilogue.finish(scratch, accAt, oldAt, width, alpha, beta, biased, bias, activation);
    }

    private static FloatVector load(long at) {
        return FloatVector.fromMemorySegment(F32, ALL, at, ORDER);
    }

    private static FloatVector broadcast(long at) {
        return FloatVector.broadcast(F32, ALL.get(FLOAT, at));
    }
}
