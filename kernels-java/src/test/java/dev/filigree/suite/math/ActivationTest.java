package dev.filigree.suite.math;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.filigree.Activation;
import dev.filigree.internal.MaxIsa;
import dev.filigree.internal.scalar.ScalarMath;
import org.junit.jupiter.api.Test;

class ActivationTest {

    @Test
    void codesAndNamesAreStable() {
        assertThat(Activation.values()).extracting(Activation::code).containsExactly(0, 1, 2, 3, 4, 5);
        assertThat(Activation.values()).extracting(Activation::id)
                .containsExactly("none", "relu", "relu-squared", "gelu-tanh", "gelu-erf", "silu");
        for (Activation activation : Activation.values()) {
            assertThat(Activation.of(activation.id())).isSameAs(activation);
        }
    }

    @Test
    void unknownNamesListTheKnownOnes() {
        assertThatThrownBy(() -> Activation.of("gelu")).isInstanceOf(IllegalArgumentException.class)
                .hasMessageContainingAll("'gelu'", "none, relu, relu-squared, gelu-tanh, gelu-erf, silu");
        assertThatThrownBy(() -> ScalarMath.activate(-1, 0f)).isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("-1");
    }

    @Test
    void maxIsaCapsTheVectorSize() {
        String before = System.getProperty(MaxIsa.PROPERTY);
        try {
            System.clearProperty(MaxIsa.PROPERTY);
            assertThat(MaxIsa.current()).isSameAs(MaxIsa.AMX);
            int[] bits = {128, 256, 512, 512};
            for (MaxIsa isa : MaxIsa.values()) {
                System.setProperty(MaxIsa.PROPERTY, isa.id());
                assertThat(MaxIsa.current()).isSameAs(isa);
                assertThat(isa.vectorBits()).isEqualTo(bits[isa.ordinal()]);
            }
            System.setProperty(MaxIsa.PROPERTY, "AVX512");
            assertThatThrownBy(MaxIsa::current).isInstanceOf(IllegalArgumentException.class)
                    .hasMessage("-Dfiligree.maxIsa=AVX512: must be one of baseline, avx2, avx512, amx");
        } finally {
            if (before == null) {
                System.clearProperty(MaxIsa.PROPERTY);
            } else {
                System.setProperty(MaxIsa.PROPERTY, before);
            }
        }
    }
}
