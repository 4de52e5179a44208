package dev.filigree.bench.jmh;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.bench.BenchmarkMatrices;
import dev.filigree.format.CsrMatrix;
import dev.filigree.spmm.Spmm;
import dev.filigree.spmm.SpmmOptions;
import dev.filigree.spmm.SpmmPlan;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/**
 * SpMM on all cores. A backend that cannot run here fails in the set-up: a figure never belongs to another one
 * than it says.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(value = 3, jvmArgsPrepend = {"--add-modules", "jdk.incubator.vector",
    "--enable-native-access=ALL-UNNAMED", "-XX:+UseParallelGC"})
public class SpmmBenchmark {

    /** Rows x columns @ sparsity, or a file. The feed-forward pair of a small transformer; a layer of a large one. */
    @Param({"1536x384@0.9", "384x1536@0.9", "4096x4096@0.95"})
    String matrix;

    /** One token, and a prompt. */
    @Param({"1", "128"})
    int n;

    /** And cuda, with operands in host memory, which are copied there and back, where a device is. */
    @Param({"scalar", "vector", "avx512"})
    String backend;

    private Arena arena;
    private SpmmPlan plan;
    private DenseMatrix b;
    private DenseMatrix c;

    /** Called by JMH. */
    public SpmmBenchmark() {}

    /** Packs the matrix for the backend that the figure will be named after. */
    @Setup
    public void pack() {
        Backend wanted = Backend.of(backend);
        wanted.ensureAvailable();
        CsrMatrix a = BenchmarkMatrices.parse(matrix);
        plan = Spmm.plan(a, SpmmOptions.defaults().typicalN(n).backend(wanted));
        if (plan.backend() != wanted) {
            throw new IllegalStateException("asked for " + backend + ", got " + plan.explain());
        }
        arena = Arena.ofShared();
        b = DenseMatrix.allocate(arena, DType.F32, a.cols(), n);
        c = DenseMatrix.allocate(arena, DType.F32, a.rows(), n);
        for (long i = 0; i < (long) a.cols() * n; i++) {
            b.data().setAtIndex(ValueLayout.JAVA_FLOAT, i, (i % 17 - 8) / 8f);
        }
    }

    /** One product, from warm caches. */
    @Benchmark
    public DenseMatrix multiply() {
        plan.run(b, c);
        return c;
    }

    /** Frees what the set-up took. */
    @TearDown
    public void close() {
        plan.close();
        arena.close();
    }
}
