package dev.filigree.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Layout;
import dev.filigree.NativeException;
import dev.filigree.Workers;
import dev.filigree.format.CsrMatrix;
import dev.filigree.internal.ffi.CudaDriver;
import dev.filigree.internal.ffi.CudaDriverApi;
import dev.filigree.spi.Backends;
import dev.filigree.spmm.Spmm;
import dev.filigree.spmm.SpmmOptions;
import dev.filigree.spmm.SpmmPlan;
import dev.filigree.suite.Allocations;
import dev.filigree.suite.Bits;
import dev.filigree.suite.Seeds;
import dev.filigree.suite.spmm.SpmmCase;
import dev.filigree.suite.spmm.SpmmReference;
import dev.filigree.suite.spmm.SpmmRun;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** SpMM through plans on a device: the kernels that devices run, executed by the simulated one. */
class CudaSpmmTest {

    private final CudaDevice device = Simulated.device();
    private final long freeAtFirst = device.freeBytes();
    private final Arena arena = Arena.ofAuto();

    @AfterEach
    void nothingIsLeft() {
        assertThat(device.freeBytes()).isEqualTo(freeAtFirst);
    }

    private static SpmmPlan plan(SpmmCase test) {
        return Spmm.plan(test.a(), test.options().backend(Backend.CUDA));
    }

    private DenseMatrix onScalar(SpmmCase test) {
        try (Workers one = Workers.of(1)) {
            return SpmmRun.run(test, Backend.SCALAR, one, arena);
        }
    }

    private DenseMatrix back(DeviceBuffer buffer, int rows, int cols) {
        return back(buffer, DType.F32, rows, cols);
    }

    private DenseMatrix back(DeviceBuffer buffer, DType dtype, int rows, int cols) {
        DenseMatrix matrix = DenseMatrix.allocate(arena, dtype, rows, cols);
        buffer.copyTo(matrix.data());
        return matrix;
    }

    @Test
    void theBackendIsThere() {
        assertThat(Backend.CUDA.unavailabilityCause()).isEmpty();
        assertThat(Backends.kernels()).anySatisfy(kernel -> {
            assertThat(kernel.id()).isEqualTo("spmm_csr_f32_cuda");
            assertThat(kernel.isa()).isEqualTo("sm_90");
        }).anySatisfy(kernel -> {
            assertThat(kernel.id()).isEqualTo("spmm_bitmap_bf16_cuda");
            assertThat(kernel.dtype()).isEqualTo(DType.BF16);
        });
        try (SpmmPlan plan = plan(SpmmCase.plain(SpmmCase.uniform(1, 10, 20, 0.3), 5, Layout.FEATURE_MAJOR))) {
            assertThat(plan.backend()).isEqualTo(Backend.CUDA);
            assertThat(plan.explain().kernel()).isEqualTo("spmm_csr_f32_cuda");
        }
    }

    @Test
    void randomProductsAreWithinTheBound() {
        Seeds.of(150).forEach(seed -> {
            SpmmCase test = SpmmCase.random(seed);
            SpmmReference reference = SpmmRun.reference(test, arena);
            try (SpmmPlan plan = plan(test)) {
                assertThat(reference.mismatch(SpmmRun.run(test, plan, arena))).as("seed %d", seed).isEmpty();
            }
        });
    }

    @Test
    void randomProductsInBf16AreWithinTheBound() {
        Seeds.of(40).forEach(seed -> {
            SpmmCase test = SpmmCase.random(seed).dtype(DType.BF16);
            SpmmReference reference = SpmmRun.reference(test, arena);
            try (SpmmPlan plan = plan(test)) {
                assertThat(reference.mismatch(SpmmRun.run(test, plan, arena))).as("seed %d", seed).isEmpty();
            }
        });
    }

    @Test
    void decodeStepsAndWiderOnesTakeTheSamePlan() {
        for (Layout layout : Layout.values()) {
            CsrMatrix a = SpmmCase.uniform(8, 70, 330, 0.3);
            try (SpmmPlan plan = plan(SpmmCase.plain(a, 1, layout).dtype(DType.BF16))) {
                for (int n : new int[] {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 24, 33, 64, 65}) {
                    SpmmCase test = SpmmCase.plain(a, n, layout).dtype(DType.BF16);
                    DenseMatrix once = SpmmRun.run(test, plan, arena);
                    assertThat(SpmmRun.reference(test, arena).mismatch(once)).isEmpty();
                    assertThat(Bits.difference("once", once, "again", SpmmRun.run(test, plan, arena))).isEmpty();
                }
            }
        }
    }

