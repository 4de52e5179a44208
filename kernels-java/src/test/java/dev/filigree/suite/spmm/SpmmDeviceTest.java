package dev.filigree.suite.spmm;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.filigree.Activation;
import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Layout;
import dev.filigree.NativeException;
import dev.filigree.Stream;
import dev.filigree.format.CsrMatrix;
import dev.filigree.spmm.PlanAccess;
import dev.filigree.spmm.Spmm;
import dev.filigree.spmm.SpmmOptions;
import dev.filigree.spmm.SpmmPlan;
import dev.filigree.suite.Bits;
import dev.filigree.suite.Dense;
import dev.filigree.suite.FakeDevice;
import dev.filigree.suite.Seeds;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;

/** What a plan does with a device, shown on one that is made of host memory. */
class SpmmDeviceTest {

    private final FakeDevice device = new FakeDevice();
    /** All of its rows are split on a device. */
    private final CsrMatrix a = SpmmCorrectnessTest.denseRowAmongSparse(60, 1200);
    private final SpmmCase test = SpmmCase.plain(a, 30, Layout.FEATURE_MAJOR);
    private final Arena arena = Arena.ofAuto();

    private SpmmPlan plan() {
        return PlanAccess.plan(a, test.options(), device);
    }

    /** Of host operands, which the first test compares with the reference: devices split rows as hosts do not. */
    private DenseMatrix expected() {
        try (SpmmPlan another = PlanAccess.plan(a, test.options(), new FakeDevice())) {
            return SpmmRun.run(test, another, arena);
        }
    }

    @Test
    void hostOperandsAreCopiedThereAndBack() {
        try (SpmmPlan plan = plan()) {
            assertThat(plan.backend()).isEqualTo(Backend.CUDA);
            assertThat(plan.explain().format()).contains("60 long rows split");
            assertThat(SpmmRun.reference(test, arena).mismatch(SpmmRun.run(test, plan, arena))).isEmpty();
        }
        assertThat(device.liveAllocations()).isZero();
    }

    @Test
    void deviceOperandsStayThere() {
        DenseMatrix b = device.upload(test.input(arena));
        DenseMatrix c = device.upload(test.output(arena));
        try (SpmmPlan plan = plan()) {
            plan.run(b, c);
        }
        DenseMatrix back = DenseMatrix.of(c.data(), c.dtype(), c.rows(), c.cols());
        assertThat(Bits.difference("host", expected(), "device", back)).isEmpty();
    }

    @Test
    void mixedOperandsAreRefusedByName() {
        DenseMatrix b = test.input(arena);
        DenseMatrix c = test.output(arena);
        try (SpmmPlan plan = plan()) {
            DenseMatrix onDevice = device.upload(c);
            assertThatThrownBy(() -> plan.run(b, onDevice)).isInstanceOf(IllegalArgumentException.class)
                .hasMessage("c is in fake:0 memory, expected host");
            DenseMatrix inputThere = device.upload(b);
            assertThatThrownBy(() -> plan.run(inputThere, c)).isInstanceOf(IllegalArgumentException.class)
                .hasMessage("c is in host memory, expected fake:0");
        }
        try (SpmmPlan host = Spmm.plan(a)) {
            DenseMatrix inputThere = device.upload(b);
            assertThatThrownBy(() -> host.run(inputThere, c)).isInstanceOf(IllegalArgumentException.class)
                .hasMessage("b is in fake:0 memory, expected host");
        }
    }

    @Test
    void anAsynchronousRunReturnsBeforeItsWorkAndCloseWaitsForIt() throws InterruptedException {
        CountDownLatch open = new CountDownLatch(1);
        DenseMatrix b = device.upload(test.input(arena));
        DenseMatrix c = device.upload(test.output(arena));
        SpmmPlan plan = plan();
        try (Stream stream = FakeDevice.gatedStream(device, open)) {
            plan.runAsync(stream, 1f, b, 0f, c);
            assertThat(DenseMatrix.of(c.data(), c.dtype(), c.rows(), c.cols()).get(0, 0)).isNaN();
            Thread closer = Thread.ofPlatform().start(plan::close);
            closer.join(50);
            assertThat(closer.isAlive()).as("close waits for the submitted run").isTrue();
            open.countDown();
            closer.join();
        }
        DenseMatrix back = DenseMatrix.of(c.data(), c.dtype(), c.rows(), c.cols());
        assertThat(Bits.difference("host", expected(), "device", back)).isEmpty();
        assertThat(device.liveAllocations()).as("only the two operands").isEqualTo(2);
    }

