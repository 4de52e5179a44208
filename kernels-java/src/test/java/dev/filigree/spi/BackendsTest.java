package dev.filigree.spi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.Refusal;
import dev.filigree.format.CsrMatrix;
import dev.filigree.internal.MaxIsa;
import dev.filigree.spmm.Spmm;
import dev.filigree.spmm.SpmmOptions;
import dev.filigree.spmm.SpmmPlan;
import dev.filigree.suite.FakeDevice;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.ServiceConfigurationError;
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
        assertThat(Backend.SCALAR.shortfalls()).isEmpty();
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
        assertThat(backends.choose(Optional.of(Backend.CUDA), "spmm", provider -> provider.spmmOnDevice(DType.F32)).provider())
            .isInstanceOf(FakeDevice.class);
    }

    @Test
    void theSecondProviderOfABackendIsIgnored() {
        FakeDevice first = new FakeDevice();
        Backends backends = Backends.lookup(List.of(first, new FakeDevice()));
        assertThat(backends.choose(Optional.of(Backend.CUDA), "spmm", provider -> provider.spmmOnDevice(DType.F32)).provider())
            .isSameAs(first);
    }

    @Test
    void aProviderThatFailsIsARefusalAndTheOthersWork() {
        KernelProvider broken = new FakeDevice() {
            @Override
            public Optional<Refusal> refusal() {
                throw new IllegalStateException("planted");
            }
        };
        Backends backends = Backends.lookup(List.of(broken));
        assertThat(backends.choose(Optional.of(Backend.SCALAR), "spmm", KernelProvider::spmmF32).passedOver())
            .isEmpty();
        assertThatThrownBy(() -> backends.choose(Optional.of(Backend.CUDA), "spmm", provider -> provider.spmmOnDevice(DType.F32)))
            .isInstanceOf(UnsupportedOperationException.class).hasMessageContaining("planted");
    }

    @Test
    void aProviderThatCannotBeLoadedIsTheReasonThatIsShown() {
        Iterable<KernelProvider> services = () -> new Iterator<>() {
            private boolean failed;

            @Override
            public boolean hasNext() {
                return !failed;
            }

            @Override
            public KernelProvider next() {
                failed = true;
                throw new ServiceConfigurationError("Provider Broken could not be instantiated");
            }
        };
        Backends backends = Backends.lookup(services);
        assertThatThrownBy(() -> backends.choose(Optional.of(Backend.CUDA), "spmm", provider -> provider.spmmOnDevice(DType.F32)))
            .isInstanceOf(UnsupportedOperationException.class)
            .hasMessageContaining("Provider Broken could not be instantiated");
    }

    @Test
    void anUnknownForcedBackendIsAnErrorFromEveryPlan() {
        CsrMatrix a = CsrMatrix.fromArrays(1, 1, new int[] {0, 1}, new int[] {0}, new float[] {2});
        withProperty(Backends.FORCE_PROPERTY, "sclar", () -> {
            assertThatThrownBy(() -> Spmm.plan(a)).isInstanceOf(IllegalArgumentException.class)
                .hasMessage("-Dfiligree.backend=sclar: no backend is called 'sclar'; "
                    + "there are scalar, vector, avx512, cuda");
            assertThatThrownBy(() -> Spmm.plan(a, SpmmOptions.defaults().backend(Backend.SCALAR)))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("-Dfiligree.backend=sclar");
        });
        withProperty(Backends.FORCE_PROPERTY, "scalar", () -> {
            try (SpmmPlan plan = Spmm.plan(a)) {
                assertThat(plan.backend()).isEqualTo(Backend.SCALAR);
            }
        });
        for (Backend backend : Backend.values()) {
            if (!backend.isAvailable()) {
                withProperty(Backends.FORCE_PROPERTY, backend.id(), () -> assertThatThrownBy(() -> Spmm.plan(a))
                    .isInstanceOf(UnsupportedOperationException.class)
                    .hasMessageContaining(backend.unavailabilityCause().orElseThrow().reason()));
            }
        }
    }

    @Test
    void anUnknownMaxIsaIsAnErrorFromBackendsAndPlans() {
        CsrMatrix a = CsrMatrix.fromArrays(1, 1, new int[] {0, 1}, new int[] {0}, new float[] {2});
        String message = "-Dfiligree.maxIsa=sse9: must be one of baseline, avx2, avx512, amx";
        withProperty(MaxIsa.PROPERTY, "sse9", () -> {
            assertThatThrownBy(Backend.VECTOR::isAvailable).isInstanceOf(IllegalArgumentException.class)
                .hasMessage(message);
            assertThatThrownBy(() -> Spmm.plan(a)).isInstanceOf(IllegalArgumentException.class).hasMessage(message);
        });
        Spmm.plan(a).close();
    }

    private static void withProperty(String name, String value, Runnable action) {
        String before = System.getProperty(name);
        System.setProperty(name, value);
        try {
            action.run();
        } finally {
            if (before == null) {
                System.clearProperty(name);
            } else {
                System.setProperty(name, before);
            }
        }
    }
}
