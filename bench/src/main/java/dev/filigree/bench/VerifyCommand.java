package dev.filigree.bench;

import dev.filigree.Backend;
import dev.filigree.Refusal;
import dev.filigree.spi.Backends;
import dev.filigree.spi.KernelInfo;
import java.io.PrintWriter;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.Callable;
import java.util.concurrent.ThreadLocalRandom;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

@Command(name = "verify", mixinStandardHelpOptions = true, usageHelpAutoWidth = true, sortOptions = false,
    description = "Runs random cases on every backend and compares them with a reference in double, and with each "
        + "other bit for bit.")
final class VerifyCommand implements Callable<Integer> {

    private static final List<String> OPERATIONS = List.of("spmm", "nm", "attention", "mlp");
    /** The kernels that an operation's cases reach: plans for SpMM may take the dense path. */
    private static final Map<String, Set<String>> KERNELS = Map.of(
        "spmm", Set.of("spmm", "gemm"), "nm", Set.of("nm"), "attention", Set.of("attention"),
        "mlp", Set.of("mlp"));

    /** From this many cases on, a kernel that none of them reached is a failure. */
    private static final int CASES_TO_REACH_ALL = 2000;
    private static final int FAILURES_SHOWN = 5;

    @Spec
    private CommandSpec spec;

    @Option(names = "--op", paramLabel = "F", description = "The operation: spmm, nm, attention or mlp (default: all).")
    private String only;

    @Option(names = "--cases", paramLabel = "N", description = "How many cases (default: ${DEFAULT-VALUE}).")
    private int cases = 500;

    @Option(names = "--seed", paramLabel = "S", description = "Seed of the first case (default: random, printed).")
    private Long seed;

    @Option(names = "--backend", converter = Choice.OfBackend.class, paramLabel = "NAME",
        description = "Only this backend, against the scalar one (default: all).")
    private Backend backend;

    @Override
    public Integer call() {
        check();
        PrintWriter out = spec.commandLine().getOut();
        List<Backend> backends = backend == null ? CommonOptions.availableOnHost() : List.of(backend);
        long first = seed == null ? ThreadLocalRandom.current().nextInt(1_000_000_000) : seed;
        int code = Main.OK;
        for (String operation : only == null ? OPERATIONS : List.of(only)) {
            code = Math.max(code, verify(out, operation, backends, first));
        }
        return code;
    }

    private static Verification verification(String operation, List<Backend> backends) {
        return switch (operation) {
            case "spmm" -> new SpmmVerification(backends.stream().map(SpmmSubject::of).toList());
            case "nm" -> new NmVerification(backends.stream().map(NmSubject::of).toList());
            case "mlp" -> new MlpVerification(backends.stream().map(MlpSubject::of).toList());
            case "attention" -> new AttentionVerification(backends);
            default -> throw new IllegalArgumentException(operation);
        };
    }

    private int verify(PrintWriter out, String operation, List<Backend> backends, long first) {
        out.printf("%s: %d cases from seed %d on %s%n", operation, cases, first,
            String.join(", ", backends.stream().map(Backend::id).toList()));
        out.flush();
        int failures = 0;
        Map<String, Long> runs;
        try (Verification verification = verification(operation, backends);
                Progress progress = new Progress("verify " + operation, cases)) {
            for (long s = first; s < first + cases; s++) {
                Optional<String> failure = verification.verify(s);
                if (failure.isPresent() && failures++ < FAILURES_SHOWN) {
                    out.println("MISMATCH " + failure.get());
                    out.println("  replay: filigree verify --op " + operation + " --seed " + s + " --cases 1"
                        + (backend == null ? "" : " --backend " + backend.id()));
                }
                progress.step();
            }
            runs = verification.runsByKernel();
        }
        return conclude(out, failures, unreached(operation, backends, runs), runs);
    }

    private void check() {
        if (only != null && !OPERATIONS.contains(only)) {
            throw new ParameterException(spec.commandLine(), "Invalid value for option '--op': '" + only
                + "' is not one of " + String.join(", ", OPERATIONS));
        }
        if (cases < 1) {
            throw new ParameterException(spec.commandLine(),
                "Invalid value for option '--cases': " + cases + " is less than 1");
        }
        if (backend != null && backend.unavailabilityCause().isPresent()) {
            Refusal refusal = backend.unavailabilityCause().get();
            throw new ParameterException(spec.commandLine(), "Invalid value for option '--backend': " + refusal);
        }
        if (backend == Backend.CUDA && !"spmm".equals(only)) {
            throw new ParameterException(spec.commandLine(),
                "Invalid value for option '--backend': cuda has kernels for --op spmm alone");
        }
    }

    private static TreeSet<String> unreached(String operation, List<Backend> backends, Map<String, Long> runs) {
        TreeSet<String> unreached = new TreeSet<>();
        for (Backend each : backends) {
            for (KernelInfo kernel : Backends.provider(each).orElseThrow().kernels()) {
                if (KERNELS.get(operation).contains(kernel.operation()) && !runs.containsKey(kernel.id())) {
                    unreached.add(kernel.id());
                }
            }
        }
        return unreached;
    }

    private int conclude(PrintWriter out, int failures, TreeSet<String> unreached, Map<String, Long> runs) {
        Table table = new Table("kernel", "runs");
        runs.entrySet().stream().sorted(Map.Entry.comparingByKey())
            .forEach(entry -> table.add(entry.getKey(), entry.getValue().toString()));
        unreached.forEach(kernel -> table.add(kernel, "0"));
        table.print(out);
        boolean missed = !unreached.isEmpty() && cases >= CASES_TO_REACH_ALL;
        if (missed) {
            out.println("FAILED: " + cases + " cases did not reach " + String.join(", ", unreached));
        }
        if (failures > 0) {
            out.println("FAILED: " + failures + " of " + cases + " cases mismatch");
        } else {
            out.println("all " + cases + " cases agree with the reference"
                + (backend == Backend.CUDA ? "" : ", and bit for bit with scalar on 1 thread"));
        }
        return failures > 0 || missed ? Main.FAILED : Main.OK;
    }
}