    @Test
    void bf16IsCapturedIntoAGraphAndSeesNewInputsAndValues() {
        CsrMatrix a = SpmmCase.uniform(2, 40, 150, 0.5);
        SpmmCase test = SpmmCase.plain(a, 9, Layout.FEATURE_MAJOR).dtype(DType.BF16);
        CsrMatrix changed = CsrMatrix.fromSegments(a.rows(), a.cols(), a.rowOffsets(), a.columns(),
            MemorySegment.ofArray(changedValues(a)));
        SpmmCase after = SpmmCase.plain(changed, 9, Layout.FEATURE_MAJOR).dtype(DType.BF16);
        DenseMatrix input = test.input(arena);
        try (DeviceBuffer b = device.allocateBuffer(2L * 150 * 9); DeviceBuffer c = device.allocateBuffer(2L * 40 * 9);
                CudaStream stream = device.newStream(); SpmmPlan plan = plan(test);
                CudaGraph graph = stream.capture(() ->
                    plan.runAsync(stream, 1f, b.matrix(DType.BF16, 150, 9), 0f, c.matrix(DType.BF16, 40, 9)))) {
            b.copyFrom(input.data());
            graph.launch(stream);
            stream.synchronize();
            assertThat(SpmmRun.reference(test, arena).mismatch(back(c, DType.BF16, 40, 9))).isEmpty();
            plan.update(changedValues(a));
            graph.launch(stream);
            stream.synchronize();
            assertThat(SpmmRun.reference(after, arena).mismatch(back(c, DType.BF16, 40, 9))).isEmpty();
        }
    }

    @Test
    void warmRunsOnTheDeviceAllocateNothing() {
        SpmmCase test = SpmmCase.plain(SpmmCase.uniform(2, 16, 64, 0.1), 1, Layout.TOKEN_MAJOR).dtype(DType.BF16);
        // Its threads are what the measurement wants to see; the device needs none.
        try (Workers team = Workers.of(2); DeviceBuffer x = device.upload(test.input(arena));
                DeviceBuffer y = device.upload(test.output(arena)); CudaStream stream = device.newStream();
                SpmmPlan plan = Spmm.plan(test.a(), test.options().backend(Backend.CUDA).workers(team))) {
            DenseMatrix input = x.matrix(DType.BF16, 1, 64);
            DenseMatrix output = y.matrix(DType.BF16, 1, 16);
            Allocations.assertNone("runAsync and synchronize", () -> {
                plan.runAsync(stream, 1f, input, 0f, output);
                stream.synchronize();
            });
        }
    }

    private static float[] changedValues(CsrMatrix a) {
        float[] values = new float[(int) a.nnz()];
        for (int i = 0; i < values.length; i++) {
            values[i] = (i % 17 - 8) * 0.25f;
        }
        return values;
    }

    @Test
    void operandsThatDoNotLieWhereTheySayAreRefused() {
        SpmmCase test = SpmmCase.plain(SpmmCase.uniform(2, 40, 60, 0.3), 33, Layout.TOKEN_MAJOR);
        long bytes = 4L * 33 * 60;
        try (SpmmPlan plan = plan(test); DeviceBuffer y = device.upload(test.output(arena));
                DeviceBuffer small = device.allocateBuffer(4096); PinnedBuffer pinned = device.allocatePinned(bytes)) {
            DenseMatrix output = y.matrix(DType.F32, 33, 40);
            MemorySegment host = arena.allocate(bytes);
            assertRefused(plan, host, output, "x is at address 0x" + Long.toHexString(host.address())
                + ", which is not CUDA's, expected cuda:0 memory");
            assertRefused(plan, pinned.segment(), output, "x is at address 0x"
                + Long.toHexString(pinned.segment().address()) + ", in host memory, expected cuda:0 memory");
            assertRefused(plan, small.segment().reinterpret(bytes), output, "x is at address 0x"
                + Long.toHexString(small.segment().address()) + " and has " + bytes + " bytes, " + (bytes - 4096)
                + " more than were allocated there");
            MemorySegment elsewhere = onAnotherDevice(bytes);
            assertRefused(plan, elsewhere, output, "x is in cuda:1 memory, expected cuda:0");
            device.free(elsewhere);
            assertThat(back(y, 33, 40).get(0, 0)).as("nothing was written").isNaN();
        }
    }

