package dev.filigree.bench.jmh;

import dev.filigree.Activation;
import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.format.RowMatrix;
import dev.filigree.mlp.ActiveSet;
import dev.filigree.mlp.Mlp;
import dev.filigree.mlp.MlpOptions;
import dev.filigree.mlp.MlpPlan;
import dev.filigree.mlp.MlpWeights;
import dev.filigree.mlp.Skipping;
import java.lang.foreign.Arena;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
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
 * A SwiGLU over listed neurons on all cores, one token, weights in memory: lists are taken in turn. A backend that
 * cannot run here fails in the set-up: a figure never belongs to another one than it says.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(value = 3, jvmArgsPrepend = {"--add-modules", "jdk.incubator.vector",
    "--enable-native-access=ALL-UNNAMED", "-XX:+UseParallelGC"})
public class MlpBenchmark {

    /** Lists between two runs with the same one. */
    private static final int TURNS = 8;

    /** Of a large model. */
    @Param("4096")
    int hidden;

    /** Its neurons. */
    @Param("14336")
    int intermediate;

    /** The share of neurons that are listed; 1 is the dense path. */
    @Param({"0.1", "0.3", "1"})
    double active;

    @Param({"f32", "bf16"})
    String dtype;

    @Param({"scalar", "vector", "avx512"})
    String backend;

    private final List<ActiveSet> lists = new ArrayList<>();
    private Arena arena;
    private MlpPlan plan;
    private DenseMatrix x;
    private DenseMatrix y;
    private int turn;

    /** Called by JMH. */
    public MlpBenchmark() {}

    /** Plans for the backend that the figure will be named after. */
    @Setup
    public void plan() {
        Backend wanted = Backend.of(backend);
        wanted.ensureAvailable();
        DType type = DType.valueOf(dtype.toUpperCase(Locale.ROOT));
        MlpWeights weights = MlpWeights.gated(rows(type, 1), rows(type, 2), rows(type, 3), Activation.SILU,
            MlpWeights.Order.NEURON_MAJOR);
        plan = Mlp.plan(weights, new Skipping.None(), MlpOptions.defaults().backend(wanted));
        if (plan.backend() != wanted) {
            throw new IllegalStateException("asked for " + backend + ", got " + plan.explain());
        }
        SplittableRandom random = new SplittableRandom(1);
        for (int i = 0; i < TURNS; i++) {
            ActiveSet set = new ActiveSet(intermediate, 1);
            for (int neuron = 0; neuron < intermediate; neuron++) {
                if (random.nextDouble() < active) {
                    set.add(0, neuron);
                }
            }
            lists.add(set);
        }
        arena = Arena.ofShared();
        x = DenseMatrix.allocate(arena, DType.F32, 1, hidden);
        y = DenseMatrix.allocate(arena, DType.F32, 1, hidden);
        for (int i = 0; i < hidden; i++) {
            x.set(0, i, (i % 17 - 8) / 8f);
        }
    }

    private RowMatrix rows(DType type, int salt) {
        try (Arena confined = Arena.ofConfined()) {
            DenseMatrix dense = DenseMatrix.allocate(confined, DType.F32, intermediate, hidden);
            for (long i = 0; i < (long) intermediate * hidden; i++) {
                dense.data().setAtIndex(
                    ValueLayout.JAVA_FLOAT, i, (int) ((i + salt) * 0x9e3779b9L) / (float) (1L << 36));
            }
            return RowMatrix.of(dense, type);
        }
    }

    /** One token. */
    @Benchmark
    public DenseMatrix run() {
        plan.run(x, lists.get(turn), y);
        turn = (turn + 1) % TURNS;
        return y;
    }

    /** Frees what the set-up took. */
    @TearDown
    public void close() {
        plan.close();
        arena.close();
    }
}
