package dev.filigree.bench;

import dev.filigree.DType;
import dev.filigree.attention.AttentionTensor;
import dev.filigree.bench.measure.Contender;
import dev.filigree.bench.measure.Outcome;
import dev.filigree.bench.measure.Timing;
import dev.filigree.bench.peer.PeerAttention;
import dev.filigree.bench.peer.PeerException;
import dev.filigree.format.BlockMask;
import dev.filigree.format.BlockMasks;
import dev.filigree.suite.attention.AttentionCase;
import dev.filigree.suite.attention.AttentionReference;
import java.lang.foreign.Arena;
import java.util.Optional;

/**
 * A contender and the attention that it computes, which may be more than the others': all scores of a mask's.
 *
 * @param contender ours, or a peer
 * @param problem that it solves
 */
record AttentionEntrant(Contender contender, AttentionCase problem) {

    /** Rows of each head that are compared with the reference in double: 13 divides no block size. */
    private static final int CHECKED_ROWS = 13;
    /** Of a peer's sums and functions nothing is promised but that they are right. */
    private static final double PEER_TOLERANCE = 1e-5;
    /** Weights are rounded, by up to 2^-8 in both sums, and the result is. */
    private static final double PEER_TOLERANCE_BF16 = 0x1p-6;

    /** Useful operations of a run: two products over the scores that count. */
    double flops() {
        BlockMask mask = problem.mask();
        BlockMask counted = problem.options().causal() ? mask.intersection(BlockMasks.causal(mask.grid())) : mask;
        double heads = (double) problem.heads() / mask.heads();
        return 4.0 * counted.elements() * problem.dim() * problem.batch() * heads;
    }

    private boolean isOurs() {
        return contender instanceof AttentionContender;
    }

    private ContenderResult failure(String error) {
        return new ContenderResult.Failure(
            contender.name(), error.replace(PeerException.class.getName() + ": ", ""), isOurs());
    }

    /** Checks what the last of the timed runs wrote, on some rows of every head. */
    ContenderResult judge(Outcome outcome) {
        if (outcome instanceof Outcome.Failed(String error)) {
            return failure(error);
        }
        Timing timing = ((Outcome.Timed) outcome).timing();
        int queries = problem.mask().grid().queries();
        int stride = Math.max(1, queries / CHECKED_ROWS);
        try (Arena arena = Arena.ofShared()) {
            AttentionReference reference = new AttentionReference(problem, problem.queries(arena),
                problem.keys(arena), problem.values(arena), row -> row % queries % stride == 0);
            AttentionTensor out = contender instanceof AttentionContender own ? own.outputs().out()
                : AttentionPeers.output((PeerAttention) contender, problem, arena);
            double relativeError = reference.relativeError(out);
            double tolerance = problem.dtype() == DType.F32 ? PEER_TOLERANCE : PEER_TOLERANCE_BF16;
            Optional<String> mismatch = contender instanceof AttentionContender own
                ? reference.mismatch(out, own.outputs().lse())
                : relativeError <= tolerance ? Optional.empty() : Optional.of("relative error " + relativeError);
            if (mismatch.isPresent()) {
                return failure("wrong result: " + mismatch.get());
            }
            double nanos = timing.medianMillis() * 1e6;
            return new ContenderResult.Figures(contender.name(), contender.kernel(), timing, flops() / nanos,
                contender.residentBytes() / nanos, relativeError, contender.packMillis(), contender.packedBytes(),
                contender.residentBytes(), Optional.empty());
        } catch (PeerException e) {
            return failure(e.getMessage());
        }
    }
}
