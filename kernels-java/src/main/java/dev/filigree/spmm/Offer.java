package dev.filigree.spmm;

import dev.filigree.DType;
import dev.filigree.format.CsrMatrix;
import dev.filigree.spi.GemmKernel;
import dev.filigree.spi.KernelProvider;
import dev.filigree.spi.SpmmDeviceKernel;
import dev.filigree.spi.SpmmFormat;
import dev.filigree.spi.SpmmKernel;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SegmentAllocator;
import java.util.Optional;

/** What a backend offers: a kernel on the host or on a device, and what goes with it. */
sealed interface Offer {

    /** What a provider has for operands of a type, if anything. */
    static Optional<Offer> of(KernelProvider provider, DType dtype) {
        Optional<Offer> host = dtype != DType.F32 ? Optional.empty()
            : provider.spmmF32().map(kernel -> new Host(kernel, provider.gemmF32()));
        return host.or(() -> provider.spmmOnDevice(dtype).map(Device::new));
    }

    /** The kernel's id. */
    String id();

    /** The dense kernel beside it. */
    Optional<GemmKernel> gemm();

    /** Packs a matrix for it, in blocks of {@code givenDepth} columns where that is not 0 and means something. */
    MemorySegment pack(CsrMatrix a, SpmmOptions options, int givenDepth, float[] bias, SegmentAllocator memory);

    /** What the packed form is, in words. */
    String describe(MemorySegment packed);

    /** Scratch that each worker lends to a run of it. */
    long scratchBytes(MemorySegment packed);

    /** Takes ownership of the arena unless it throws; {@code dense} may be null. */
    Executor executor(MemorySegment packed, DenseForm dense, Arena arena, SpmmOptions options);

    /** On the host's cores. */
    record Host(SpmmKernel kernel, Optional<GemmKernel> gemm) implements Offer {
        @Override
        public String id() {
            return kernel.id();
        }

        @Override
        public MemorySegment pack(CsrMatrix a, SpmmOptions options, int givenDepth, float[] bias,
                SegmentAllocator memory) {
            return SpmmPacker.pack(a, options.layout(), options.typicalN(), givenDepth, options.activation().code(),
                bias, memory);
        }

        @Override
        public String describe(MemorySegment packed) {
            return SpmmPacker.describe(packed);
        }

        @Override
        public long scratchBytes(MemorySegment packed) {
            return SpmmFormat.field(packed, SpmmFormat.SCRATCH_BYTES);
        }

        @Override
        public Executor executor(MemorySegment packed, DenseForm dense, Arena arena, SpmmOptions options) {
            return new HostExecutor(kernel, packed, dense, arena, options.layout(), options.workers());
        }
    }

    /** On a device. */
    record Device(SpmmDeviceKernel kernel) implements Offer {

        private DeviceForm form() {
            return DeviceForm.of(kernel.dtype());
        }

        @Override
        public String id() {
            return kernel.id();
        }

        @Override
        public Optional<GemmKernel> gemm() {
            return Optional.empty();
        }

        @Override
        public MemorySegment pack(CsrMatrix a, SpmmOptions options, int givenDepth, float[] bias,
                SegmentAllocator memory) {
            return form().pack(a, options.layout(), options.activation().code(), bias, memory);
        }

        @Override
        public String describe(MemorySegment packed) {
            return form().describe(packed);
        }

        @Override
        public long scratchBytes(MemorySegment packed) {
            return 0;
        }

        @Override
        public Executor executor(MemorySegment packed, DenseForm dense, Arena arena, SpmmOptions options) {
            Arena headers = Arena.ofShared();
            try {
                MemorySegment header = headers.allocate(form().headerBytes(), SpmmFormat.ALIGNMENT);
                header.copyFrom(packed.asSlice(0, form().headerBytes()));
                Executor onDevice = new DeviceExecutor(kernel, form(), header, packed, headers);
                arena.close();
                return onDevice;
            } catch (Throwable t) {
                headers.close();
                throw t;
            }
        }
    }
}
