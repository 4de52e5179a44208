package dev.filigree.bench;

import dev.filigree.bench.report.Block;
import dev.filigree.bench.report.DataTable;
import dev.filigree.bench.report.Figure;
import dev.filigree.bench.report.Highlights;
import dev.filigree.bench.report.Plot;
import dev.filigree.bench.report.Prose;
import dev.filigree.bench.report.Section;
import java.io.PrintWriter;

/** A report's sections as text; what is drawn is left to the page. */
final class ReportConsole {

    private static final int WIDTH = 110;

    private ReportConsole() {}

    static void print(Section section, PrintWriter out) {
        for (Block block : section.blocks()) {
            switch (block) {
                case Prose prose -> {
                    out.println();
                    wrap(prose.tone() == Prose.Tone.FAILURE ? "FAILED: " + prose.text() : prose.text(), out);
                }
                case Highlights highlights -> {
                    out.println();
                    Table table = new Table("", "", "");
                    highlights.items().forEach(item -> table.add(item.label(), item.value(), item.note()));
                    table.printBody(out);
                }
                case DataTable table -> {
                    out.println();
                    Table.of(table).print(out);
                }
                case Plot _, Figure _ -> { }
            }
        }
    }

    private static void wrap(String text, PrintWriter out) {
        StringBuilder line = new StringBuilder();
        for (String word : text.split("\\s+")) {
            if (!line.isEmpty() && line.length() + 1 + word.length() > WIDTH) {
                out.println(line);
                line.setLength(0);
            }
            line.append(line.isEmpty() ? "" : " ").append(word);
        }
        out.println(line);
    }
}
