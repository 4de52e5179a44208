package dev.filigree.spmm;

import dev.filigree.DenseMatrix;
import dev.filigree.Memory;
import dev.filigree.Stream;
import dev.filigree.spi.Device;
import dev.filigree.spi.SpmmDeviceKernel;
import java.lang.foreign.MemorySegment;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** Runs on a device: the packed matrix lives there, host operands are copied there and back. */
final class DeviceExecutor implements Executor {

    private final SpmmDeviceKernel kernel;
    private final Device device;
    private final MemorySegment packed;
    private final Stream stream;
    /** Streams that got asynchronous runs: closing waits for them. */
    private final Set<Stream> submittedTo = ConcurrentHashMap.newKeySet();

    DeviceExecutor(SpmmDeviceKernel kernel, MemorySegment hostPacked) {
        this.kernel = kernel;
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
        MemorySegment onDeviceB = device.allocate(Math.max(1, b.data().byteSize()));
        try {
            MemorySegment onDeviceC = device.allocate(Math.max(1, c.data().byteSize()));
            try {
                memory.copyFromHost(b.data(), onDeviceB);
                // Strided outputs keep what lies between their rows, so the whole range goes there and back.
                memory.copyFromHost(c.data(), onDeviceC);
                kernel.launch(
                    packed, onDeviceB, b.rowStride(), onDeviceC, c.rowStride(), n, alpha, beta, stream);
                stream.synchronize();
                memory.copyToHost(onDeviceC.asSlice(0, c.data().byteSize()), c.data());
            } finally {
                device.free(onDeviceC);
            }
        } finally {
            device.free(onDeviceB);
        }
    }

    @Override
    public void runAsync(Stream target, float alpha, DenseMatrix b, float beta, DenseMatrix c, int n) {
        if (!target.memory().equals(device.memory())) {
            throw new IllegalArgumentException("the stream belongs to " + target.memory().id()
                + " memory, the plan runs on " + device.memory().id());
        }
        if (b.memory().isHost()) {
            throw new IllegalArgumentException("runAsync takes operands in " + device.memory().id()
                + " memory, these are in host memory");
        }
        if (n > 0) {
            submittedTo.add(target);
            launch(target, alpha, b, beta, c, n);
        }
    }

    private void launch(Stream target, float alpha, DenseMatrix b, float beta, DenseMatrix c, int n) {
        kernel.launch(packed, b.data(), b.rowStride(), c.data(), c.rowStride(), n, alpha, beta, target);
    }

    @Override
    public void close() {
        submittedTo.forEach(Stream::synchronize);
        stream.close();
        device.free(packed);
    }
}