    @Test
    void runAsyncNeedsADevice() {
        try (SpmmPlan host = Spmm.plan(a); SpmmPlan plan = plan(); Stream stream = device.newStream();
                Stream foreign = new FakeDevice().newStream()) {
            DenseMatrix b = test.input(arena);
            DenseMatrix c = test.output(arena);
            assertThatThrownBy(() -> host.runAsync(stream, 1f, b, 0f, c))
                .isInstanceOf(UnsupportedOperationException.class).hasMessageContaining("needs a plan on a device");
            assertThatThrownBy(() -> plan.runAsync(stream, 1f, b, 0f, c))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("host memory");
            assertThatThrownBy(() -> plan.runAsync(foreign, 1f, b, 0f, c))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("stream belongs to");
        }
    }

    @Test
    void anExhaustedDeviceLeaksNothing() {
        device.limitMemory(0);
        assertThatThrownBy(this::plan).isInstanceOf(NativeException.class)
            .hasMessage("fakeAllocate failed with code 2: out of memory");
        device.limitMemory(Long.MAX_VALUE);
        try (SpmmPlan plan = plan()) {
            device.limitMemory(1000);
            DenseMatrix b = test.input(arena);
            DenseMatrix c = test.output(arena);
            assertThatThrownBy(() -> plan.run(b, c)).isInstanceOf(NativeException.class);
            assertThat(device.liveAllocations()).isEqualTo(1);
        }
        assertThat(device.liveAllocations()).isZero();
    }

    @Test
    void whatOthersWriteBetweenTheRowsOfAHostOutputStays() {
        for (float beta : new float[] {0f, 2f}) {
            SpmmCase padded = new SpmmCase(3, a, 30, Layout.FEATURE_MAJOR, Activation.NONE, null, 1f, beta,
                Dense.Place.SHARED, 0, 5);
            DenseMatrix b = padded.input(arena);
            DenseMatrix c = padded.output(arena);
            DenseMatrix expected = padded.output(arena);
            try (SpmmPlan undisturbed = PlanAccess.plan(a, padded.options(), new FakeDevice()); SpmmPlan plan = plan()) {
                undisturbed.run(1f, b, beta, expected);
                // Another thread's results, in the columns beside this output.
                device.duringLaunch(() -> c.data().setAtIndex(ValueLayout.JAVA_FLOAT, 31, -1f));
                plan.run(1f, b, beta, c);
            }
            assertThat(c.data().getAtIndex(ValueLayout.JAVA_FLOAT, 31)).isEqualTo(-1f);
            c.data().setAtIndex(ValueLayout.JAVA_FLOAT, 31, Dense.GAP);
            assertThat(Dense.gapsIntact(c)).isTrue();
            assertThat(Bits.difference("host", expected, "device", c)).isEmpty();
        }
    }

    @Test
    void aStreamThatFailsDoesNotKeepCloseFromFreeing() {
        DenseMatrix b = device.upload(test.input(arena));
        DenseMatrix c = device.upload(test.output(arena));
        SpmmPlan plan = plan();
        Stream stream = device.newStream();
        device.duringLaunch(() -> {
            throw new IllegalStateException("planted");
        });
        plan.runAsync(stream, 1f, b, 0f, c);
        assertThatThrownBy(plan::close).isInstanceOf(NativeException.class).hasMessageContaining("planted");
        assertThat(device.liveAllocations()).as("only the two operands").isEqualTo(2);
        plan.close();
    }

    @Test
    void aHostPlanRefusesStreamsWhateverTheOperands() {
        DenseMatrix b = device.upload(test.input(arena));
        DenseMatrix c = device.upload(test.output(arena));
        try (SpmmPlan host = Spmm.plan(a); Stream stream = device.newStream()) {
            assertThatThrownBy(() -> host.runAsync(stream, 1f, b, 0f, c))
                .isInstanceOf(UnsupportedOperationException.class).hasMessageContaining("needs a plan on a device");
        }
    }

