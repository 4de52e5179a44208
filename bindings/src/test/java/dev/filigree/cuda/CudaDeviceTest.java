package dev.filigree.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.NativeException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** Memory, streams, events and graphs of a device. */
class CudaDeviceTest {

    private final CudaDevice device = Simulated.device();
    private final long freeAtFirst = device.freeBytes();
    private final Arena arena = Arena.ofAuto();

    @AfterEach
    void nothingIsLeft() {
        assertThat(device.freeBytes()).isEqualTo(freeAtFirst);
    }

    private MemorySegment random(int bytes) {
        MemorySegment segment = arena.allocate(bytes);
        SplittableRandom random = new SplittableRandom(bytes);
        for (int i = 0; i < bytes; i++) {
            segment.set(ValueLayout.JAVA_BYTE, i, (byte) random.nextInt());
        }
        return segment;
    }

    private static void assertSame(MemorySegment actual, MemorySegment expected) {
        assertThat(actual.asSlice(0, expected.byteSize()).mismatch(expected)).isEqualTo(-1);
    }

    @Test
    void isDescribed() {
        assertThat(CudaDevice.all()).hasSize(1).containsExactly(device);
        assertThat(device.properties()).isEqualTo(
            new CudaDevice.Properties("Simulated", 90, 1L << 30, 1L << 16, 2, 232448));
        assertThat(device).hasToString("CudaDevice[0, Simulated]");
        assertThat(device.memory().id()).isEqualTo("cuda:0");
        assertThat(device.memory().isHost()).isFalse();
        assertThatThrownBy(() -> CudaDevice.get(1)).isInstanceOf(IndexOutOfBoundsException.class);
    }

    @Test
    void copiesToABufferAndBack() {
        // More than a chunk, and not a multiple of it; from off the heap and from an array.
        MemorySegment source = random(2_500_001);
        MemorySegment heap = MemorySegment.ofArray(source.toArray(ValueLayout.JAVA_BYTE));
        for (MemorySegment from : new MemorySegment[] {source, heap}) {
            try (DeviceBuffer buffer = device.allocateBuffer(source.byteSize() + 7)) {
                buffer.copyFrom(from);
                MemorySegment target = arena.allocate(source.byteSize());
                buffer.copyTo(target);
                assertSame(target, source);
                MemorySegment array = MemorySegment.ofArray(new byte[(int) source.byteSize()]);
                buffer.copyTo(array);
                assertSame(array, source);
            }
        }
    }

    @Test
    void refusesCopiesThatDoNotFit() {
        try (DeviceBuffer buffer = device.allocateBuffer(16)) {
            assertThatThrownBy(() -> buffer.copyFrom(arena.allocate(17))).isInstanceOf(IllegalArgumentException.class)
                .hasMessage("target has 16 bytes, source 17");
            assertThatThrownBy(() -> buffer.copyTo(arena.allocate(17))).isInstanceOf(IllegalArgumentException.class)
                .hasMessage("target has 17 bytes, the buffer 16");
            assertThatThrownBy(() -> buffer.copyTo(arena.allocate(16).asReadOnly()))
                .isInstanceOf(IllegalArgumentException.class).hasMessage("target is read-only");
        }
        assertThatThrownBy(() -> device.allocateBuffer(0)).isInstanceOf(IllegalArgumentException.class)
            .hasMessage("bytes = 0 is less than 1");
        assertThatThrownBy(() -> device.allocatePinned(-1)).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void exhaustedMemoryIsToldInTheDriversWords() {
        assertThatThrownBy(() -> device.allocateBuffer(2L << 30)).isInstanceOf(NativeException.class)
            .hasMessage("cuMemAlloc_v2 failed with code 2: CUDA_ERROR_OUT_OF_MEMORY, out of memory")
            .satisfies(e -> assertThat(((NativeException) e).code()).isEqualTo(2));
    }

    @Test
    void freeingTwiceIsAnErrorAndClosingTwiceIsNone() {
        MemorySegment segment = device.allocate(100);
        device.free(segment);
        assertThatThrownBy(() -> device.free(segment)).isInstanceOf(NativeException.class)
            .hasMessageContaining("cuMemFree_v2 failed with code 1: CUDA_ERROR_INVALID_VALUE");
        DeviceBuffer buffer = device.allocateBuffer(100);
        PinnedBuffer pinned = device.allocatePinned(100);
        CudaStream stream = device.newStream();
        CudaEvent event = device.newEvent();
        for (CudaResource resource : new CudaResource[] {buffer, pinned, stream, event}) {
            resource.close();
            resource.close();
            assertThat(resource.isClosed()).isTrue();
            assertThat(resource.toString()).endsWith("of CudaDevice[0, Simulated], closed");
        }
        assertThatThrownBy(() -> buffer.copyFrom(arena.allocate(1))).isInstanceOf(IllegalStateException.class)
            .hasMessage("a device buffer of 100 bytes of CudaDevice[0, Simulated] is closed");
        assertThatThrownBy(() -> pinned.segment().get(ValueLayout.JAVA_BYTE, 0))
            .isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> stream.record(event)).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(event::synchronize).isInstanceOf(IllegalStateException.class);
    }

