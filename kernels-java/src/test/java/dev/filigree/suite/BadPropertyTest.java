package dev.filigree.suite;

import static org.assertj.core.api.Assertions.assertThat;

import dev.filigree.Backend;
import dev.filigree.format.CsrMatrix;
import dev.filigree.spmm.Spmm;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A bad switch is told as what it is, each time, by a JVM that has only just started. */
class BadPropertyTest {

    /** What the new JVM runs: asks twice, because a class that failed to initialize gives another error then. */
    static final class Program {
        public static void main(String[] arguments) {
            CsrMatrix a = CsrMatrix.fromArrays(1, 1, new int[] {0, 1}, new int[] {0}, new float[] {2});
            for (int i = 0; i < 2; i++) {
                tell(() -> Backend.VECTOR.isAvailable());
                tell(() -> Spmm.plan(a).close());
            }
        }

        private static void tell(Runnable action) {
            try {
                action.run();
                System.out.println("fine");
            } catch (Throwable t) {
                System.out.println(t);
            }
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"--add-modules=jdk.incubator.vector", "-Dno.incubator=true"})
    void anUnknownMaxIsa(String option) throws Exception {
        String message = "java.lang.IllegalArgumentException: -Dfiligree.maxIsa=AVX512: "
            + "must be one of baseline, avx2, avx512, amx";
        assertThat(FreshJvm.run(Program.class, option, "-Dfiligree.maxIsa=AVX512"))
            .containsExactly(message, message, message, message);
    }

    @ParameterizedTest
    @ValueSource(strings = {"sclar", "SCALAR", ""})
    void anUnknownBackend(String name) throws Exception {
        String message = "java.lang.IllegalArgumentException: -Dfiligree.backend=" + name
            + ": no backend is called '" + name + "'; there are scalar, vector, avx512, cuda";
        assertThat(FreshJvm.run(Program.class, "--add-modules=jdk.incubator.vector", "-Dfiligree.backend=" + name))
            .containsExactly("fine", message, "fine", message);
    }
}
