package dev.filigree.bench;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

@Command(name = "report", mixinStandardHelpOptions = true, usageHelpAutoWidth = true, sortOptions = false,
    description = "Checks and measures every family on real inputs; prints tables and writes report.json.")
final class ReportCommand implements Callable<Integer> {

    private static final String FILE = "report.json";

    @Spec
    private CommandSpec spec;

    @Option(names = "--quick", description = "Only a part of the inputs: under a minute.")
    private boolean quick;

    @Option(names = "--out", paramLabel = "DIR", description = "Where to write (default: ${DEFAULT-VALUE}).")
    private Path folder = Path.of("filigree-report");

    private final List<ReportSection> sections;

    ReportCommand() {
        this(List.of(new SpmmReportSection()));
    }

    /** For tests: other sections. */
    ReportCommand(List<ReportSection> sections) {
        this.sections = List.copyOf(sections);
    }

    @Override
    public Integer call() throws IOException {
        // Before the work: a folder that cannot be written to must not cost minutes.
        makeFolder();
        PrintWriter out = spec.commandLine().getOut();
        InfoCommand.print(out);
        JsonObject report = new JsonObject();
        report.addProperty("generated", Instant.now().truncatedTo(ChronoUnit.SECONDS).toString());
        report.addProperty("quick", quick);
        InfoCommand.environmentJson().asMap().forEach(report::add);
        JsonArray sectionsJson = new JsonArray();
        int checked = 0;
        int failures = 0;
        for (ReportSection section : sections) {
            out.println();
            out.println(section.title());
            out.flush();
            ReportSection.Result result = section.run(new ReportSection.Context(quick), out);
            JsonObject json = new JsonObject();
            json.addProperty("title", section.title());
            json.addProperty("checked", result.checked());
            json.addProperty("failures", result.failures());
            JsonArray cases = new JsonArray();
            result.cases().forEach(cases::add);
            json.add("cases", cases);
            sectionsJson.add(json);
            checked += result.checked();
            failures += result.failures();
        }
        report.add("sections", sectionsJson);
        Path file = write(report);
        out.println();
        out.println((failures == 0 ? "all " + checked + " results agree with the reference in double"
            : "FAILED: " + failures + " of " + checked + " results are wrong or missing") + "; figures in " + file);
        return failures == 0 ? Main.OK : Main.FAILED;
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

    /** In one step, so that nobody ever reads half a report. */
    private Path write(JsonObject report) throws IOException {
        Path file = folder.resolve(FILE);
        Path unfinished = folder.resolve(FILE + "." + ProcessHandle.current().pid() + ".tmp");
        try {
            Files.writeString(unfinished, Json.indented(report) + System.lineSeparator());
            Files.move(unfinished, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        } finally {
            Files.deleteIfExists(unfinished);
        }
        return file;
    }
}
