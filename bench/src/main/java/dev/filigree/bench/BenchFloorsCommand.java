package dev.filigree.bench;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import dev.filigree.Backend;
import dev.filigree.bench.measure.SideBySide;
import dev.filigree.bench.peer.PeerPool;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

@Command(name = "floors", mixinStandardHelpOptions = true, usageHelpAutoWidth = true, sortOptions = false,
    description = "Measures every floor of a family: ratio, floor, verdict. A missed floor is no error of the command; "
        + "a wrong result is.")
final class BenchFloorsCommand implements Callable<Integer> {

    /** The cases follow each other in one process: the JIT is warm after the first few. */
    private static final Duration WARM_UP = Duration.ofMillis(150);
    private static final Duration BATCH = Duration.ofMillis(2);

    /** The floors of a family on a folder of data, if there is one. */
    @FunctionalInterface
    interface Family {
        /** What is to be measured. */
        List<Floor> floors(Optional<Path> data) throws IOException;
    }

    @Spec
    private CommandSpec spec;

    @Option(names = "--family", required = true, paramLabel = "NAME", description = "The family: spmm, nm, attention or mlp.")
    private String family;

    @Option(names = "--data", paramLabel = "FOLDER", description = "Published matrices, for the floors that need them: "
        + "sparse/dlmc/{transformer,rn50}/**.smtx, sparse/dlmc/rn50_batchsizes.txt, sparse/mtx/*.mtx, "
        + "models/mediapipe/full_range_sparse_mtx/*.mtx.")
    private Path data;

    @Option(names = "--only", split = ",", paramLabel = "FLOOR", description = "Measure these floors alone, by the names "
        + "that the table gives them (default: all).")
    private List<String> only = List.of();

    @Option(names = "--rounds", paramLabel = "R", description = "Rounds of each case (default: ${DEFAULT-VALUE}).")
    private int rounds = 7;

    @Option(names = "--json", description = "Print one JSON object, with the times of each case.")
    private boolean json;

    private final Map<String, Family> families;

    BenchFloorsCommand() {
        this(Map.of("spmm", SpmmFloors::floors, "nm", NmFloors::floors, "attention", AttentionFloors::floors, "mlp",
            MlpFloors::floors));
    }

    /** For tests: other families. */
    BenchFloorsCommand(Map<String, Family> families) {
        this.families = new TreeMap<>(families);
    }

    @Override
    public Integer call() throws IOException {
        if (!families.containsKey(family)) {
            throw new ParameterException(spec.commandLine(), "Invalid value for option '--family': '" + family
                + "' is not one of " + String.join(", ", families.keySet()));
        }
        if (rounds < 1) {
            throw new ParameterException(spec.commandLine(), "Invalid value for option '--rounds': " + rounds
                + " is less than 1");
        }
        if (data != null && !Files.isDirectory(data)) {
            throw new InputException(data + ": not a folder");
        }
        List<Floor> floors = chosen(families.get(family).floors(Optional.ofNullable(data)));
        Backend backend = CommonOptions.availableOnHost().getLast();
        Map<FloorCase, FloorCase.Times> times = measure(floors, backend);
        List<Floor.Outcome> outcomes = floors.stream()
            .map(floor -> floor.judge(floor.cases().stream().map(times::get).toList())).toList();
        PrintWriter out = spec.commandLine().getOut();
        if (json) {
            out.println(Json.line(toJson(outcomes, times, backend)));
        } else {
            print(out, outcomes, backend);
        }
        return times.values().stream().anyMatch(FloorCase.Times::wrong) ? Main.FAILED : Main.OK;
    }

    private List<Floor> chosen(List<Floor> floors) {
        List<String> names = floors.stream().map(Floor::id).toList();
        for (String name : only) {
            if (!names.contains(name)) {
                throw new ParameterException(spec.commandLine(), "Invalid value for option '--only': '" + name
                    + "' is not one of " + String.join(", ", names));
            }
        }
        return floors.stream().filter(floor -> only.isEmpty() || only.contains(floor.id())).toList();
    }

