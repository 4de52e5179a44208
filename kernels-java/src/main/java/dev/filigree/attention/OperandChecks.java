package dev.filigree.attention;

import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Memory;
import dev.filigree.internal.Operands;
import java.util.Objects;

/** The checks on the operands of a run; messages name the operand, what it is and what was expected. */
final class OperandChecks {

    /**
     * Head dimensions are multiples of 8, so that rows keep the alignment of half a vector, up to what scratch holds.
     */
    private static final int DIM_STEP = 8;
    private static final int MAX_DIM = 256;

    private OperandChecks() {}

    /** Checks q, k and v against each other. */
    static void inputs(DType dtype, AttentionTensor q, AttentionTensor k, AttentionTensor v) {
        Objects.requireNonNull(q, "q");
        Objects.requireNonNull(k, "k");
        Objects.requireNonNull(v, "v");
        Operands.requireKind("q", q.span(), dtype, Memory.HOST);
        Operands.requireKind("k", k.span(), dtype, Memory.HOST);
        Operands.requireKind("v", v.span(), dtype, Memory.HOST);
        headDimension("q", q.dim());
        require("k", "batch", k.batch(), q.batch());
        require("k", "head dimension", k.dim(), q.dim());
        require("v", "batch", v.batch(), k.batch());
        require("v", "heads", v.heads(), k.heads());
        require("v", "rows", v.rows(), k.rows());
        require("v", "head dimension", v.dim(), k.dim());
        if (q.heads() % k.heads() != 0) {
            throw new IllegalArgumentException(
                "q has " + q.heads() + " heads, not a multiple of the " + k.heads() + " heads of k");
        }
        Operands.requireUsable("q", q.span());
        Operands.requireUsable("k", k.span());
        Operands.requireUsable("v", v.span());
    }

    static void headDimension(String name, int dim) {
        if (dim < DIM_STEP || dim % DIM_STEP != 0 || dim > MAX_DIM) {
            throw new IllegalArgumentException(
                name + " has head dimension " + dim + ", expected a multiple of " + DIM_STEP + " up to " + MAX_DIM);
        }
    }

    static void require(String name, String what, long found, long expected) {
        if (found != expected) {
            throw new IllegalArgumentException(name + " has " + what + " " + found + ", expected " + expected);
        }
    }

    /** An output is of the type of the inputs, or f32. */
    static void outputType(DType found, DType dtype) {
        if (found != dtype && found != DType.F32) {
            throw new IllegalArgumentException("out is " + found.id() + ", this plan gives " + dtype.id());
        }
    }

    /** Checks that an output can be written, apart from itself and from an input. */
    static void output(String name, AttentionTensor output, String inputName, DenseMatrix input) {
        if (output.coincides()) {
            throw new IllegalArgumentException(name + " has elements that coincide: " + output);
        }
        Operands.requireUsable(name, output.span());
        Operands.requireWritable(name, output.span(), inputName, input);
    }

    static void lse(DenseMatrix lse, int batch, int heads, int queries) {
        Operands.requireKind("lse", lse, DType.F32, Memory.HOST);
        Operands.requireShape("lse", lse, (long) batch * heads, queries, "batch x heads, queries");
        if (lse.rowStride() != lse.cols() && lse.rows() > 1) {
            throw new IllegalArgumentException("lse has gaps between its rows: row stride " + lse.rowStride());
        }
        Operands.requireUsable("lse", lse);
    }
}
