package dev.filigree.bench.report;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;

/**
 * A table of text; a column that holds only numbers is set to the right by renderers.
 *
 * @param caption what it shows
 * @param columns their headings
 * @param rows as many cells each as there are columns
 */
public record DataTable(String caption, List<String> columns, List<List<String>> rows) implements Block {

    private static final Pattern NUMBER = Pattern.compile("-?[0-9][0-9.,]*(e[-+]?[0-9]+)?( \\S+)?");

    /** Copies, and checks that rows fit the columns. */
    public DataTable {
        columns = List.copyOf(columns);
        List<List<String>> copies = new ArrayList<>();
        for (List<String> row : rows) {
            if (row.size() != columns.size()) {
                throw new IllegalArgumentException("table \"" + caption + "\": row " + copies.size() + " has "
                    + row.size() + " cells for " + columns.size() + " columns");
            }
            copies.add(List.copyOf(row));
        }
        rows = List.copyOf(copies);
    }

    /** Whether all cells of a column are numbers or stand for one. */
    public boolean isNumeric(int column) {
        return rows.stream().allMatch(row -> isNumeric(row.get(column)));
    }

    /** Whether a cell is a number, with or without a unit, a dash or empty. */
    public static boolean isNumeric(String cell) {
        return cell.isEmpty() || cell.equals("-") || NUMBER.matcher(cell).matches();
    }
}
