package dev.filigree.internal.ffi;

import dev.filigree.Backend;
import dev.filigree.Refusal;
import dev.filigree.internal.MaxIsa;
import dev.filigree.spi.AttentionKernel;
import dev.filigree.spi.KernelInfo;
import dev.filigree.spi.KernelProvider;
import dev.filigree.spi.SpmmKernel;
import java.lang.foreign.MemorySegment;
import java.util.List;
import java.util.Optional;

/** The native kernels for AVX-512 and its extensions, from {@code libfiligree.so}. */
public final class Avx512Provider implements KernelProvider {

    private final Optional<Refusal> refusal = lookForRefusal();
    private final List<KernelInfo> kernels =
        refusal.isPresent() ? List.of() : KernelTable.read(ProcessorFeatures.read(), MaxIsa.current());
    private final Optional<SpmmKernel> spmm =
        has(NativeSpmm.ID) ? Optional.of(new NativeSpmm()) : Optional.empty();
    private final Optional<AttentionKernel> attention =
        has(NativeAttention.ID) ? Optional.of(new NativeAttention()) : Optional.empty();

    /** Created by the service loader. */
    public Avx512Provider() {}

    private static Optional<Refusal> lookForRefusal() {
        return switch (NativeLibrary.cpu()) {
            case NativeLibrary.Missing missing -> Optional.of(missing.refusal(Backend.AVX512));
            case NativeLibrary.Loaded loaded -> refusalOf(ProcessorFeatures.read());
        };
    }

    private static Optional<Refusal> refusalOf(ProcessorFeatures features) {
        try {
            return features.refusal(MaxIsa.current());
        } catch (IllegalArgumentException e) {
            // Creating a provider must not fail; a plan meets the same error elsewhere.
            return Optional.of(new Refusal(Backend.AVX512, e.getMessage(), "correct the property"));
        }
    }

    private boolean has(String id) {
        return kernels.stream().anyMatch(kernel -> kernel.id().equals(id));
    }

    @Override
    public Backend backend() {
        return Backend.AVX512;
    }

    @Override
    public Optional<Refusal> refusal() {
        return refusal;
    }

    @Override
    public List<KernelInfo> kernels() {
        return kernels;
    }

    @Override
    public Optional<SpmmKernel> spmmF32() {
        return spmm;
    }

    @Override
    public Optional<AttentionKernel> attentionF32() {
        return attention;
    }

    @Override
    public void adviseHugePages(MemorySegment memory) {
        // Advice: a system that does not take it computes the same.
        Filigree.filigree_advise_huge_pages(memory, memory.byteSize());
    }
}
