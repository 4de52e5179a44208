package dev.filigree.suite;

import static org.assertj.core.api.Assertions.assertThat;

import dev.filigree.Backend;
import dev.filigree.DenseMatrix;
import dev.filigree.Layout;
import dev.filigree.Workers;
import dev.filigree.spmm.Spmm;
import dev.filigree.spmm.SpmmPlan;
import dev.filigree.suite.spmm.SpmmCase;
import java.lang.foreign.Arena;
import org.junit.jupiter.api.Test;

/** What works in a JVM that denies native access: everything, on the scalar backend. */
class NativeAccessTest {

    static final class Program {
        public static void main(String[] arguments) {
            System.out.println(Backend.VECTOR.unavailabilityCause().orElseThrow());
            // Large enough to be shared, but only its owner may touch a confined operand.
            SpmmCase test = SpmmCase.plain(SpmmCase.uniform(1, 200, 200, 0.3), 100, Layout.FEATURE_MAJOR);
            try (Workers team = Workers.of(3); Arena confined = Arena.ofConfined(); Arena shared = Arena.ofShared();
                    SpmmPlan plan = Spmm.plan(test.a(), test.options().workers(team))) {
                DenseMatrix ofOwner = test.output(confined);
                plan.run(test.input(confined), ofOwner);
                DenseMatrix ofAll = test.output(shared);
                plan.run(test.input(shared), ofAll);
                System.out.println(plan.backend().id() + Bits.difference("shared", ofAll, "confined", ofOwner));
            }
        }
    }

    @Test
    void deniedNativeAccessLeavesTheScalarBackend() throws Exception {
        assertThat(FreshJvm.run(Program.class, "--add-modules=jdk.incubator.vector", "--illegal-native-access=deny"))
            .containsExactly("vector: native access is denied to Filigree's Java kernels (start Java with "
                + "--enable-native-access=ALL-UNNAMED)", "scalarOptional.empty");
    }
}
