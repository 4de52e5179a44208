package dev.filigree.internal.ffi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.NativeException;
import dev.filigree.Refusal;
import dev.filigree.attention.PagedCache;
import dev.filigree.format.RowMatrix;
import dev.filigree.internal.MaxIsa;
import dev.filigree.spi.KernelInfo;
import dev.filigree.spi.SpmmFormat;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

class Avx512ProviderTest {

    private static final int EVERYTHING = -1;

    @Test
    void theRefusalIsThatOfTheLibraryOrOfTheProcessor() {
        Avx512Provider provider = new Avx512Provider();
        assertThat(provider.backend()).isEqualTo(Backend.AVX512);
        Optional<Refusal> expected = switch (NativeLibrary.cpu()) {
            case NativeLibrary.Missing missing -> Optional.of(missing.refusal(Backend.AVX512));
            case NativeLibrary.Loaded loaded -> ProcessorFeatures.read().refusal(MaxIsa.current());
        };
        assertThat(provider.refusal()).isEqualTo(expected);
        if ("avx512".equals(System.getProperty("filigree.require"))) {
            assertThat(provider.refusal()).isEmpty();
        }
    }

    @Test
    void kernelsRunWhereTheProviderIsReady() {
        Avx512Provider provider = new Avx512Provider();
        assumeTrue(provider.refusal().isEmpty(), () -> provider.refusal().toString());
        assertThat(provider.spmmF32()).get().extracting(k -> k.id()).isEqualTo(NativeSpmm.ID);
        assertThat(provider.kernels()).extracting(KernelInfo::id)
            .contains(NativeSpmm.ID).doesNotHaveDuplicates();
    }

    @Test
    void theKernelTableIsThatOfTheSources() throws IOException {
        Tools.assumeNatives();
        Path sources = Path.of(System.getProperty("filigree.repository"), "native/cpu/kernels.def");
        List<String> rows = Pattern.compile("(?m)^FILIGREE_KERNEL\\(filigree_(\\w+)")
            .matcher(Files.readString(sources)).results().map(row -> row.group(1)).toList();
        List<KernelInfo> kernels =
            KernelTable.read(new ProcessorFeatures(EVERYTHING, EVERYTHING, 0), MaxIsa.AMX);
        assertThat(kernels).extracting(KernelInfo::id).isEqualTo(rows);
        KernelInfo spmm =
            kernels.stream().filter(k -> k.id().equals(NativeSpmm.ID)).findFirst().orElseThrow();
        assertThat(spmm.operation()).isEqualTo("spmm");
        assertThat(spmm.dtype()).isEqualTo(DType.F32);
        assertThat(spmm.isa()).isEqualTo("avx512");
        assertThat(spmm.tile()).matches("\\d+x\\d+");
        assertThat(KernelTable.read(new ProcessorFeatures(0, 0, 0), MaxIsa.AMX)).isEmpty();
        assertThat(KernelTable.read(new ProcessorFeatures(EVERYTHING, EVERYTHING, 0), MaxIsa.AVX2)).isEmpty();
    }

    @Test
    void aFailureHasFunctionCodeAndText() {
        Tools.assumeNatives();
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment zeros =
                arena.allocate(SpmmFormat.HEADER_BYTES + SpmmFormat.TAIL, SpmmFormat.ALIGNMENT);
            NativeException failure = catchThrowableOfType(NativeException.class,
                () -> new NativeSpmm().run(zeros, zeros, 1, zeros, 1, 1, 1f, 0f, zeros, 0, 1, zeros));
            assertThat(failure.function()).isEqualTo("filigree_spmm_csr_f32_avx512");
            // The processor is asked before the (impossible) header.
            boolean ready = (ProcessorFeatures.read().usable() & Filigree.FILIGREE_AVX512()) != 0;
            assertThat(failure.code()).isEqualTo(
                ready ? Filigree.FILIGREE_INVALID_ARGUMENT() : Filigree.FILIGREE_UNSUPPORTED_ISA());
            assertThat(failure).hasMessageStartingWith("filigree_spmm_csr_f32_avx512 failed with code "
                + failure.code() + ": " + (ready ? "invalid argument" : "unsupported instructions"));
        }
    }

    @Test
    void memoryIsZeroedAlignedAndTheArenas() {
        Tools.assumeNatives();
        Avx512Provider provider = new Avx512Provider();
        for (long bytes : new long[] {1, 1 << 20, (2 << 20) + 1, (9 << 20) + 4}) {
            MemorySegment memory;
            try (Arena arena = Arena.ofShared()) {
                memory = provider.memory(arena).allocate(bytes, 64);
                assertThat(memory.byteSize()).isEqualTo(bytes);
                assertThat(memory.address() % 64).isZero();
                assertThat(memory.scope()).isEqualTo(arena.scope());
                assertThat(memory.mismatch(arena.allocate(bytes))).isEqualTo(-1);
                memory.fill((byte) 1);
                assertThat(memory.get(ValueLayout.JAVA_BYTE, bytes - 1)).isEqualTo((byte) 1);
            }
            assertThatThrownBy(() -> memory.get(ValueLayout.JAVA_BYTE, 0)).isInstanceOf(IllegalStateException.class);
        }
    }

    @Test
    void rowsLieOnHugePages() {
        Tools.assumeNatives();
        assumeTrue(Backend.AVX512.isAvailable());
        try (Arena arena = Arena.ofConfined()) {
            RowMatrix rows = RowMatrix.of(DenseMatrix.allocate(arena, DType.F32, 1024, 1024));
            assertThat(rows.block().address() % (2 << 20)).isZero();
        }
    }

    @Test
    void cachesLieOnHugePages() {
        Tools.assumeNatives();
        assumeTrue(Backend.AVX512.isAvailable());
        try (Arena arena = Arena.ofConfined()) {
            PagedCache cache = PagedCache.allocate(arena, DType.F32, 64, 2, 64, 128);
            assertThat(cache.keys().data().address() % (2 << 20)).isZero();
            assertThat(cache.values().data().address() % (2 << 20)).isZero();
        }
    }

    @Test
    void moreMemoryThanThereIsIsTheArenasRefusal() {
        Tools.assumeNatives();
        try (Arena arena = Arena.ofShared()) {
            assertThatThrownBy(() -> new Avx512Provider().memory(arena).allocate(1L << 50, 64))
                .isInstanceOf(OutOfMemoryError.class);
        }
    }
}
