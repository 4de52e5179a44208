package dev.filigree.internal.scalar;

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

/** The kernels that run on every JVM. */
public final class ScalarProvider implements KernelProvider {

    private final SpmmKernel spmm = new SpmmScalar();
    private final GemmKernel gemm = new GemmScalar();
    private final Map<DType, NmKernel> nm =
        Map.of(DType.F32, new NmScalar(DType.F32), DType.BF16, new NmScalar(DType.BF16));
    private final Map<DType, MlpKernel> mlp =
        Map.of(DType.F32, new MlpScalar(DType.F32), DType.BF16, new MlpScalar(DType.BF16));
    private final AttentionWalk attention = new AttentionScalar(DType.F32);
    private final Map<DType, AttentionKernel> attentions =
        Map.of(DType.F32, attention, DType.BF16, new AttentionScalar(DType.BF16));
    private final Map<DType, PagedKernel> paged = Map.of(
        DType.F32, new PagedWalk("attention_paged_f32_scalar", attention, DType.F32),
        DType.BF16, new PagedWalk("attention_paged_bf16_scalar", attention, DType.BF16));

    @Override
    public Backend backend() {
        return Backend.SCALAR;
    }

    @Override
    public Optional<Refusal> refusal() {
        return Optional.empty();
    }

    @Override
    public List<KernelInfo> kernels() {
        return List.of(new KernelInfo(SpmmScalar.ID, "spmm", DType.F32, "java", "1x1"),
            new KernelInfo(GemmScalar.ID, "gemm", DType.F32, "java", "1x1"),
            new KernelInfo("nm_packed_f32_scalar", "nm", DType.F32, "java", "1x1"),
            new KernelInfo("nm_packed_bf16_scalar", "nm", DType.BF16, "java", "1x1"),
            new KernelInfo("attention_block_f32_scalar", "attention", DType.F32, "java", "1x1"),
            new KernelInfo("attention_block_bf16_scalar", "attention", DType.BF16, "java", "1x1"),
            new KernelInfo("attention_paged_f32_scalar", "attention", DType.F32, "java", "1x1"),
            new KernelInfo("attention_paged_bf16_scalar", "attention", DType.BF16, "java", "1x1"),
            new KernelInfo("mlp_dot_f32_scalar", "mlp", DType.F32, "java", "1x1"),
            new KernelInfo("mlp_axpy_f32_scalar", "mlp", DType.F32, "java", "1x1"),
            new KernelInfo("mlp_dot_bf16_scalar", "mlp", DType.BF16, "java", "1x1"),
            new KernelInfo("mlp_axpy_bf16_scalar", "mlp", DType.BF16, "java", "1x1"));
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
