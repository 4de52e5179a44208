package dev.filigree.bench;

import dev.filigree.DenseMatrix;
import dev.filigree.Workers;
import dev.filigree.suite.Bits;
import dev.filigree.suite.Dense;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.function.Function;

/**
 * Verifies an operation of one dense input and one output: runs random cases on every subject, alone and on a team, and
 * compares each result with the reference in double within its tolerance, and with the scalar backend on one thread bit
 * for bit.
 *
 * @param <C> the operation's cases
 */
abstract class ProductVerification<C> implements Verification {

    /** Besides one thread: few, an odd number, more than the work has items. */
    private static final int[] TEAMS = {2, 3, 7, 64};

    private final List<Subject<C>> subjects;
    private final Subject<C> baseline;
    private final Workers alone = Workers.of(1);
    private final List<Workers> teams = new ArrayList<>();
    private final Map<String, Long> runsByKernel = new TreeMap<>();

    ProductVerification(Subject<C> baseline, List<? extends Subject<C>> subjects) {
        this.baseline = baseline;
        this.subjects = List.copyOf(subjects);
        for (int threads : TEAMS) {
            teams.add(Workers.of(threads));
        }
    }

    /** The case of a seed. */
    protected abstract C draw(long seed);

    /** Where a case's operands live. */
    protected abstract Dense.Place place(C test);

    /** A case's input. */
    protected abstract DenseMatrix input(C test, Arena arena);

    /** A case's output before a run. */
    protected abstract DenseMatrix output(C test, Arena arena);

    /** Compares an output with the reference in double: what differs, if anything. */
    protected abstract Function<DenseMatrix, Optional<String>> reference(
        C test, DenseMatrix input, DenseMatrix oldOutput);

    @Override
    public Optional<String> verify(long seed) {
        C test = draw(seed);
        Arena arena = place(test).arena();
        try {
            return verify(seed, test, arena);
        } finally {
            if (place(test) == Dense.Place.CONFINED || place(test) == Dense.Place.SHARED) {
                arena.close();
            }
        }
    }

    private Optional<String> verify(long seed, C test, Arena arena) {
        DenseMatrix input = input(test, arena);
        Function<DenseMatrix, Optional<String>> reference = reference(test, input, output(test, arena));
        DenseMatrix scalar = output(test, arena);
        Optional<String> failure =
            baseline.takes(test) ? run(baseline, test, alone, input, scalar) : Optional.empty();
        // The seed picks the team, so that replaying a seed replays all of the case.
        Workers team = teams.get(Math.floorMod(seed * 0x9e3779b97f4a7c15L >>> 32, teams.size()));
        for (Subject<C> subject : subjects.stream().filter(each -> each.takes(test)).toList()) {
            for (Workers workers : List.of(alone, team)) {
                DenseMatrix output = output(test, arena);
                failure = failure
                    .or(() -> run(subject, test, workers, input, output))
                    .or(() -> reference.apply(output).map(text -> at(subject, workers) + text))
                    .or(() -> subject.sharesBits(test)
                        ? Bits.difference("scalar on 1 thread", scalar, subject.name(), output)
                            .map(text -> at(subject, workers) + text + " [" + test + "]")
                        : Optional.empty());
            }
        }
        return failure;
    }

    private Optional<String> run(Subject<C> subject, C test, Workers workers, DenseMatrix input,
            DenseMatrix output) {
        try {
            for (String kernel : subject.run(test, workers, input, output).split(" \\+ ")) {
                runsByKernel.merge(kernel, 1L, Long::sum);
            }
            return Optional.empty();
        } catch (RuntimeException e) {
            return Optional.of(at(subject, workers) + e + " [" + test + "]");
        }
    }

    private static String at(Subject<?> subject, Workers workers) {
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
