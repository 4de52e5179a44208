package dev.filigree.internal.vector;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.Refusal;
import dev.filigree.format.NmPattern;
import dev.filigree.internal.AttentionWalk;
import dev.filigree.internal.PagedWalk;
import dev.filigree.spi.AttentionKernel;
import dev.filigree.spi.GemmKernel;
import dev.filigree.spi.KernelInfo;
import dev.filigree.spi.KernelProvider;
import dev.filigree.spi.MlpKernel;
import dev.filigree.spi.NmKernel;
import dev.filigree.spi.PagedKernel;
import dev.filigree.spi.SpmmKernel;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The Vector API kernels; created only where module {@code jdk.incubator.vector} is present. */
public final class VectorProvider implements KernelProvider {

    private final SpmmKernel spmm = new SpmmVector();
    private final GemmKernel gemm = new GemmVector();
    private final Map<DType, NmKernel> nm =
        Map.of(DType.F32, new NmVector(DType.F32), DType.BF16, new NmVector(DType.BF16));
    private final Map<DType, MlpKernel> mlp =
        Map.of(DType.F32, new MlpVector(DType.F32), DType.BF16, new MlpVector(DType.BF16));
    private final AttentionWalk attention = new AttentionVector(DType.F32);
    private final Map<DType, AttentionKernel> attentions =
        Map.of(DType.F32, attention, DType.BF16, new AttentionVector(DType.BF16));
    private final Map<DType, PagedKernel> paged = Map.of(
        DType.F32, new PagedWalk("attention_paged_f32_vector", attention, DType.F32),
        DType.BF16, new PagedWalk("attention_paged_bf16_vector", attention, DType.BF16));

    /** Created by name. */
    public VectorProvider() {}

    @Override
    public Backend backend() {
        return Backend.VECTOR;
    }

    @Override
    public Optional<Refusal> refusal() {
        return RawMemory.refusal();
    }

    @Override
    public List<KernelInfo> kernels() {
        String isa = "java-" + Species.F32.vectorBitSize();
        return List.of(new KernelInfo(SpmmVector.ID, "spmm", DType.F32, isa, SpmmVector.TILE),
            new KernelInfo(GemmVector.ID, "gemm", DType.F32, isa, GemmVector.TILE),
            new KernelInfo("nm_packed_f32_vector", "nm", DType.F32, isa, NmVector.TILE),
            new KernelInfo("nm_packed_bf16_vector", "nm", DType.BF16, isa, NmVector.TILE),
            new KernelInfo("attention_block_f32_vector", "attention", DType.F32, isa, AttentionVector.TILE),
            new KernelInfo("attention_block_bf16_vector", "attention", DType.BF16, isa, AttentionVector.TILE),
            new KernelInfo("attention_paged_f32_vector", "attention", DType.F32, isa, AttentionVector.TILE),
            new KernelInfo("attention_paged_bf16_vector", "attention", DType.BF16, isa, AttentionVector.TILE),
            new KernelInfo("mlp_dot_f32_vector", "mlp", DType.F32, isa, MlpVector.DOT_TILE_F32),
            new KernelInfo("mlp_axpy_f32_vector", "mlp", DType.F32, isa, MlpVector.AXPY_TILE),
            new KernelInfo("mlp_dot_bf16_vector", "mlp", DType.BF16, isa, MlpVector.DOT_TILE_BF16),
            new KernelInfo("mlp_axpy_bf16_vector", "mlp", DType.BF16, isa, MlpVector.AXPY_TILE));
    }

    @Override
    public Optional<SpmmKernel> spmmF32() {
        return Optional.of(spmm);
    }

    @Override
    public Optional<GemmKernel> gemmF32() {
        return Optional.of(gemm);
    }

    @Override
    public Optional<NmKernel> nm(DType dtype, NmPattern pattern) {
        return Optional.of(nm.get(dtype));
    }

    @Override
    public Optional<MlpKernel> mlp(DType dtype) {
        return Optional.of(mlp.get(dtype));
    }

    @Override
    public Optional<AttentionKernel> attention(DType dtype, int queries) {
        return Optional.of(attentions.get(dtype));
    }

    @Override
    public Optional<PagedKernel> paged(DType dtype) {
        return Optional.ofNullable(paged.get(dtype));
    }
}
