package dev.filigree.bench.jmh;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.Layout;
import dev.filigree.bench.BenchmarkProduct;
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
 * SpMM on a CUDA device, operands in its memory, from the call to its return: launch, kernel and the wait for it.
 * Matrix and operands are taken in turn, from more than four times the device's second-level cache. Without a device
 * the set-up fails.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(value = 3, jvmArgsPrepend = {"--add-modules", "jdk.incubator.vector",
    "--enable-native-access=ALL-UNNAMED", "-XX:+UseParallelGC"})
public class SpmmDeviceBenchmark {

    /** Rows x columns @ sparsity, or a file: a feed-forward weight of a large model. */
    @Param({"14336x4096@0.5", "14336x4096@0.7", "14336x4096@0.9"})
    String matrix;

    /** A decode step, a batch of them, and a short prompt. */
    @Param({"1", "16", "64"})
    int n;

    /** The type of all operands. */
    @Param({"f32", "bf16"})
    String dtype;

    private BenchmarkProduct product;

    /** Called by JMH. */
    public SpmmDeviceBenchmark() {}

    /** Packs the matrix and copies operands to the device. */
    @Setup
    public void pack() {
        product = BenchmarkProduct.open(matrix, n, Layout.TOKEN_MAJOR, DType.valueOf(dtype.toUpperCase(Locale.ROOT)), Backend.CUDA);
    }

    /** One product, from a cold cache. */
    @Benchmark
    public void multiply() {
        product.run();
    }

    /** Frees what the set-up took. */
    @TearDown
    public void close() {
        product.close();
    }
}
