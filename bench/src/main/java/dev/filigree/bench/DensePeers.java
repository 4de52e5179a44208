package dev.filigree.bench;

import dev.filigree.bench.measure.Timing;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** Doubt about dense libraries: one far below the machine's limit is not at its best, and no measure of a kernel. */
final class DensePeers {

    private static final double LEAST_SHARE = 0.7;

    private DensePeers() {}

    static boolean isDense(String name) {
        return name.endsWith("-dense") || name.equals("ort-attention") || name.equals("torch-sdpa");
    }

    /**
     * Flags dense peers that do not reach their share of the ceiling. Decode steps are bound by memory and are never
     * near it.
     *
     * @param ceiling of the team, in GFLOP/s
     */
    static List<ContenderResult> flag(List<ContenderResult> results, SpmmProblem problem, double ceiling) {
        if (SpmmProblem.isDecode(problem.n())) {
            return results;
        }
        double flops = 2.0 * problem.a().rows() * problem.a().cols() * problem.n();
        return results.stream().map(result -> flag(result, flops, ceiling)).toList();
    }

    /**
     * The same for one result.
     *
     * @param flops of all that a dense peer computes
     */
    static ContenderResult flag(ContenderResult result, double flops, double ceiling) {
        if (!(result instanceof ContenderResult.Figures f && isDense(f.name()))) {
            return result;
        }
        Timing timing = f.timing();
        double share = flops / (timing.medianMillis() * 1e6) / ceiling;
        if (share >= LEAST_SHARE) {
            return f;
        }
        String flag = String.format(Locale.ROOT, "only %.2f of the FMA ceiling of %.0f GFLOP/s", share, ceiling);
        return new ContenderResult.Figures(f.name(), f.kernel(), timing, f.gflops(), f.gbps(), f.maxRelErr(),
            f.packMillis(), f.packedBytes(), f.residentBytes(), Optional.of(flag));
    }
}
