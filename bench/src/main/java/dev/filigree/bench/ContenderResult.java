package dev.filigree.bench;

import com.google.gson.JsonObject;
import dev.filigree.bench.measure.Timing;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/** A line of a comparison, the same for every operation: figures, or why there are none. */
sealed interface ContenderResult {

    /** What the names of our own contenders begin with. */
    String OURS = "filigree/";

    String name();

    JsonObject toJson();

    /**
     * Whether a result is wrong, or missing though its backend said that it is available. A peer that does not run
     * here, or not this case, is neither.
     */
    default boolean isFailure() {
        return this instanceof Failure failure && (failure.wrong || failure.name.startsWith(OURS));
    }

    /** Whether a result was compared with a reference, or should have been. */
    default boolean isChecked() {
        return this instanceof Figures || isFailure();
    }

    /** How many results are failures. */
    static int failures(List<ContenderResult> results) {
        return (int) results.stream().filter(ContenderResult::isFailure).count();
    }

    /** How many results were checked. */
    static int checked(List<ContenderResult> results) {
        return (int) results.stream().filter(ContenderResult::isChecked).count();
    }

    /**
     * Figures of a contender whose result was right.
     *
     * @param gflops useful work: only stored entries count
     * @param gbps bytes that must move at least once
     * @param flag why the figures do not do the contender justice, if so
     */
    record Figures(String name, String kernel, Timing timing, double gflops, double gbps, double maxRelErr,
            double packMillis, long packedBytes, long residentBytes, Optional<String> flag)
            implements ContenderResult {

        @Override
        public JsonObject toJson() {
            JsonObject json = new JsonObject();
            json.addProperty("name", name);
            json.addProperty("median_ms", Json.rounded(timing.medianMillis()));
            json.addProperty("min_ms", Json.rounded(timing.minMillis()));
            json.addProperty("rounds", timing.rounds());
            json.addProperty("gflops", Json.rounded(gflops));
            json.addProperty("gbps", Json.rounded(gbps));
            json.addProperty("max_rel_err", Json.rounded(maxRelErr));
            json.addProperty("pack_ms", Json.rounded(packMillis));
            json.addProperty("packed_bytes", packedBytes);
            json.addProperty("resident_bytes", residentBytes);
            json.addProperty("kernel", kernel);
            flag.ifPresent(text -> json.addProperty("flag", text));
            return json;
        }
    }

    /**
     * A contender without figures.
     *
     * @param wrong whether its result was wrong, which is a failure; otherwise it could not run here
     */
    record Failure(String name, String error, boolean wrong) implements ContenderResult {

        @Override
        public JsonObject toJson() {
            JsonObject json = new JsonObject();
            json.addProperty("name", name);
            json.addProperty("error", error);
            return json;
        }
    }

    /** All lines as a table. */
    static Table table(List<ContenderResult> results) {
        Table table = new Table("contender", "median ms", "min ms", "GFLOP/s", "GB/s", "max rel err", "pack ms",
            "packed", "kernel or error");
        for (ContenderResult result : results) {
            switch (result) {
                case Figures f -> table.add(f.name, format("%.4f", f.timing.medianMillis()),
                    format("%.4f", f.timing.minMillis()), format("%.2f", f.gflops), format("%.2f", f.gbps),
                    format("%.1e", f.maxRelErr), format("%.2f", f.packMillis), InfoCommand.bytes(f.packedBytes),
                    f.kernel + f.flag.map(text -> " [" + text + "]").orElse(""));
                case Failure f -> table.add(f.name, "-", "-", "-", "-", "-", "-", "-", f.error);
            }
        }
        return table;
    }

    private static String format(String format, double x) {
        return String.format(Locale.ROOT, format, x);
    }
}
