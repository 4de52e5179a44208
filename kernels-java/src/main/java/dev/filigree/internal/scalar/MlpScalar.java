package dev.filigree.internal.scalar;

import static dev.filigree.spi.RowFormat.LANES;

import dev.filigree.Bf16;
import dev.filigree.DType;
import dev.filigree.spi.MlpKernel;
import dev.filigree.spi.RowFormat;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;

/** Products with listed rows, element by element. */
final class MlpScalar implements MlpKernel {

    private static final ValueLayout.OfFloat F32 = ValueLayout.JAVA_FLOAT;

    private final boolean isF32;
    private final List<String> ids;

    MlpScalar(DType dtype) {
        isF32 = dtype == DType.F32;
        ids = List.of("mlp_dot_" + dtype.id() + "_scalar", "mlp_axpy_" + dtype.id() + "_scalar");
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
        int last = (int) Math.min(count, end * RowFormat.BLOCK);
        for (int p = (int) begin * RowFormat.BLOCK; p < last; p++) {
            int row = row(list, p);
            for (int t = 0; t < tokens; t++) {
                if (!counts(masks, p, t)) {
                    out.setAtIndex(F32, t * outStride + p, 0f);
                    continue;
                }
                float sum = isF32 ? dotF32(w, RowFormat.rowAt(w, row), x, t * stride, stride, scratch)
                    : dotBf16(w, RowFormat.rowAt(w, row), x, t * stride, stride, scratch);
                finish(sum, bias, row, activation, factors, t * factorStride + p, out, t * outStride + p);
            }
        }
    }

    private static float dotF32(MemorySegment w, long at, MemorySegment x, long xAt, long stride, MemorySegment l) {
        clear(l);
        for (long k = 0; k < stride; k += LANES) {
            for (int c = 0; c < LANES; c++) {
                l.setAtIndex(F32, c, Math.fma(
                    w.get(F32, at + Float.BYTES * (k + c)), x.getAtIndex(F32, xAt + k + c), l.getAtIndex(F32, c)));
            }
        }
        return halve(l);
    }

    private static float dotBf16(MemorySegment w, long at, MemorySegment x, long xAt, long stride, MemorySegment l) {
        clear(l);
        for (long k = 0; k < stride; k += 2 * LANES) {
            for (int c = 0; c < LANES; c++) {
                long pair = at + Short.BYTES * (k + 2 * c);
                float even = Math.fma(Bf16.toFloat(w.get(ValueLayout.JAVA_SHORT, pair)),
                    x.getAtIndex(F32, xAt + k + c), l.getAtIndex(F32, c));
                l.setAtIndex(F32, c, Math.fma(Bf16.toFloat(w.get(ValueLayout.JAVA_SHORT, pair + Short.BYTES)),
                    x.getAtIndex(F32, xAt + k + LANES + c), even));
            }
        }
        return halve(l);
    }

    private static void clear(MemorySegment l) {
        for (int c = 0; c < LANES; c++) {
            l.setAtIndex(F32, c, 0f);
        }
    }

    /** The lanes, halved and added until one is left. */
    private static float halve(MemorySegment l) {
        for (int half = LANES / 2; half > 0; half /= 2) {
            for (int c = 0; c < half; c++) {
                l.setAtIndex(F32, c, l.getAtIndex(F32, c) + l.getAtIndex(F32, c + half));
            }
        }
        return l.get(F32, 0);
    }

    @Override
    public void axpy(MemorySegment w, MemorySegment list, MemorySegment masks, int count, MemorySegment coefficients,
            long coefficientStride, int tokens, MemorySegment bias, MemorySegment factors, long factorStride,
            int activation, MemorySegment out, long outStride, long begin, long end, MemorySegment scratch) {
        int cols = (int) RowFormat.field(w, RowFormat.COLS);
        int last = (int) Math.min(cols, end * RowFormat.STRIP);
        for (int first = (int) begin * RowFormat.STRIP; first < last; first += RowFormat.STRIP) {
            int width = Math.min(RowFormat.STRIP, last - first);
            for (int t = 0; t < tokens; t++) {
                for (int c = 0; c < width; c++) {
                    scratch.setAtIndex(F32, c, 0f);
                }
                for (int p = 0; p < count; p++) {
                    if (counts(masks, p, t)) {
                        add(w, RowFormat.rowAt(w, row(list, p)), first, width,
                            coefficients.getAtIndex(F32, t * coefficientStride + p), scratch);
                    }
                }
                for (int c = 0; c < width; c++) {
                    finish(scratch.getAtIndex(F32, c), bias, first + c, activation, factors,
                        t * factorStride + first + c, out, t * outStride + first + c);
                }
            }
        }
    }

    private void add(MemorySegment w, long rowAt, int first, int width, float coefficient, MemorySegment sums) {
        for (int c = 0; c < width; c++) {
            float value = isF32 ? w.get(F32, rowAt + (long) Float.BYTES * (first + c))
                : Bf16.toFloat(w.get(ValueLayout.JAVA_SHORT, rowAt + (long) Short.BYTES * (first + c)));
            sums.setAtIndex(F32, c, Math.fma(coefficient, value, sums.getAtIndex(F32, c)));
        }
    }

    private static boolean counts(MemorySegment masks, int p, int token) {
        return masks.address() == 0 || (masks.getAtIndex(ValueLayout.JAVA_SHORT, p) >> token & 1) != 0;
    }

    private static int row(MemorySegment list, int p) {
        return list.address() == 0 ? p : list.getAtIndex(ValueLayout.JAVA_INT, p);
    }

    private static void finish(float sum, MemorySegment bias, long biasAt, int activation, MemorySegment factors,
            long factorAt, MemorySegment out, long outAt) {
        float y = ScalarMath.activate(activation, bias.address() == 0 ? sum : sum + bias.getAtIndex(F32, biasAt));
        out.setAtIndex(F32, outAt, factors.address() == 0 ? y : factors.getAtIndex(F32, factorAt) * y);
    }
}
