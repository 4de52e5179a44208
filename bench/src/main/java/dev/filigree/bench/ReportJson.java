package dev.filigree.bench;

import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import dev.filigree.bench.report.Block;
import dev.filigree.bench.report.DataTable;
import dev.filigree.bench.report.Figure;
import dev.filigree.bench.report.Highlights;
import dev.filigree.bench.report.Plot;
import dev.filigree.bench.report.Prose;
import dev.filigree.bench.report.Report;
import dev.filigree.bench.report.Section;
import java.util.List;

/** A report for machines: cases as {@code bench --json} prints them, and all that people see. */
final class ReportJson {

    private ReportJson() {}

    /** Everything, beginning with the environment: machine, JVM, backends. */
    static JsonObject of(Report report, JsonObject environment) {
        JsonObject json = new JsonObject();
        json.addProperty("generated", report.generated().toString());
        json.addProperty("quick", report.quick());
        json.addProperty("checked", report.checked());
        json.addProperty("failures", report.failures());
        environment.asMap().forEach(json::add);
        JsonArray sections = new JsonArray();
        report.sections().forEach(section -> sections.add(section(section)));
        json.add("sections", sections);
        return json;
    }

    private static JsonObject section(Section section) {
        JsonObject json = new JsonObject();
        json.addProperty("title", section.title());
        json.addProperty("checked", section.checked());
        json.addProperty("failures", section.failures());
        JsonArray cases = new JsonArray();
        section.cases().forEach(cases::add);
        json.add("cases", cases);
        JsonArray blocks = new JsonArray();
        section.blocks().forEach(block -> blocks.add(block(block)));
        json.add("blocks", blocks);
        return json;
    }

    private static JsonObject block(Block block) {
        JsonObject json = new JsonObject();
        json.addProperty("type", switch (block) {
            case Prose _ -> "prose";
            case Highlights _ -> "highlights";
            case DataTable _ -> "table";
            case Plot _ -> "plot";
            case Figure _ -> "figure";
        });
        switch (block) {
            case Prose prose -> {
                json.addProperty("tone", Choice.name(prose.tone()));
                json.addProperty("text", prose.text());
            }
            case Highlights highlights -> json.add("items", array(highlights.items(), item -> {
                JsonObject itemJson = new JsonObject();
                itemJson.addProperty("label", item.label());
                itemJson.addProperty("value", item.value());
                itemJson.addProperty("note", item.note());
                return itemJson;
            }));
            case DataTable table -> {
                json.addProperty("caption", table.caption());
                json.add("columns", Json.strings(table.columns()));
                json.add("rows", array(table.rows(), Json::strings));
            }
            case Plot plot -> {
                json.addProperty("title", plot.title());
                json.addProperty("description", plot.description());
                json.add("x", axis(plot.x()));
                json.add("y", axis(plot.y()));
                json.add("series", array(plot.series(), ReportJson::series));
            }
            case Figure figure -> {
                json.addProperty("title", figure.title());
                json.addProperty("description", figure.description());
                json.addProperty("rows", figure.cells().rows());
                json.addProperty("columns", figure.cells().columns());
            }
        }
        return json;
    }

    private static JsonObject axis(Plot.Axis axis) {
        JsonObject json = new JsonObject();
        json.addProperty("label", axis.label());
        json.addProperty("scale", Choice.name(axis.scale()));
        return json;
    }

    private static JsonObject series(Plot.Series series) {
        JsonObject json = new JsonObject();
        json.addProperty("name", series.name());
        json.addProperty("style", Choice.name(series.style()));
        json.add("points", array(series.points(), point -> {
            JsonObject pointJson = new JsonObject();
            pointJson.addProperty("x", Json.rounded(point.x()));
            pointJson.addProperty("y", Json.rounded(point.y()));
            pointJson.addProperty("label", point.label());
            return pointJson;
        }));
        return json;
    }

    @FunctionalInterface
    private interface ToJson<T> {
        JsonElement of(T value);
    }

    private static <T> JsonArray array(List<T> values, ToJson<T> toJson) {
        JsonArray array = new JsonArray();
        values.forEach(value -> array.add(toJson.of(value)));
        return array;
    }
}
