package dev.filigree.suite.attention;

import dev.filigree.Backend;
import dev.filigree.DType;
import dev.filigree.DenseMatrix;
import dev.filigree.Workers;
import dev.filigree.attention.Attention;
import dev.filigree.attention.AttentionPlan;
import dev.filigree.attention.AttentionTensor;
import dev.filigree.spi.Backends;
import dev.filigree.suite.Bits;
import dev.filigree.suite.HostBackends;
import java.lang.foreign.Arena;
import java.util.List;
import java.util.Optional;

/**
 * The outputs of a case.
 *
 * @param out the attention
 * @param lse the log-sum-exp of the scores
 */
public record AttentionRun(AttentionTensor out, DenseMatrix lse) {

    /** The host backends that have a kernel for a type. */
    public static List<Backend> backends(DType dtype) {
        return HostBackends.available().stream().filter(
            backend -> Backends.provider(backend).orElseThrow().attention(dtype, 1).isPresent()).toList();
    }

    /** Whether a backend's result of a case has the scalar kernel's bits. */
    public static boolean sharesBits(AttentionCase test, Backend backend) {
        return Backends.provider(backend).orElseThrow().attention(test.dtype(), test.mask().grid().queries())
            .orElseThrow().sharesBits();
    }

    /** Plans and runs a case on one backend with one team; the outputs live in the arena. */
    public static AttentionRun run(AttentionCase test, Backend backend, Workers workers, Arena arena) {
        try (AttentionPlan plan =
                Attention.plan(test.mask(), test.options().backend(backend).workers(workers))) {
            return run(test, plan, arena);
        }
    }

    /** Runs a case through a plan that was made for it. */
    public static AttentionRun run(AttentionCase test, AttentionPlan plan, Arena arena) {
        AttentionRun outputs = new AttentionRun(test.output(arena), test.lse(arena));
        plan.run(test.queries(arena), test.keys(arena), test.values(arena), test.keyLengths(), outputs.out,
            outputs.lse);
        return outputs;
    }

    /** The reference of a case. */
    public static AttentionReference reference(AttentionCase test, Arena arena) {
        return new AttentionReference(test, test.queries(arena), test.keys(arena), test.values(arena));
    }

    /** Where the outputs of two runs first differ in a bit. */
    public Optional<String> difference(String name, AttentionRun other, String otherName) {
        return Bits.difference(name, memory(out), otherName, memory(other.out))
            .or(() -> Bits.difference(name + " lse", lse, otherName + " lse", other.lse));
    }

    private static DenseMatrix memory(AttentionTensor tensor) {
        return DenseMatrix.of(
            tensor.data(), tensor.dtype(), 1, (int) (tensor.data().byteSize() / tensor.dtype().bytes()));
    }
}
