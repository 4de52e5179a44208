package dev.filigree;

import java.util.List;
import java.util.Locale;

/**
 * Why a plan does what it does.
 *
 * @param operation the family: {@code spmm}
 * @param backend who executes it
 * @param kernel the kernel's id
 * @param format how the sparse operand was packed
 * @param packedBytes native memory that the packed operand takes
 * @param scratchBytes native memory that each worker lends to a run
 * @param flopsPerColumn useful floating-point operations a column (or token): 2 for each nonzero
 * @param bytesPerColumn bytes of dense operands that must move a column (or token), each once
 * @param candidates the ways that were weighed against each other; empty where there was but one
 * @param refusals the faster backends that were passed over, and why
 */
public record PlanExplanation(String operation, Backend backend, String kernel, String format, long packedBytes,
        long scratchBytes, double flopsPerColumn, double bytesPerColumn, List<Candidate> candidates,
        List<Refusal> refusals) {

    /**
     * A way to run the plan, with what the planner thinks of it.
     *
     * @param kernel the kernel's id
     * @param nanosPerColumn its estimated time on one core; only ratios between candidates mean something
     */
    public record Candidate(String kernel, double nanosPerColumn) {}

    /** Copies the lists. */
    public PlanExplanation {
        candidates = List.copyOf(candidates);
        refusals = List.copyOf(refusals);
    }

    /** Of a plan that had one candidate. */
    public PlanExplanation(String operation, Backend backend, String kernel, String format, long packedBytes,
            long scratchBytes, double flopsPerColumn, double bytesPerColumn, List<Refusal> refusals) {
        this(operation, backend, kernel, format, packedBytes, scratchBytes, flopsPerColumn, bytesPerColumn,
            List.of(), refusals);
    }

    /**
     * The arithmetic intensity of a run: useful operations over the bytes that must move at least once.
     *
     * @param n columns or tokens
     */
    public double flopsPerByte(int n) {
        double bytes = packedBytes + bytesPerColumn * n;
        return bytes == 0 ? 0 : flopsPerColumn * n / bytes;
    }

    @Override
    public String toString() {
        StringBuilder text = new StringBuilder();
        text.append(String.format(Locale.ROOT, "%s on %s (%s)%n", operation, backend.id(), kernel));
        text.append(String.format(Locale.ROOT, "  packed   %,d bytes: %s%n", packedBytes, format));
        text.append(String.format(Locale.ROOT, "  scratch  %,d bytes a worker%n", scratchBytes));
        text.append(String.format(Locale.ROOT,
            "  bounds   %,.0f flops and %,.0f dense bytes a column, flops a byte: %.2f at n = 1, %.2f at n = 128%n",
            flopsPerColumn, bytesPerColumn, flopsPerByte(1), flopsPerByte(128)));
        for (Candidate candidate : candidates) {
            text.append(String.format(Locale.ROOT, "  weighed  %s: about %,.0f ns a column%s%n", candidate.kernel,
                candidate.nanosPerColumn, candidate.kernel.equals(kernel) ? ", taken" : ""));
        }
        for (Refusal refusal : refusals) {
            text.append("  not      ").append(refusal).append(System.lineSeparator());
        }
        return text.toString().stripTrailing();
    }
}
