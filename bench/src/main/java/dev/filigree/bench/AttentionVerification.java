package dev.filigree.bench;

import dev.filigree.Backend;
import dev.filigree.Workers;
import dev.filigree.attention.Attention;
import dev.filigree.attention.AttentionPlan;
import dev.filigree.attention.DecodePlan;
import dev.filigree.suite.attention.AttentionCase;
import dev.filigree.suite.attention.AttentionReference;
import dev.filigree.suite.attention.AttentionRun;
import dev.filigree.suite.attention.DecodeCase;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/** {@link SpmmVerification} for attention. */
final class AttentionVerification implements Verification {

    /** Besides one thread: few, an odd number, more than the work has items. */
    private static final int[] TEAMS = {2, 3, 7, 64};

    private final List<Backend> backends;
    private final Workers alone = Workers.of(1);
    private final List<Workers> teams = new ArrayList<>();
    private final Map<String, Long> runsByKernel = new TreeMap<>();

    AttentionVerification(List<Backend> backends) {
        this.backends = List.copyOf(backends);
        for (int threads : TEAMS) {
            teams.add(Workers.of(threads));
        }
    }

    /** Every third case is a decode. */
    @Override
    public Optional<String> verify(long seed) {
        return seed % 3 == 0 ? verifyDecode(seed) : verifyBlocks(seed);
    }

    private Optional<String> verifyDecode(long seed) {
        DecodeCase test = DecodeCase.random(seed);
        Arena arena = Arena.ofAuto();
        try {
            Workers team = teams.get(Math.floorMod(seed * 0x9e3779b97f4a7c15L >>> 32, teams.size()));
            DecodeCase.Operands scalar = decode(test, Backend.SCALAR, alone, arena);
            for (Backend backend : backends) {
                for (Workers workers : List.of(alone, team)) {
                    DecodeCase.Operands outputs = decode(test, backend, workers, arena);
                    Optional<String> failure = test.mismatch(outputs)
                        .or(() -> scalar.difference("scalar on 1 thread", outputs, backend.id()));
                    if (failure.isPresent()) {
                        return Optional.of(
                            backend.id() + " on " + workers + ": " + failure.get() + " [" + test + "]");
                    }
                }
            }
            return Optional.empty();
        } catch (RuntimeException e) {
            return Optional.of(e + " [" + test + "]");
        }
    }

    private DecodeCase.Operands decode(DecodeCase test, Backend backend, Workers workers, Arena arena) {
        DecodeCase.Operands operands = test.operands(arena);
        try (DecodePlan plan = Attention.decode(test.dtype(), test.options().backend(backend).workers(workers))) {
            runsByKernel.merge(plan.kernel(), 1L, Long::sum);
            operands.run(plan);
        }
        return operands;
    }

    private Optional<String> verifyBlocks(long seed) {
        AttentionCase test = AttentionCase.random(seed);
        Arena arena = test.arena();
        try {
            return verify(test, arena);
        } catch (RuntimeException e) {
            return Optional.of(e + " [" + test + "]");
        } finally {
            if (test.place() == AttentionCase.Place.CONFINED || test.place() == AttentionCase.Place.SHARED) {
                arena.close();
            }
        }
    }

    private Optional<String> verify(AttentionCase test, Arena arena) {
        AttentionReference reference = AttentionRun.reference(test, arena);
        AttentionRun scalar = AttentionRun.run(test, Backend.SCALAR, alone, arena);
        // The seed picks the team, so that replaying a seed replays all of the case.
        Workers team = teams.get(Math.floorMod(test.seed() * 0x9e3779b97f4a7c15L >>> 32, teams.size()));
        List<Backend> able = AttentionRun.backends(test.dtype());
        for (Backend backend : backends) {
            if (!able.contains(backend)) {
                continue;
            }
            for (Workers workers : List.of(alone, team)) {
                AttentionRun outputs = run(test, backend, workers, arena);
                Optional<String> failure = reference.mismatch(outputs.out(), outputs.lse())
                    .or(() -> AttentionRun.sharesBits(test, backend)
                        ? scalar.difference("scalar on 1 thread", outputs, backend.id()) : Optional.empty());
                if (failure.isPresent()) {
                    return Optional.of(
                        backend.id() + " on " + workers + ": " + failure.get() + " [" + test + "]");
                }
            }
        }
        return Optional.empty();
    }

    private AttentionRun run(AttentionCase test, Backend backend, Workers workers, Arena arena) {
        try (AttentionPlan plan = Attention.plan(test.mask(), test.options().backend(backend).workers(workers))) {
            runsByKernel.merge(plan.explain().kernel(), 1L, Long::sum);
            return AttentionRun.run(test, plan, arena);
        }
    }

    @Override
    public Map<String, Long> runsByKernel() {
        return Map.copyOf(runsByKernel);
    }

    @Override
    public void close() {
        alone.close();
        teams.forEach(Workers::close);
    }
}