    @Test
    void bf16IsAnotherPackingOfTheSamePlan() {
        Seeds.of(60).forEach(seed -> {
            SpmmCase bf16 = SpmmCase.random(seed).dtype(DType.BF16);
            try (SpmmPlan plan = PlanAccess.plan(bf16.a(), bf16.options(), device)) {
                assertThat(plan.dtype()).isEqualTo(DType.BF16);
                assertThat(plan.explain().kernel()).isEqualTo("spmm_bitmap_bf16_fake");
                assertThat(plan.explain().format()).startsWith("bitmaps and ")
                    .contains(" of tiles of 16 x 64, ");
                assertThat(SpmmRun.reference(bf16, arena).mismatch(SpmmRun.run(bf16, plan, arena)))
                    .as("seed %d", seed).isEmpty();
            }
        });
        assertThat(device.liveAllocations()).isZero();
    }

    @Test
    void bf16OperandsOnTheDeviceAndNewValues() {
        SpmmCase bf16 = test.dtype(DType.BF16);
        float[] values = new float[(int) a.nnz()];
        for (int i = 0; i < values.length; i++) {
            values[i] = i % 9 - 4;
        }
        CsrMatrix changed = CsrMatrix.fromSegments(
            a.rows(), a.cols(), a.rowOffsets(), a.columns(), MemorySegment.ofArray(values));
        SpmmCase after = SpmmCase.plain(changed, 30, Layout.FEATURE_MAJOR).dtype(DType.BF16);
        DenseMatrix b = device.upload(bf16.input(arena));
        DenseMatrix c = device.upload(bf16.output(arena));
        try (SpmmPlan plan = PlanAccess.plan(a, bf16.options(), device); Stream stream = device.newStream()) {
            plan.runAsync(stream, 1f, b, 0f, c);
            stream.synchronize();
            assertThat(SpmmRun.reference(bf16, arena).mismatch(onHost(c))).isEmpty();
            plan.update(values);
            plan.run(b, c);
            assertThat(SpmmRun.reference(after, arena).mismatch(onHost(c))).isEmpty();
        }
    }

    private static DenseMatrix onHost(DenseMatrix fake) {
        return DenseMatrix.of(fake.data(), fake.dtype(), fake.rows(), fake.cols());
    }

    @Test
    void operandsOfAnotherTypeAreRefusedByName() {
        DenseMatrix b = test.input(arena);
        DenseMatrix c = test.output(arena);
        try (SpmmPlan plan = PlanAccess.plan(a, test.options().dtype(DType.BF16), device)) {
            assertThatThrownBy(() -> plan.run(b, c)).isInstanceOf(IllegalArgumentException.class)
                .hasMessage("b is f32, this plan takes bf16");
        }
        assertThatThrownBy(() -> Spmm.plan(a, SpmmOptions.defaults().dtype(DType.BF16).backend(Backend.SCALAR)))
            .isInstanceOf(UnsupportedOperationException.class)
            .hasMessage("spmm in bf16 cannot run: scalar: has no kernel for spmm in bf16 (use another backend)");
    }

    @Test
    void anEmptyProductIsNotSubmitted() {
        CsrMatrix empty = CsrMatrix.fromArrays(0, 4, new int[] {0}, new int[0], new float[0]);
        device.duringLaunch(() -> {
            throw new IllegalStateException("launched");
        });
        try (SpmmPlan plan = PlanAccess.plan(empty, SpmmOptions.defaults(), device);
                Stream stream = device.newStream()) {
            DenseMatrix b = DenseMatrix.of(device.memory(), device.allocate(4 * 3 * 4), DType.F32, 4, 3, 3);
            DenseMatrix c = DenseMatrix.of(device.memory(), MemorySegment.NULL, DType.F32, 0, 3, 3);
            plan.runAsync(stream, 1f, b, 0f, c);
            stream.synchronize();
        }
    }
}
