package dev.filigree.bench.report;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * A report as one page that needs nothing else: no script, no font, no address. It is well-formed XML as well. Used for
 * one page.
 */
public final class HtmlRenderer {

    private static final String STYLE_SHEET = "report.css";

    private final Markup page = new Markup();
    private final Palette palette = new Palette();
    private int drawings;

    private HtmlRenderer() {}

    /** Renders a page. */
    public static String render(Report report) {
        HtmlRenderer renderer = new HtmlRenderer();
        renderer.page(report);
        return "<!DOCTYPE html>\n" + renderer.page;
    }

    private void page(Report report) {
        page.open("html", "lang", "en").line().open("head").empty("meta", "charset", "utf-8")
            .empty("meta", "name", "viewport", "content", "width=device-width, initial-scale=1")
            .empty("meta", "name", "color-scheme", "content", "light dark")
            .element("title", report.title()).line().open("style").raw(styleSheet()).close("style")
            .close("head").line().open("body").line();
        header(report);
        page.open("main").line();
        for (int i = 0; i < report.sections().size(); i++) {
            section(report.sections().get(i), "section-" + (i + 1));
        }
        page.close("main").close("body").close("html").line();
    }

    private void header(Report report) {
        page.open("header").element("h1", report.title()).element("p", report.subtitle(), "class", "subtitle");
        page.open("p", "class", report.failures() == 0 ? "verdict good" : "verdict bad")
            .element("span", report.failures() == 0 ? "\u2713" : "\u2717", "class", "sign", "aria-hidden", "true")
            .text(" " + report.verdict()).close("p");
        page.element("p", "Generated " + report.generated() + (report.quick() ? ", quick run" : ", full run"),
            "class", "generated");
        page.open("nav", "aria-label", "Sections").open("ul");
        for (int i = 0; i < report.sections().size(); i++) {
            page.open("li").element("a", report.sections().get(i).title(), "href", "#section-" + (i + 1)).close("li");
        }
        page.close("ul").close("nav").close("header").line();
    }

    private void section(Section section, String id) {
        page.open("section", "id", id).element("h2", section.title()).line();
        List<Block> drawn = new ArrayList<>();
        for (Block block : section.blocks()) {
            if (block instanceof Plot || block instanceof Figure) {
                drawn.add(block);
            } else {
                gallery(drawn);
                text(block);
            }
        }
        gallery(drawn);
        page.close("section").line();
    }

    private void text(Block block) {
        switch (block) {
            case Prose prose -> page.element("p", prose.text(), "class", switch (prose.tone()) {
                case PLAIN -> "prose";
                case NOTE -> "prose note";
                case FAILURE -> "prose failure";
            }).line();
            case Highlights highlights -> {
                page.open("dl", "class", "highlights");
                for (Highlights.Item item : highlights.items()) {
                    page.open("div").element("dt", item.label()).element("dd", item.value(), "class", "value")
                        .element("dd", item.note(), "class", "under").close("div").line();
                }
                page.close("dl").line();
            }
            case DataTable table -> table(table);
            case Plot plot -> throw new IllegalArgumentException(plot.title());
            case Figure figure -> throw new IllegalArgumentException(figure.title());
        }
    }

    /** Drawings that follow each other, side by side where there is room. */
    private void gallery(List<Block> drawn) {
        if (drawn.isEmpty()) {
            return;
        }
        page.open("div", "class", "gallery").line();
        for (Block block : drawn) {
            String id = "drawing-" + ++drawings;
            page.open("figure");
            switch (block) {
                case Plot plot -> {
                    caption(plot.title(), plot.description());
                    page.raw(SvgPlot.draw(plot, palette, id));
                    page.open("details").element("summary", "The figures of this plot");
                    table(table(plot));
                    page.close("details");
                }
                case Figure figure -> {
                    caption(figure.title(), figure.description());
                    page.raw(SvgFigure.draw(figure, id));
                }
                default -> throw new IllegalArgumentException(block.toString());
            }
            page.close("figure").line();
        }
        page.close("div").line();
        drawn.clear();
    }

    private void caption(String title, String description) {
        page.open("figcaption").element("strong", title).element("span", description).close("figcaption");
    }

    private void table(DataTable table) {
        page.open("div", "class", "table", "role", "region", "tabindex", "0", "aria-label", table.caption());
        page.open("table").element("caption", table.caption()).open("thead").open("tr");
        for (int c = 0; c < table.columns().size(); c++) {
            page.element("th", table.columns().get(c), "scope", "col", "class", alignment(table, c));
        }
        page.close("tr").close("thead").open("tbody").line();
        for (List<String> row : table.rows()) {
            page.open("tr");
            for (int c = 0; c < row.size(); c++) {
                page.element("td", row.get(c), "class", alignment(table, c));
            }
            page.close("tr").line();
        }
        page.close("tbody").close("table").close("div").line();
    }

    private static String alignment(DataTable table, int column) {
        return table.isNumeric(column) ? "number" : "words";
    }

    private static DataTable table(Plot plot) {
        List<List<String>> rows = new ArrayList<>();
        for (Plot.Series series : plot.series()) {
            for (Plot.Point point : series.points()) {
                rows.add(List.of(series.name(), point.label(), Ticks.label(point.x()) + plot.x().unit(),
                    Ticks.label(point.y()) + plot.y().unit()));
            }
        }
        return new DataTable(plot.title(), List.of("series", "of", plot.x().label(), plot.y().label()), rows);
    }

    private static String styleSheet() {
        try (InputStream in = HtmlRenderer.class.getResourceAsStream(STYLE_SHEET)) {
            if (in == null) {
                throw new IllegalStateException("no resource " + STYLE_SHEET);
            }
            String sheet = new String(in.readAllBytes(), StandardCharsets.UTF_8);
            return sheet.replace("/*light*/", variables(Palette.LIGHT)).replace("/*dark*/", variables(Palette.DARK))
                .replace("/*series*/", seriesRules());
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private static String variables(String[] colours) {
        StringBuilder rules = new StringBuilder();
        for (int i = 0; i < colours.length; i++) {
            rules.append("--s").append(i).append(":").append(colours[i]).append(";");
        }
        return rules.toString();
    }

    private static String seriesRules() {
        StringBuilder rules = new StringBuilder();
        for (int i = 0; i < Palette.LIGHT.length; i++) {
            rules.append(".s").append(i).append("{--c:var(--s").append(i).append(")}");
        }
        return rules.toString();
    }
}
