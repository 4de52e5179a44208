package dev.filigree.bench.peer;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/** Attention in double, by its definition; a wrong one forgets the first key. */
record FakeAttention(AttentionPeerProblem problem, boolean wrong) implements PackedPeer {

    @Override
    public long packedBytes() {
        return 0;
    }

    @Override
    public Bound bind(MemorySegment input, Arena arena) {
        MemorySegment output = problem.newOutput(arena);
        return new Bound() {
            @Override
            public void run() {
                for (int head = 0; head < problem.shape().heads(); head++) {
                    for (int query = 0; query < problem.shape().rows(); query++) {
                        attend(input, head, query, output);
                    }
                }
            }

            @Override
            public MemorySegment output() {
                return output;
            }
        };
    }

    private void attend(MemorySegment input, int head, int query, MemorySegment output) {
        AttentionPeerProblem.Shape s = problem.shape();
        double[] sums = new double[s.dim()];
        double total = 0;
        for (int key = wrong ? 1 : 0; key < s.rows(); key++) {
            if (s.causal() && key > query || !isListed(head, query, key)) {
                continue;
            }
            double score = 0;
            for (int d = 0; d < s.dim(); d++) {
                score += element(input, 0, head, query, d) * element(input, 1, head, key, d);
            }
            double weight = Math.exp(score / Math.sqrt(s.dim()));
            total += weight;
            for (int d = 0; d < s.dim(); d++) {
                sums[d] += weight * element(input, 2, head, key, d);
            }
        }
        for (int d = 0; d < s.dim(); d++) {
            output.setAtIndex(ValueLayout.JAVA_FLOAT, place(head, query, d), (float) (sums[d] / total));
        }
    }

    private boolean isListed(int head, int query, int key) {
        AttentionPeerProblem.Shape s = problem.shape();
        if (s.block() == 0) {
            return true;
        }
        int list = s.lists() == 1 ? 0 : head;
        long row = (long) list * (s.blocks() + 1) + query / s.block();
        int end = problem.starts().getAtIndex(ValueLayout.JAVA_INT, row + 1);
        for (int i = problem.starts().getAtIndex(ValueLayout.JAVA_INT, row); i < end; i++) {
            if (problem.columns().getAtIndex(ValueLayout.JAVA_INT, (long) list * s.listed() + i) == key / s.block()) {
                return true;
            }
        }
        return false;
    }

    private long place(int head, int row, int d) {
        return ((long) head * problem.shape().rows() + row) * problem.shape().dim() + d;
    }

    private double element(MemorySegment input, int operand, int head, int row, int d) {
        return AttentionPeerProblem.operand(input, operand).getAtIndex(ValueLayout.JAVA_FLOAT, place(head, row, d));
    }
}
