package dev.filigree.bench.peer;

import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.function.Consumer;

/** A peer's attention in its helper process. */
public final class PeerAttention extends PeerContender {

    private final AttentionPeerProblem.Shape shape;
    private AttentionPeerProblem problem;

    private PeerAttention(
            PeerProcess process, String id, String name, Path file, AttentionPeerProblem.Shape shape) {
        super(process, id, name, file);
        this.shape = shape;
    }

    static PeerAttention open(PeerProcess process, String id, String name, Path file,
            AttentionPeerProblem.Shape shape, Consumer<AttentionPeerProblem> filler) throws IOException {
        PeerAttention peer = new PeerAttention(process, id, name, file, shape);
        peer.open(shape, () -> filler.accept(peer.problem), 0);
        return peer;
    }

    @Override
    void shared(MemorySegment memory) {
        problem = shape.over(memory);
    }

    @Override
    AttentionPeerProblem problem() {
        return problem;
    }

    /** What the runs wrote: {@code [heads, rows, dim]} of the problem's dtype. */
    public MemorySegment output() {
        showOutput();
        return problem.output();
    }
}
