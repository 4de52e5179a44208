package dev.filigree.bench;

import dev.filigree.bench.measure.Ceilings;
import dev.filigree.bench.report.HtmlRenderer;
import dev.filigree.bench.report.Report;
import dev.filigree.bench.report.Section;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

@Command(name = "report", mixinStandardHelpOptions = true, usageHelpAutoWidth = true, sortOptions = false,
    description = "Checks and measures every family on real inputs; prints tables, and writes report.html with plots "
        + "and report.json with every figure.")
final class ReportCommand implements Callable<Integer> {

    private static final String PAGE = "report.html";
    private static final String DATA = "report.json";

    @Spec
    private CommandSpec spec;

    @Option(names = "--quick", description = "Only a part of the inputs: under a minute.")
    private boolean quick;

    @Option(names = "--peers", description = "Measure other libraries, too.")
    private boolean peers;

    @Option(names = "--out", paramLabel = "DIR", description = "Where to write (default: ${DEFAULT-VALUE}).")
    private Path folder = Path.of("filigree-report");

    private final List<ReportSection> sections;

    ReportCommand() {
        this(List.of(new MachineReportSection(), new SpmmReportSection(), new NmReportSection(),
            new AttentionReportSection(), new MlpReportSection(), new CudaReportSection()));
    }

    /** For tests: other sections. */
    ReportCommand(List<ReportSection> sections) {
        this.sections = List.copyOf(sections);
    }

    @Override
    public Integer call() throws IOException {
        // Before the work: a folder that cannot be written to must not cost minutes.
        makeFolder();
        Report report = measure(spec.commandLine().getOut());
        write(Map.of(PAGE, HtmlRenderer.render(report),
            DATA, Json.indented(ReportJson.of(report, InfoCommand.environmentJson())) + System.lineSeparator()));
        PrintWriter out = spec.commandLine().getOut();
        out.println();
        out.println(report.verdict() + "; plots in " + folder.resolve(PAGE) + ", figures in " + folder.resolve(DATA));
        return report.failures() == 0 ? Main.OK : Main.FAILED;
    }

    private Report measure(PrintWriter out) throws IOException {
        Machine machine = Machine.here();
        ReportSection.Context context = new ReportSection.Context(quick, peers,
            Ceilings.measure(machine.cores(), machine.l2Bytes(), machine.lastLevelCacheBytes()));
        List<Section> measured = new ArrayList<>();
        for (ReportSection section : sections) {
            out.println((measured.isEmpty() ? "" : System.lineSeparator()) + section.title());
            out.flush();
            measured.add(section.run(context));
            ReportConsole.print(measured.getLast(), out);
            out.flush();
        }
        Map<String, String> facts = InfoCommand.facts();
        return new Report("Filigree report", facts.get("machine") + " \u00b7 " + facts.get("jvm"),
            Instant.now().truncatedTo(ChronoUnit.SECONDS), quick, measured);
    }

    private void makeFolder() {
        try {
            Files.createDirectories(folder);
        } catch (IOException e) {
            throw new InputException("--out " + folder + ": not a folder that can be made: " + e.getMessage(), e);
        }
        if (!Files.isWritable(folder)) {
            throw new InputException("--out " + folder + ": cannot be written to");
        }
    }

    /** All files are complete before the first one appears under its name: nobody ever reads half a report. */
    private void write(Map<String, String> contents) throws IOException {
        Map<Path, Path> unfinished = new LinkedHashMap<>();
        try {
            for (Map.Entry<String, String> entry : contents.entrySet()) {
                Path file = folder.resolve(entry.getKey());
                Path temporary = folder.resolve(entry.getKey() + "." + ProcessHandle.current().pid() + ".tmp");
                unfinished.put(temporary, file);
                Files.writeString(temporary, entry.getValue());
            }
            for (Map.Entry<Path, Path> entry : unfinished.entrySet()) {
                Files.move(entry.getKey(), entry.getValue(), StandardCopyOption.ATOMIC_MOVE,
                    StandardCopyOption.REPLACE_EXISTING);
            }
        } finally {
            for (Path temporary : unfinished.keySet()) {
                Files.deleteIfExists(temporary);
            }
        }
    }
}
