package dev.filigree.bench.jmh;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.attention.Attention;
import dev.filigree.attention.AttentionOptions;
import dev.filigree.attention.AttentionPlan;
import dev.filigree.attention.AttentionTensor;
import dev.filigree.bench.BenchmarkMasks;
import dev.filigree.format.BlockMask;
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
 * Attention of eight heads on all cores. A backend that cannot run here fails in the set-up: a figure never belongs to
 * another one than it says.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 2)
@Fork(value = 3, jvmArgsPrepend = {"--add-modules", "jdk.incubator.vector",
    "--enable-native-access=ALL-UNNAMED", "-XX:+UseParallelGC"})
public class AttentionBenchmark {

    private static final int HEADS = 8;

    /** Tokens. */
    @Param("4096")
    int seq;

    /** The share of blocks of 64 x 64 that are listed. */
    @Param({"1", "0.25", "0.1", "0.05"})
    double density;

    /** Elements of a head. */
    @Param({"64", "128"})
    int headDim;

    /** Type of queries, keys, values and output. */
    @Param({"f32", "bf16"})
    String dtype;

    @Param({"scalar", "vector", "avx512"})
    String backend;

    private Arena arena;
    private AttentionPlan plan;
    private AttentionTensor q;
    private AttentionTensor k;
    private AttentionTensor v;
    private AttentionTensor out;

    /** Called by JMH. */
    public AttentionBenchmark() {}

    /** Packs the mask for the backend that the figure will be named after. */
    @Setup
    public void pack() {
        Backend wanted = Backend.of(backend);
        wanted.ensureAvailable();
        BlockMask mask = BenchmarkMasks.random(seq, density);
        plan = Attention.plan(mask, AttentionOptions.defaults().dtype(type()).backend(wanted));
        if (plan.backend() != wanted) {
            throw new IllegalStateException("asked for " + backend + ", got " + plan.explain());
        }
        arena = Arena.ofShared();
        q = filled(1);
        k = filled(2);
        v = filled(3);
        out = AttentionTensor.allocate(arena, type(), 1, HEADS, seq, headDim);
    }

    private DType type() {
        return DType.valueOf(dtype.toUpperCase(Locale.ROOT));
    }

    private AttentionTensor filled(int salt) {
        AttentionTensor tensor = AttentionTensor.allocate(arena, type(), 1, HEADS, seq, headDim);
        int elements = HEADS * seq * headDim;
        DenseMatrix all = DenseMatrix.of(tensor.data(), type(), 1, elements);
        for (int i = 0; i < elements; i++) {
            all.set(0, i, (((long) i * salt) % 17 - 8) / 8f);
        }
        return tensor;
    }

    /** One attention. */
    @Benchmark
    public AttentionTensor attend() {
        plan.run(q, k, v, out);
        return out;
    }

    /** Frees what the set-up took. */
    @TearDown
    public void close() {
        plan.close();
        arena.close();
    }
}
