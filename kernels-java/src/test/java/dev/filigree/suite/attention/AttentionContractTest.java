package dev.filigree.suite.attention;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.filigree.Bf16;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.attention.Attention;
import dev.filigree.attention.AttentionOptions;
import dev.filigree.attention.AttentionPlan;
import dev.filigree.attention.AttentionTensor;
import dev.filigree.format.BlockGrid;
import dev.filigree.format.BlockMask;
import dev.filigree.format.BlockMasks;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What a plan refuses, and how it behaves when it is shared, closed or raced. */
class AttentionContractTest {

    private final Arena arena = Arena.ofAuto();
    private final BlockMask mask = BlockMasks.causal(new BlockGrid(20, 30, 16, 16));
    private final AttentionPlan plan = Attention.plan(mask);
    private final AttentionTensor q = tensor(2, 4, 20, 16);
    private final AttentionTensor k = tensor(2, 2, 30, 16);
    private final AttentionTensor v = tensor(2, 2, 30, 16);
    private final AttentionTensor out = tensor(2, 4, 20, 16);

    @AfterEach
    void close() {
        plan.close();
    }

    private AttentionTensor tensor(int batch, int heads, int rows, int dim) {
        return AttentionTensor.allocate(arena, batch, heads, rows, dim);
    }

    private void refused(AttentionTensor q, AttentionTensor k, AttentionTensor v, AttentionTensor out, String message) {
        boolean writable = !out.data().isReadOnly();
        if (writable) {
            out.set(0, 0, 0, 0, 42f);
        }
        assertThatThrownBy(() -> plan.run(q, k, v, out)).isInstanceOf(IllegalArgumentException.class)
            .hasMessageContaining(message);
        if (writable) {
            assertThat(out.get(0, 0, 0, 0)).as("nothing is written").isEqualTo(42f);
        }
    }

    @Test
    void wrongShapesAreNamed() {
        refused(tensor(2, 4, 21, 16), k, v, out, "q has rows 21, expected 20");
        refused(q, tensor(2, 2, 31, 16), tensor(2, 2, 31, 16), out, "k has rows 31, expected 30");
        refused(q, tensor(1, 2, 30, 16), v, out, "k has batch 1, expected 2");
        refused(q, tensor(2, 3, 30, 16), tensor(2, 3, 30, 16), out, "q has 4 heads, not a multiple of the 3 heads");
        refused(q, k, tensor(2, 2, 30, 24), out, "v has head dimension 24, expected 16");
        refused(q, k, v, tensor(2, 3, 20, 16), "out has heads 3, expected 4");
        refused(tensor(2, 4, 20, 12), tensor(2, 2, 30, 12), tensor(2, 2, 30, 12), tensor(2, 4, 20, 12),
            "q has head dimension 12, expected a multiple of 8 up to 256");
        refused(tensor(2, 4, 20, 264), tensor(2, 2, 30, 264), tensor(2, 2, 30, 264), tensor(2, 4, 20, 264),
            "q has head dimension 264");
        assertThatThrownBy(() -> plan.run(q, null, v, out)).isInstanceOf(NullPointerException.class).hasMessage("k");
    }

    @Test
    void wrongLengthsAndHeadsAreNamed() {
        assertThatThrownBy(() -> plan.run(q, k, v, new int[] {3}, out, null))
            .hasMessage("keyLengths has length 1, expected 2");
        assertThatThrownBy(() -> plan.run(q, k, v, new int[] {3, 31}, out, null))
            .hasMessage("keyLengths[1] = 31 is not in 0..30");
        assertThatThrownBy(() -> plan.run(q, k, v, new int[] {-1, 3}, out, null))
            .hasMessage("keyLengths[0] = -1 is not in 0..30");
        try (AttentionPlan three = Attention.plan(BlockMasks.perHead(mask, mask, mask));
                AttentionPlan biased = Attention.plan(mask, AttentionOptions.defaults().linearBias(new float[3]))) {
            assertThatThrownBy(() -> three.run(q, k, v, out)).hasMessage("q has heads 4, expected 3");
            assertThatThrownBy(() -> biased.run(q, k, v, out)).hasMessage("q has heads 4, expected 3");
        }
    }

