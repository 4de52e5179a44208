package dev.filigree.bench;

import dev.filigree.Backend;
import java.util.List;
import java.util.Optional;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;

/**
 * A ratio that a family has to reach: what is measured, and how the measure follows from the cases.
 *
 * @param id short and stable, for scripts
 * @param what is compared, in words
 * @param least that the measure has to be
 * @param goal that it is meant to become
 * @param cases to measure; none when {@code missing} says why
 * @param measure of the cases that have figures; those that lack one are left out
 * @param missing why there is nothing to measure, if so
 * @param note on the cases, empty if there is nothing to say
 * @param base that must be met, too, in the same run: a ratio to a slow path of our own is worth nothing
 */
record Floor(String id, String what, double least, double goal, List<FloorCase> cases,
        ToDoubleFunction<List<FloorCase.Times>> measure, Optional<String> missing, String note, Optional<Floor> base) {

    Floor {
        cases = List.copyOf(cases);
    }

    static Floor of(String id, String what, double least, double goal, List<FloorCase> cases,
            ToDoubleFunction<List<FloorCase.Times>> measure) {
        return new Floor(id, what, least, goal, cases, measure,
            cases.isEmpty() ? Optional.of("no cases") : Optional.empty(), "", Optional.empty());
    }

    /** The same floor where it cannot be measured. */
    Floor missing(String why) {
        return new Floor(id, what, least, goal, List.of(), measure, Optional.of(why), note, base);
    }

    /** The same floor, of a comparison with the AVX-512 kernel. */
    Floor whereAvx512() {
        return Backend.AVX512.isAvailable() ? this : missing("this machine has no AVX-512");
    }

    Floor noted(String text) {
        return new Floor(id, what, least, goal, cases, measure, missing, text, base);
    }

    /** The same floor, which is met only where another on the same cases is. */
    Floor on(Floor path) {
        return new Floor(id, what, least, goal, cases, measure, missing, note, Optional.of(path));
    }

    /** What became of it. */
    enum Verdict {
        MET, MISSED, NOT_MEASURED
    }

    /**
     * A floor after the measurement.
     *
     * @param floor that was measured
     * @param measure NaN if there is none
     * @param verdict on it
     * @param used how many cases had figures
     * @param why it was not measured, or what was left out; empty if there is nothing to say
     */
    record Outcome(Floor floor, double measure, Verdict verdict, int used, String why) {}

    /** Judges by the times of this floor's cases, in their order. */
    Outcome judge(List<FloorCase.Times> all) {
        if (missing.isPresent()) {
            return new Outcome(this, Double.NaN, Verdict.NOT_MEASURED, 0, missing.get());
        }
        List<FloorCase.Times> complete = all.stream().filter(times -> times.error().isEmpty()).toList();
        String errors = all.stream().filter(times -> times.error().isPresent()).findFirst()
            .map(times -> times.label() + ": " + times.error().get()).orElse("");
        if (complete.isEmpty()) {
            return new Outcome(this, Double.NaN, Verdict.NOT_MEASURED, 0, errors);
        }
        double value = measure.applyAsDouble(complete);
        if (Double.isNaN(value)) {
            String absent = complete.stream().flatMap(times -> times.absent().entrySet().stream()).distinct()
                .map(entry -> entry.getKey() + ": " + entry.getValue()).collect(Collectors.joining("; "));
            return new Outcome(this, Double.NaN, Verdict.NOT_MEASURED, 0, absent);
        }
        String left = complete.size() == all.size() ? note
            : (all.size() - complete.size()) + " of " + all.size() + " cases failed, such as " + errors
                + (note.isEmpty() ? "" : "; " + note);
        if (value >= least && base.isPresent() && base.get().judge(all).verdict() != Verdict.MET) {
            return new Outcome(this, value, Verdict.MISSED, complete.size(), base.get().id + " is not met"
                + (left.isEmpty() ? "" : "; " + left));
        }
        return new Outcome(this, value, value >= least ? Verdict.MET : Verdict.MISSED, complete.size(), left);
    }
}
