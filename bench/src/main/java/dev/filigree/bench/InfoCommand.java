package dev.filigree.bench;

import com.google.gson.JsonArray;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import dev.filigree.Backend;
import dev.filigree.Refusal;
import dev.filigree.spi.Backends;
import dev.filigree.spi.KernelInfo;
import java.io.PrintWriter;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

@Command(name = "info", mixinStandardHelpOptions = true, usageHelpAutoWidth = true,
    description = "Shows the machine, the JVM, every backend with the reason and the cure where one is missing, "
        + "and the kernels.")
final class InfoCommand implements Callable<Integer> {

    /** Kept true by hand: what the CUDA kernels have run on. */
    static final String CUDA_STATE = "spmm_csr_f32 and spmm_bitmap_bf16 ran on an NVIDIA H200 (sm_90a) and on a "
        + "simulated device; for sm_80 they have only been compiled";

    @Option(names = "--json", description = "Print one JSON object.")
    private boolean json;

    @Spec
    private CommandSpec spec;

    @Override
    public Integer call() {
        PrintWriter out = spec.commandLine().getOut();
        // Kernels first: looking them up is what loads the native library.
        JsonArray kernels = kernelsJson();
        if (json) {
            JsonObject info = environmentJson();
            info.add("kernels", kernels);
            out.println(Json.line(info));
        } else {
            print(out);
            out.println();
            printKernels(out);
        }
        return Main.OK;
    }

    /** Machine, JVM and backends, as reports carry them too. */
    static JsonObject environmentJson() {
        Machine machine = Machine.here();
        JsonObject machineJson = new JsonObject();
        machineJson.addProperty("cpu", machine.cpu());
        machineJson.addProperty("cores", machine.cores());
        machineJson.add("isa", Json.strings(machine.isa()));
        machineJson.addProperty("l1d_bytes", machine.l1dBytes());
        machineJson.addProperty("l2_bytes", machine.l2Bytes());
        machineJson.addProperty("l3_bytes", machine.l3Bytes());
        machineJson.addProperty("memory_bytes", machine.memoryBytes());
        machineJson.addProperty("os", machine.os());

        JsonArray backends = backendsJson();
        Runtimes jvm = Runtimes.here();
        JsonObject jvmJson = new JsonObject();
        jvmJson.addProperty("version", jvm.version());
        jvmJson.addProperty("vendor", jvm.vendor());
        jvmJson.addProperty("vector_module", jvm.vectorModule());
        jvmJson.addProperty("species_bits", jvm.speciesBits());

        JsonObject info = new JsonObject();
        info.add("machine", machineJson);
        info.add("jvm", jvmJson);
        info.add("backends", backends);
        info.addProperty("cuda_kernels", CUDA_STATE);
        jvm.nativeLibrary().ifPresentOrElse(path -> info.addProperty("native_library", path),
            () -> info.add("native_library", JsonNull.INSTANCE));
        return info;
    }

    private static JsonArray backendsJson() {
        JsonArray backends = new JsonArray();
        for (Backend backend : Backend.values()) {
            JsonObject entry = new JsonObject();
            entry.addProperty("name", backend.id());
            entry.addProperty("available", backend.isAvailable());
            backend.unavailabilityCause().ifPresent(refusal -> {
                entry.addProperty("reason", refusal.reason());
                entry.addProperty("cure", refusal.cure());
            });
            JsonArray shortfalls = new JsonArray();
            for (Refusal shortfall : backend.shortfalls()) {
                JsonObject missing = new JsonObject();
                missing.addProperty("reason", shortfall.reason());
                missing.addProperty("cure", shortfall.cure());
                shortfalls.add(missing);
            }
            entry.add("shortfalls", shortfalls);
            backends.add(entry);
        }
        return backends;
    }

    private static JsonArray kernelsJson() {
        JsonArray kernels = new JsonArray();
        for (KernelInfo kernel : Backends.kernels()) {
            JsonObject entry = new JsonObject();
            entry.addProperty("id", kernel.id());
            entry.addProperty("operation", kernel.operation());
            entry.addProperty("dtype", kernel.dtype().id());
            entry.addProperty("isa", kernel.isa());
            entry.addProperty("tile", kernel.tile());
            kernels.add(entry);
        }
        return kernels;
    }

    /** Machine, JVM and native library, for people: names and what they are. */
    static Map<String, String> facts() {
        Machine machine = Machine.here();
        Backend.AVX512.isAvailable(); // The lookup loads the native library, if there is one to load.
        Runtimes jvm = Runtimes.here();
        Map<String, String> facts = new LinkedHashMap<>();
        facts.put("machine", machine.cpu() + ", " + machine.cores() + (machine.cores() == 1 ? " core, " : " cores, ")
            + machine.os());
        facts.put("isa", machine.isa().isEmpty() ? "unknown" : String.join(" ", machine.isa()));
        facts.put("caches", "L1d " + bytes(machine.l1dBytes()) + ", L2 " + bytes(machine.l2Bytes()) + ", L3 "
            + bytes(machine.l3Bytes()) + "; memory " + bytes(machine.memoryBytes()));
        facts.put("jvm", jvm.version() + ", " + (jvm.vectorModule()
            ? "Vector API at " + jvm.speciesBits() + " bits" : "no Vector API"));
        facts.put("native", jvm.nativeLibrary().orElse("not loaded"));
        facts.put("cuda", CUDA_STATE);
        return facts;
    }

    private static void print(PrintWriter out) {
        facts().forEach((name, value) -> out.printf("%-9s %s%n", name, value));
        out.println();
        Table.of(MachineReportSection.backends()).print(out);
    }

    private static void printKernels(PrintWriter out) {
        Table table = new Table("kernel", "operation", "dtype", "isa", "tile");
        for (KernelInfo kernel : Backends.kernels()) {
            table.add(kernel.id(), kernel.operation(), kernel.dtype().id(), kernel.isa(), kernel.tile());
        }
        table.print(out);
    }

    /** A size in the largest binary unit that keeps it above 1. */
    static String bytes(long bytes) {
        if (bytes <= 0) {
            return "unknown";
        }
        String[] units = {"B", "KiB", "MiB", "GiB", "TiB"};
        int unit = Math.min(units.length - 1, (63 - Long.numberOfLeadingZeros(bytes)) / 10);
        double scaled = (double) bytes / (1L << 10 * unit);
        return String.format(Locale.ROOT, scaled < 10 && scaled != Math.rint(scaled) ? "%.1f %s" : "%.0f %s",
            scaled, units[unit]);
    }
}