    private void assertRefused(SpmmPlan plan, MemorySegment segment, DenseMatrix output, String message) {
        DenseMatrix input = DenseMatrix.of(device.memory(), segment, DType.F32, 33, 60, 60);
        assertThatThrownBy(() -> plan.run(input, output)).isInstanceOf(IllegalArgumentException.class)
            .hasMessage(message);
    }

    /** Memory of a device that the driver has and this process does not see. */
    private MemorySegment onAnotherDevice(long bytes) {
        MemorySegment made = arena.allocate(ValueLayout.ADDRESS);
        CudaDriver.check("cuDevicePrimaryCtxRetain", CudaDriverApi.cuDevicePrimaryCtxRetain(made, 1));
        CudaDriver.check("cuCtxSetCurrent", CudaDriverApi.cuCtxSetCurrent(made.get(ValueLayout.ADDRESS, 0)));
        CudaDriver.check("cuMemAlloc_v2", CudaDriverApi.cuMemAlloc_v2(made, bytes));
        return MemorySegment.ofAddress(made.get(ValueLayout.JAVA_LONG, 0)).reinterpret(bytes);
    }

    @Test
    void rowsThatAreNotSplitHaveTheBitsOfTheHost() {
        for (Layout layout : Layout.values()) {
            for (int n : new int[] {1, 4, 31, 64, 100, 132}) {
                SpmmCase test = SpmmCase.plain(SpmmCase.uniform(n, 40, 60, 0.5), n, layout);
                try (SpmmPlan plan = plan(test)) {
                    assertThat(Bits.difference("scalar", onScalar(test), "cuda", SpmmRun.run(test, plan, arena)))
                        .isEmpty();
                }
            }
        }
    }

    @Test
    void longRowsAreSplitAndEveryRunHasTheSameBits() {
        SpmmCase test = SpmmCase.plain(SpmmCase.uniform(5, 3, 3000, 0.9), 20, Layout.FEATURE_MAJOR);
        SpmmReference reference = SpmmRun.reference(test, arena);
        try (SpmmPlan plan = plan(test)) {
            assertThat(plan.explain().format()).contains("long rows split").doesNotContain(" 0 long rows split");
            DenseMatrix once = SpmmRun.run(test, plan, arena);
            assertThat(reference.mismatch(once)).isEmpty();
            assertThat(Bits.difference("once", once, "again", SpmmRun.run(test, plan, arena))).isEmpty();
        }
    }

    @Test
    void operandsOnTheDeviceRunAsynchronously() {
        SpmmCase test = SpmmCase.plain(SpmmCase.uniform(2, 40, 60, 0.3), 33, Layout.FEATURE_MAJOR);
        try (DeviceBuffer b = device.upload(test.input(arena)); DeviceBuffer c = device.upload(test.output(arena));
                CudaStream stream = device.newStream(); SpmmPlan plan = plan(test)) {
            plan.runAsync(stream, 1f, b.matrix(DType.F32, 60, 33), 0f, c.matrix(DType.F32, 40, 33));
            assertThat(back(c, 40, 33).get(0, 0)).as("not waited for").isNaN();
            stream.synchronize();
            assertThat(Bits.difference("scalar", onScalar(test), "cuda", back(c, 40, 33))).isEmpty();
        }
    }

