package dev.filigree.bench;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

class ReportCommandTest {

    private record Fixed(int failures) implements ReportSection {
        @Override
        public String title() {
            return "a section";
        }

        @Override
        public Result run(Context context, PrintWriter out) {
            JsonObject json = new JsonObject();
            json.addProperty("quick", context.quick());
            out.println("a table");
            return new Result(List.of(json), 3, failures);
        }
    }

    private static int report(Path folder, int failures, StringWriter out) {
        return new CommandLine(new ReportCommand(List.of(new Fixed(failures)))).setOut(new PrintWriter(out))
            .execute("--quick", "--out", folder.toString());
    }

    @Test
    void writesTheReportAndNothingElse(@TempDir Path folder) throws IOException {
        Path target = folder.resolve("new/folder");
        StringWriter out = new StringWriter();
        assertThat(report(target, 0, out)).isZero();
        assertThat(out.toString()).contains("a section").contains("a table").contains("all 3 results agree");
        try (var files = Files.list(target)) {
            assertThat(files).containsExactly(target.resolve("report.json"));
        }
        JsonObject report =
            JsonParser.parseString(Files.readString(target.resolve("report.json"))).getAsJsonObject();
        assertThat(report.keySet()).contains("generated", "quick", "machine", "jvm", "backends", "sections");
        JsonObject section = report.getAsJsonArray("sections").get(0).getAsJsonObject();
        assertThat(section.get("title").getAsString()).isEqualTo("a section");
        assertThat(section.getAsJsonArray("cases")).hasSize(1);
    }

    @Test
    void aWrongResultIsAFailure(@TempDir Path folder) {
        StringWriter out = new StringWriter();
        assertThat(report(folder, 2, out)).isEqualTo(Main.FAILED);
        assertThat(out.toString()).contains("FAILED: 2 of 3 results are wrong or missing");
        assertThat(folder.resolve("report.json")).exists();
    }
}
