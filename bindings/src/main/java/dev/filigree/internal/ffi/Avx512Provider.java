package dev.filigree.internal.ffi;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.Refusal;
import dev.filigree.format.NmPattern;
import dev.filigree.internal.MaxIsa;
import dev.filigree.spi.AttentionKernel;
import dev.filigree.spi.GemmKernel;
import dev.filigree.spi.KernelInfo;
import dev.filigree.spi.KernelProvider;
import dev.filigree.spi.MlpKernel;
import dev.filigree.spi.NmFormat;
import dev.filigree.spi.NmKernel;
import dev.filigree.spi.PagedKernel;
import dev.filigree.spi.SpmmKernel;
import java.lang.foreign.Arena;
import java.lang.foreign.SegmentAllocator;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;

/** The native kernels for AVX-512 and its extensions, from {@code libfiligree.so}. */
public final class Avx512Provider implements KernelProvider {

    /** Rows of an AMX tile. */
    private static final int TILE_ROWS = 16;

    private final Optional<Refusal> refusal = lookForRefusal();
    private final List<KernelInfo> kernels =
        refusal.isPresent() ? List.of() : KernelTable.read(ProcessorFeatures.read(), MaxIsa.current());
    private final Optional<SpmmKernel> spmm = bind(NativeSpmm.ID, NativeSpmm::new);
    private final Optional<GemmKernel> gemm = bind(NativeGemm.ID, NativeGemm::new);
    private final Optional<NmKernel> nmF32 = bind(NativeNm.F32_ID, NativeNm::f32);
    private final Optional<NmKernel> nmBf16 = bind(NativeNm.BF16_ID, NativeNm::bf16);
    private final Optional<NmKernel> nmBf16Tiles = bind(NativeNm.BF16_TILES_ID, NativeNm::bf16Tiles);
    private final Optional<MlpKernel> mlpF32 = bindMlp(DType.F32);
    private final Optional<MlpKernel> mlpBf16 = bindMlp(DType.BF16);
    private final Optional<AttentionKernel> attentionF32 = bind(NativeAttention.F32_ID, NativeAttention::f32);
    private final Optional<AttentionKernel> attentionBf16 = bind(NativeAttention.BF16_ID, NativeAttention::bf16);
    private final Optional<AttentionKernel> attentionBf16Tiles =
        bind(NativeAttention.BF16_TILES_ID, NativeAttention::bf16Tiles);
    private final Optional<PagedKernel> pagedF32 = bind(NativePaged.F32_ID, NativePaged::f32);
    private final Optional<PagedKernel> pagedBf16 = bind(NativePaged.BF16_ID, NativePaged::bf16);
    private final HugePages pages = new HugePages();

    /** Created by the service loader. */
    public Avx512Provider() {}

    /** Empty when the processor cannot run it. */
    private <K> Optional<K> bind(String id, Supplier<K> kernel) {
        return kernels.stream().anyMatch(listed -> listed.id().equals(id))
            ? Optional.of(kernel.get()) : Optional.empty();
    }

    private Optional<MlpKernel> bindMlp(DType dtype) {
        return bind(NativeMlp.ids(dtype).getFirst(), () -> new NativeMlp(dtype));
    }

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

    @Override
    public Backend backend() {
        return Backend.AVX512;
    }

    @Override
    public Optional<Refusal> refusal() {
        return refusal;
    }

    /** Without those of AMX tiles once the operating system has refused them. */
    @Override
    public List<KernelInfo> kernels() {
        boolean tiles = kernels.isEmpty() || !ProcessorFeatures.read().refusesTiles();
        return tiles ? kernels
            : kernels.stream().filter(kernel -> !kernel.isa().equals(MaxIsa.AMX.id())).toList();
    }

    @Override
    public List<Refusal> shortfalls() {
        return ProcessorFeatures.read().shortfalls(MaxIsa.current());
    }

    @Override
    public Optional<SpmmKernel> spmmF32() {
        return spmm;
    }

    @Override
    public Optional<GemmKernel> gemmF32() {
        return gemm;
    }

    @Override
    public Optional<NmKernel> nm(DType dtype, NmPattern pattern) {
        return switch (dtype) {
            case F32 -> nmF32;
            case BF16 -> nmBf16Tiles.filter(tiles -> sharesPositions(pattern) && Tiles.GRANTED).or(() -> nmBf16);
        };
    }

    /** Whether the rows of a group all meet the same elements of a token. */
    private static boolean sharesPositions(NmPattern pattern) {
        return pattern.vector() >= NmFormat.LANES || pattern.n() == pattern.m();
    }

    /** Asks for AMX tiles when the first plan could use them. */
    private static final class Tiles {
        static final boolean GRANTED = Filigree.filigree_request_amx() == Filigree.FILIGREE_OK();
    }

    @Override
    public Optional<MlpKernel> mlp(DType dtype) {
        return switch (dtype) {
            case F32 -> mlpF32;
            case BF16 -> mlpBf16;
        };
    }

    @Override
    public Optional<AttentionKernel> attention(DType dtype, int queries) {
        return switch (dtype) {
            case F32 -> attentionF32;
            case BF16 -> attentionBf16Tiles.filter(tiles -> queries >= TILE_ROWS && Tiles.GRANTED)
                .or(() -> attentionBf16);
        };
    }

    @Override
    public Optional<PagedKernel> paged(DType dtype) {
        return switch (dtype) {
            case F32 -> pagedF32;
            case BF16 -> pagedBf16;
        };
    }

    @Override
    public SegmentAllocator memory(Arena arena) {
        return pages.of(arena);
    }
}
