package dev.filigree.bench;

import dev.filigree.Activation;
import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.Layout;
import dev.filigree.Workers;
import java.util.Optional;

/**
 * A product with a sparse matrix as JMH repeats it: operands lie where the backend reads them without copies, and what
 * would stay in a cache from one repetition to the next is taken in turn, as the command line does.
 */
public final class BenchmarkProduct implements AutoCloseable {

    private static final long SEED = 1;

    private final Workers team;
    private final SpmmContender contender;

    private BenchmarkProduct(Workers team, SpmmContender contender) {
        this.team = team;
        this.contender = contender;
    }

    /**
     * Packs a matrix for a backend and no other.
     *
     * @param matrix as {@link BenchmarkMatrices} names it
     * @param n columns, or tokens
     * @throws UnsupportedOperationException if the backend cannot run here, or not this
     */
    public static BenchmarkProduct open(String matrix, int n, Layout layout, DType dtype, Backend backend) {
        backend.ensureAvailable();
        SpmmProblem problem = new SpmmProblem(Rounding.round(BenchmarkMatrices.parse(matrix), dtype), n, layout,
            Activation.NONE, SEED, Optional.empty(), dtype);
        Workers team = Workers.of(Runtime.getRuntime().availableProcessors());
        try {
            return new BenchmarkProduct(team,
                SpmmContender.open(problem, backend, team, Machine.here().lastLevelCacheBytes()));
        } catch (Throwable t) {
            team.close();
            throw t;
        }
    }

    /** The kernel that computes it. */
    public String kernel() {
        return contender.kernel();
    }

    /** How many copies of matrix and operands are taken in turn. */
    public int workingSets() {
        return contender.workingSets();
    }

    /** One product, complete when it returns. */
    public void run() {
        contender.run();
    }

    @Override
    public void close() {
        contender.close();
        team.close();
    }
}
