package dev.filigree.bench;

import com.google.gson.JsonObject;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.List;

/** One family's part of the report: real inputs, checked and measured. */
interface ReportSection {

    /** What the section measures, as its heading. */
    String title();

    /**
     * Measures and prints what a person wants to know.
     *
     * @throws IOException if an input cannot be read
     */
    Result run(Context context, PrintWriter out) throws IOException;

    /**
     * How the report was asked for.
     *
     * @param quick whether a part of the inputs is enough
     */
    record Context(boolean quick) {}

    /**
     * What a section found.
     *
     * @param cases objects as {@code bench --json} prints them
     * @param checked how many results were asked for and compared with a reference
     * @param failures how many of them were out of tolerance, or did not come
     */
    record Result(List<JsonObject> cases, int checked, int failures) {
        public Result {
            cases = List.copyOf(cases);
        }
    }
}
