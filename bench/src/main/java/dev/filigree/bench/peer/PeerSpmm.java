package dev.filigree.bench.peer;

import dev.filigree.DenseMatrix;
import dev.filigree.bench.measure.CheckedContender;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.file.Path;
import java.util.function.Consumer;

/** A peer's SpMM in its helper process. */
public final class PeerSpmm extends PeerContender implements CheckedContender {

    private final SpmmPeerProblem.Shape shape;
    private SpmmPeerProblem problem;

    private PeerSpmm(PeerProcess process, String id, String name, Path file, SpmmPeerProblem.Shape shape) {
        super(process, id, name, file);
        this.shape = shape;
    }

    static PeerSpmm open(PeerProcess process, String id, String name, Path file, SpmmPeerProblem.Shape shape,
            Consumer<SpmmPeerProblem> filler, long cache) throws IOException {
        PeerSpmm peer = new PeerSpmm(process, id, name, file, shape);
        peer.open(shape, () -> filler.accept(peer.problem), cache);
        return peer;
    }

    @Override
    void shared(MemorySegment memory) {
        problem = shape.over(memory);
    }

    @Override
    SpmmPeerProblem problem() {
        return problem;
    }

    @Override
    public DenseMatrix output() {
        showOutput();
        return DenseMatrix.of(problem.output(), shape.dtype(), shape.tokenMajor() ? shape.n() : shape.rows(),
            shape.tokenMajor() ? shape.rows() : shape.n());
    }
}
