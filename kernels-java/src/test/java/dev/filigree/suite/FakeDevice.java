package dev.filigree.suite;

import dev.filigree.Activation;
import dev.filigree.Backend;
import dev.filigree.Bf16;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Layout;
import dev.filigree.Memory;
import dev.filigree.NativeException;
import dev.filigree.Refusal;
import dev.filigree.Stream;
import dev.filigree.internal.scalar.ScalarProvider;
import dev.filigree.spi.BitmapFormat;
import dev.filigree.spi.Device;
import dev.filigree.spi.KernelInfo;
import dev.filigree.spi.KernelProvider;
import dev.filigree.spi.SpmmDeviceKernel;
import dev.filigree.spi.SpmmFormat;
import dev.filigree.spi.SpmmKernel;
import dev.filigree.suite.spmm.BitmapTiles;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * A device that is not one: its memory is the host's under another name, its streams are threads, its kernel is
 * the scalar one. It shows what plans do with a device, on machines that have none.
 */
public class FakeDevice implements KernelProvider, Device {

    private final SpmmKernel scalar = new ScalarProvider().spmmF32().orElseThrow();
    private final Map<Long, Arena> allocations = new ConcurrentHashMap<>();
    private final Memory memory = new FakeMemory();
    private volatile long bytesLeft = Long.MAX_VALUE;
    private volatile Runnable duringLaunch = () -> {};

    /** After this, no more than so many bytes can be allocated. */
    public void limitMemory(long bytes) {
        bytesLeft = bytes;
    }

    /** Does something while a kernel is at work, before it writes. */
    public void duringLaunch(Runnable action) {
        duringLaunch = action;
    }

    /** Device allocations that are not freed. */
    public int liveAllocations() {
        return allocations.size();
    }

    /** A device matrix with the content of a host matrix. */
    public DenseMatrix upload(DenseMatrix host) {
        MemorySegment segment = allocate(host.data().byteSize());
        memory.copyFromHost(host.data(), segment);
        return DenseMatrix.of(memory, segment, host.dtype(), host.rows(), host.cols(), host.rowStride());
    }

    @Override
    public Backend backend() {
        return Backend.CUDA;
    }

    @Override
    public Optional<Refusal> refusal() {
        return Optional.empty();
    }

    @Override
    public List<KernelInfo> kernels() {
        return List.of(new KernelInfo("spmm_csr_f32_fake", "spmm", DType.F32, "fake", "1x1"),
            new KernelInfo("spmm_bitmap_bf16_fake", "spmm", DType.BF16, "fake", "1x1"));
    }

    @Override
    public Optional<SpmmDeviceKernel> spmmOnDevice(DType dtype) {
        return Optional.of(dtype == DType.F32 ? new FakeKernel() : new FakeBitmapKernel());
    }

    @Override
    public Memory memory() {
        return memory;
    }

    @Override
    public MemorySegment allocate(long bytes) {
        if (bytes > bytesLeft) {
            throw new NativeException("fakeAllocate", 2, "out of memory");
        }
        Arena arena = Arena.ofShared();
        MemorySegment segment = arena.allocate(bytes, 256);
        allocations.put(segment.address(), arena);
        return segment;
    }

    @Override
    public void free(MemorySegment segment) {
        Arena arena = allocations.remove(segment.address());
        if (arena == null) {
            throw new IllegalStateException("freed twice, or never allocated");
        }
        arena.close();
    }

    @Override
    public long cacheBytes() {
        return 0;
    }

    @Override
    public Stream newStream() {
        return new FakeStream(memory);
    }

