package dev.filigree.bench;

import dev.filigree.bench.report.DataTable;
import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;

/** A table of text: columns as wide as they need to be, numbers to the right. */
final class Table {

    private static final String GAP = "  ";

    private final List<String> header;
    private final List<List<String>> rows = new ArrayList<>();

    Table(String... header) {
        this(List.of(header));
    }

    Table(List<String> header) {
        this.header = List.copyOf(header);
    }

    static Table of(DataTable data) {
        Table table = new Table(data.columns());
        data.rows().forEach(table::add);
        return table;
    }

    /** Adds a row; cells that are missing at its end stay empty. */
    void add(List<String> cells) {
        rows.add(List.copyOf(cells));
    }

    void add(String... cells) {
        add(List.of(cells));
    }

    void print(PrintWriter out) {
        print(out, true);
    }

    /** Prints the rows without the header. */
    void printBody(PrintWriter out) {
        print(out, false);
    }

    private void print(PrintWriter out, boolean withHeader) {
        int[] width = new int[header.size()];
        boolean[] numbers = new boolean[header.size()];
        for (int c = 0; c < width.length; c++) {
            width[c] = withHeader ? header.get(c).length() : 0;
            numbers[c] = withHeader;
            for (List<String> row : rows) {
                String cell = cell(row, c);
                width[c] = Math.max(width[c], cell.length());
                numbers[c] &= DataTable.isNumeric(cell);
            }
        }
        if (withHeader) {
            print(out, header, width, numbers);
        }
        for (List<String> row : rows) {
            print(out, row, width, numbers);
        }
    }

    private static String cell(List<String> row, int column) {
        return column < row.size() ? row.get(column) : "";
    }

    private static void print(PrintWriter out, List<String> row, int[] width, boolean[] numbers) {
        StringBuilder line = new StringBuilder();
        for (int c = 0; c < width.length; c++) {
            String cell = cell(row, c);
            String padding = " ".repeat(width[c] - cell.length());
            line.append(c == 0 ? "" : GAP).append(numbers[c] ? padding + cell : cell + padding);
        }
        out.println(line.toString().stripTrailing());
    }
}
