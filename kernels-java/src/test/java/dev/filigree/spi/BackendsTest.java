package dev.filigree.spi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.filigree.Backend;
import dev.filigree.Refusal;
import dev.filigree.suite.FakeDevice;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class BackendsTest {

    private record Refusing(Backend backend, String reason) implements KernelProvider {
        @Override
        public Optional<Refusal> refusal() {
            return Optional.of(new Refusal(backend, reason, "buy one"));
        }

        @Override
        public List<KernelInfo> kernels() {
            throw new AssertionError("a refusing provider is not asked");
        }
    }

    @Test
    void theScalarBackendIsAlwaysThere() {
        assertThat(Backend.SCALAR.isAvailable()).isTrue();
        assertThat(Backend.SCALAR.unavailabilityCause()).isEmpty();
        Backend.SCALAR.ensureAvailable();
        assertThat(Backends.available()).contains(Backend.SCALAR);
        assertThat(Backends.kernels()).extracting(KernelInfo::id).contains("spmm_csr_f32_scalar");
    }

    @Test
    void theVectorBackendFollowsTheModule() {
        boolean present = ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent();
        assertThat(Backend.VECTOR.isAvailable()).isEqualTo(present);
        if (!present) {
            assertThatThrownBy(Backend.VECTOR::ensureAvailable).isInstanceOf(UnsupportedOperationException.class)
                .hasMessageContaining("--add-modules jdk.incubator.vector");
        }
    }

    @Test
    void unknownNamesListTheKnown() {
        assertThat(Backend.of("avx512")).isEqualTo(Backend.AVX512);
        assertThatThrownBy(() -> Backend.of("AVX")).isInstanceOf(IllegalArgumentException.class)
            .hasMessage("no backend is called 'AVX'; there are scalar, vector, avx512, cuda");
    }

    @Test
    void aRefusalIsKeptAndShownByTheSelection() {
        Backends backends = Backends.lookup(List.of(new Refusing(Backend.AVX512, "no such processor")));
        var selection = backends.choose(Optional.empty(), "spmm in f32", KernelProvider::spmmF32);
        assertThat(selection.provider().backend()).isNotEqualTo(Backend.AVX512);
        assertThat(selection.passedOver()).first().hasToString("avx512: no such processor (buy one)");
        assertThatThrownBy(
                () -> backends.choose(Optional.of(Backend.AVX512), "spmm in f32", KernelProvider::spmmF32))
            .isInstanceOf(UnsupportedOperationException.class)
            .hasMessage("spmm in f32 cannot run: avx512: no such processor (buy one)");
    }

    @Test
    void aMissingProviderIsAReason() {
        Backends backends = Backends.lookup(List.of());
        assertThatThrownBy(() -> backends.choose(Optional.of(Backend.CUDA), "spmm", KernelProvider::spmmF32))
            .hasMessageContaining("filigree-bindings is not on the class path");
    }

    @Test
    void aProviderWithoutTheKernelIsPassedOver() {
        Backends backends = Backends.lookup(List.of(new FakeDevice()));
        assertThatThrownBy(() -> backends.choose(Optional.of(Backend.CUDA), "spmm", KernelProvider::spmmF32))
            .hasMessageContaining("has no kernel for spmm");
        assertThat(backends.choose(Optional.of(Backend.CUDA), "spmm", KernelProvider::spmmF32OnDevice).provider())
            .isInstanceOf(FakeDevice.class);
    }

    @Test
    void theSecondProviderOfABackendIsIgnored() {
        FakeDevice first = new FakeDevice();
        Backends backends = Backends.lookup(List.of(first, new FakeDevice()));
        assertThat(backends.choose(Optional.of(Backend.CUDA), "spmm", KernelProvider::spmmF32OnDevice).provider())
            .isSameAs(first);
    }
}
