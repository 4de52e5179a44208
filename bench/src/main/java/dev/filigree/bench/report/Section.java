package dev.filigree.bench.report;

import com.google.gson.JsonObject;
import java.util.List;

/**
 * One family's part of a report.
 *
 * @param title its heading
 * @param blocks what people see, in order
 * @param cases what machines read: objects as {@code bench --json} prints them
 * @param checked how many results were asked for and compared with a reference
 * @param failures how many of them were out of tolerance, or did not come
 */
public record Section(String title, List<Block> blocks, List<JsonObject> cases, int checked, int failures) {

    /** Copies the lists. */
    public Section {
        blocks = List.copyOf(blocks);
        cases = List.copyOf(cases);
    }
}
