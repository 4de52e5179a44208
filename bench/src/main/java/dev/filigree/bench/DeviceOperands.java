package dev.filigree.bench;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.spi.Backends;
import dev.filigree.spi.Device;
import dev.filigree.spi.SpmmDeviceKernel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;

/** Operands of a contender in the memory of the device that it runs on; without a device they stay where they are. */
final class DeviceOperands implements AutoCloseable {

    private final Optional<Device> device;
    private final List<MemorySegment> allocated = new ArrayList<>();

    /** For plans of a backend. */
    DeviceOperands(Backend backend) {
        device = Backends.provider(backend).flatMap(provider -> provider.spmmOnDevice(DType.F32))
            .map(SpmmDeviceKernel::device);
    }

    /** The device's cache; empty without a device. */
    OptionalLong cacheBytes() {
        return device.isEmpty() ? OptionalLong.empty() : OptionalLong.of(device.get().cacheBytes());
    }

    /** A packed host matrix, where the backend reads it without copies. */
    DenseMatrix place(DenseMatrix host) {
        if (device.isEmpty()) {
            return host;
        }
        Device there = device.get();
        MemorySegment segment = there.allocate(Math.max(1, host.data().byteSize()));
        allocated.add(segment);
        there.memory().copyFromHost(host.data(), segment);
        return DenseMatrix.of(there.memory(), segment, host.dtype(), host.rows(), host.cols(), host.rowStride());
    }

    /** What a matrix holds now, in host memory. */
    DenseMatrix fetch(DenseMatrix matrix, Arena arena) {
        if (device.isEmpty()) {
            return matrix;
        }
        DenseMatrix host = DenseMatrix.allocate(arena, matrix.dtype(), matrix.rows(), matrix.cols());
        device.get().memory().copyToHost(matrix.data(), host.data());
        return host;
    }

    @Override
    public void close() {
        device.ifPresent(there -> allocated.forEach(there::free));
        allocated.clear();
    }
}
