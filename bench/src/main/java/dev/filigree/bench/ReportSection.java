package dev.filigree.bench;

import dev.filigree.bench.measure.Ceilings;
import dev.filigree.bench.report.Section;
import java.io.IOException;
import java.util.Optional;

/**
 * One family's part of the report: real inputs, checked and measured. It supplies data; the console, JSON and HTML
 * renderers show it, and know no family.
 */
interface ReportSection {

    /** What the section measures, as its heading. */
    String title();

    /**
     * Measures.
     *
     * @throws IOException if an input cannot be read
     */
    Section run(Context context) throws IOException;

    /**
     * How the report was asked for, and where it runs.
     *
     * @param quick whether a part of the inputs is enough
     * @param peers whether to measure other libraries, too
     * @param ceilings what the machine can do at most, where that could be measured
     */
    record Context(boolean quick, boolean peers, Optional<Ceilings> ceilings) {}
}
