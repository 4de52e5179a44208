package dev.filigree.bench;

import static org.assertj.core.api.Assertions.assertThat;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import dev.filigree.bench.report.DataTable;
import dev.filigree.bench.report.Figure;
import dev.filigree.bench.report.Highlights;
import dev.filigree.bench.report.Plot;
import dev.filigree.bench.report.Prose;
import dev.filigree.bench.report.Section;
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

    /** A section with every kind of block. */
    private record Fixed(int failures) implements ReportSection {
        @Override
        public String title() {
            return "a section";
        }

        @Override
        public Section run(Context context) {
            JsonObject json = new JsonObject();
            json.addProperty("quick", context.quick());
            json.addProperty("peers", context.peers());
            return new Section(title(), List.of(Prose.of("some words"), Prose.failure("a mishap"),
                new Highlights(List.of(new Highlights.Item("speed", "2x", "today"))),
                new DataTable("a table", List.of("name", "ms"), List.of(List.of("one", "1.25"), List.of("two", "13"))),
                new Plot("a plot", "what it shows", Plot.Axis.linear("x"), Plot.Axis.log("y"),
                    List.of(new Plot.Series("s", Plot.Style.LINE, List.of(new Plot.Point(1, 2, "p"))))),
                new Figure("a figure", "what it shows", "rows", "columns", Figure.Grid.of(2, 3, (r, c) -> 1))),
                List.of(json), 3, failures);
        }
    }

    private static int report(Path folder, int failures, StringWriter out) {
        return new CommandLine(new ReportCommand(List.of(new Fixed(failures)))).setOut(new PrintWriter(out))
            .execute("--quick", "--out", folder.toString());
    }

    @Test
    void writesPageAndDataAndNothingElse(@TempDir Path folder) throws IOException {
        Path target = folder.resolve("new/folder");
        StringWriter out = new StringWriter();
        assertThat(report(target, 0, out)).isZero();
        assertThat(out.toString()).contains("a section").contains("all 3 results agree").contains("report.html");
        try (var files = Files.list(target)) {
            assertThat(files).containsExactlyInAnyOrder(target.resolve("report.json"), target.resolve("report.html"));
        }
        assertThat(Files.readString(target.resolve("report.html"))).startsWith("<!DOCTYPE html>").contains("a section");
    }

    /** The names that scripts may rely on. */
    @Test
    void theDataHasItsSchema(@TempDir Path folder) throws IOException {
        assertThat(report(folder, 0, new StringWriter())).isZero();
        JsonObject report =
            JsonParser.parseString(Files.readString(folder.resolve("report.json"))).getAsJsonObject();
        assertThat(report.keySet()).containsExactly("generated", "quick", "checked", "failures", "machine", "jvm",
            "backends", "cuda_kernels", "native_library", "sections");
        assertThat(report.get("quick").getAsBoolean()).isTrue();
        assertThat(report.get("checked").getAsInt()).isEqualTo(3);
        JsonObject section = report.getAsJsonArray("sections").get(0).getAsJsonObject();
        assertThat(section.keySet()).containsExactly("title", "checked", "failures", "cases", "blocks");
        assertThat(section.getAsJsonArray("cases")).hasSize(1);
        assertThat(section.getAsJsonArray("blocks").toString()).isEqualTo("""
            [{"type":"prose","tone":"plain","text":"some words"},\
            {"type":"prose","tone":"failure","text":"a mishap"},\
            {"type":"highlights","items":[{"label":"speed","value":"2x","note":"today"}]},\
            {"type":"table","caption":"a table","columns":["name","ms"],"rows":[["one","1.25"],["two","13"]]},\
            {"type":"plot","title":"a plot","description":"what it shows",\
            "x":{"label":"x","scale":"linear"},"y":{"label":"y","scale":"log"},\
            "series":[{"name":"s","style":"line","points":[{"x":1.0,"y":2.0,"label":"p"}]}]},\
            {"type":"figure","title":"a figure","description":"what it shows","rows":2,"columns":3}]""");
    }

    @Test
    void theConsoleShowsTextAndTables(@TempDir Path folder) {
        StringWriter out = new StringWriter();
        report(folder, 0, out);
        assertThat(out.toString().lines()).containsSubsequence("a section", "some words", "FAILED: a mishap",
            "speed  2x  today", "name    ms", "one   1.25", "two     13");
    }

    @Test
    void aWrongResultIsAFailure(@TempDir Path folder) {
        StringWriter out = new StringWriter();
        assertThat(report(folder, 2, out)).isEqualTo(Main.FAILED);
        assertThat(out.toString()).contains("FAILED: 2 of 3 results are wrong or missing");
        assertThat(folder.resolve("report.json")).exists();
    }
}
