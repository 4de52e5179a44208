package dev.filigree.spmm;

import dev.filigree.DenseMatrix;
import dev.filigree.Memory;
import dev.filigree.Stream;
import dev.filigree.spi.Device;
import dev.filigree.spi.SpmmDeviceKernel;
import dev.filigree.spi.SpmmFormat;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** Runs on a device: the packed matrix lives there, host operands are copied there and back. */
final class DeviceExecutor implements Executor {

    private final SpmmDeviceKernel kernel;
    private final DeviceForm form;
    private final Device device;
    private final MemorySegment header;
    private final MemorySegment packed;
    private final Arena arena;
    private final Stream stream;
    /** Streams that got asynchronous runs: closing waits for them. */
    private final Set<Stream> submittedTo = ConcurrentHashMap.newKeySet();

    /** Takes ownership of the arena, where the header stays, unless it throws. */
    DeviceExecutor(SpmmDeviceKernel kernel, DeviceForm form, MemorySegment header, MemorySegment hostPacked,
            Arena arena) {
        this.kernel = kernel;
        this.form = form;
        this.header = header;
        this.arena = arena;
        device = kernel.device();
        packed = device.allocate(hostPacked.byteSize());
        Stream made = null;
        try {
            device.memory().copyFromHost(hostPacked, packed);
            made = device.newStream();
        } finally {
            if (made == null) {
                device.free(packed);
            }
        }
        stream = made;
    }

    @Override
    public void checkStream(Stream target) {
        if (!target.memory().equals(device.memory())) {
            throw new IllegalArgumentException("the stream belongs to " + target.memory().id()
                + " memory, the plan runs on " + device.memory().id());
        }
    }

    @Override
    public int check(SpmmPlan plan, DenseMatrix b, DenseMatrix c) {
        // The output's memory follows the input's: mixed operands are refused by the name of the odd one.
        Memory memory = b.memory().isHost() ? Memory.HOST : device.memory();
        return Executor.checkOperands(plan, memory, b, c);
    }

    @Override
    public void run(float alpha, DenseMatrix b, float beta, DenseMatrix c, int n) {
        if (b.memory().isHost()) {
            runStaged(alpha, b, beta, c, n);
        } else {
            launch(stream, alpha, b, beta, c, n);
            stream.synchronize();
        }
    }

    private void runStaged(float alpha, DenseMatrix b, float beta, DenseMatrix c, int n) {
        Memory memory = device.memory();
        long bytes = (long) c.dtype().bytes() * c.rows() * c.cols();
        MemorySegment onDeviceB = device.allocate(Math.max(1, b.data().byteSize()));
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment onDeviceC = device.allocate(bytes);
            try {
                memory.copyFromHost(b.data(), onDeviceB);
                // Without gaps between its rows: what lies there is not ours to write, be it with the old values.
                boolean gaps = c.rowStride() != c.cols();
                MemorySegment dense = gaps ? arena.allocate(bytes, c.dtype().bytes()) : c.data();
                if (beta != 0f) {
                    if (gaps) {
                        copyRows(c, dense, true);
                    }
                    memory.copyFromHost(dense, onDeviceC);
                }
                kernel.launch(header, packed, onDeviceB, b.rowStride(), onDeviceC, c.cols(), n, alpha, beta, stream);
                stream.synchronize();
                memory.copyToHost(onDeviceC.asSlice(0, bytes), dense);
                if (gaps) {
                    copyRows(c, dense, false);
                }
            } finally {
                device.free(onDeviceC);
            }
        } finally {
            device.free(onDeviceB);
        }
    }

    private static void copyRows(DenseMatrix matrix, MemorySegment dense, boolean toDense) {
        long bytes = (long) matrix.dtype().bytes() * matrix.cols();
        for (int row = 0; row < matrix.rows(); row++) {
            long at = matrix.dtype().bytes() * (row * matrix.rowStride());
            if (toDense) {
                MemorySegment.copy(matrix.data(), at, dense, row * bytes, bytes);
            } else {
                MemorySegment.copy(dense, row * bytes, matrix.data(), at, bytes);
            }
        }
    }

    @Override
    public void runAsync(Stream target, float alpha, DenseMatrix b, float beta, DenseMatrix c, int n) {
        if (b.memory().isHost()) {
            throw new IllegalArgumentException("runAsync takes operands in " + device.memory().id()
                + " memory, these are in host memory");
        }
        submittedTo.add(target);
        launch(target, alpha, b, beta, c, n);
    }

    private void launch(Stream target, float alpha, DenseMatrix b, float beta, DenseMatrix c, int n) {
        kernel.launch(header, packed, b.data(), b.rowStride(), c.data(), c.rowStride(), n, alpha, beta, target);
    }

    @Override
    public void update(MemorySegment values) {
        submittedTo.forEach(Stream::synchronize);
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment onHost = arena.allocate(packed.byteSize(), SpmmFormat.ALIGNMENT);
            device.memory().copyToHost(packed, onHost);
            form.update(onHost, values);
            device.memory().copyFromHost(onHost, packed);
        }
    }

    @Override
    public void close() {
        RuntimeException failure = null;
        for (Stream submitted : submittedTo) {
            failure = attempt(submitted::synchronize, failure);
        }
        failure = attempt(stream::close, failure);
        failure = attempt(() -> device.free(packed), failure);
        failure = attempt(arena::close, failure);
        if (failure != null) {
            throw failure;
        }
    }

    /** Each step is taken whatever became of those before; the first failure is kept, the others go with it. */
    private static RuntimeException attempt(Runnable step, RuntimeException failure) {
        try {
            step.run();
        } catch (RuntimeException e) {
            if (failure == null) {
                return e;
            }
            failure.addSuppressed(e);
        }
        return failure;
    }
}
