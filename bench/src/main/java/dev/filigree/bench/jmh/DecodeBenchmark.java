package dev.filigree.bench.jmh;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.bench.BenchmarkCaches;
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
 * Attention of one token over a paged cache in memory, on all cores. A backend that cannot run here fails in the set-up:
 * a figure never belongs to another one than it says.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 2)
@Fork(value = 3, jvmArgsPrepend = {"--add-modules", "jdk.incubator.vector",
    "--enable-native-access=ALL-UNNAMED", "-XX:+UseParallelGC"})
public class DecodeBenchmark {

    /** Keys. */
    @Param("32768")
    int seq;

    /** The share of blocks of 64 keys that each head selects. */
    @Param({"1", "0.1"})
    double density;

    /** Of the cache. */
    @Param({"f32", "bf16"})
    String dtype;

    @Param({"scalar", "vector", "avx512"})
    String backend;

    private BenchmarkCaches caches;

    /** Called by JMH. */
    public DecodeBenchmark() {}

    /** Fills the caches, for the backend that the figure will be named after. */
    @Setup
    public void fill() {
        Backend wanted = Backend.of(backend);
        wanted.ensureAvailable();
        caches = new BenchmarkCaches(seq, density, DType.valueOf(dtype.toUpperCase(Locale.ROOT)), wanted);
        if (!caches.kernel().endsWith(backend)) {
            throw new IllegalStateException("asked for " + backend + ", got " + caches.kernel());
        }
    }

    /** One token. */
    @Benchmark
    public void attend() {
        caches.run();
    }

    /** Frees what the set-up took. */
    @TearDown
    public void close() {
        caches.close();
    }
}