    @Test
    void aStreamCopiesInOrderAndWhenItIsWaitedFor() {
        MemorySegment source = random(1000);
        try (PinnedBuffer from = device.allocatePinned(1000); PinnedBuffer to = device.allocatePinned(1000);
                DeviceBuffer first = device.allocateBuffer(1000); DeviceBuffer second = device.allocateBuffer(1000);
                CudaStream stream = device.newStream()) {
            from.segment().copyFrom(source);
            to.segment().fill((byte) 0);
            stream.copy(from, first, 1000);
            stream.copy(first, second, 1000);
            stream.copy(second, to, 1000);
            assertThat(stream.isComplete()).isFalse();
            assertThat(to.segment().mismatch(source)).isNotEqualTo(-1);
            stream.synchronize();
            assertThat(stream.isComplete()).isTrue();
            assertSame(to.segment(), source);
            assertThatThrownBy(() -> stream.copy(from, first, 1001)).isInstanceOf(IndexOutOfBoundsException.class);
        }
    }

    @Test
    void eventsOrderStreamsAndTakeTheTime() {
        MemorySegment source = random(64);
        try (PinnedBuffer from = device.allocatePinned(64); PinnedBuffer to = device.allocatePinned(64);
                DeviceBuffer buffer = device.allocateBuffer(64); CudaStream early = device.newStream();
                CudaStream late = device.newStream(); CudaEvent start = device.newEvent();
                CudaEvent end = device.newEvent()) {
            from.segment().copyFrom(source);
            assertThatThrownBy(() -> end.millisSince(start)).isInstanceOf(NativeException.class)
                .hasMessageContaining("cuEventElapsedTime_v2");
            early.record(start);
            early.copy(from, buffer, 64);
            early.record(end);
            late.await(end);
            late.copy(buffer, to, 64);
            assertThat(end.isComplete()).isFalse();
            late.synchronize();
            assertSame(to.segment(), source);
            assertThat(end.isComplete()).isTrue();
            assertThat(end.millisSince(start)).isGreaterThanOrEqualTo(0f);
        }
    }

    @Test
    void aGraphRepeatsWhatWasCaptured() {
        try (PinnedBuffer from = device.allocatePinned(64); PinnedBuffer to = device.allocatePinned(64);
                DeviceBuffer buffer = device.allocateBuffer(64); CudaStream stream = device.newStream();
                CudaGraph graph = stream.capture(() -> {
                    stream.copy(from, buffer, 64);
                    stream.copy(buffer, to, 64);
                })) {
            for (byte round = 1; round <= 3; round++) {
                from.segment().fill(round);
                to.segment().fill((byte) 0);
                graph.launch(stream);
                stream.synchronize();
                assertSame(to.segment(), from.segment());
            }
        }
    }

    @Test
    void aCaptureThatFailsLeavesTheStreamAsItWas() {
        try (CudaStream stream = device.newStream()) {
            assertThatThrownBy(() -> stream.capture(stream::synchronize)).isInstanceOf(NativeException.class)
                .hasMessageContaining("cuStreamSynchronize failed with code 900");
            assertThatThrownBy(() -> stream.capture(() -> {
                throw new IllegalStateException("planted");
            })).hasMessage("planted");
            stream.synchronize();
            stream.capture(() -> {}).close();
        }
    }

