package dev.filigree.bench;

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

    /** Adds a row; cells that are missing at its end stay empty. */
    void add(List<String> cells) {
        rows.add(List.copyOf(cells));
    }

    void add(String... cells) {
        add(List.of(cells));
    }

    void print(PrintWriter out) {
        int[] width = new int[header.size()];
        boolean[] numbers = new boolean[header.size()];
        for (int c = 0; c < width.length; c++) {
            width[c] = header.get(c).length();
            numbers[c] = true;
            for (List<String> row : rows) {
                String cell = cell(row, c);
                width[c] = Math.max(width[c], cell.length());
                numbers[c] &= cell.isEmpty() || cell.equals("-") || Character.isDigit(cell.charAt(0));
            }
        }
        print(out, header, width, numbers);
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
