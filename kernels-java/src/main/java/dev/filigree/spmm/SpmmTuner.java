package dev.filigree.spmm;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.format.CsrMatrix;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.Set;

/** Measures plans that differ in their packing alone, in turns, and keeps the fastest. */
final class SpmmTuner {

    private static final int ROUNDS = 9;
    /** Long enough for the compiler to have finished with the kernels. */
    private static final long WARM_UP_NANOS = 300_000_000;
    /** A turn: far longer than the clock's steps and the team's wake-up. */
    private static final long TURN_NANOS = 10_000_000;
    private static final int LEAST_DEPTH = 16;

    private SpmmTuner() {}

    /** What identifies a problem in a {@link SpmmTuning}. */
    static String problem(CsrMatrix a, SpmmOptions options, Backend backend) {
        return backend.id() + " " + a.rows() + "x" + a.cols() + "/" + a.nnz() + " n" + options.typicalN() + " "
            + options.layout().name().toLowerCase(Locale.ROOT).replace('_', '-') + " t" + options.workers().threads();
    }

    static SpmmPlan tune(CsrMatrix a, SpmmOptions options) throws IOException {
        Objects.requireNonNull(a, "a");
        SpmmTuning tuning = options.tuning().orElseThrow(
            () -> new IllegalArgumentException("the options have no tuning: set one with options.tuning(...)"));
        List<SpmmTuning.Choice> choices = new ArrayList<>();
        List<SpmmPlan> plans = new ArrayList<>();
        SpmmPlan fastest = null;
        try {
            for (SpmmTuning.Choice choice : candidates(a, options)) {
                plans.add(SpmmPlan.create(a, options, choice));
                choices.add(choice);
            }
            Backend backend = plans.getFirst().backend();
            if (backend == Backend.CUDA) {
                throw new UnsupportedOperationException("plans on " + backend.id() + " are not tuned");
            }
            int best = fastest(plans, options.typicalN());
            tuning.put(problem(a, options, backend), choices.get(best));
            fastest = plans.get(best);
            return fastest;
        } finally {
            for (SpmmPlan plan : plans) {
                if (plan != fastest) {
                    plan.close();
                }
            }
        }
    }

    /** Tiles around the estimate, the whole of B at once, and the dense form. */
    private static Collection<SpmmTuning.Choice> candidates(CsrMatrix a, SpmmOptions options) {
        Set<SpmmTuning.Choice> choices = new LinkedHashSet<>();
        int cols = Math.max(1, a.cols());
        int estimate = SpmmPacker.estimatedDepth(a, options.layout(), options.typicalN());
        for (long depth : new long[] {estimate / 4, estimate / 2, estimate, 2L * estimate, 4L * estimate, cols}) {
            choices.add(SpmmTuning.Choice.tile(Math.clamp(depth, Math.min(LEAST_DEPTH, cols), cols)));
        }
        if (options.fallbackDense() == FallbackDense.WHEN_FASTER) {
            choices.add(SpmmTuning.Choice.DENSE);
        }
        return choices;
    }

    /** The index of the plan with the least median. */
    private static int fastest(List<SpmmPlan> plans, int n) {
        SpmmPlan any = plans.getFirst();
        boolean tokens = any.layout() == Layout.TOKEN_MAJOR;
        try (Arena arena = Arena.ofShared()) {
            DenseMatrix b = tokens ? DenseMatrix.allocate(arena, DType.F32, n, any.cols())
                : DenseMatrix.allocate(arena, DType.F32, any.cols(), n);
            DenseMatrix c = tokens ? DenseMatrix.allocate(arena, DType.F32, n, any.rows())
                : DenseMatrix.allocate(arena, DType.F32, any.rows(), n);
            for (long i = 0; i < (long) n * any.cols(); i++) {
                b.data().setAtIndex(ValueLayout.JAVA_FLOAT, i, 1f + i % 7);
            }
            long[] turns = new long[plans.size()];
            for (int i = 0; i < turns.length; i++) {
                turns[i] = warmUp(plans.get(i), b, c);
            }
            double[][] nanos = new double[plans.size()][ROUNDS];
            for (int round = 0; round < ROUNDS; round++) {
                for (int i = 0; i < turns.length; i++) {
                    long start = System.nanoTime();
                    for (long run = 0; run < turns[i]; run++) {
                        plans.get(i).run(b, c);
                    }
                    nanos[i][round] = (double) (System.nanoTime() - start) / turns[i];
                }
            }
            int best = 0;
            for (int i = 0; i < turns.length; i++) {
                Arrays.sort(nanos[i]);
                best = nanos[i][ROUNDS / 2] < nanos[best][ROUNDS / 2] ? i : best;
            }
            return best;
        }
    }

    /** Returns the runs of a turn. */
    private static long warmUp(SpmmPlan plan, DenseMatrix b, DenseMatrix c) {
        long start = System.nanoTime();
        long last = 0;
        for (long now = start; now - start < WARM_UP_NANOS; ) {
            plan.run(b, c);
            long then = System.nanoTime();
            last = then - now;
            now = then;
        }
        return Math.max(1, TURN_NANOS / Math.max(1, last));
    }
}