    @Test
    void outputsThatCannotBeWrittenAreRefused() {
        MemorySegment readOnly = arena.allocate(4L * 2 * 4 * 20 * 16, 4).asReadOnly();
        refused(q, k, v, AttentionTensor.headMajor(readOnly, 2, 4, 20, 16), "out is read-only");
        refused(q, k, v, AttentionTensor.headMajor(q.data(), 2, 4, 20, 16), "out overlaps q");
        refused(q, k, v, AttentionTensor.strided(tensor(2, 4, 20, 16).data(), 2, 4, 20, 16, 16, 16, 16),
            "out has elements that coincide");
        DenseMatrix lse = DenseMatrix.of(out.data().asSlice(0, 4 * 8 * 20), DType.F32, 8, 20);
        assertThatThrownBy(() -> plan.run(q, k, v, null, out, lse)).hasMessage("lse overlaps out");
        DenseMatrix gaps = DenseMatrix.of(arena.allocate(4 * 8 * 21, 4), DType.F32, 8, 20, 21);
        assertThatThrownBy(() -> plan.run(q, k, v, null, out, gaps)).hasMessageContaining("gaps between its rows");
        DenseMatrix small = DenseMatrix.allocate(arena, DType.F32, 8, 19);
        assertThatThrownBy(() -> plan.run(q, k, v, null, out, small)).hasMessageContaining("lse is 8 x 19");
    }

    @Test
    void wrongTypesAreNamed() {
        AttentionTensor bf16 = AttentionTensor.allocate(arena, DType.BF16, 2, 4, 20, 16);
        AttentionTensor keys = AttentionTensor.allocate(arena, DType.BF16, 2, 2, 30, 16);
        refused(bf16, k, v, out, "q is bf16, this plan takes f32");
        refused(q, keys, v, out, "k is bf16, this plan takes f32");
        refused(q, k, keys, out, "v is bf16, this plan takes f32");
        refused(q, k, v, bf16, "out is bf16, this plan gives f32");
        try (AttentionPlan other = Attention.plan(mask, AttentionOptions.defaults().dtype(DType.BF16))) {
            assertThatThrownBy(() -> other.run(q, keys, keys, bf16)).hasMessage("q is f32, this plan takes bf16");
            // f32 results of bf16 are not rounded, bf16 ones are.
            bf16.set(0, 0, 0, 0, 1.2345678f);
            assertThat(bf16.get(0, 0, 0, 0)).isEqualTo(1.234375f);
            keys.set(0, 0, 0, 0, 3f);
            keys.set(0, 0, 1, 0, 1f);
            AttentionTensor rounded = AttentionTensor.allocate(arena, DType.BF16, 2, 4, 20, 16);
            other.run(bf16, keys, keys, out);
            other.run(bf16, keys, keys, rounded);
            assertThat(out.get(0, 0, 0, 0)).isNotZero();
            assertThat(rounded.get(0, 0, 0, 0)).isNotEqualTo(out.get(0, 0, 0, 0))
                .isEqualTo(Bf16.toFloat(Bf16.fromFloat(out.get(0, 0, 0, 0))));
        }
    }

    @Test
    void inputsMayCoincideAndRepeat() {
        AttentionTensor repeated = AttentionTensor.strided(k.data(), 2, 2, 30, 16, 0, 480, 16);
        plan.run(q, repeated, repeated, out);
        assertThat(out.get(1, 3, 19, 15)).isZero();
    }

    @Test
    void tensorsCheckTheirMemory() {
        MemorySegment memory = arena.allocate(4L * 100, 4);
        assertThatThrownBy(() -> AttentionTensor.headMajor(memory, 1, 1, 7, 16)).hasMessageContaining("too short");
        assertThatThrownBy(() -> AttentionTensor.headMajor(memory.asSlice(2), 1, 1, 6, 16))
            .hasMessageContaining("not aligned");
        assertThatThrownBy(() -> AttentionTensor.headMajor(memory, 0, 1, 6, 16)).hasMessage("batch = 0 is less than 1");
        assertThatThrownBy(() -> AttentionTensor.strided(memory, 1, 1, 6, 16, 0, 0, -1))
            .hasMessage("row stride = -1 is negative");
        assertThatThrownBy(
            () -> AttentionTensor.strided(memory, 2, 2, 2, 16, Long.MAX_VALUE, Long.MAX_VALUE, Long.MAX_VALUE))
            .hasMessageContaining("spans 2^31 elements or more");
        assertThatThrownBy(() -> q.get(0, 4, 0, 0)).isInstanceOf(IndexOutOfBoundsException.class);
        AttentionTensor rows = AttentionTensor.rowMajor(arena.allocate(4L * 96, 4), 1, 2, 3, 16);
        rows.set(0, 1, 2, 3, 5f);
        assertThat(rows.data().getAtIndex(ValueLayout.JAVA_FLOAT, 2 * 32 + 16 + 3)).isEqualTo(5f);
    }