    /** A stream whose work waits until the gate opens. */
    public static FakeStream gatedStream(FakeDevice device, CountDownLatch gate) {
        FakeStream stream = new FakeStream(device.memory);
        stream.submit(() -> {
            try {
                gate.await();
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        });
        return stream;
    }

    private static final class FakeMemory implements Memory {
        @Override
        public String id() {
            return "fake:0";
        }

        @Override
        public void copyFromHost(MemorySegment source, MemorySegment target) {
            target.copyFrom(source);
        }

        @Override
        public void copyToHost(MemorySegment source, MemorySegment target) {
            target.copyFrom(source);
        }
    }

    /** Work runs in order on one thread. */
    public static final class FakeStream implements Stream {
        private final Memory memory;
        private final ExecutorService executor = Executors.newSingleThreadExecutor(Thread.ofPlatform().daemon()
            .factory());
        private volatile Future<?> last;

        FakeStream(Memory memory) {
            this.memory = memory;
        }

        void submit(Runnable work) {
            last = executor.submit(work);
        }

        @Override
        public Memory memory() {
            return memory;
        }

        @Override
        public void synchronize() {
            Future<?> waiting = last;
            if (waiting != null) {
                try {
                    waiting.get();
                } catch (InterruptedException e) {
                    Thread.currentThread().interrupt();
                } catch (java.util.concurrent.ExecutionException e) {
                    throw new NativeException("fakeSynchronize", 700, String.valueOf(e.getCause()));
                }
            }
        }

        @Override
        public void close() {
            synchronize();
            executor.shutdown();
        }
    }

    private final class FakeKernel implements SpmmDeviceKernel {
        @Override
        public String id() {
            return "spmm_csr_f32_fake";
        }

        @Override
        public DType dtype() {
            return DType.F32;
        }

        @Override
        public Device device() {
            return FakeDevice.this;
        }

        @Override
        public void launch(MemorySegment header, MemorySegment packed, MemorySegment b, long bStride,
                MemorySegment c, long cStride, int n, float alpha, float beta, Stream stream) {
            ((FakeStream) stream).submit(() -> {
                duringLaunch.run();
                try (Arena arena = Arena.ofConfined()) {
                    long panels = SpmmFormat.panels(n);
                    long items = panels * SpmmFormat.field(packed, SpmmFormat.CHUNK_COUNT);
                    long combine = panels * SpmmFormat.field(packed, SpmmFormat.SPLIT_COUNT);
                    MemorySegment scratch =
                        arena.allocate(SpmmFormat.field(packed, SpmmFormat.SCRATCH_BYTES), 64);
                    MemorySegment partials = arena.allocate(Math.max(64, Float.BYTES
                        * SpmmFormat.field(packed, SpmmFormat.PARTIAL_COUNT) * SpmmFormat.partialStride(n)), 64);
                    scalar.run(packed, b, bStride, c, cStride, n, alpha, beta, partials, 0, items, scratch);
                    if (combine > 0) {
                        scalar.run(packed, b, bStride, c, cStride, n, alpha, beta, partials, items,
                            items + combine, scratch);
                    }
                }
            });
        }
    }

    /** Reads the matrix through the tables of the operands, and adds up in double. */
    private final class FakeBitmapKernel implements SpmmDeviceKernel {
        @Override
        public String id() {
            return "spmm_bitmap_bf16_fake";
        }

        @Override
        public DType dtype() {
            return DType.BF16;
        }

        @Override
        public Device device() {
            return FakeDevice.this;
        }

        @Override
        public void launch(MemorySegment header, MemorySegment packed, MemorySegment b, long bStride,
                MemorySegment c, long cStride, int n, float alpha, float beta, Stream stream) {
            if (header.mismatch(packed.asSlice(0, BitmapFormat.HEADER_BYTES)) != -1) {
                throw new IllegalArgumentException("the header is another matrix's");
            }
            ((FakeStream) stream).submit(() -> {
                duringLaunch.run();
                float[] a = BitmapTiles.unpack(packed);
                int rows = (int) BitmapFormat.field(header, BitmapFormat.ROWS);
                int cols = (int) BitmapFormat.field(header, BitmapFormat.COLS);
                boolean tokens = header.get(ValueLayout.JAVA_INT, BitmapFormat.LAYOUT) == Layout.TOKEN_MAJOR.code();
                Activation activation = Activation.values()[header.get(ValueLayout.JAVA_INT, BitmapFormat.ACTIVATION)];
                long bias = BitmapFormat.field(header, BitmapFormat.BIAS);
                for (int row = 0; row < rows; row++) {
                    for (int j = 0; j < n; j++) {
                        double sum = 0;
                        for (int k = 0; k < cols; k++) {
                            if (!Float.isNaN(a[row * cols + k])) {
                                sum += (double) a[row * cols + k]
                                    * bf16(b, tokens ? j * bStride + k : k * bStride + j);
                            }
                        }
                        long at = tokens ? j * cStride + row : row * cStride + j;
                        double y = alpha * sum + (beta == 0 ? 0 : beta * bf16(c, at))
                            + (bias == 0 ? 0 : packed.get(ValueLayout.JAVA_FLOAT, bias + 4L * row));
                        c.setAtIndex(ValueLayout.JAVA_SHORT, at,
                            Bf16.fromFloat((float) ReferenceMath.activate(activation, y)));
                    }
                }
            });
        }

        private static float bf16(MemorySegment from, long index) {
            return Bf16.toFloat(from.getAtIndex(ValueLayout.JAVA_SHORT, index));
        }
    }
}
