package dev.filigree.bench;

import dev.filigree.Activation;
import dev.filigree.Bf16;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Layout;
import dev.filigree.bench.measure.Contender;
import dev.filigree.bench.peer.PeerPool;
import dev.filigree.bench.peer.PeerSpmm;
import dev.filigree.bench.peer.SpmmPeerProblem;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.LongSupplier;

/**
 * The dense products of an MLP by another library: up, with a gate twice, and down. What comes between them is left
 * out, in the library's favour. The matrix of a product is far larger than any cache.
 */
final class MlpPeer implements Contender {

    private final String name;
    private final MlpProblem problem;
    private final PeerSpmm up;
    private final PeerSpmm down;

    private MlpPeer(String name, MlpProblem problem, PeerSpmm up, PeerSpmm down) {
        this.name = name;
        this.problem = problem;
        this.up = up;
        this.down = down;
    }

    /**
     * Packs both matrices in the peer's process.
     *
     * @throws dev.filigree.bench.peer.PeerException if the peer cannot run here
     */
    static MlpPeer open(String name, MlpProblem problem, PeerPool pool) {
        PeerSpmm up = open(name, problem, problem.intermediate(), problem.hidden(), pool);
        try {
            return new MlpPeer(name, problem, up, open(name, problem, problem.hidden(), problem.intermediate(), pool));
        } catch (RuntimeException e) {
            up.close();
            throw e;
        }
    }

    private static PeerSpmm open(String name, MlpProblem problem, int rows, int cols, PeerPool pool) {
        SpmmPeerProblem.Shape shape = new SpmmPeerProblem.Shape(
            rows, cols, (long) rows * cols, problem.tokens(), Layout.TOKEN_MAJOR, Activation.NONE,
            problem.dtype());
        return pool.open(name, shape, MlpPeer::fill, 0);
    }

    private static void fill(SpmmPeerProblem shared) {
        int cols = shared.shape().cols();
        for (int r = 0; r <= shared.shape().rows(); r++) {
            shared.offsets().setAtIndex(ValueLayout.JAVA_LONG, r, (long) r * cols);
        }
        for (long i = 0; i < shared.shape().nnz(); i++) {
            shared.columns().setAtIndex(ValueLayout.JAVA_INT, i, (int) (i % cols));
            shared.values().setAtIndex(ValueLayout.JAVA_FLOAT, i, weight(i));
        }
        MemorySegment input = shared.input();
        for (long i = 0; i < input.byteSize() / shared.shape().dtype().bytes(); i++) {
            if (shared.shape().dtype() == DType.BF16) {
                input.setAtIndex(ValueLayout.JAVA_SHORT, i, Bf16.fromFloat(weight(i + 7)));
            } else {
                input.setAtIndex(ValueLayout.JAVA_FLOAT, i, weight(i + 7));
            }
        }
    }

    /** Between -1 and 1, in steps that neither type of weight rounds. */
    private static float weight(long i) {
        long mixed = (i + 1) * 0x9e3779b97f4a7c15L;
        return (mixed >>> 57) / 64f - 1;
    }

    /** How far the last up product is off for the first token: the largest difference over the largest magnitude. */
    double relativeError() {
        DenseMatrix output = up.output();
        double largest = 0;
        double off = 0;
        for (int r = 0; r < problem.intermediate(); r++) {
            double sum = 0;
            for (int c = 0; c < problem.hidden(); c++) {
                sum += (double) weight((long) r * problem.hidden() + c) * weight(c + 7);
            }
            double difference = Math.abs(output.get(0, r) - sum);
            off = Math.max(off, Double.isNaN(difference) ? Double.POSITIVE_INFINITY : difference);
            largest = Math.max(largest, Math.abs(sum));
        }
        return off / largest;
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public String kernel() {
        return up.kernel();
    }

    @Override
    public void run() {
        time(1, System::nanoTime);
    }

    @Override
    public long time(int count, LongSupplier nanoClock) {
        long nanos = up.time(count, nanoClock) + down.time(count, nanoClock);
        return problem.kind().gated ? nanos + up.time(count, nanoClock) : nanos;
    }

    @Override
    public double packMillis() {
        return up.packMillis() * (problem.kind().gated ? 2 : 1) + down.packMillis();
    }

    @Override
    public long packedBytes() {
        return up.packedBytes() * (problem.kind().gated ? 2 : 1) + down.packedBytes();
    }

    @Override
    public long residentBytes() {
        return packedBytes() + 2L * Float.BYTES * problem.tokens() * (problem.hidden() + problem.intermediate());
    }

    @Override
    public void close() {
        up.close();
        down.close();
    }
}