    @Test
    void badOptionsAreNamed() {
        AttentionOptions options = AttentionOptions.defaults();
        assertThatThrownBy(() -> options.scale(Float.NaN)).hasMessageContaining("scale = NaN");
        assertThatThrownBy(() -> options.softCap(0f)).hasMessageContaining("soft cap = 0.0");
        assertThatThrownBy(() -> options.softCap(Float.MIN_VALUE)).hasMessageContaining("soft cap");
        assertThatThrownBy(() -> options.linearBias(new float[] {0, Float.POSITIVE_INFINITY}))
            .hasMessage("slopes[1] = Infinity is not finite");
        assertThat(options.causal(true).scale(0.5f).softCap(3f).linearBias(new float[2]).toString())
            .isEqualTo("AttentionOptions[f32, causal, scale 0.5, soft cap 3.0, linear bias for 2 heads]");
    }

    @Test
    void aClosedPlanRefusesToRun() {
        plan.run(q, k, v, out);
        plan.close();
        plan.close();
        assertThatThrownBy(() -> plan.run(q, k, v, out)).isInstanceOf(IllegalStateException.class)
            .hasMessageContaining("is closed");
        assertThat(plan.toString()).contains("closed");
    }

    @Test
    void aClosedArenaAndAnotherThreadsArenaAreRefused() throws InterruptedException {
        Arena closed = Arena.ofShared();
        AttentionTensor gone = AttentionTensor.allocate(closed, 2, 4, 20, 16);
        closed.close();
        assertThatThrownBy(() -> plan.run(gone, k, v, out)).isInstanceOf(IllegalStateException.class)
            .hasMessage("the arena of q is closed");
        try (Arena mine = Arena.ofConfined()) {
            AttentionTensor confined = AttentionTensor.allocate(mine, 2, 4, 20, 16);
            AtomicReference<Throwable> thrown = new AtomicReference<>();
            Thread other = new Thread(() -> {
                try {
                    plan.run(confined, k, v, out);
                } catch (RuntimeException e) {
                    thrown.set(e);
                }
            });
            other.start();
            other.join();
            assertThat(thrown.get()).hasMessageContaining("q is confined to another thread");
        }
    }

    @Test
    void anArenaClosedDuringARunEndsInAnException() throws InterruptedException {
        BlockMask large = BlockMasks.dense(BlockGrid.square(512, 64));
        try (AttentionPlan slow = Attention.plan(large)) {
            for (int round = 0; round < 20; round++) {
                Arena shared = Arena.ofShared();
                AttentionTensor x = AttentionTensor.allocate(shared, 1, 2, 512, 32);
                AttentionTensor y = AttentionTensor.allocate(shared, 1, 2, 512, 32);
                AtomicBoolean started = new AtomicBoolean();
                Thread closer = new Thread(() -> {
                    while (!started.get()) {
                        Thread.onSpinWait();
                    }
                    tryClose(shared);
                });
                closer.start();
                try {
                    for (int i = 0; i < 50; i++) {
                        slow.run(x, x, x, y);
                        started.set(true);
                    }
                } catch (IllegalStateException expected) {
                    assertThat(shared.scope().isAlive()).isFalse();
                }
                started.set(true);
                // The JVM interrupts a thread when it stops its access to memory that is being closed.
                Thread.interrupted();
                closer.join();
            }
        }
    }

    private static void tryClose(Arena arena) {
        while (arena.scope().isAlive()) {
            try {
                arena.close();
            } catch (IllegalStateException inUse) {
                // A native call or a copy holds it at this moment.
                Thread.onSpinWait();
            }
        }
    }

    @Test
    void theExplanationNamesKernelAndMask() {
        assertThat(plan.explain().toString()).contains("attention on", plan.explain().kernel(), "20 x 30");
        assertThat(plan.explain().flopsPerColumn()).isEqualTo(4.0 * mask.elements());
        assertThat(plan.mask()).isEqualTo(mask);
    }
}