    @Test
    void aPlanIsCapturedIntoAGraphAndSeesNewInputs() {
        // Token-major with split rows: every kernel of the launcher, and memory of the graph's.
        CsrMatrix a = SpmmCase.uniform(2, 3, 1500, 0.8);
        SpmmCase test = SpmmCase.plain(a, 9, Layout.TOKEN_MAJOR);
        SpmmReference reference = SpmmRun.reference(test, arena);
        DenseMatrix input = test.input(arena);
        try (DeviceBuffer b = device.allocateBuffer(4L * 9 * 1500); DeviceBuffer c = device.allocateBuffer(4L * 9 * 3);
                CudaStream stream = device.newStream(); SpmmPlan plan = plan(test);
                CudaGraph graph = stream.capture(() ->
                    plan.runAsync(stream, 1f, b.matrix(DType.F32, 9, 1500), 0f, c.matrix(DType.F32, 9, 3)))) {
            b.copyFrom(input.data());
            graph.launch(stream);
            stream.synchronize();
            assertThat(reference.mismatch(back(c, 9, 3))).isEmpty();
            b.copyFrom(arena.allocate(4L * 9 * 1500));
            graph.launch(stream);
            stream.synchronize();
            DenseMatrix zeros = back(c, 9, 3);
            assertThat(zeros.get(4, 2)).isZero();
        }
    }

    @Test
    void newValuesTakeThePlaceOfTheOld() {
        CsrMatrix a = SpmmCase.uniform(4, 20, 900, 0.7);
        float[] values = changedValues(a);
        CsrMatrix changed = CsrMatrix.fromSegments(
            a.rows(), a.cols(), a.rowOffsets(), a.columns(), MemorySegment.ofArray(values));
        SpmmCase before = SpmmCase.plain(a, 10, Layout.FEATURE_MAJOR);
        SpmmCase after = SpmmCase.plain(changed, 10, Layout.FEATURE_MAJOR);
        try (SpmmPlan plan = plan(before)) {
            plan.update(values);
            assertThat(SpmmRun.reference(after, arena).mismatch(SpmmRun.run(after, plan, arena))).isEmpty();
        }
    }

    @Test
    void aClosedBufferIsRefusedAndAClosedStreamDoesNotKeepAPlanOpen() {
        SpmmCase test = SpmmCase.plain(SpmmCase.uniform(2, 40, 60, 0.3), 33, Layout.FEATURE_MAJOR);
        try (SpmmPlan plan = plan(test); DeviceBuffer c = device.upload(test.output(arena))) {
            DeviceBuffer b = device.upload(test.input(arena));
            DenseMatrix input = b.matrix(DType.F32, 60, 33);
            DenseMatrix output = c.matrix(DType.F32, 40, 33);
            CudaStream stream = device.newStream();
            plan.runAsync(stream, 1f, input, 0f, output);
            stream.close();
            assertThatThrownBy(() -> plan.runAsync(stream, 1f, input, 0f, output))
                .isInstanceOf(IllegalStateException.class).hasMessageContaining("is closed");
            b.close();
            assertThatThrownBy(() -> plan.run(input, output)).isInstanceOf(IllegalStateException.class)
                .hasMessage("the arena of b is closed");
        }
    }

    @Test
    void memoryThatRunsOutLeavesTheOutputAsItWas() {
        SpmmCase test = SpmmCase.plain(SpmmCase.uniform(2, 40, 60, 0.3), 33, Layout.TOKEN_MAJOR);
        DenseMatrix output = test.output(arena);
        try (SpmmPlan plan = plan(test);
                DeviceBuffer all = device.allocateBuffer(device.freeBytes() - 1000)) {
            assertThatThrownBy(() -> plan.run(test.input(arena), output)).isInstanceOf(NativeException.class)
                .hasMessageContaining("cuMemAlloc_v2 failed with code 2");
            assertThat(output.data().get(ValueLayout.JAVA_FLOAT, 0)).isNaN();
            assertThat(all.byteSize()).isPositive();
        }
        try (DeviceBuffer b = device.upload(test.input(arena)); DeviceBuffer c = device.upload(output);
                SpmmPlan plan = plan(test); DeviceBuffer all = device.allocateBuffer(device.freeBytes() - 1000)) {
            assertThatThrownBy(() -> plan.run(b.matrix(DType.F32, 33, 60), c.matrix(DType.F32, 33, 40)))
                .isInstanceOf(NativeException.class)
                .hasMessage("filigree_cuda_spmm_csr_f32 failed with code 1002: out of memory");
            assertThat(all.byteSize()).isPositive();
        }
    }

    @Test
    void aPlanForTheHostIsUnmovedByTheDevice() {
        try (SpmmPlan plan = Spmm.plan(SpmmCase.uniform(1, 10, 20, 0.3), SpmmOptions.defaults())) {
            assertThat(plan.backend()).isNotEqualTo(Backend.CUDA);
        }
    }
}