    private Map<FloorCase, FloorCase.Times> measure(List<Floor> floors, Backend backend) {
        Map<FloorCase, FloorCase.Times> times = new LinkedHashMap<>();
        floors.forEach(floor -> floor.cases().forEach(theCase -> times.put(theCase, null)));
        try (PeerPool pool = new PeerPool(1); Progress progress = new Progress("floors", times.size())) {
            FloorCase.Context context =
                new FloorCase.Context(backend, pool, new SideBySide.Settings(rounds, WARM_UP, BATCH));
            times.replaceAll((theCase, none) -> {
                progress.at(theCase.label());
                FloorCase.Times measured = theCase.measure(context);
                progress.step();
                return measured;
            });
        }
        return times;
    }

    private JsonObject toJson(List<Floor.Outcome> outcomes, Map<FloorCase, FloorCase.Times> times, Backend backend) {
        JsonObject describes = new JsonObject();
        describes.addProperty("family", family);
        describes.addProperty("data", data == null ? null : data.toString());
        describes.addProperty("backend", backend.id());
        describes.addProperty("rounds", rounds);
        JsonArray results = new JsonArray();
        for (Floor.Outcome outcome : outcomes) {
            Floor floor = outcome.floor();
            JsonObject result = new JsonObject();
            result.addProperty("name", floor.id());
            result.addProperty("what", floor.what());
            result.addProperty("ratio", Double.isNaN(outcome.measure()) ? null : Json.rounded(outcome.measure()));
            result.addProperty("floor", floor.least());
            result.addProperty("goal", floor.goal());
            result.addProperty("verdict", words(outcome.verdict()));
            result.addProperty("cases", outcome.used());
            JsonArray measured = new JsonArray();
            floor.cases().forEach(theCase -> measured.add(toJson(times.get(theCase))));
            result.add("times", measured);
            if (!outcome.why().isEmpty()) {
                result.addProperty("why", outcome.why());
            }
            results.add(result);
        }
        JsonObject object = new JsonObject();
        object.addProperty("op", "floors");
        object.add("case", describes);
        object.add("results", results);
        return object;
    }

    private static JsonObject toJson(FloorCase.Times times) {
        JsonObject object = new JsonObject();
        object.addProperty("case", times.label());
        JsonObject millis = new JsonObject();
        new TreeMap<>(times.millis()).forEach((contender, time) -> millis.addProperty(contender, Json.rounded(time)));
        object.add("median_ms", millis);
        times.error().ifPresent(error -> object.addProperty("error", error));
        return object;
    }

    private void print(PrintWriter out, List<Floor.Outcome> outcomes, Backend backend) {
        out.println("floors of " + family + "  " + SpmmContender.name(backend) + ", one thread where nothing else is "
            + "said, medians of " + rounds + " rounds");
        Table table = new Table("floor", "ratio", "least", "goal", "verdict", "cases", "what");
        List<String> remarks = new ArrayList<>();
        for (Floor.Outcome outcome : outcomes) {
            Floor floor = outcome.floor();
            boolean measured = outcome.verdict() != Floor.Verdict.NOT_MEASURED;
            table.add(floor.id(), measured ? number(outcome.measure()) : "-", number(floor.least()),
                number(floor.goal()), words(outcome.verdict()) + (measured ? "" : ": " + outcome.why()),
                Integer.toString(outcome.used()), floor.what());
            if (measured && !outcome.why().isEmpty()) {
                remarks.add(floor.id() + ": " + outcome.why());
            }
        }
        table.print(out);
        remarks.forEach(out::println);
    }

    private static String number(double x) {
        return String.format(Locale.ROOT, "%.2f", x);
    }

    private static String words(Floor.Verdict verdict) {
        return Choice.name(verdict).replace('-', ' ');
    }
}
