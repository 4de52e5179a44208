package dev.filigree.bench;

import com.google.gson.JsonObject;
import dev.filigree.Backend;
import dev.filigree.Workers;
import java.util.ArrayList;
import java.util.List;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** The options that every measurement takes. */
final class CommonOptions {

    @Spec(Spec.Target.MIXEE)
    private CommandSpec spec;

    @Option(names = "--backend", split = ",", converter = Choice.OfBackend.class, paramLabel = "NAME",
        description = "Backends to measure: scalar, vector, avx512, cuda (default: all that run on the host here).")
    private List<Backend> backends = new ArrayList<>();

    @Option(names = "--threads", paramLabel = "T", description = "Size of the worker team (default: all cores).")
    private int threads = Runtime.getRuntime().availableProcessors();

    @Option(names = "--peers", split = ",", paramLabel = "NAME", arity = "0..1", fallbackValue = PeerNames.ALL,
        description = "Other libraries to compare with, each in a process of its own: mkl-dense, mkl-sparse, "
            + "onednn-dense, onednn-sparse, openblas-dense, ejml-sparse; mkl or onednn for both; of attention "
            + "ort-attention, ort-sparse-attention, torch-sdpa; all without a name.")
    private List<String> peers = new ArrayList<>();

    private List<String> peersOfOperation = PeerNames.SPMM;

    @Option(names = "--rounds", paramLabel = "R", description = "Rounds to measure (default: ${DEFAULT-VALUE}).")
    private int rounds = 15;

    @Option(names = "--seed", paramLabel = "S", description = "Seed of random data (default: ${DEFAULT-VALUE}).")
    private long seed = 1;

    @Option(names = "--json", description = "Print one JSON object.")
    private boolean json;

    /** Says which peers an operation has, if not those of SpMM. */
    void takePeers(List<String> names) {
        peersOfOperation = List.copyOf(names);
    }

    /** @throws ParameterException naming the option that is out of range */
    void check() {
        requireRange("--threads", threads, 1, Workers.MAX_THREADS);
        requireRange("--rounds", rounds, 1, 100_000);
        try {
            PeerNames.resolve(peers, peersOfOperation);
        } catch (IllegalArgumentException e) {
            throw new ParameterException(spec.commandLine(), "Invalid value for option '--peers': " + e.getMessage());
        }
    }

    void requireRange(String option, double value, double least, double most) {
        requireRange(spec, option, value, least, most);
    }

    static void requireRange(CommandSpec spec, String option, double value, double least, double most) {
        if (!(value >= least && value <= most)) {
            throw new ParameterException(spec.commandLine(), "Invalid value for option '" + option + "': "
                + plain(value) + " is not in " + plain(least) + ".." + plain(most));
        }
    }

    private static String plain(double x) {
        return x == Math.rint(x) ? Long.toString((long) x) : Double.toString(x);
    }

    /** What is measured where nothing was asked for. */
    void defaultBackends(List<Backend> defaults) {
        if (backends.isEmpty()) {
            backends = List.copyOf(defaults);
        }
    }

    /** What was asked for, else all that can run on the host here. */
    List<Backend> backends() {
        return backends.isEmpty() ? availableOnHost() : List.copyOf(backends);
    }

    static List<Backend> availableOnHost() {
        return List.of(Backend.SCALAR, Backend.VECTOR, Backend.AVX512).stream()
            .filter(Backend::isAvailable).toList();
    }

    /** The contenders of other libraries that were asked for. */
    List<String> peers() {
        return PeerNames.resolve(peers, peersOfOperation);
    }

    int threads() {
        return threads;
    }

    int rounds() {
        return rounds;
    }

    long seed() {
        return seed;
    }

    boolean json() {
        return json;
    }

    /** Adds the options in force to a case. */
    void describe(JsonObject caseJson) {
        caseJson.add("backend", Json.strings(backends().stream().map(Backend::id).toList()));
        caseJson.add("peers", Json.strings(peers()));
        caseJson.addProperty("threads", threads);
        caseJson.addProperty("rounds", rounds);
        caseJson.addProperty("seed", seed);
    }
}
