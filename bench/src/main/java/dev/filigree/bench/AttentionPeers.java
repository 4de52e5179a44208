package dev.filigree.bench;

import dev.filigree.Bf16;
import dev.filigree.DType;
import dev.filigree.attention.AttentionTensor;
import dev.filigree.bench.peer.AttentionPeerProblem;
import dev.filigree.bench.peer.PeerAttention;
import dev.filigree.bench.peer.PeerException;
import dev.filigree.bench.peer.PeerPool;
import dev.filigree.format.BlockMask;
import dev.filigree.suite.attention.AttentionCase;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;

/** Other libraries' attention: of all scores, whatever the mask, but for those that take lists of blocks. */
final class AttentionPeers {

    private AttentionPeers() {}

    private static boolean isDense(String name) {
        return !name.contains("sparse");
    }

    /**
     * Opens a peer on what it computes of a problem.
     *
     * @throws PeerException if it cannot run here, or not this
     */
    static AttentionEntrant open(String name, AttentionCase asked, PeerPool pool) {
        AttentionCase problem = isDense(name) ? AttentionContender.denseProblem(asked) : asked;
        if (problem.heads() != problem.kvHeads()) {
            throw new PeerException("it needs as many key heads as query heads");
        }
        BlockMask mask = problem.mask();
        if (!isDense(name) && mask.partialBlocks() > 0) {
            throw new PeerException("its lists are of whole blocks; this mask has " + mask.partialBlocks()
                + " partial ones");
        }
        List<List<Integer>> lists = isDense(name) ? List.of() : lists(problem);
        int listed = lists.stream().mapToInt(list -> list.size() - mask.grid().rowBlocks() - 1).max().orElse(0);
        AttentionPeerProblem.Shape shape = new AttentionPeerProblem.Shape(problem.heads(), mask.grid().queries(),
            problem.dim(), problem.options().causal(), problem.dtype(), isDense(name) ? 0 : mask.grid().blockCols(),
            lists.size(), listed);
        return new AttentionEntrant(
            pool.openAttention(name, shape, shared -> fill(problem, lists, shared)), problem);
    }

    /** For each head of the mask: where each block row begins, and the end; then the columns. */
    private static List<List<Integer>> lists(AttentionCase problem) {
        BlockMask mask = problem.mask();
        List<List<Integer>> lists = new ArrayList<>();
        for (int head = 0; head < mask.heads(); head++) {
            List<Integer> starts = new ArrayList<>(List.of(0));
            List<Integer> columns = new ArrayList<>();
            for (int row = 0; row < mask.grid().rowBlocks(); row++) {
                for (int n = 0; n < mask.fullCount(head, row); n++) {
                    int column = mask.fullBlock(head, row, n);
                    if (!problem.options().causal() || column <= row) {
                        columns.add(column);
                    }
                }
                starts.add(columns.size());
            }
            starts.addAll(columns);
            lists.add(starts);
        }
        return lists;
    }

    private static void fill(AttentionCase problem, List<List<Integer>> lists, AttentionPeerProblem shared) {
        int bounds = shared.shape().blocks() + 1;
        for (int list = 0; list < lists.size(); list++) {
            List<Integer> numbers = lists.get(list);
            for (int i = 0; i < numbers.size(); i++) {
                if (i < bounds) {
                    shared.starts().setAtIndex(ValueLayout.JAVA_INT, (long) list * bounds + i, numbers.get(i));
                } else {
                    shared.columns().setAtIndex(ValueLayout.JAVA_INT,
                        (long) list * shared.shape().listed() + i - bounds, numbers.get(i));
                }
            }
        }
        try (Arena arena = Arena.ofShared()) {
            copy(problem.queries(arena), AttentionPeerProblem.operand(shared.input(), 0), shared.shape().dtype());
            copy(problem.keys(arena), AttentionPeerProblem.operand(shared.input(), 1), shared.shape().dtype());
            copy(problem.values(arena), AttentionPeerProblem.operand(shared.input(), 2), shared.shape().dtype());
        }
    }

    private static void copy(AttentionTensor from, MemorySegment to, DType dtype) {
        long i = 0;
        for (int h = 0; h < from.heads(); h++) {
            for (int r = 0; r < from.rows(); r++) {
                for (int d = 0; d < from.dim(); d++, i++) {
                    if (dtype == DType.BF16) {
                        to.setAtIndex(ValueLayout.JAVA_SHORT, i, Bf16.fromFloat(from.get(0, h, r, d)));
                    } else {
                        to.setAtIndex(ValueLayout.JAVA_FLOAT, i, from.get(0, h, r, d));
                    }
                }
            }
        }
    }

    /** What a peer's last run on a problem wrote, in f32. */
    static AttentionTensor output(PeerAttention peer, AttentionCase problem, Arena arena) {
        int heads = problem.heads();
        int rows = problem.mask().grid().queries();
        AttentionTensor output = AttentionTensor.allocate(arena, 1, heads, rows, problem.dim());
        MemorySegment from = peer.output();
        long count = (long) heads * rows * problem.dim();
        boolean bf16 = from.byteSize() == DType.BF16.bytes() * count;
        for (long i = 0; i < count; i++) {
            output.data().setAtIndex(ValueLayout.JAVA_FLOAT, i,
                bf16 ? Bf16.toFloat(from.getAtIndex(ValueLayout.JAVA_SHORT, i))
                    : from.getAtIndex(ValueLayout.JAVA_FLOAT, i));
        }
        return output;
    }
}