    @Test
    void uploadsAMatrixWithoutTheGapsBetweenItsRows() {
        DenseMatrix matrix = DenseMatrix.of(random(4 * (3 * 9 + 7)), DType.F32, 4, 7, 9);
        try (DeviceBuffer buffer = device.upload(matrix)) {
            assertThat(buffer.byteSize()).isEqualTo(4 * 4 * 7);
            MemorySegment back = arena.allocate(buffer.byteSize());
            buffer.copyTo(back);
            for (int row = 0; row < 4; row++) {
                assertSame(back.asSlice(row * 28L), matrix.data().asSlice(row * 36L, 28));
            }
            assertThatThrownBy(() -> device.upload(buffer.matrix(DType.F32, 4, 7)))
                .isInstanceOf(IllegalArgumentException.class).hasMessage("matrix is in cuda:0 memory, expected host");
            assertThatThrownBy(() -> buffer.matrix(DType.F32, 5, 7)).isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("too short");
        }
    }

    private DenseMatrix view(MemorySegment segment, int rows, int cols, long stride) {
        return DenseMatrix.of(device.memory(), segment, DType.BF16, rows, cols, stride);
    }

    @Test
    void describesAMatrixForTheCopyEngine() {
        try (DeviceBuffer buffer = device.allocateBuffer(64 * 136 * 2)) {
            TensorMap map = TensorMap.of(
                device, view(buffer.segment(), 64, 130, 136), 8, 64, TensorMap.Swizzle.BYTES_128);
            assertThat(map.segment().byteSize()).isEqualTo(128);
            assertThat(map.segment().address() % 64).isZero();
            assertThat(map.segment().isReadOnly()).isTrue();
            // The simulated driver writes down what it was asked for, columns before rows.
            assertThat(map.segment().toArray(ValueLayout.JAVA_LONG)).startsWith(
                9, 2, buffer.segment().address(), 130, 64, 272, 64, 8, 3, 2);
        }
    }

    @Test
    void namesWhatTheCopyEngineCannotDo() {
        try (DeviceBuffer buffer = device.allocateBuffer(64 * 136 * 2)) {
            MemorySegment memory = buffer.segment();
            record Bad(DenseMatrix matrix, int boxRows, int boxCols, TensorMap.Swizzle swizzle, String message) {}
            for (Bad bad : new Bad[] {
                new Bad(view(memory, 0, 64, 64), 8, 64, TensorMap.Swizzle.NONE, "rows = 0 is not in 1..2147483647"),
                new Bad(view(memory, 4, 64, 64), 257, 64, TensorMap.Swizzle.NONE, "boxRows = 257 is not in 1..256"),
                new Bad(view(memory, 4, 64, 64), 8, 0, TensorMap.Swizzle.NONE, "boxCols = 0 is not in 1..256"),
                new Bad(view(memory, 4, 64, 64), 8, 64, TensorMap.Swizzle.BYTES_64, "box row bytes = 128 is not in 1..64"),
                new Bad(view(memory, 4, 64, 64), 8, 12, TensorMap.Swizzle.NONE, "box row bytes = 24 is not a multiple of 16"),
                new Bad(view(memory, 4, 60, 65), 8, 64, TensorMap.Swizzle.NONE,
                    "row stride bytes = 130 is not a multiple of 16"),
                new Bad(view(memory.asSlice(2), 4, 64, 64), 8, 64, TensorMap.Swizzle.NONE,
                    "address = " + (memory.address() + 2) + " is not a multiple of 16"),
                new Bad(DenseMatrix.allocate(arena, DType.BF16, 4, 64), 8, 64, TensorMap.Swizzle.NONE,
                    "matrix is in host memory, expected cuda:0")}) {
                assertThatThrownBy(() -> TensorMap.of(device, bad.matrix, bad.boxRows, bad.boxCols, bad.swizzle))
                    .isInstanceOf(IllegalArgumentException.class).hasMessage(bad.message);
            }
        }
    }
}
