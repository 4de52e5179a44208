package dev.filigree.bench;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Workers;
import dev.filigree.bench.minilm.Tokens;
import dev.filigree.format.CsrMatrix;
import dev.filigree.spmm.FallbackDense;
import dev.filigree.spmm.Layout;
import dev.filigree.spmm.Spmm;
import dev.filigree.spmm.SpmmOptions;
import dev.filigree.spmm.SpmmPlan;
import dev.filigree.suite.Bits;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Optional;

/**
 * A pruned layer on all tokens: whether every backend gives the same bits, and how near the output is to that of the
 * layer before pruning.
 *
 * @param difference where two backends differ, if they do
 * @param meanCosine over the tokens, between the pruned layer's output and the dense one's
 * @param leastCosine of the token that suffers most
 */
record SpmmLayerCheck(Optional<String> difference, double meanCosine, double leastCosine) {

    /** @param dense the layer's output before pruning, as {@link #output} computes it */
    static SpmmLayerCheck of(CsrMatrix pruned, Tokens input, DenseMatrix dense, List<Backend> backends,
            Workers team) {
        try (Arena arena = Arena.ofShared()) {
            DenseMatrix x = copy(input, arena);
            DenseMatrix first = null;
            Optional<String> difference = Optional.empty();
            for (Backend backend : backends) {
                DenseMatrix y = run(pruned, x, backend, team, arena);
                if (first == null) {
                    first = y;
                } else if (difference.isEmpty() && first.data().mismatch(y.data()) >= 0) {
                    difference = Bits.difference(backends.getFirst().id(), first, backend.id(), y);
                }
            }
            double sum = 0;
            double least = 1;
            for (int token = 0; token < input.count(); token++) {
                double cosine = cosine(first, dense, token);
                sum += cosine;
                least = Math.min(least, cosine);
            }
            return new SpmmLayerCheck(difference, sum / input.count(), least);
        }
    }

    /** The output of a layer for all tokens, token-major. */
    static DenseMatrix output(CsrMatrix weights, Tokens input, Backend backend, Workers team, Arena arena) {
        return run(weights, copy(input, arena), backend, team, arena);
    }

    private static DenseMatrix run(CsrMatrix weights, DenseMatrix x, Backend backend, Workers team, Arena arena) {
        DenseMatrix y = DenseMatrix.allocate(arena, DType.F32, x.rows(), weights.rows());
        SpmmOptions options = SpmmOptions.defaults().layout(Layout.TOKEN_MAJOR).backend(backend).workers(team)
            .fallbackDense(FallbackDense.NEVER);
        try (SpmmPlan plan = Spmm.plan(weights, options)) {
            plan.run(x, y);
        }
        return y;
    }

    private static DenseMatrix copy(Tokens tokens, Arena arena) {
        DenseMatrix x = DenseMatrix.allocate(arena, DType.F32, tokens.count(), tokens.features());
        x.data().copyFrom(MemorySegment.ofArray(tokens.data()));
        return x;
    }

    /** Of one row of each matrix; 0 where one is all zeros. */
    static double cosine(DenseMatrix x, DenseMatrix y, int row) {
        double xy = 0;
        double xx = 0;
        double yy = 0;
        for (int c = 0; c < x.cols(); c++) {
            double p = x.data().getAtIndex(ValueLayout.JAVA_FLOAT, row * x.rowStride() + c);
            double q = y.data().getAtIndex(ValueLayout.JAVA_FLOAT, row * y.rowStride() + c);
            xy += p * q;
            xx += p * p;
            yy += q * q;
        }
        return xx == 0 || yy == 0 ? 0 : xy / Math.sqrt(xx * yy);
    }
}
