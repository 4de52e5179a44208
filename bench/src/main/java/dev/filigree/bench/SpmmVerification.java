package dev.filigree.bench;

import dev.filigree.Backend;
import dev.filigree.DenseMatrix;
import dev.filigree.Workers;
import dev.filigree.suite.Bits;
import dev.filigree.suite.spmm.SpmmCase;
import dev.filigree.suite.spmm.SpmmReference;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * Runs random cases on every subject, alone and on a team, and compares each result with the reference in double
 * within its tolerance, and with the scalar backend on one thread bit for bit.
 */
final class SpmmVerification implements Verification {

    /** Besides one thread: few, an odd number, more than the work has items. */
    private static final int[] TEAMS = {2, 3, 7, 64};

    private final List<SpmmSubject> subjects;
    private final SpmmSubject baseline = SpmmSubject.of(Backend.SCALAR);
    private final Workers alone = Workers.of(1);
    private final List<Workers> teams = new ArrayList<>();
    private final Map<String, Long> runsByKernel = new TreeMap<>();

    SpmmVerification(List<SpmmSubject> subjects) {
        this.subjects = List.copyOf(subjects);
        for (int threads : TEAMS) {
            teams.add(Workers.of(threads));
        }
    }

    @Override
    public Optional<String> verify(long seed) {
        SpmmCase test = SpmmCase.random(seed);
        Arena arena = test.arena();
        try {
            return verify(test, arena);
        } finally {
            if (test.place() == SpmmCase.Place.CONFINED || test.place() == SpmmCase.Place.SHARED) {
                arena.close();
            }
        }
    }

    private Optional<String> verify(SpmmCase test, Arena arena) {
        DenseMatrix input = test.input(arena);
        SpmmReference reference = new SpmmReference(test, input, test.output(arena));
        DenseMatrix scalar = test.output(arena);
        Optional<String> failure = run(baseline, test, alone, input, scalar);
        // The seed picks the team, so that replaying a seed replays all of the case.
        Workers team = teams.get(Math.floorMod(test.seed() * 0x9e3779b97f4a7c15L >>> 32, teams.size()));
        for (SpmmSubject subject : subjects) {
            for (Workers workers : List.of(alone, team)) {
                DenseMatrix output = test.output(arena);
                failure = failure
                    .or(() -> run(subject, test, workers, input, output))
                    .or(() -> reference.mismatch(output).map(text -> at(subject, workers) + text))
                    .or(() -> Bits.difference("scalar on 1 thread", scalar, subject.name(), output)
                        .map(text -> at(subject, workers) + text + " [" + test + "]"));
            }
        }
        return failure;
    }

    private Optional<String> run(SpmmSubject subject, SpmmCase test, Workers workers, DenseMatrix input,
            DenseMatrix output) {
        try {
            runsByKernel.merge(subject.run(test, workers, input, output), 1L, Long::sum);
            return Optional.empty();
        } catch (RuntimeException e) {
            return Optional.of(at(subject, workers) + e + " [" + test + "]");
        }
    }

    private static String at(SpmmSubject subject, Workers workers) {
        return subject.name() + " on " + workers.threads() + (workers.threads() == 1 ? " thread: " : " threads: ");
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
