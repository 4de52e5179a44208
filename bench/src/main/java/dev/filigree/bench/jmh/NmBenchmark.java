package dev.filigree.bench.jmh;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.format.NmMatrix;
import dev.filigree.format.NmPattern;
import dev.filigree.nm.Nm;
import dev.filigree.nm.NmOptions;
import dev.filigree.nm.NmPlan;
import java.lang.foreign.Arena;
import java.util.Locale;
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
 * N:M sparse GEMM on all cores. A backend that cannot run here fails in the set-up: a figure never belongs to another
 * one than it says.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(value = 3, jvmArgsPrepend = {"--add-modules", "jdk.incubator.vector",
    "--enable-native-access=ALL-UNNAMED", "-XX:+UseParallelGC"})
public class NmBenchmark {

    /** A projection of a large model, square. */
    @Param("4096")
    int size;

    /** N:M, or V:N:M. */
    @Param({"2:4", "1:4", "1:8", "16:2:4"})
    String pattern;

    /** One token, and a prompt. */
    @Param({"1", "128"})
    int n;

    @Param({"f32", "bf16"})
    String dtype;

    @Param({"scalar", "vector", "avx512"})
    String backend;

    private Arena arena;
    private NmPlan plan;
    private DenseMatrix b;
    private DenseMatrix c;

    /** Called by JMH. */
    public NmBenchmark() {}

    /** Packs the matrix for the backend that the figure will be named after. */
    @Setup
    public void pack() {
        Backend wanted = Backend.of(backend);
        wanted.ensureAvailable();
        float[] weights = new float[size * size];
        for (int i = 0; i < weights.length; i++) {
            // Distinct magnitudes in each group.
            weights[i] = (i * 0x9e3779b9) / (float) (1L << 31);
        }
        NmMatrix a = NmMatrix.pruned(DenseMatrix.of(weights, size, size), NmPattern.parse(pattern));
        DType type = DType.valueOf(dtype.toUpperCase(Locale.ROOT));
        plan = Nm.plan(a, NmOptions.defaults().dtype(type).backend(wanted));
        if (plan.backend() != wanted) {
            throw new IllegalStateException("asked for " + backend + ", got " + plan.explain());
        }
        arena = Arena.ofShared();
        b = DenseMatrix.allocate(arena, type, a.cols(), n);
        c = DenseMatrix.allocate(arena, type, a.rows(), n);
        for (int k = 0; k < a.cols(); k++) {
            for (int j = 0; j < n; j++) {
                b.set(k, j, ((k * n + j) % 17 - 8) / 8f);
            }
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
